"""A finished run, built again from what it recorded: its data, its split and its weights."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from medfit.config.instantiate import build
from medfit.config.stored import read_config
from medfit.errors import UserError
from medfit.tasks.base import Task
from medfit.tasks.supervised import Supervised
from medfit.tracking.paths import restored
from medfit.tracking.run import Run
from medfit.tracking.store import Store
from medfit.training.parts import Parts, make_task, prepare

RUN = "explain.run"  # the config path that names it
CHECKPOINT, TEST_SCORES = "checkpoint/best.ckpt", "predictions/test.csv"


class FinishedRun:
    """A run that trained to its end.

    Args:
        store: That holds it.
        run_id: Its MLflow id.
        split: What is to be explained.

    Attributes:
        cfg: The run's own config.
        parts: Its data and its task, with the weights of the best epoch.
        run: To log to; its status stays as it is.

    Raises:
        UserError: no such run, one without weights, a generator's, other data than it was trained on, or the test
            split of a run that never scored it.
    """

    def __init__(self, store: Store, run_id: str, split: str) -> None:
        self.store, self.id = store, run_id
        with TemporaryDirectory() as folder:
            self.cfg = restored(read_config(self._file("config.yaml", folder).read_text()), store.folder)
            self._check_task()
            weights = torch.load(self._file(CHECKPOINT, folder), weights_only=True, map_location="cpu")
            if split == "test":
                self._check_opened()
            parts = prepare(self.cfg, trained=True)
            self._check_data(parts, folder)
        if not len(parts.datamodule.rows[split]):
            raise UserError(
                f"explain.split={split}: run {run_id} had no such split (split.val=0); give explain.split=train, or "
                "explain.split=test for a run that has scored it"
            )
        parts.task.load_state_dict(weights["state_dict"])
        self.parts = replace(parts, task=frozen(parts.task))
        self.run = Run(store, run_id, store.find(run_id, RUN).info.experiment_id)

    def untrained(self, seed: int) -> Task:
        """Returns the run's task with a model as it is before training, of another seed than the run's own.

        The run's own first weights would not do: trained weights still resemble them.

        Args:
            seed: Of the weights.
        """
        data = self.parts.datamodule
        with torch.random.fork_rng():
            torch.manual_seed(2**31 + seed)  # a run's own seed, and so its first weights, lies below
            return frozen(
                make_task(self.cfg, data.input_shape, data.dataset.target_names, partial(data.arrays, "train"))
            )

    def _file(self, name: str, folder: str) -> Path:
        return self.store.artifact(self.id, name, folder, RUN)

    def _check_task(self) -> None:
        task = build(self.cfg.task).func
        if not issubclass(task, Supervised) or task.no_model is not None:
            raise UserError(
                f"explain.run: run {self.id} is of task={self.cfg.choices.task}, which predicts nothing, so there is "
                "nothing to explain"
            )

    def _check_opened(self) -> None:
        folder, name = TEST_SCORES.split("/")
        if TEST_SCORES not in {file.path for file in self.store.client.list_artifacts(self.id, folder)}:
            raise UserError(
                f"explain.split: run {self.id} has not scored the test split (it has no {folder}/{name}), and "
                "explanations would open it; only medfit evaluate does"
            )

    def _check_data(self, parts: Parts, folder: str) -> None:
        data = parts.datamodule
        then = json.loads(self._file("data/schema.json", folder).read_text())["sha256"]
        if then != data.dataset.fingerprint():
            raise UserError(f"explain.run: the data have changed since run {self.id} was trained on them")
        proof: Mapping[str, Any] = json.loads(self._file("data/split.json", folder).read_text())
        if proof.get("assignment_sha256") != data.proof["assignment_sha256"]:
            raise UserError(f"explain.run: run {self.id} was trained on another split of these data")


def frozen(task: Task) -> Task:
    """Returns a task that is only to predict, on the CPU: the same numbers wherever it was trained."""
    return task.cpu().eval().requires_grad_(False)
