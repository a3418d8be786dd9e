"""The variance of the area under the ROC curve without resampling, also where patients were measured repeatedly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from medfit.evidence.intervals import LEVEL, Interval
from medfit.evidence.predictions import Predictions

Z = float(stats.norm.ppf((1 + LEVEL) / 2))


@dataclass(frozen=True)
class Curve:
    """An area under a ROC curve and what each patient adds to its error.

    Args:
        area: Under the curve; NaN with one class.
        positive: Of each patient's positive samples, in the shape (patients,); the sum is 0.
        negative: Of each patient's negative samples.
        num_positive: Patients with positive samples.
        num_negative: Patients with negative samples.
    """

    area: float
    positive: np.ndarray
    negative: np.ndarray
    num_positive: int
    num_negative: int


def curve(preds: np.ndarray, target: np.ndarray, patient: np.ndarray, num_patients: int) -> Curve:
    """Returns the curve of one column (DeLong et al., Biometrics 1988; clusters: Obuchowski, Biometrics 1997).

    Args:
        preds: In the shape (rows,).
        target: 0 or 1, in the shape (rows,).
        patient: The number of each row's patient.
        num_patients: That may be numbered.
    """
    case = target > 0.5
    rows, num_cases = len(preds), int(case.sum())
    if num_cases in (0, rows):
        nothing = np.full(num_patients, np.nan)
        return Curve(np.nan, nothing, nothing, 0, 0)
    ranks = stats.rankdata(preds)
    won = np.empty(rows)
    won[case] = (ranks[case] - stats.rankdata(preds[case])) / (rows - num_cases)
    won[~case] = 1 - (ranks[~case] - stats.rankdata(preds[~case])) / num_cases
    area = float(won[case].mean())
    error = [np.bincount(patient[of], won[of] - area, num_patients) / of.sum() for of in (case, ~case)]
    return Curve(area, error[0], error[1], len(np.unique(patient[case])), len(np.unique(patient[~case])))


def covariance(one: Curve, other: Curve, num_patients: int) -> float:
    """Returns the covariance of two areas on the same patients; of a curve with itself, its variance."""
    crossed = (one.positive @ other.negative + one.negative @ other.positive) * num_patients / (num_patients - 1)
    return sum(_parts(one, other)) + float(crossed)


def degrees_of_freedom(curves: Sequence[Curve]) -> float:
    """Returns those of the variance of folds' mean area, whose parts come of few positives and of few negatives.

    Satterthwaite's (Biometrics 1946), as Brunner & Munzel (Biometrical J 2000) use them for one area.
    """
    parts = [
        (v, n) for one in curves for v, n in zip(_parts(one, one), (one.num_positive, one.num_negative), strict=True)
    ]
    spread = sum(v**2 / (n - 1) for v, n in parts if n > 1)
    return sum(v for v, _ in parts) ** 2 / spread if spread > 0 else np.inf


def mean(curves: Sequence[Curve]) -> Curve:
    """Returns the mean of several seeds' curves on the same patients."""
    first = curves[0]
    parts = [np.mean([getattr(one, part) for one in curves], axis=0) for part in ("area", "positive", "negative")]
    return Curve(float(parts[0]), parts[1], parts[2], first.num_positive, first.num_negative)


def interval(units: Sequence[Predictions], column: int = 0) -> Interval:
    """Returns the area's interval, on the logit scale, for the mean over trainings.

    Seeds share patients, and their errors are averaged patient by patient; folds share none. Few positive or negative
    patients widen it by Student's t. Where the area is 1 (or
    0), so that no variance is seen, the interval is Newcombe's (Stat Med 2006, method 5).

    Args:
        units: Each training's predictions.
        column: That is scored.
    """
    known = [(one, n) for one, n in _of_folds(units, column) if np.isfinite(one.area)]
    if not known:
        return Interval(np.nan, np.nan, np.nan, "DeLong")
    area = float(np.mean([one.area for one, _ in known]))
    variance = sum(covariance(one, one, n) for one, n in known) / len(known) ** 2
    cases, others = (sum(getattr(one, f"num_{part}") for one, _ in known) for part in ("positive", "negative"))
    if area in (0, 1):
        return Interval(area, *newcombe(area, cases, others), "Newcombe")
    if not np.isfinite(variance):
        return Interval(area, np.nan, np.nan, "DeLong")
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, max(degrees_of_freedom([one for one, _ in known]), 1)))
    logit, error = np.log(area / (1 - area)), quantile * np.sqrt(max(variance, 0)) / (area * (1 - area))
    low, high = (float(1 / (1 + np.exp(-end))) for end in (logit - error, logit + error))
    return Interval(area, low, high, "DeLong")


