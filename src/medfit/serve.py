"""``medfit serve``: a finished model as a web service of MLflow's, on this machine only."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from omegaconf import DictConfig
from pydantic import Field

from medfit.config.instantiate import build
from medfit.errors import UserError
from medfit.terminal.console import say
from medfit.terminal.serving import HOST, free_port
from medfit.tracking.store import Store


@dataclass(frozen=True)
class Serve:
    """What is served.

    Args:
        model: The MLflow id of a finished training, or a model's address, as ``models:/name@champion``.
        port: Where, or the next free one.
    """

    model: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 5002


def main(cfg: DictConfig) -> None:
    """Serves a model until Ctrl-C; says how it is asked.

    Raises:
        UserError: there is no such model, or it takes no rows of a table.
    """
    asked: Serve = build(cfg.serve)
    if not asked.model:
        raise UserError("serve.model is needed: medfit serve <run id>, or models:/name@champion")
    import uvicorn  # late: a quick start

    from medfit.deployment import logged  # late: a quick start

    store = Store(cfg)
    with TemporaryDirectory() as folder:
        found = logged.fetch(store, asked.model, Path(folder), "serve.model")
        if not (found / "input_example.json").exists():
            raise UserError(f"serve.model: {asked.model} takes no rows of a table; medfit predict applies it to files")
        app, port = application(found), free_port(asked.port)
    say(f"http://{HOST}:{port}/invocations takes rows, as in")
    say(f"  curl -H 'Content-Type: text/csv' --data-binary @new_patients.csv http://{HOST}:{port}/invocations")
    say("Ctrl-C ends it.")
    uvicorn.run(app, host=HOST, port=port, log_level="warning")


def application(files: Path) -> Any:
    """Returns MLflow's server of a model as an ASGI application, whose refusals are a line each.

    Args:
        files: The model's, as MLflow has them; its signature is taken away.
    """
    import mlflow.pyfunc  # late: a quick start
    from mlflow.pyfunc import scoring_server

    from medfit.deployment import mlflow_files  # late: a quick start
    from medfit.deployment.csv_requests import as_written
    from medfit.deployment.short_answers import short_answers

    mlflow_files.drop_signature(files)
    return as_written(short_answers(scoring_server.init(mlflow.pyfunc.load_model(str(files)))))
