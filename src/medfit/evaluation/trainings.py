"""The trainings and baselines of one fold of an evaluation, each a run of its own; what is done is not repeated."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from medfit.evaluation import stored_baselines
from medfit.evaluation.baselines import predictions
from medfit.evaluation.ensembles import Member
from medfit.evidence.predictions import Predictions, TargetKind, read_csv
from medfit.evidence.summary import Unit
from medfit.evidence.targets.known import named
from medfit.search.values import set_values
from medfit.tracking import recording
from medfit.tracking.run import Run
from medfit.tracking.store import Store
from medfit.train import train
from medfit.training.parts import prepare
from medfit.training.trainer import prediction_files

if TYPE_CHECKING:
    import mlflow.entities

Scored = tuple[str, Unit | None, dict[str, float]]  # model, predictions if it makes any, test scores


class Trainings:
    """All that is trained and scored in a fold.

    Args:
        cfg: Of the fold.
        parent: The evaluation's run.
        label: Of the network.
        fold: Its number.
        groups: The subgroup of each of the data set's samples, a column each.

    Attributes:
        members: The networks that have predictions, so far.
    """

    def __init__(self, cfg: DictConfig, parent: Run, label: str, fold: int, groups: pd.DataFrame) -> None:
        self.cfg, self.parent, self.label, self.fold = cfg, parent, label, fold
        self.parts = prepare(cfg)
        module = self.parts.datamodule
        self.kind = named(module.dataset.task)
        self.groups = groups.iloc[module.rows["test"]].reset_index(drop=True)
        self.members: list[Member] = []

    def all(self) -> Iterator[Scored]:
        """Yields each seed's network, then each baseline."""
        for seed in range(self.cfg.seed, self.cfg.seed + self.cfg.evaluate.num_seeds):
            yield self._network(seed)
        yield from self._baselines()

    def _network(self, seed: int) -> Scored:
        name = f"{self.label}{self._of_fold} seed {seed}"
        tags = self._tags("seed", name) | {"seed": str(seed)}
        if (done := self._done(tags)) is None:
            train(set_values(self.cfg, {"seed": seed}), tags=tags, splits=("val", "test"))
            done = self._done(tags)
        assert done is not None
        unit = self._unit(done, seed)
        if unit is not None:
            self.members.append(Member(done.info.run_id, unit))
        return self.label, unit, _test_scores(done)

    def _baselines(self) -> Iterator[Scored]:
        module = self.parts.datamodule
        for name, outputs in predictions(self.parts, ("val", "test") if module.validates else ("test",)):
            tags = self._tags("baseline", f"{name}{self._of_fold}") | {"baseline": name}
            if (done := self._done(tags)) is None:
                with recording.start_run(self.cfg, module.dataset, module.proof, tags) as run:
                    run.log_files(prediction_files(run, self.parts, outputs))
                    stored_baselines.log(run, getattr(outputs, "estimator", None))
                    for split, output in outputs.items():
                        scores = self.parts.task.scores(*output)
                        run.log_metrics({f"{split}/{metric}": value for metric, value in scores.items()}, 0)
                done = self._done(tags)
            assert done is not None
            yield name, self._unit(done, None), _test_scores(done)

    def _tags(self, kind: str, name: str) -> dict[str, str]:
        return {"kind": kind, "fold": str(self.fold), "mlflow.parentRunId": self.parent.id, "mlflow.runName": name}

    @property
    def _of_fold(self) -> str:
        several = self.cfg.evaluate.num_folds or self.cfg.evaluate.site
        return f" fold {self.fold}" if several else ""

    def _done(self, tags: dict[str, str]) -> "mlflow.entities.Run | None":
        runs = self.parent.store.runs_of(self.parent.experiment_id, tags)
        return next((run for run in runs if run.info.status == "FINISHED"), None)

    def _unit(self, run: "mlflow.entities.Run", seed: int | None) -> Unit | None:
        read = partial(read_predictions, self.parent.store, run.info.run_id, kind=self.kind)
        val, test = read("val"), read("test")
        if test is None:
            return None
        return Unit(self.fold, seed, test.rows(np.arange(0)) if val is None else val, test, self.groups)


def read_predictions(store: Store, run_id: str, split: str, kind: TargetKind) -> Predictions | None:
    """Returns a run's predictions of a split; None if it has stored none.

    Args:
        store: That has the run.
        run_id: Its id.
        split: ``val`` or ``test``.
        kind: Of the data set's targets.
    """
    name = f"predictions/{split}.csv"
    if name not in {file.path for file in store.client.list_artifacts(run_id, "predictions")}:
        return None
    with TemporaryDirectory() as folder:
        path = Path(store.client.download_artifacts(run_id, name, folder))
        return kind.read(read_csv(path))


def _test_scores(run: "mlflow.entities.Run") -> dict[str, float]:
    return {name.removeprefix("test/"): v for name, v in run.data.metrics.items() if name.startswith("test/")}