def compare(ones: Sequence[Predictions], others: Sequence[Predictions], column: int = 0) -> tuple[Interval, float]:
    """Returns the difference of two models' areas on the same patients with its interval, and the two-sided p.

    Both are Student's: few positive or negative patients tell the difference's variance badly.

    Args:
        ones: Each training's predictions of one model.
        others: Those of the other, of the same patients in the same folds.
        column: That is scored.
    """
    gaps = [(_gap(a, b), n) for (a, n), (b, _) in zip(_of_folds(ones, column), _of_folds(others, column), strict=True)]
    difference = float(np.mean([gap.area for gap, _ in gaps]))
    variance = sum(covariance(gap, gap, n) for gap, n in gaps) / len(gaps) ** 2
    if not np.isfinite(variance) or variance <= 1e-15:
        same = difference == 0
        return Interval(difference, *((0.0, 0.0) if same else (np.nan, np.nan)), "DeLong"), 1.0 if same else np.nan
    error, freedom = np.sqrt(variance), max(degrees_of_freedom([gap for gap, _ in gaps]), 1)
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom) * error)
    p = float(2 * stats.t.sf(abs(difference) / error, freedom))
    return Interval(difference, difference - half, difference + half, "DeLong"), p


def newcombe(area: float, num_positive: int, num_negative: int) -> tuple[float, float]:
    """Returns the interval of an area from its size and the numbers alone (Newcombe, Stat Med 2006, method 5)."""
    if min(num_positive, num_negative) < 1:
        return np.nan, np.nan
    pairs = (num_positive + num_negative) / 2 - 1

    def gap(true: float) -> float:
        spread = 1 + pairs * (1 - true) / (2 - true) + pairs * true / (1 + true)
        return (area - true) ** 2 - Z**2 * true * (1 - true) * spread / (num_positive * num_negative)

    low = 0.0 if area <= 0 else float(optimize.brentq(gap, 0, area - 1e-9))
    high = 1.0 if area >= 1 else float(optimize.brentq(gap, area + 1e-9, 1))
    return low, high


def _gap(one: Curve, other: Curve) -> Curve:
    """Returns the difference of two curves on the same patients, whose variance is that of the difference."""
    return Curve(
        one.area - other.area,
        one.positive - other.positive,
        one.negative - other.negative,
        one.num_positive,
        one.num_negative,
    )


def _parts(one: Curve, other: Curve) -> tuple[float, float]:
    """Returns the parts of two areas' covariance that come of positive and of negative samples."""

    def scaled(left: np.ndarray, right: np.ndarray, number: int) -> float:
        return float(left @ right) * number / (number - 1) if number > 1 else np.nan

    positive = scaled(one.positive, other.positive, one.num_positive)
    return positive, scaled(one.negative, other.negative, one.num_negative)


def _of_folds(units: Sequence[Predictions], column: int) -> list[tuple[Curve, int]]:
    """Returns the mean curve of each fold's seeds, and its number of patients; in the order of the patients."""
    folds: dict[bytes, list[Predictions]] = {}
    for unit in units:
        folds.setdefault(np.unique(unit.patient).astype("U").tobytes(), []).append(unit)
    found = []
    for _, of_fold in sorted(folds.items()):
        patients = np.unique(of_fold[0].patient)
        codes = [np.searchsorted(patients, unit.patient) for unit in of_fold]
        curves = [
            curve(unit.preds[:, column], unit.target[:, column], code, len(patients))
            for unit, code in zip(of_fold, codes, strict=True)
        ]
        found.append((mean(curves), len(patients)))
    return found
