"""What the development's data say beside a validation: baselines as fitted then, patients of both, and membership."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from medfit.data.preprocessing.arrays import Gathered
from medfit.deployment.finished_model import AnyModel
from medfit.errors import UserError
from medfit.evaluation import baselines
from medfit.evaluation.estimators import predict
from medfit.evidence.predictions import Predictions
from medfit.evidence.targets.known import named
from medfit.tracking.store import Store
from medfit.training.parts import Parts
from medfit.validation import development, membership, predictions
from medfit.validation.data import NewData
from medfit.validation.predictions import Samples

NO_MEAN = "no baselines: the development's patients were divided in several ways, and masks of several have no mean"


@dataclass(frozen=True)
class Comparison:
    """What stands beside a model's scores.

    Args:
        baselines: Predictions of the new patients, by the baselines' names.
        membership: As :func:`medfit.validation.membership.scores` gives it; None where it can't be had.
        notes: What a reader must know, a line each.
    """

    baselines: dict[str, Predictions]
    membership: pd.DataFrame | None
    notes: list[str]


class Comparing:
    """Compares with what was learnt from the development's training rows.

    Where trainings of a model had training rows of their own, as of folds, a baseline is the mean over these, as the
    model is.

    Args:
        model: The model.
        store: That has it.
        new: The new patients.
        samples: Theirs, as the trainings take them.
        made: The model's predictions of them.
    """

    def __init__(self, model: AnyModel, store: Store, new: NewData, samples: Samples, made: Predictions) -> None:
        self.model, self.store, self.new, self.samples, self.made = model, store, new, samples, made
        self.divisions = development.divisions(model)

    def compared(self) -> Comparison:
        """Returns what the development's data say, or without them what the model's evaluation has kept."""
        try:
            return self._by_data()
        except UserError as error:
            kept = self._kept()
            which = f"of baselines only {', '.join(kept)}" if kept else "no baselines"
            return Comparison(kept, None, [f"{which} and no membership score: {error}"])

    def _by_data(self) -> Comparison:
        outputs: dict[str, list[tuple[Any, ...]]] = {}
        taught, first, notes = [], None, list[str]()
        for single in self.divisions:
            own = self.samples.of(single)
            both = development.with_new(development.prepared(single, self.store), self.new, own)
            first = both if first is None else first
            taught.append(both.datamodule.rows["train"])
            if self.model.predictor.WRITES_FILES and len(self.divisions) > 1:
                notes = [NO_MEAN]
                continue
            for name, predicted in baselines.predictions(both, (development.NEW,)):
                outputs.setdefault(name, []).append(predicted[development.NEW])
        assert first is not None  # every model has a training
        told, table = self._member(first, pd.unique(np.concatenate(taught)))
        return Comparison(self._of_all(outputs), table, [*notes, *self._repeated(first), *told])

    def _kept(self) -> dict[str, Predictions]:
        """Returns what the baselines that the model's evaluation has kept predict for the new patients."""
        outputs: dict[str, list[tuple[Any, ...]]] = {}
        for single in self.divisions:
            prepared = self.samples.of(single)
            for name, estimator in development.kept_baselines(self.store, single.about["run_id"]).items():
                x, y = Gathered(prepared.data, prepared.rows)
                preds = predict(estimator, membership.features(x), len(self.new.prepared.target_names))
                outputs.setdefault(name, []).append((torch.from_numpy(preds), y))
        return self._of_all(outputs)

    def _of_all(self, outputs: dict[str, list[tuple[Any, ...]]]) -> dict[str, Predictions]:
        """Returns the predictions of the baselines that each division has."""
        kind, found = named(self.new.prepared.task), {}
        for name, own in outputs.items():
            if len(own) == len(self.divisions):
                table = self.model.singles[0].task.table(*predictions.mean(own))
                assert table is not None  # the network's predictions fit in one
                found[name] = kind.read(table.assign(patient=self.made.patient))
        return found

    def _repeated(self, both: Parts) -> list[str]:
        """Returns how many of the new samples the development had, too: what it learnt from is no other patient."""
        new = self.new.prepared
        number = new.kind.repeated(both.datamodule.dataset, new)
        told = f"{number} of {len(new)} new samples are, or nearly are, samples of the development's data, too"
        return [f"{told}: scores of patients who taught the model say nothing of others"] if number else []

    def _member(self, both: Parts, taught: Sequence[int] | np.ndarray) -> tuple[list[str], pd.DataFrame | None]:
        """Returns how well the new patients can be told from those who taught the model, or why that is not known.

        Args:
            both: The development's data and the new ones.
            taught: Numbers of the development's samples that taught any of the trainings.
        """
        if why := baselines.why_too_large(both):
            return [f"no membership score: {why}"], None
        module: Any = both.datamodule
        then, (now, _) = Gathered(module.data, taught)[0], module.arrays(development.NEW)
        whose = module.dataset.groups[taught], self.new.prepared.groups[self.samples.rows]
        of_table = self.new.read.kind.preprocessing == "table"
        table = membership.scores(membership.features(then), membership.features(now), whose, of_table)
        if not len(table):
            return [f"no membership score: it takes {membership.FOLDS} patients of each data set"], None
        return [], table
