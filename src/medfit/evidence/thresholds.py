"""From a probability to a decision: thresholds chosen on validation data, and what they are worth on other patients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from medfit.evidence.intervals import LEVEL, Statistic, mean_of, resample, strata_of
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Rule
from medfit.evidence.weighted import nan_mean, share

RATES = ("sensitivity", "specificity", "ppv", "npv")
FEWEST_TOLD = 5  # patients whose rows tell how alike repeated measurements are
Z = float(stats.norm.ppf((1 + LEVEL) / 2))


def choose(preds: np.ndarray, target: np.ndarray, rule: Rule, at_least: float = 0.9, cost_ratio: float = 1.0) -> float:
    """Returns the threshold at or above which a probability means yes; NaN where there is one class.

    Args:
        preds: Probabilities, in the shape (rows,).
        target: 0 or 1, in the shape (rows,).
        rule: ``youden`` maximises sensitivity + specificity (Youden, Cancer 1950); ``sensitivity`` reaches
            ``at_least`` with the best specificity, ``specificity`` the reverse; ``cost`` minimises errors.
        at_least: Of the sensitivity or specificity.
        cost_ratio: Of a missed case to a false alarm.
    """
    if not 0 < target.mean() < 1:
        return np.nan
    levels = np.unique(preds)
    # in the middle between two predictions, so that neither of them decides by its last digit
    candidates = np.r_[levels[0], (levels[1:] + levels[:-1]) / 2, np.nextafter(levels[-1], np.inf)]
    cases, others = np.sort(preds[target > 0.5]), np.sort(preds[target <= 0.5])
    sensitivity: np.ndarray = np.asarray(1 - np.searchsorted(cases, candidates) / len(cases))
    specificity: np.ndarray = np.asarray(np.searchsorted(others, candidates) / len(others))
    worth: np.ndarray
    match rule:
        case "youden":
            worth = sensitivity + specificity
        case "sensitivity":
            worth = np.where(sensitivity >= at_least, specificity, -1)
        case "specificity":
            worth = np.where(specificity >= at_least, sensitivity, -1)
        case "cost":
            worth = -((1 - sensitivity) * len(cases) * cost_ratio + (1 - specificity) * len(others))
    best = np.flatnonzero(worth >= worth.max() - 1e-12)
    return float(candidates[best[len(best) // 2]])


def readout(
    units: Sequence[Predictions],
    chosen_on: Sequence[Predictions],
    rule: Rule = "youden",
    at_least: float = 0.9,
    cost_ratio: float = 1.0,
    prevalence: float | None = None,
    num_resamples: int = 1000,
) -> pd.DataFrame:
    """Returns a row for each column and rate, with its interval: means over trainings, each with its own threshold.

    Rates have Wilson's interval for the number of patients that resampling them shows to count (Korn & Graubard, Survey
    Methodology 1998, for the idea), so that a rate of 1 has one too. Predictive values at a stated prevalence follow
    from sensitivity and specificity by Bayes' rule, and their intervals from the ends of those two: they are wide.

    Args:
        units: Each training's predictions of the test split.
        chosen_on: Each training's predictions of the validation split.
        rule: See :func:`choose`.
        at_least: See :func:`choose`.
        cost_ratio: See :func:`choose`.
        prevalence: For predictive values where the class is as common as that.
        num_resamples: Of the patients.
    """
    rows = []
    for column, name in enumerate(units[0].names):
        thresholds = [choose(v.preds[:, column], v.target[:, column], rule, at_least, cost_ratio) for v in chosen_on]
        found = _rates(units, thresholds, column, num_resamples)
        if prevalence is not None:
            found += _at_prevalence(found, prevalence)
        rows += [{"column": name, "threshold": float(np.mean(thresholds)), **rate} for rate in found]
    return pd.DataFrame(rows)


def at(unit: Predictions, known: Mapping[str, float], num_resamples: int = 1000) -> pd.DataFrame:
    """Returns what decisions are worth at thresholds that were chosen before, as :func:`readout` does.

    Args:
        unit: Predictions.
        known: The threshold of each column that has one.
        num_resamples: Of the patients.
    """
    rows = []
    for column, name in enumerate(unit.names):
        if name in known:
            found = _rates([unit], [known[name]], column, num_resamples)
            rows += [{"column": name, "threshold": known[name], **rate} for rate in found]
    return pd.DataFrame(rows)


def rates(preds: np.ndarray, target: np.ndarray, threshold: float, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the rates of weighted rows, each in the shape (resamples,); NaN without a threshold."""
    yes, case = preds >= threshold, target > 0.5
    if np.isnan(threshold):
        return {name: np.full(len(weights), np.nan) for name in RATES}
    parts = {
        "sensitivity": (yes & case, case),
        "specificity": (~yes & ~case, ~case),
        "ppv": (yes & case, yes),
        "npv": (~yes & ~case, ~yes),
    }
    return {name: share(weights @ part, weights @ whole) for name, (part, whole) in parts.items()}


