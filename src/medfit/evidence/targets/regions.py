"""The kind of target that is a class for every pixel or voxel."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from medfit.evidence import weighted
from medfit.evidence.predictions import Arrays, Metric, Predictions, TargetKind, columns, values
from medfit.evidence.segmentation import COUNTS, DISTANCES
from medfit.evidence.settings import Settings

TRUE = COUNTS.index("true")


class Segmentation(TargetKind):
    """Regions of classes: stored are counts of voxels and distances, scored are patients."""

    name = "segmentation"
    headline = "dice"
    smaller_is_better = frozenset(DISTANCES)
    sections = frozenset({"patients"})
    of_images = True
    predictor = "medfit.deployment.in_masks"

    def arrays(self, table: pd.DataFrame) -> Arrays:
        """Returns the columns ``found/<class>``, ``predicted/<class>`` and ``true/<class>``, and distances."""
        names, _ = columns(table, "true")
        if not names:
            raise KeyError("true/<class>")
        counts = np.stack([values(table, part, names) for part in COUNTS], axis=1)
        known = table.reindex(columns=[f"{metric}/{name}" for metric in DISTANCES for name in names])
        distances = np.stack([values(known, metric, names) for metric in DISTANCES], axis=1)
        return names, counts, distances

    def metrics(self, predictions: Predictions) -> dict[str, Metric]:
        """Returns the means over rows of overlaps and distances, of each class and their mean."""
        return weighted.means_over_rows(predictions)

    def by_patient(self, predictions: Predictions) -> Predictions:
        """Returns a row each patient: voxels summed, distances averaged."""
        code, patients = pd.factorize(predictions.patient)
        target = np.zeros((len(patients), *predictions.target.shape[1:]))
        np.add.at(target, code, predictions.target)
        known = np.isfinite(predictions.preds)
        total, number = np.zeros((2, len(patients), *predictions.preds.shape[1:]))
        np.add.at(total, code, np.where(known, predictions.preds, 0))
        np.add.at(number, code, known)
        means = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
        return replace(predictions, patient=patients, target=target, preds=means)

    def truth(self, predictions: Predictions) -> np.ndarray:
        """Returns the voxels that are true; those found and predicted are the model's."""
        return predictions.target[:, TRUE]

    def tables(
        self, tests: Sequence[Predictions], vals: Sequence[Predictions], settings: Settings
    ) -> dict[str, pd.DataFrame]:
        """Returns the Dice of each patient."""
        from medfit.evidence import readouts  # SciPy's statistics, which a training does without

        return {"patients": readouts.of_each_patient(tests)}
