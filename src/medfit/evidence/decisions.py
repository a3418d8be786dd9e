"""What validation patients decided about the predictions of new ones, and the predictions as a user reads them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd

from medfit.evidence.odds import logit


@dataclass(frozen=True)
class Decisions:
    """Plain values, by the names of the outputs; an output that the validation patients tell nothing of has none.

    Args:
        thresholds: The raw probability at or above which the answer is yes.
        lines: Intercept and slope of the log odds, which recalibrate a probability (Platt 1999).
        temperature: What the logarithms of classes' probabilities are divided by (Guo et al., ICML 2017); None where
            the outputs are no classes.
        half_widths: How far from a number the truth lies at most, in the share ``coverage`` of new patients.
        coverage: Of the prediction intervals.
        intervals_from: The split whose errors made them: ``test``, or ``val``, whose patients chose the model, so that
            their errors are smaller than new patients', and the intervals hold fewer.
        out_of_fold: Whether each patient that taught them was predicted by those trainings alone that had learnt
            nothing from this patient, and not by all whose mean is predicted now.
    """

    thresholds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, list[float]] = field(default_factory=dict)
    temperature: float | None = None
    half_widths: dict[str, float] = field(default_factory=dict)
    coverage: float | None = None
    intervals_from: str | None = None
    out_of_fold: bool = False

    def recalibration(self, names: list[str]) -> list[tuple[float, float]] | None:
        """Returns what is added to each output's log odds after what it is multiplied by; None where nothing is known.

        Args:
            names: Of the outputs.
        """
        if self.temperature is not None:
            return [(0.0, 1 / self.temperature)] * len(names)
        if not self.lines or not set(names) <= set(self.lines):
            return None
        return [(self.lines[name][0], self.lines[name][1]) for name in names]

    def values(self) -> dict[str, Any]:
        """Returns what JSON can hold."""
        return asdict(self)

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Self:
        """Returns what :meth:`values` gave."""
        return cls(**values)


def answers(names: list[str], preds: np.ndarray, decisions: Decisions) -> pd.DataFrame:
    """Returns ``decision/<name>`` (yes or no), ``probability/<name>`` and ``recalibrated/<name>`` of each sample.

    Args:
        names: Of the outputs.
        preds: Probabilities, in the shape (samples, outputs).
        decisions: What the validation patients taught.
    """
    columns: dict[str, Any] = {}
    for column, name in enumerate(names):
        raw = preds[:, column]
        if name in decisions.thresholds:
            columns[f"decision/{name}"] = np.where(raw >= decisions.thresholds[name], "yes", "no").astype(object)
        columns[f"probability/{name}"] = raw
        if name in decisions.lines:
            intercept, slope = decisions.lines[name]
            columns[f"recalibrated/{name}"] = 1 / (1 + np.exp(-(intercept + slope * logit(raw))))
    return pd.DataFrame(columns)


def classes(names: list[str], preds: np.ndarray, tempered: np.ndarray | None) -> pd.DataFrame:
    """Returns ``class``, and ``probability/<class>`` and ``recalibrated/<class>`` of each class.

    Args:
        names: Of the classes.
        preds: Probabilities, in the shape (samples, classes).
        tempered: The same, recalibrated; None where the validation patients taught nothing.
    """
    columns: dict[str, Any] = {"class": np.array(names, dtype=object)[preds.argmax(axis=1)]}
    columns |= {f"probability/{name}": preds[:, k] for k, name in enumerate(names)}
    if tempered is not None:
        columns |= {f"recalibrated/{name}": tempered[:, k] for k, name in enumerate(names)}
    return pd.DataFrame(columns)


def numbers(names: list[str], preds: np.ndarray, decisions: Decisions) -> pd.DataFrame:
    """Returns ``prediction/<name>``, and ``low/<name>`` and ``high/<name>`` of its interval, in the target's unit."""
    columns: dict[str, Any] = {}
    for column, name in enumerate(names):
        columns[f"prediction/{name}"] = preds[:, column]
        if name in decisions.half_widths:
            width = decisions.half_widths[name]
            columns |= {f"low/{name}": preds[:, column] - width, f"high/{name}": preds[:, column] + width}
    return pd.DataFrame(columns)
