"""Stored predictions, read back: a row each sample, with the patient whose it is."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from medfit.errors import UserError
from medfit.evidence.segmentation import DISTANCES

COUNTS = ("found", "predicted", "true")  # voxels of a class


@dataclass(frozen=True)
class Predictions:
    """One model's predictions of a split.

    Args:
        kind: The task that the targets call for: ``binary``, ``multilabel``, ``multiclass``, ``regression`` or
            ``segmentation``.
        names: Of the columns: the positive class, labels, classes or targets; a segmentation's classes but the
            background.
        patient: Whose each row is, in the shape (rows,).
        target: 0 or 1 (one column of a row is 1 for multiclass) or numbers, in the shape (rows, columns); voxels found,
            predicted and true for a segmentation, in the shape (rows, 3, columns).
        preds: Probabilities or numbers, in the shape (rows, columns); distances in mm, in the shape
            (rows, 2, columns), for a segmentation, NaN where not measured.
    """

    kind: str
    names: list[str]
    patient: np.ndarray
    target: np.ndarray
    preds: np.ndarray

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def classifies(self) -> bool:
        """Whether the predictions are probabilities."""
        return self.kind in ("binary", "multilabel", "multiclass")

    def rows(self, chosen: np.ndarray) -> "Predictions":
        """Returns some rows, by their numbers or marks."""
        return Predictions(self.kind, self.names, self.patient[chosen], self.target[chosen], self.preds[chosen])

    def by_patient(self) -> "Predictions":
        """Returns a segmentation with a row each patient: voxels summed, distances averaged; all else as it is."""
        if self.kind != "segmentation":
            return self
        patients, code = np.unique(self.patient, return_inverse=True)
        target = np.zeros((len(patients), *self.target.shape[1:]))
        np.add.at(target, code, self.target)
        known = np.isfinite(self.preds)
        total, number = np.zeros((2, len(patients), *self.preds.shape[1:]))
        np.add.at(total, code, np.where(known, self.preds, 0))
        np.add.at(number, code, known)
        means = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
        return Predictions(self.kind, self.names, patients, target, means)


def read(table: pd.DataFrame, kind: str) -> Predictions:
    """Returns the predictions of a run's ``predictions/<split>.csv``.

    Args:
        table: With ``patient`` and, as the kind has it, ``target`` and ``pred/<class>``, ``target/<name>`` and
            ``pred/<name>``, or ``found/<class>``, ``predicted/<class>`` and ``true/<class>``.
        kind: The task that the targets call for.

    Raises:
        UserError: the columns are not those of this kind.
    """
    try:
        if kind == "segmentation":
            return _segmentation(table)
        names = [column.removeprefix("pred/") for column in table if column.startswith("pred/")]
        preds = table[[f"pred/{name}" for name in names]].to_numpy(dtype=float)
        if kind == "multiclass":
            target = (table["target"].astype(str).to_numpy()[:, None] == np.array(names)[None]).astype(float)
        else:
            target = table[[f"target/{name}" for name in names]].to_numpy(dtype=float)
        return Predictions(kind, names, table["patient"].astype(str).to_numpy(), target, preds)
    except KeyError as error:
        raise UserError(f"the stored predictions are not those of a {kind} task: there is no column {error}") from error


def _segmentation(table: pd.DataFrame) -> Predictions:
    names = [column.removeprefix("true/") for column in table if column.startswith("true/")]
    if not names:
        raise KeyError("true/<class>")
    counts = np.stack([table[[f"{part}/{name}" for name in names]].to_numpy(dtype=float) for part in COUNTS], axis=1)
    columns = [[f"{metric}/{name}" for name in names] for metric in DISTANCES]
    distances = np.stack([table.reindex(columns=of_metric).to_numpy(dtype=float) for of_metric in columns], axis=1)
    return Predictions("segmentation", names, table["patient"].astype(str).to_numpy(), counts, distances)
