"""Confidence intervals by resampling patients, never rows: rows of one patient say much the same.

Both kinds are widened by Student's t for few patients, which otherwise make intervals too narrow (Hesterberg, The
American Statistician 2015, "expanded" percentiles).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from medfit.evidence.predictions import Predictions
from medfit.evidence.weighted import all_rows, mean_of_defined

LEVEL = 0.95
NUM_RESAMPLES = 2000
MOST_CELLS = 4_000_000  # weights at once
MOST_LEFT_OUT = 400  # groups of patients that are left out in turn
MOST_BIAS = 1.0  # in standard deviations; with more, five of six resamples lie on one side of the estimate
RAISED = frozenset({"calibration_error"})  # by chance, as a gap has no sign: no interval of it covers a truth near 0
NONE = "no interval"
MOST_UNDEFINED = 0.1  # share of resamples; with more, there is no interval
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval.

    Args:
        estimate: Of all patients.
        low: The lower end; NaN where there is no interval.
        high: The upper end.
        method: How it was made.
    """

    estimate: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Resamples:
    """The values of statistics under resampled patients.

    Args:
        names: Of the statistics.
        estimate: Of all patients, in the shape (statistics,).
        values: In the shape (resamples, statistics).
        without: With each patient left out (each of some groups, where patients are many), in the shape
            (groups, statistics).
        num_patients: That were drawn from.
        patients: Who they are, in the order in which they were drawn; None where that is not known.
    """

    names: list[str]
    estimate: np.ndarray
    values: np.ndarray
    without: np.ndarray
    num_patients: int
    patients: np.ndarray | None = None

    def __sub__(self, other: "Resamples") -> "Resamples":
        """Returns the differences of the statistics that both have, under the same draws of the same patients."""
        own, its = self.patients, other.patients
        if own is not None and its is not None and not np.array_equal(own, its):
            raise ValueError("models can be compared on the same patients in the same order alone")
        names = [name for name in self.names if name in other.names]
        here, there = ([of.names.index(name) for name in names] for of in (self, other))
        return Resamples(
            names,
            self.estimate[here] - other.estimate[there],
            self.values[:, here] - other.values[:, there],
            self.without[:, here] - other.without[:, there],
            self.num_patients,
            self.patients,
        )

    def percentile(self) -> dict[str, Interval]:
        """Returns each statistic's percentile interval (Efron & Tibshirani 1993, chapter 13)."""
        low, high = stats.norm.cdf(self._quantiles())
        return {name: self._interval(name, low, high, "percentile bootstrap") for name in self.names}

    def bca(self) -> dict[str, Interval]:
        """Returns each statistic's bias-corrected and accelerated interval (Efron, JASA 1987).

        A statistic that resampling itself moves far has none: a repeated patient is no new one.
        """
        found = {}
        for k, name in enumerate(self.names):
            if abs(self._bias(k)) > MOST_BIAS:
                found[name] = Interval(float(self.estimate[k]), np.nan, np.nan, NONE)
            else:
                found[name] = self._interval(name, *self._bca_levels(k), "BCa bootstrap")
        return found

    def p_value(self, name: str) -> float:
        """Returns the two-sided p of a difference: how often resamples lie on zero's other side, twice.

        NaN of what has no interval.
        """
        k = self.names.index(name)
        values = self.values[np.isfinite(self.values[:, k]), k]
        if len(values) == 0 or name.split("/")[0] in RAISED or abs(self._bias(k)) > MOST_BIAS:
            return np.nan
        tail = min(np.sum(values <= 0), np.sum(values >= 0))
        return float(min(1.0, 2 * (tail + 1) / (len(values) + 1)))

    def _quantiles(self) -> np.ndarray:
        """Returns how many standard deviations the ends lie from the middle."""
        size = max(self.num_patients, 2)
        return stats.t.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], size - 1) * np.sqrt(size / (size - 1))

    def _interval(self, name: str, low: float, high: float, method: str) -> Interval:
        k = self.names.index(name)
        estimate, values = float(self.estimate[k]), self.values[:, k]
        if name.split("/")[0] in RAISED:
            return Interval(estimate, np.nan, np.nan, NONE)
        known = values[np.isfinite(values)]
        if not np.isfinite(estimate) or len(known) < (1 - MOST_UNDEFINED) * len(values) or self.num_patients < 2:
            return Interval(estimate, np.nan, np.nan, method)
        ends = np.quantile(known, [low, high])
        return Interval(estimate, float(ends[0]), float(ends[1]), method)

    def _bias(self, k: int) -> float:
        """Returns where the estimate lies among the resamples, in standard deviations of a normal distribution."""
        values, estimate = self.values[:, k], self.estimate[k]
        known = values[np.isfinite(values)]
        tied = np.isclose(known, estimate, rtol=1e-12, atol=1e-12)
        below = (np.sum((known < estimate) & ~tied) + np.sum(tied) / 2) / max(len(known), 1)
        return float(stats.norm.ppf(np.clip(below, 1e-4, 1 - 1e-4))) if len(known) else 0.0

    def _bca_levels(self, k: int) -> tuple[float, float]:
        bias = self._bias(k)
        left_out = self.without[np.isfinite(self.without[:, k]), k]
        lean = left_out.mean() - left_out if len(left_out) else np.zeros(1)
        spread = float((lean**2).sum())
        acceleration = float((lean**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
        z = bias + self._quantiles()
        low, high = stats.norm.cdf(bias + z / np.maximum(1 - acceleration * z, 1e-3))
        return float(low), float(high)


def resample(
    statistics: dict[str, Statistic],
    num_patients: int,
    strata: np.ndarray | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    num_rows: int | None = None,
) -> Resamples:
    """Draws patients with replacement, and returns the statistics of each draw.

    Args:
        statistics: Functions of the patients' weights, in the shape (draws, patients), that return (draws,).
        num_patients: To draw from.
        strata: The stratum of each patient, whose size is kept, such as the fold that it was tested in; None for one.
        num_resamples: Draws.
        seed: Of the draws: with the same one, the same patients are drawn.
        num_rows: That the statistics spread the weights over, for the memory; None for the patients.
    """
    names, size = list(statistics), max(1, MOST_CELLS // max(num_rows or num_patients, 1))

    def of(weights: np.ndarray) -> np.ndarray:
        return np.stack([statistics[name](weights) for name in names], axis=1)

    rng = np.random.default_rng(seed)
    drawn = [of(w) for w in _draws(rng, num_patients, strata, num_resamples, size)]
    left_out = (
        [of(w) for w in _all_but_one(rng, num_patients, size)] if num_patients > 1 else [np.empty((0, len(names)))]
    )
    whole = of(np.ones((1, num_patients)))[0]
    return Resamples(names, whole, np.concatenate(drawn), np.concatenate(left_out), num_patients)


def of_patients(units: Sequence[Predictions]) -> tuple[dict[str, Statistic], np.ndarray, np.ndarray, int]:
    """Returns the metrics, as means over trainings, as functions of the patients' weights.

    Args:
        units: Each training's predictions; of the same patients for another seed, of others for another fold.

    Returns:
        The statistics, the patients, the fold of each (a stratum), and the rows of the largest unit.
    """
    patients, fold = strata_of(units)
    of_units = [unit.metrics() for unit in units]
    names = list(dict.fromkeys(name for of_unit in of_units for name in of_unit))

    def mean(name: str) -> Statistic:
        have = [(unit, of[name]) for unit, of in zip(units, of_units, strict=True) if name in of]
        return mean_of([unit for unit, _ in have], [of for _, of in have], patients)

    return {name: mean(name) for name in names}, patients, fold, max(len(unit) for unit in units)


def mean_of(units: Sequence[Predictions], each: Sequence[Statistic], patients: np.ndarray) -> Statistic:
    """Returns the mean over trainings of a statistic of rows, as a function of the patients' weights.

    Args:
        units: Each training's predictions.
        each: The statistic of each, of its rows' weights.
        patients: All of them.
    """
    order = np.argsort(patients)
    places = [order[np.searchsorted(patients, unit.patient, sorter=order)] for unit in units]

    def of_each(weights: np.ndarray) -> np.ndarray:
        return np.stack([of(weights[:, place]) for of, place in zip(each, places, strict=True)])

    return lambda weights: mean_of_defined(of_each(weights), of_each(all_rows(weights))[:, 0])


def strata_of(units: Sequence[Predictions]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the patients of trainings, and a number for each: those of one test split have one.

    Both are in the order of the rows, which the data give: patients' names are hashes with a key of this machine's own,
    and what is drawn in their order comes back nowhere else.
    """
    patients = pd.unique(np.concatenate([unit.patient for unit in units]))
    seen = np.stack([np.isin(patients, unit.patient) for unit in units], axis=1)
    code = np.unique(seen, axis=0, return_inverse=True)[1].reshape(-1)
    _, first, code = np.unique(code, return_index=True, return_inverse=True)
    return patients, np.argsort(np.argsort(first))[code]


def _draws(
    rng: np.random.Generator, num_patients: int, strata: np.ndarray | None, num_draws: int, size: int
) -> Iterator[np.ndarray]:
    strata = np.zeros(num_patients, dtype=int) if strata is None else strata
    for start in range(0, num_draws, size):
        weights = np.zeros((min(size, num_draws - start), num_patients))
        for stratum in np.unique(strata):
            members = np.flatnonzero(strata == stratum)
            weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), len(weights))
        yield weights


def _all_but_one(rng: np.random.Generator, num_patients: int, size: int) -> Iterator[np.ndarray]:
    """Yields weights without one patient each, or without one of some groups drawn at random.

    The acceleration is a third moment over a second, and groups of independent patients have the patients' own.
    """
    group = np.arange(num_patients)
    if num_patients > MOST_LEFT_OUT:
        group = rng.permutation(num_patients) % MOST_LEFT_OUT
    for start in range(0, int(group.max()) + 1, size):
        left_out = np.arange(start, min(start + size, int(group.max()) + 1))
        yield (group[None] != left_out[:, None]).astype(float)
