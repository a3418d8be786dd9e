"""What is left of a model's development: the predictions that its run has stored, and of which patients."""

from dataclasses import dataclass

from medfit.evaluation.trainings import read_predictions
from medfit.evidence.predictions import Predictions, TargetKind
from medfit.tracking.store import Store

SPLITS = {"test": "development, test split", "val": "development, validation split"}


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
