"""How well predicted numbers agree with measured ones, in their unit."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from medfit.evidence.calibration import groups
from medfit.evidence.intervals import LEVEL, Statistic, mean_of, resample, strata_of
from medfit.evidence.predictions import Predictions
from medfit.evidence.thresholds import wilson
from medfit.evidence.weighted import share

Z = float(stats.norm.ppf((1 + LEVEL) / 2))


def bland_altman(units: Sequence[Predictions], num_resamples: int = 1000) -> pd.DataFrame:
    """Returns the bias (mean of predicted - measured) and the 95 % limits of agreement of each target.

    Means over trainings; the intervals resample patients, so they hold where a patient was measured repeatedly
    (Bland & Altman, Lancet 1986; Stat Methods Med Res 1999).
    """
    patients, strata = strata_of(units)
    rows = []
    for column, name in enumerate(units[0].names):
        errors = [unit.preds[:, column] - unit.target[:, column] for unit in units]
        statistics = {
            measure: mean_of(units, [_beside_the_mean(error, deviations) for error in errors], patients)
            for measure, deviations in {"bias": 0.0, "lower limit": -Z, "upper limit": Z}.items()
        }
        drawn = resample(statistics, len(patients), strata, num_resamples, num_rows=max(map(len, units)))
        for measure, found in drawn.bca().items():
            rows.append(
                {
                    "column": name,
                    "measure": measure,
                    "estimate": found.estimate,
                    "low": found.low,
                    "high": found.high,
                    "patients": len(patients),
                }
            )
    return pd.DataFrame(rows)


def _beside_the_mean(error: np.ndarray, deviations: float) -> Statistic:
    """Returns the errors' mean and so many of their standard deviations, as a function of the rows' weights."""
    center = error.mean()

    def of(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1)
        mean = share(weights @ error, total)
        squares = weights @ (error - center) ** 2 - total * (mean - center) ** 2
        return mean + deviations * np.sqrt(np.maximum(share(squares, total - 1), 0))

    return of


def deciles(units: Sequence[Predictions]) -> pd.DataFrame:
    """Returns the mean predicted and measured number of ten groups by prediction, all trainings together.

    The interval of the measured mean is Student's over the patients' means.
    """
    rows = []
    for column, name in enumerate(units[0].names):
        preds = np.concatenate([unit.preds[:, column] for unit in units])
        target = np.concatenate([unit.target[:, column] for unit in units])
        patient = np.concatenate([unit.patient for unit in units])
        for group in groups(preds):
            own = pd.Series(target[group]).groupby(patient[group]).mean()
            half = stats.t.ppf((1 + LEVEL) / 2, len(own) - 1) * own.sem() if len(own) > 1 else np.nan
            center = float(own.mean())
            rows.append(
                {
                    "column": name,
                    "predicted": float(preds[group].mean()),
                    "observed": center,
                    "low": center - half,
                    "high": center + half,
                    "patients": len(own),
                }
            )
    return pd.DataFrame(rows)


def conformal_width(errors: np.ndarray, patient: np.ndarray, coverage: float) -> float:
    """Returns how far from a prediction the truth of a new patient lies at most, in the given share of cases.

    Split conformal prediction (Lei et al., JASA 2018); each patient counts once, however often measured (Dunn et al.,
    JASA 2023, pooled CDFs). Infinite where the patients are too few to tell.

    Args:
        errors: Predicted - measured, of patients that the model was not fitted on, in the shape (rows,).
        patient: Whose each is.
        coverage: Between 0 and 1.
    """
    _, code, counts = np.unique(patient, return_inverse=True, return_counts=True)
    order = np.argsort(np.abs(errors))
    reached = np.cumsum((1 / counts[code])[order]) / (len(counts) + 1)  # the new patient's own weight lies at infinity
    enough = np.flatnonzero(reached >= coverage - 1e-12)
    return float(np.abs(errors)[order][enough[0]]) if len(enough) else np.inf


def conformal(units: Sequence[Predictions], learnt_from: Sequence[Predictions], coverage: float = 0.9) -> pd.DataFrame:
    """Returns each target's half width of the prediction interval, and how often it held on the test patients.

    Args:
        units: Each training's predictions of the test split.
        learnt_from: Each training's predictions of the validation split, whose errors set the width.
        coverage: That is asked for.
    """
    rows = []
    for column, name in enumerate(units[0].names):
        widths, held = [], []
        for unit, val in zip(units, learnt_from, strict=True):
            width = conformal_width(val.preds[:, column] - val.target[:, column], val.patient, coverage)
            inside = np.abs(unit.preds[:, column] - unit.target[:, column]) <= width
            widths.append(width)
            held.append(pd.Series(inside.astype(float)).groupby(unit.patient).mean())
        measured = pd.concat(held).groupby(level=0).mean()
        low, high = wilson(float(measured.mean()), len(measured))
        rows.append(
            {
                "column": name,
                "asked": coverage,
                "half_width": float(np.mean(widths)),
                "coverage": float(measured.mean()),
                "low": low,
                "high": high,
                "patients": len(measured),
            }
        )
    return pd.DataFrame(rows)
