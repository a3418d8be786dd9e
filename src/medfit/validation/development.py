"""What is left of a model's development: the predictions that its run has stored, and its data, if they are there."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medfit.data.batches import Batches, InOrder
from medfit.data.preprocessing.arrays import Gathered
from medfit.deployment.finished_model import FinishedModel
from medfit.errors import UserError
from medfit.evaluation import stored_baselines
from medfit.evaluation.trainings import read_predictions
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


def stored(store: Store, run_id: str, kind: TargetKind) -> Stored | None:
    """Returns the predictions of a training's test split, or of its validation split; None if nothing is left of them.

    Args:
        store: That has the model.
        run_id: Of the training.
        kind: Of its targets.
    """
    from mlflow.exceptions import MlflowException  # late: a quick start

    try:
        for split in SPLITS:
            if (found := read_predictions(store, run_id, split, kind)) is not None:
                return Stored(split, found)
    except MlflowException:  # the run was deleted
        pass
    return None


def kept_baselines(store: Store, run_id: str) -> dict[str, Any]:
    """Returns the fitted baselines that the evaluation of a training has kept, by name; none without an evaluation."""
    from mlflow.exceptions import MlflowException  # late: a quick start

    try:
        return stored_baselines.load(store, run_id)
    except MlflowException:  # the run was deleted
        return {}


def prepared(model: FinishedModel, store: Store) -> Parts:
    """Returns the data that a model was made from, divided and prepared as they were then.

    Args:
        model: The model.
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
