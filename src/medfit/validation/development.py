"""What is left of a model's development: the predictions that its run has stored, and its data, if they are there."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medfit.data.batches import Batches, InOrder
from medfit.data.preprocessing.arrays import Gathered
from medfit.deployment.finished_model import AnyModel, FinishedModel
from medfit.errors import UserError
from medfit.evaluation import stored_baselines
from medfit.evaluation.trainings import read_predictions
from medfit.evidence import averaged
from medfit.evidence.predictions import Predictions, TargetKind
from medfit.tracking.paths import restored
from medfit.tracking.store import Store
from medfit.training import parts
from medfit.training.parts import Parts
from medfit.validation.data import NewData
from medfit.validation.predictions import Prepared

SPLITS = {"test": "development, test split", "val": "development, validation split"}
NEW = "new"  # the split of the new patients, beside the development's


@dataclass(frozen=True)
class Stored:
    """The predictions of a split of the development.

    Args:
        split: ``test``, or ``val`` where no test patient was scored.
        predictions: Of its patients.
    """

    split: str
    predictions: Predictions

    @property
    def patients_of(self) -> str:
        """Which patients they are, in words."""
        return SPLITS[self.split]


def divisions(model: AnyModel) -> list[FinishedModel]:
    """Returns a training for each way in which the development's patients were divided into splits."""
    found: dict[str, FinishedModel] = {}
    for single in model.singles:
        found.setdefault(str(single.about["split_sha256"]), single)
    return list(found.values())


def stored(store: Store, model: AnyModel, kind: TargetKind) -> Stored | None:
    """Returns the predictions of the development's test split, or of its validation split; None if nothing is left.

    Nothing is known of the mean of trainings of several divisions: each patient has taught some of them.

    Args:
        store: That has the model.
        model: The model.
        kind: Of its targets.
    """
    from mlflow.exceptions import MlflowException  # late: a quick start

    try:
        for split in SPLITS if len(divisions(model)) == 1 else ():
            if (found := _of_split(store, model, split, kind)) is not None:
                return Stored(split, found)
    except MlflowException:  # the run was deleted
        pass
    return None


def _of_split(store: Store, model: AnyModel, split: str, kind: TargetKind) -> Predictions | None:
    """Returns the predictions that the model's own run has stored, or the mean of those of its trainings."""
    own = read_predictions(store, str(model.about["run_id"]), split, kind)
    if own is not None or len(model.singles) == 1:
        return own
    made = [read_predictions(store, str(single.about["run_id"]), split, kind) for single in model.singles]
    return averaged.average([averaged.Stored("", one, None) for one in made]).val


def kept_baselines(store: Store, run_id: str) -> dict[str, Any]:
    """Returns the fitted baselines that the evaluation of a training has kept, by name; none without an evaluation."""
    from mlflow.exceptions import MlflowException  # late: a quick start

    try:
        return stored_baselines.load(store, run_id)
    except MlflowException:  # the run was deleted
        return {}


def prepared(model: FinishedModel, store: Store) -> Parts:
    """Returns the data that a training was made from, divided and prepared as they were then.

    Args:
        model: Of the training.
        store: Whose folder knows where the data lay.

    Raises:
        UserError: they are not there any more, or have changed.
    """
    try:
        made = parts.prepare(restored(model.cfg, store.folder), trained=True)
    except UserError as error:
        raise UserError(f"the development's data can't be read any more ({error})") from error
    then = model.about["data_sha256"], model.about["split_sha256"]
    if then != (made.datamodule.dataset.fingerprint(), made.datamodule.proof["assignment_sha256"]):
        raise UserError("the development's data have changed since")
    return made


def with_new(development: Parts, new: NewData, own: Prepared) -> Parts:
    """Returns the development's data with the new patients as one more split, :data:`NEW`.

    Args:
        development: As :func:`prepared` gives them.
        new: The new patients.
        own: Their samples, prepared.
    """
    module: Any = _WithNew(development.datamodule, new, own)
    return replace(development, datamodule=module)


class _WithNew:
    """A data module that knows one more split; for all else it is the development's."""

    def __init__(self, development: Any, new: NewData, own: Prepared) -> None:
        self._development, self._new, self._own = development, new, own

    def __getattr__(self, name: str) -> Any:
        return getattr(self._development, name)

    def arrays(self, split: str) -> Any:
        """Returns a split's ``x`` and ``y``."""
        return Gathered(self._own.data, self._own.rows) if split == NEW else self._development.arrays(split)

    def targets(self, split: str) -> np.ndarray:
        """Returns a split's ``y``, as the data set holds it."""
        targets: np.ndarray = self._new.prepared.y[self._own.rows] if split == NEW else self._development.targets(split)
        return targets

    def batches(self, split: str) -> Any:
        """Returns a split's batches."""
        if split != NEW:
            return self._development.batches(split)
        data = self._own.data.evaluation(self._own.rows)
        return Batches(data, InOrder(data.in_order()))
