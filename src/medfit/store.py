"""The MLflow store and its runs: with :mod:`medfit.tracking`, the only place that writes to MLflow."""

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from medfit import config, provenance
from medfit.errors import UserError

FLUSH_S = 2.0  # how often metrics are sent, so that the UI follows a run
LONGEST_PARAM = 6000  # characters that MLflow takes
KINDS = {"numeric": "double", "categorical": "string", "boolean": "boolean"}


class Store:
    """An MLflow store, opened and known to work.

    Raises:
        UserError: it can't be reached, read or written.
    """

    def __init__(self, cfg: DictConfig) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
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
            what = str(error).splitlines()[0][:200]
            for sign, meaning in (("locked", "locked by another program"), ("Max retries", "no server answers there")):
                what = meaning if sign in str(error) else what
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

    def log_image(self, name: str, image: np.ndarray, step: int) -> None:
        """Logs an image of a step, which MLflow shows with a slider over the steps."""
        self.client.log_image(self.id, image, key=name, step=step)

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
        self.log_files(
            {
                "data/schema.json": {"columns": schema, "sha256": dataset.fingerprint()},
                "data/split.json": dict(proof),
            }
        )

    def end(self, status: str) -> None:
        """Sends what waits and ends the run as FINISHED, FAILED or KILLED."""
        self.flush()
        self.client.set_terminated(self.id, status)


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
