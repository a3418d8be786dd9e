"""The only place that writes to MLflow."""

import hashlib
import hmac
import json
import logging
import math
import os
import secrets
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import pandas as pd
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from pydantic import Field

from medfit import config, provenance
from medfit.errors import UserError

FLUSH_S = 2.0  # how often metrics are sent, so that the UI follows a run
LONGEST_PARAM = 6000  # characters that MLflow takes
KINDS = {"numeric": "double", "categorical": "string", "boolean": "boolean"}


@dataclass(frozen=True)
class Tracking:
    """Where runs are kept.

    Args:
        uri: Of an MLflow server or database; None for a SQLite database in the output folder.
        plots: Whether each run draws its plots.
        ui_port: Where ``medfit ui`` serves MLflow's pages, or the next free port.
    """

    uri: str | None = None
    plots: bool = True
    ui_port: Annotated[int, Field(ge=1, le=65535)] = 5000


class Store:
    """An MLflow store, opened and known to work.

    Raises:
        UserError: it can't be reached, read or written.
    """

    def __init__(self, cfg: DictConfig) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):  # after the import, which sets them itself
            logging.getLogger(name).setLevel(logging.WARNING)

        self.folder = config.output_dir(cfg)
        self.uri = cfg.tracking.uri or f"sqlite:///{self.folder / 'mlflow.db'}"
        self.local = self.uri.startswith("sqlite:")
        with self._guarded():
            self.client = MlflowClient(self.uri)
            self.client.search_experiments(max_results=1)

    def experiment_id(self, name: str) -> str:
        """Returns the experiment's id; makes the experiment at its first run."""
        with self._guarded():
            if found := self.client.get_experiment_by_name(name):
                return found.experiment_id
            location = (self.folder / "artifacts" / name).as_uri() if self.local else None
            return self.client.create_experiment(name, artifact_location=location)

    def count(self, experiment_id: str, kind: str) -> int:
        """Returns how many runs of a kind an experiment has."""
        return len(self.client.search_runs([experiment_id], f"tags.kind = '{kind}'", max_results=10_000))

    def reopen(self, run_id: str | None) -> "Run | None":
        """Returns a run that goes on, RUNNING again; None if the store has no such run."""
        from mlflow.exceptions import MlflowException

        if run_id is None:
            return None
        try:
            self.client.update_run(run_id, status="RUNNING")
            return Run(self, run_id, self.client.get_run(run_id).info.experiment_id)
        except MlflowException:
            return None

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> "Run":
        """Returns a new run, RUNNING."""
        state = provenance.code()
        tags = {
            "mlflow.source.name": "medfit",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": state["commit"],
            "git.dirty": state["dirty"],
            **tags,
        }
        with self._guarded():
            run = self.client.create_run(self.experiment_id(experiment), tags=tags, run_name=name)
        return Run(self, run.info.run_id, run.info.experiment_id)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            what = "locked by another program" if "locked" in str(error) else str(error).splitlines()[0][:200]
            raise UserError(f"tracking.uri: the store '{self.uri}' can't be used ({what})") from error


