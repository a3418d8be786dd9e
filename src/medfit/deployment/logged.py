"""The finished model of a run, in MLflow: written when its training ends, found again by a run or a model's address."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from medfit.config.stored import read_config
from medfit.deployment.model_files import ABOUT
from medfit.errors import UserError
from medfit.evidence.targets.known import TARGETS
from medfit.terminal.console import say
from medfit.tracking import recording
from medfit.tracking.paths import hidden
from medfit.tracking.registry import model_at
from medfit.tracking.run import Run
from medfit.tracking.store import Store

if TYPE_CHECKING:
    import mlflow.entities

    from medfit.deployment.finished_model import AnyModel, FinishedModel
    from medfit.training.parts import Parts

TRAININGS = ("run", "trial", "seed")
WITHHELD = "no_model"  # the tag that tells why a training that could have kept its model has not
NAME = "medfit"  # of a run's model in MLflow's list


def log_finished(cfg: DictConfig, parts: "Parts", tables: Mapping[str, pd.DataFrame], run: Run) -> None:
    """Logs the finished model of a training, if its task and its kind of data have one.

    Args:
        cfg: Of the training.
        parts: Whose task has the best weights.
        tables: The stored predictions of the splits that were scored, by name.
        run: The training's.
    """
    from medfit.deployment import mlflow_files  # late: MLflow's models take a second to import
    from medfit.deployment.packing import packed, withheld  # late: torch is not needed to ask for a model

    hide = partial(hidden, names=recording.path_names(cfg, run.store))
    model = packed(cfg, parts, tables, run.id, hide)
    if model is not None:
        run.log_model(NAME, model.about["task"], partial(mlflow_files.write, model))
        tell_held(model.about)
    elif reason := withheld(cfg, parts):
        tell_withheld(run, reason)


def tell_held(about: Mapping[str, Any]) -> None:
    """Says what the files of a finished model, of which this is known, hold of single patients."""
    for held in about["expected"].get("holds", ()):
        say(f"Note: the files of this finished model hold {held}; guard them as you guard the data.")


def tell_withheld(run: Run, reason: str) -> None:
    """Says, and notes with the run, why its finished model is not kept."""
    run.set_tag(WITHHELD, reason)
    say(f"Note: no finished model is kept: {reason}.")


def find(address: str, overrides: Sequence[str] = ()) -> "AnyModel":
    """Returns a finished model, in a folder or in the store of a config.

    Args:
        address: A folder, or as :func:`load` takes it.
        overrides: Of the config that says where the store is.

    Raises:
        UserError: there is none.
    """
    from medfit.config.compose import compose  # late: a folder needs no config
    from medfit.deployment import ensemble  # late: it needs torch

    folder = Path(address).expanduser()
    if folder.is_dir():
        return ensemble.load(own_files(folder, address), address)
    return load(Store(compose(["experiment=", *overrides])), address, "load_model")


def load(store: Store, address: str, where: str) -> "AnyModel":
    """Returns a finished model.

    Args:
        store: That has it.
        address: A run's id, or an address of MLflow's, as ``models:/name@champion``.
        where: The config path that gave it, for errors.

    Raises:
        UserError: there is none.
    """
    from medfit.deployment import ensemble  # late: it needs torch

    with TemporaryDirectory() as folder:
        found = fetch(store, address, Path(folder), where)
        return ensemble.load(own_files(found, f"{where}: {address}"), f"{where}: {address}")


def load_single(store: Store, address: str, where: str) -> "FinishedModel":
    """Returns the finished model of one training, for what can do nothing with several; see :func:`load`.

    Raises:
        UserError: there is none, or it is made of several trainings.
    """
    from medfit.deployment.finished_model import FinishedModel  # late: it needs torch

    model = load(store, address, where)
    if not isinstance(model, FinishedModel):
        ids = ", ".join(str(single.about["run_id"]) for single in model.singles)
        raise UserError(f"{where}: {address} is made of several trainings, where one is needed; give one of {ids}")
    return model


def model_id(store: Store, address: str, where: str) -> str:
    """Returns the id in MLflow of the model that :func:`load` gives."""
    return model_at(store, address, where) if "/" in address else _of_run(store, address, where)


def model_of(store: Store, run: "mlflow.entities.Run") -> str | None:
    """Returns the id of a run's finished model, None if it has none."""
    found = store.client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    return next((str(model.model_id) for model in found if model.status == "READY"), None)


def _of_run(store: Store, run_id: str, where: str) -> str:
    run = store.find(run_id, where)
    found = model_of(store, run)
    if found is None:
        told = f"{run.data.tags.get('kind', 'run')}, {run.info.status.lower()}"
        raise UserError(f"{where}: run {run_id} ({told}) has no finished model; {_why(store, run)}")
    return found


def _why(store: Store, run: "mlflow.entities.Run") -> str:
    """Returns why a run has no model, and what to do about it."""
    kind, targets = run.data.tags.get("kind", "run"), run.data.tags.get("task.targets", "")
    if targets in TARGETS and TARGETS[targets].predictor is None:
        return f"it learnt {targets}, which predicts nothing of a sample; see medfit sample"
    if reason := run.data.tags.get(WITHHELD):
        return reason
    if kind not in TRAININGS:
        return "take one of its trainings: medfit ui shows their ids"
    if run.info.status != "FINISHED":
        return "a training that came to its end has one"
    if kind == "trial":
        return "of a sweep's trials the best alone has one, when the sweep has ended"
    with TemporaryDirectory() as folder:
        cfg = read_config(store.artifact(run.info.run_id, "config.yaml", folder, "run").read_text())
    if not OmegaConf.select(cfg, "tracking.models", default=False):
        return "it was trained with tracking.models=false, or before there were finished models; train again"
    return f"nothing reads new samples for preprocessing={cfg.choices.preprocessing}"


def fetch(store: Store, address: str, folder: Path, where: str) -> Path:
    """Returns where a model's files lie, as MLflow has them, fetched into a folder.

    Args:
        store: See :func:`load`, as for the rest.
        address: See there.
        folder: An empty one.
        where: See there.
    """
    import mlflow.artifacts  # late: a quick start
    from mlflow.exceptions import MlflowException

    number = model_id(store, address, where)
    try:
        location = store.client.get_logged_model(number).artifact_location
        return Path(mlflow.artifacts.download_artifacts(location, dst_path=str(folder), tracking_uri=store.uri))
    except (MlflowException, OSError) as error:
        why = str(error).splitlines()[0]
        raise UserError(f"{where}: the files of model {number} are not there ({why})") from error


def own_files(folder: Path, name: str) -> Path:
    """Returns where medfit's own files lie among those of an MLflow model.

    Raises:
        UserError: nowhere.
    """
    own = min(folder.rglob(ABOUT), key=lambda path: len(path.parts), default=None)  # an ensemble holds others
    if own is None:
        raise UserError(f"{name}: holds no finished model of medfit ({ABOUT} is missing)")
    return own.parent
