"""How well predicted numbers agree with measured ones, in their unit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from medfit.evidence.calibration import groups
from medfit.evidence.intervals import LEVEL
from medfit.evidence.predictions import Predictions

Z = float(stats.norm.ppf((1 + LEVEL) / 2))


def bland_altman(units: Sequence[Predictions]) -> pd.DataFrame:
    """Returns the bias (mean of predicted - measured) and the 95 % limits of agreement of each target.

    Means over trainings. The intervals take patients as what was sampled, so they hold where a patient was measured
    repeatedly: Student's for the bias, and for the limits those of mean and standard deviation put together (Zou, Stat
    Methods Med Res 2013, but for variances that are estimated from patients and not from normal errors).
    """
    rows = []
    for column, name in enumerate(units[0].names):
        found = _moments(units, [unit.preds[:, column] - unit.target[:, column] for unit in units])
        for measure, deviations in {"bias": 0.0, "lower limit": -Z, "upper limit": Z}.items():
            low, high = found.ends(deviations)
            estimate = found.mean + deviations * found.sd
            row = {"column": name, "measure": measure, "estimate": estimate, "low": low, "high": high}
            rows.append(row | {"patients": found.num_patients})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of errors, with what sampling other patients would do to them.

    Args:
        mean: Of the errors.
        sd: Their standard deviation.
        mean_error: Standard error of the mean.
        log_sd_error: Standard error of the standard deviation's logarithm.
        correlation: Of the two.
        num_patients: That were sampled.
    """

    mean: float
    sd: float
    mean_error: float
    log_sd_error: float
    correlation: float
    num_patients: int

    def ends(self, deviations: float) -> tuple[float, float]:
        """Returns the ends of the interval of the mean and so many standard deviations; NaN of one patient."""
        if self.num_patients < 2:
            return np.nan, np.nan
        quantile = stats.t.ppf((1 + LEVEL) / 2, self.num_patients - 1)
        estimate, of_mean = self.mean + deviations * self.sd, quantile * self.mean_error
        smaller, larger = (self.sd * np.exp(sign * quantile * self.log_sd_error) - self.sd for sign in (-1, 1))
        down, up = sorted((deviations * smaller, deviations * larger))
        turn = 2 * self.correlation * of_mean * np.sign(deviations)
        low, high = (np.sqrt(max(of_mean**2 + end**2 + turn * abs(end), 0)) for end in (down, up))
        return float(estimate - low), float(estimate + high)


def _moments(units: Sequence[Predictions], errors: Sequence[np.ndarray]) -> Moments:
    """Returns the means over trainings of the errors' mean and standard deviation, and how each patient moves them."""
    patients = np.unique(np.concatenate([unit.patient for unit in units]))
    moved, least, folds = np.zeros((2, len(patients))), 0.0, 0.0
    sds = [float(error.std(ddof=1)) if len(error) > 1 else np.nan for error in errors]
    for unit, error, own_sd in zip(units, errors, sds, strict=True):
        of_patient = np.searchsorted(patients, unit.patient)
        gap = error - error.mean()
        squares = (gap**2 - (gap**2).mean()) / (2 * own_sd) if own_sd > 0 else np.zeros_like(gap)
        parts = [np.bincount(of_patient, part, len(patients)) for part in (gap, squares)]
        moved += np.stack(parts) / (len(error) * len(units))
        least += _least_error(gap, of_patient) ** 2 / len(units)
        folds += len(np.unique(of_patient)) / len(patients) / len(units)
    spread = moved @ moved.T * len(patients) / max(len(patients) - 1, 1)
    of_mean, of_sd = np.sqrt(np.diag(spread))
    correlation = spread[0, 1] / (of_mean * of_sd) if of_mean * of_sd > 0 else 0.0
    mean, sd = float(np.mean([error.mean() for error in errors])), float(np.mean(sds))
    of_log = max(float(of_sd) / sd, np.sqrt(least * folds)) if sd > 0 else 0.0
    return Moments(mean, sd, float(of_mean), float(of_log), float(correlation), len(patients))


def _least_error(gap: np.ndarray, patient: np.ndarray) -> float:
    """Returns the standard error of log SD where errors are normal: few patients seldom show the tails that make it.

    Args:
        gap: Errors less their mean, in the shape (rows,).
        patient: The number of each row's patient.
    """
    counts, sums = np.bincount(patient), np.bincount(patient, gap)
    pairs, square = (counts * (counts - 1)).sum(), (gap**2).mean()
    if square <= 0:
        return 0.0
    alike = float(np.clip((sums**2).sum() - (gap**2).sum(), 0, pairs * square) / (pairs * square)) if pairs else 0.0
    return float(np.sqrt((counts + counts * (counts - 1) * alike**2).sum() / 2) / len(gap))


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


@dataclass(frozen=True)
class Width:
    """How far from a prediction the truth of a new patient lies at most, in a share of cases.

    Args:
        half: Of the interval, in the target's unit; infinite where the patients are too few to tell.
        share: Of new patients that it holds on average over studies; NaN where it is infinite.
        num_patients: Whose errors tell.
    """

    half: float
    share: float
    num_patients: int


def conformal_width(errors: np.ndarray, patient: np.ndarray, coverage: float) -> Width:
    """Returns the least width that holds the given share of new patients at least.

    Split conformal prediction (Lei et al., JASA 2018); each patient counts once, however often measured (Dunn et al.,
    JASA 2023, pooled CDFs).

    Args:
        errors: Predicted - measured, of patients that neither fitted nor chose the model, in the shape (rows,).
        patient: Whose each is.
        coverage: Between 0 and 1.
    """
    _, code, counts = np.unique(patient, return_inverse=True, return_counts=True)
    order = np.argsort(np.abs(errors))
    reached = np.cumsum((1 / counts[code])[order]) / (len(counts) + 1)  # the new patient's own weight lies at infinity
    enough = np.flatnonzero(reached >= coverage - 1e-12)
    if len(enough) == 0:
        return Width(np.inf, np.nan, len(counts))
    return Width(float(np.abs(errors)[order][enough[0]]), float(reached[enough[0]]), len(counts))


def conformal(units: Sequence[Predictions], coverage: float = 0.9) -> pd.DataFrame:
    """Returns each target's half width of the prediction interval, and what share of new patients it holds.

    The errors are of test patients, as those of the limits of agreement are: validation patients chose the epoch and
    the settings, so their errors are too small. The share that this very width holds is known as well as so many
    patients tell it: it has a beta distribution over studies (Vovk, ACML 2012), whose middle 95 % are given.

    Args:
        units: Each training's predictions of the test split.
        coverage: That is asked for.
    """
    rows = []
    num_patients = len(np.unique(np.concatenate([unit.patient for unit in units])))
    for column, name in enumerate(units[0].names):
        errors = [unit.preds[:, column] - unit.target[:, column] for unit in units]
        widths = [conformal_width(error, unit.patient, coverage) for error, unit in zip(errors, units, strict=True)]
        half, share = (float(np.mean([getattr(width, of) for width in widths])) for of in ("half", "share"))
        size = min(width.num_patients for width in widths) + 1
        low, high = stats.beta.interval(LEVEL, share * size, (1 - share) * size)
        row = {"column": name, "asked": coverage, "half_width": half, "coverage": share}
        rows.append(row | {"low": float(low), "high": float(high), "patients": num_patients})
    return pd.DataFrame(rows)
