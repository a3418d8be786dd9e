"""Finished runs of an experiment, and their artifacts, as the report reads them."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd
from omegaconf import OmegaConf

from medfit.tracking.store import Store

if TYPE_CHECKING:
    import mlflow.entities

FINISHED = "FINISHED"
WORDS = ("column", "level", "model", "baseline", "metric", "patient")
DECISIONS = ("evidence/decision_curve.csv", "model")  # a number there: the model's net benefit


@dataclass(frozen=True)
class Record:
    """A run and its artifacts.

    Args:
        store: That has it.
        run: As MLflow gives it.
    """

    store: Store
    run: "mlflow.entities.Run"

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.info.run_id

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.info.run_name or self.id

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags."""
        return self.run.data.tags

    @property
    def metrics(self) -> Mapping[str, float]:
        """Its metrics' last values."""
        return self.run.data.metrics

    @property
    def day(self) -> str:
        """The day on which it began, in UTC."""
        return datetime.fromtimestamp(self.run.info.start_time / 1000, UTC).date().isoformat()

    @property
    def duration_s(self) -> float:
        """How long it took; 0 of a run that has not ended."""
        return max(0, (self.run.info.end_time or self.run.info.start_time) - self.run.info.start_time) / 1000

    def names(self, folder: str) -> list[str]:
        """Returns the paths of the artifacts in a folder, in their order."""
        return sorted(file.path for file in self.store.client.list_artifacts(self.id, folder))

    def read(self, path: str) -> bytes | None:
        """Returns an artifact; None if there is none."""
        folder = path.rpartition("/")[0]
        if folder == "explanations" and (kept := self.store.folder / folder / self.id / Path(path).name).is_file():
            return kept.read_bytes()
        if path not in self.names(folder):
            return None
        with TemporaryDirectory() as temporary:
            return Path(self.store.client.download_artifacts(self.id, path, temporary)).read_bytes()

    def json(self, path: str) -> dict[str, Any]:
        """Returns what a JSON artifact holds; nothing if there is none."""
        content = self.read(path)
        return json.loads(content) if content else {}

    def kept_cases(self) -> list[dict[str, str]]:
        """Returns what is told of the single cases that lie on this machine alone, one dict each."""
        found = sorted((self.store.folder / "explanations" / self.id).glob("*_cases.json"))
        return [case for path in found for case in json.loads(path.read_text())]

    def config(self) -> dict[str, Any]:
        """Returns the run's whole config."""
        content = self.read("config.yaml")
        made = OmegaConf.to_container(OmegaConf.create((content or b"{}").decode()), resolve=True)
        assert isinstance(made, dict)
        return {str(key): value for key, value in made.items()}

    def table(self, path: str) -> pd.DataFrame | None:
        """Returns a CSV artifact, in which words stay words: a class may be called "NA"."""
        if not (content := self.read(path)):
            return None
        words = {name: str for name in WORDS if (path, name) != DECISIONS}
        made = pd.read_csv(io.BytesIO(content), dtype=words, keep_default_na=False, na_values=["", "nan"])
        return made.fillna(dict.fromkeys([name for name in words if name in made], ""))


def records(store: Store, experiment_id: str, tags: Mapping[str, str]) -> list[Record]:
    """Returns an experiment's runs that have some tags, the latest first."""
    found = [Record(store, run) for run in store.runs_of(experiment_id, tags)]
    return sorted(found, key=lambda record: record.run.info.start_time, reverse=True)


def in_a_fold(sweep: Record) -> bool:
    """Tells whether a sweep was that of a fold, or of a site, alone."""
    params = sweep.run.data.params
    return any(params.get(key, "null") != "null" for key in ("split.num_folds", "split.site"))


def finished(store: Store, experiment_id: str, kind: str) -> list[Record]:
    """Returns an experiment's finished runs of a kind, the latest first, without trainings that were done again."""
    found = records(store, experiment_id, {"kind": kind})
    return [record for record in found if record.run.info.status == FINISHED and "rerun.of" not in record.tags]