def predictive_values(sensitivity: float, specificity: float, prevalence: float) -> tuple[float, float]:
    """Returns PPV and NPV by Bayes' rule."""
    true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    healthy, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return float(share(true, true + false)), float(share(healthy, healthy + missed))


def wilson(rate: float, number: float) -> tuple[float, float]:
    """Returns Wilson's interval of a rate (JASA 1927), of a number of patients that need not be whole."""
    if not np.isfinite(rate) or not number > 0:
        return np.nan, np.nan
    center = (rate + Z**2 / (2 * number)) / (1 + Z**2 / number)
    half = Z * np.sqrt(rate * (1 - rate) / number + Z**2 / (4 * number**2)) / (1 + Z**2 / number)
    low, high = max(0.0, center - half), min(1.0, center + half)
    return float(0.0 if rate == 0 else low), float(1.0 if rate == 1 else high)


def _rates(
    units: Sequence[Predictions], thresholds: Sequence[float], column: int, num_resamples: int
) -> list[dict[str, float | str]]:
    patients, strata = strata_of(units)
    pairs = list(zip(units, thresholds, strict=True))
    statistics = {
        name: mean_of(units, [_rate(u.preds[:, column], u.target[:, column], t, name) for u, t in pairs], patients)
        for name in RATES
    }
    drawn = resample(statistics, len(patients), strata, num_resamples, num_rows=max(map(len, units)))
    found: list[dict[str, float | str]] = []
    for k, name in enumerate(RATES):
        estimate, spread = float(drawn.estimate[k]), float(nan_mean(drawn.values[:, k] ** 2, axis=0))
        variance = spread - float(nan_mean(drawn.values[:, k], axis=0)) ** 2
        counted = _counted(units, thresholds, column, name)
        effective = estimate * (1 - estimate) / variance if variance > 1e-12 else np.nan
        low, high = wilson(estimate, counted.number(effective))
        found.append({"rate": name, "estimate": estimate, "low": low, "high": high, "patients": counted.patients})
    return found


@dataclass(frozen=True)
class Counted:
    """What a rate is a share of.

    Args:
        patients: With a row that the rate is a share of.
        rows: Of them, for one training.
        told: Patients with a row that counts, or with one that does not, whichever are fewer.
    """

    patients: int
    rows: float
    told: int

    def number(self, effective: float) -> float:
        """Returns how many independent rows stand for as much (Korn & Graubard, Survey Methodology 1998).

        Repeated measurements are at most as many as the rows. Where so few patients differ that resampling them can't
        tell how alike their rows are, and where each has one row, they are at most as many as the patients.

        Args:
            effective: That resampling patients shows; NaN where all patients are alike.
        """
        if not np.isfinite(effective):
            return self.patients
        if self.told < FEWEST_TOLD or self.rows <= self.patients:
            return min(effective, self.patients)
        students = float((Z / stats.t.ppf((1 + LEVEL) / 2, self.patients - 1)) ** 2)
        return min(effective * students, self.rows)


def _rate(preds: np.ndarray, target: np.ndarray, threshold: float, name: str) -> Statistic:
    return lambda weights: rates(preds, target, threshold, weights)[name]


def _counted(units: Sequence[Predictions], thresholds: Sequence[float], column: int, name: str) -> Counted:
    patients: list[set[str]] = [set(), set()]  # with a row that counts, and with one that does not
    repeats = []
    for unit, threshold in zip(units, thresholds, strict=True):
        yes, case = unit.preds[:, column] >= threshold, unit.target[:, column] > 0.5
        whole = {"sensitivity": case, "specificity": ~case, "ppv": yes, "npv": ~yes}[name]
        counts = whole & (yes == case)
        for seen, rows in zip(patients, (counts, whole & ~counts), strict=True):
            seen |= set(unit.patient[rows].tolist())
        repeats.append(whole.sum() / max(len(np.unique(unit.patient[whole])), 1))
    number = len(patients[0] | patients[1])
    return Counted(number, number * float(np.mean(repeats)), min(map(len, patients)))


def _at_prevalence(found: list[dict[str, float | str]], prevalence: float) -> list[dict[str, float | str]]:
    of = {str(rate["rate"]): rate for rate in found}
    ends = {
        end: predictive_values(float(of["sensitivity"][end]), float(of["specificity"][end]), prevalence)
        for end in ("estimate", "low", "high")
    }
    most = min(int(of["sensitivity"]["patients"]), int(of["specificity"]["patients"]))
    return [
        {"rate": f"{name} at a prevalence of {prevalence:g}", "patients": most, **{e: v[k] for e, v in ends.items()}}
        for k, name in enumerate(("ppv", "npv"))
    ]