class Run:
    """One MLflow run; metrics are sent in batches."""

    def __init__(self, store: Store, run_id: str, experiment_id: str) -> None:
        self.store, self.client, self.id, self.experiment_id = store, store.client, run_id, experiment_id
        self.history: dict[str, list[tuple[int, float]]] = {}
        self._points: list[Any] = []
        self._flushed = time.monotonic()

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Logs values by their config paths, spelled as overrides."""
        from mlflow.entities import Param

        entities = [Param(key, config.as_override(value)[:LONGEST_PARAM]) for key, value in params.items()]
        for start in range(0, len(entities), 100):
            self.client.log_batch(self.id, params=entities[start : start + 100])

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Keeps finite values, and sends them now and then."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for name, value in metrics.items():
            if math.isfinite(value):
                key = "".join(letter if letter.isalnum() or letter in "_-. :/" else "_" for letter in name)
                self.history.setdefault(key, []).append((step, float(value)))
                self._points.append(Metric(key, float(value), now, step))
        if time.monotonic() - self._flushed > FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Sends the metrics that wait."""
        points, self._points = self._points, []
        for start in range(0, len(points), 1000):
            self.client.log_batch(self.id, metrics=points[start : start + 1000])
        self._flushed = time.monotonic()

    def set_tag(self, key: str, value: str) -> None:
        """Sets a tag."""
        self.client.set_tag(self.id, key, value)

    def log_files(self, files: Mapping[str, Any]) -> None:
        """Logs artifacts by their paths: text, JSON (a dict), a CSV (a DataFrame), a figure or a file (a Path)."""
        with TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, content)
            self.client.log_artifacts(self.id, folder)

    def log_dataset(self, dataset: Any, proof: Mapping[str, Any]) -> None:
        """Logs a data set's name, fingerprint, schema and counts; no row and no identifier."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        schema = dataset.schema()
        columns = [
            {"name": column["name"], "type": KINDS.get(column["kind"], "double"), "required": True} for column in schema
        ]
        entity = Dataset(
            name=dataset.name,
            digest=dataset.fingerprint()[:32],
            source_type="local",
            source=json.dumps({"source": dataset.source}),
            schema=json.dumps({"mlflow_colspec": columns}),
            profile=json.dumps({"num_rows": len(dataset), **proof}),
        )
        self.client.log_inputs(self.id, [DatasetInput(entity, [InputTag("mlflow.data.context", "train, val")])])
        self.log_files({"data/schema.json": {"columns": schema, "sha256": dataset.fingerprint()}, "data/split.json": dict(proof)})

    def end(self, status: str) -> None:
        """Sends what waits and ends the run as FINISHED, FAILED or KILLED."""
        self.flush()
        self.client.set_terminated(self.id, status)


@contextmanager
def start_run(
    cfg: DictConfig, dataset: Any, proof: Mapping[str, Any], tags: Mapping[str, str], resume: str | None = None
) -> Iterator[Run]:
    """Opens a run that holds all it takes to repeat it, and ends it truthfully.

    Args:
        cfg: The whole config.
        dataset: For its fingerprint and schema.
        proof: Of the split.
        tags: ``kind`` (run, trial, sweep, seed, evaluation), ``mlflow.parentRunId`` and what else tells it apart.
        resume: The id of a run to go on with, if the store has it.
    """
    store = Store(cfg)
    name = tags.get("mlflow.runName") or f"{cfg.choices.model} seed {cfg.seed}"
    chosen = {group: cfg.choices[group] for group in ("dataset", "model", "task", "regime")}
    tags = {**chosen, **tags}
    run = store.reopen(resume) or store.create_run(experiment_name(cfg, dataset), name, tags)
    try:
        run.log_params(chosen | dict(params(cfg)))
        run.log_files(_facts(cfg))
        run.log_dataset(dataset, proof)
        yield run
    except BaseException as error:
        _end_badly(run, error)
        raise
    run.end("FINISHED")


def experiment_name(cfg: DictConfig, dataset: Any) -> str:
    """Returns the MLflow experiment's name: the experiment's, else the data set's."""
    return cfg.experiment or dataset.name


def params(cfg: DictConfig) -> Iterator[tuple[str, Any]]:
    """Yields config paths and values; each, given back as an override, means the same again."""
    for section in cfg:
        if section not in ("choices", "overrides", "experiment", "best", "sweep", "tracking", "output_dir", "evaluate"):
            for path, value in config.leaves(cfg[section], str(section)):
                if not path.rpartition(".")[2].startswith("_"):
                    yield path, value


def pseudonyms(folder: Path, dataset_name: str, groups: Any) -> list[str]:
    """Returns a keyed hash of each sample's patient, alike in all runs of this folder and of no use elsewhere.

    The key, ``salt``, lies in the output folder, is readable to its owner alone and is never logged.
    """
    path = folder / "salt"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    salt = path.read_text().encode()
    return [hmac.new(salt, f"{dataset_name}/{group}".encode(), hashlib.sha256).hexdigest()[:16] for group in groups]


class RunLogger(Logger):
    """Hands Lightning's metrics to a run, by epoch."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run

    @property
    def name(self) -> str:
        """The experiment's id."""
        return self.run.experiment_id

    @property
    def version(self) -> str:
        """The run's id."""
        return self.run.id

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Logs at the epoch, which compares between batch sizes; the step does not."""
        epoch = int(metrics.get("epoch", step or 0))
        self.run.log_metrics({name: value for name, value in metrics.items() if name != "epoch"}, epoch)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: params are logged when the run starts."""


def _facts(cfg: DictConfig) -> dict[str, Any]:
    code = provenance.code()
    facts: dict[str, Any] = {"config.yaml": OmegaConf.to_yaml(cfg), "environment.json": provenance.environment()}
    return facts | ({"code.diff": code["diff"]} if code["diff"] else {})


def _end_badly(run: Run, error: BaseException) -> None:
    killed = isinstance(error, KeyboardInterrupt | SystemExit)
    try:
        if not killed:
            run.set_tag("failure", f"{type(error).__name__}: {error}"[:500])
            run.log_files({"failure.txt": "".join(traceback.format_exception(error))})
    finally:
        run.end("KILLED" if killed else "FAILED")


def _write(path: Path, content: Any) -> None:
    match content:
        case str():
            path.write_text(content)
        case dict():
            path.write_text(json.dumps(content, indent=2))
        case pd.DataFrame():
            content.to_csv(path, index=False)
        case Path():
            path.write_bytes(content.read_bytes())
        case _:
            content.savefig(path, dpi=100)
