"""Putting a model right for patients elsewhere: learnt from a share of them, and scored on the others alone.

``intercept`` moves all log odds alike, and ``intercept and slope`` by a line (logistic recalibration; Steyerberg et
al., Stat Med 2004); classes have ``temperature``, one number for all, and ``vector``, a line for each class's log
probability (Guo et al., ICML 2017); numbers have ``shift`` and ``line``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import optimize

from medfit.evidence import calibration
from medfit.evidence.predictions import Predictions
from medfit.evidence.weighted import BINARY, REGRESSION, share

NONE, DEVELOPED = "none", "as at development"
STEEPEST = 100.0  # what is learnt beyond it has no optimum: the few patients are told apart without an error
Line = tuple[float, float]  # what is added, and what is multiplied by before
Fit = Callable[[np.ndarray, Predictions], list[Line]]  # of what a line puts right, and the predictions


@dataclass(frozen=True)
class Divided:
    """New patients, those who update a model and those who are scored.

    Args:
        learnt_from: Predictions of the former.
        scored: Of the latter; no patient is in both.
    """

    learnt_from: Predictions
    scored: Predictions


def divided(made: Predictions, update_share: float, seed: int) -> Divided | None:
    """Returns new patients divided at random, each class in proportion; None where nobody would update or be scored.

    Args:
        made: Predictions of all of them.
        update_share: Of the patients.
        seed: Of the draw.
    """
    code, patients = pd.factorize(made.patient)
    stratum = np.zeros(len(patients), dtype=int)
    if made.kind.classifies:
        seen = np.zeros((len(patients), made.target.shape[1]))
        np.maximum.at(seen, code, made.target)
        stratum = np.unique(seen, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((np.random.default_rng(seed).random(len(patients)), stratum))
    place = np.arange(1, len(patients) + 1)
    chosen = np.zeros(len(patients), dtype=bool)
    chosen[order] = np.floor(place * update_share + 1e-9) > np.floor((place - 1) * update_share + 1e-9)
    if not 0 < chosen.sum() < len(patients):
        return None
    return Divided(made.rows(chosen[code]), made.rows(~chosen[code]))


def learnt(way: str, made: Predictions) -> list[Line] | None:
    """Returns what a way to update learns: a line for each column; None where these patients have no optimum.

    Args:
        way: One of the kind's ``updates``.
        made: Predictions of the patients that it is learnt from.
    """
    lines = FITS[way](made.kind.linear(made.preds), made)
    steep = made.kind.classifies and np.abs(lines).max() > STEEPEST
    return lines if np.isfinite(lines).all() and not steep else None


def updated(made: Predictions, lines: list[Line]) -> Predictions:
    """Returns predictions put right by a line for each column."""
    add, times = np.array(lines).T
    return replace(made, preds=made.kind.of_linear(add + times * made.kind.linear(made.preds)))


def tables(parts: Divided, developed: Predictions | None, num_resamples: int = 500) -> dict[str, pd.DataFrame]:
    """Returns calibration before and after each way to update, of those who taught none.

    ``updating`` has measures with intervals over patients, ``updating_curve`` groups of patients, and ``updates`` the
    lines that were learnt.

    Args:
        parts: The new patients.
        developed: The scored ones' predictions after what development's own patients had taught; None without that.
        num_resamples: Of the patients.
    """
    lines = {way: learnt(way, parts.learnt_from) for way in parts.scored.kind.updates}
    ways = {NONE: parts.scored} | ({DEVELOPED: developed} if developed is not None else {})
    ways |= {way: updated(parts.scored, line) for way, line in lines.items() if line is not None}
    taught = {way: len(np.unique(parts.learnt_from.patient)) if way in lines else 0 for way in ways}
    measures = [_measures(made, num_resamples).assign(recalibration=way) for way, made in ways.items()]
    found = {"updating": pd.concat(measures, ignore_index=True)}
    found["updating"]["patients"] = len(np.unique(parts.scored.patient))
    found["updating"]["learnt_from"] = found["updating"].recalibration.map(taught)
    found["updates"] = _told(lines, parts.learnt_from)
    if parts.scored.kind.classifies:
        curves = [calibration.curve([made]).assign(recalibration=way) for way, made in ways.items()]
        found["updating_curve"] = pd.concat(curves, ignore_index=True)
    return found


def _told(lines: Mapping[str, list[Line] | None], learnt_from: Predictions) -> pd.DataFrame:
    number, unknown = len(np.unique(learnt_from.patient)), [(np.nan, np.nan)] * len(learnt_from.names)
    rows = [
        {"column": name, "recalibration": way, "intercept": add, "slope": times, "learnt_from": number}
        for way, line in lines.items()
        for name, (add, times) in zip(learnt_from.names, line or unknown, strict=True)
    ]
    return pd.DataFrame(rows)


def _measures(made: Predictions, num_resamples: int) -> pd.DataFrame:
    wanted = OF_PROBABILITIES if made.kind.classifies else OF_NUMBERS
    return pd.DataFrame(
        [
            {"column": name, "measure": measure, **ends}
            for column, name in enumerate(made.names)
            for measure, ends in calibration.intervals([made], column, wanted, num_resamples).items()
        ]
    )


def _intercept(linear: np.ndarray, made: Predictions) -> list[Line]:
    """Returns the mean error of log odds, in likelihood."""
    once = np.ones((1, len(made)))
    return [
        (float(calibration.intercept(preds, target, once)[0]), 1.0)
        for preds, target in zip(made.preds.T, made.target.T, strict=True)
    ]


def _line(linear: np.ndarray, made: Predictions) -> list[Line]:
    """Returns the likeliest line of log odds."""
    return [calibration.line(preds, target) for preds, target in zip(made.preds.T, made.target.T, strict=True)]


def _temperature(linear: np.ndarray, made: Predictions) -> list[Line]:
    return [(0.0, 1 / calibration.temperature(made))] * len(made.names)


def _vector(linear: np.ndarray, made: Predictions) -> list[Line]:
    """Returns the likeliest line of each class's log probability; the first one's intercept is 0."""
    size = len(made.names)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        add, times = np.r_[0, values[: size - 1]], values[size - 1 :]
        preds = made.kind.of_linear(add + times * linear)
        wrong = preds - made.target
        gradient = np.r_[wrong.sum(axis=0)[1:], (wrong * linear).sum(axis=0)]
        return -float(np.log(np.maximum((preds * made.target).sum(axis=1), 1e-300)).sum()), gradient

    found = optimize.minimize(loss, np.r_[np.zeros(size - 1), np.ones(size)], jac=True, method="L-BFGS-B")
    return list(zip(np.r_[0, found.x[: size - 1]].tolist(), found.x[size - 1 :].tolist(), strict=True))


def _shift(linear: np.ndarray, made: Predictions) -> list[Line]:
    return [(float(gap), 1.0) for gap in (made.target - linear).mean(axis=0)]


def _straight(linear: np.ndarray, made: Predictions) -> list[Line]:
    """Returns the line of least squares; none where all predictions are one number."""
    return [
        (float(target.mean() - slope * preds.mean()), slope)
        for preds, target in zip(linear.T, made.target.T, strict=True)
        for slope in [float(share(np.cov(preds, target, bias=True)[0, 1], preds.var()))]
    ]


def _bias(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return share(weights @ (preds - target), weights.sum(axis=1))


def _slope_of_numbers(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the slope of the least-squares line of what was measured on what is predicted: 1 is right."""
    total = weights.sum(axis=1)
    mean, middle = share(weights @ preds, total), share(weights @ target, total)
    joint = share(weights @ (preds * target), total) - mean * middle
    return share(joint, share(weights @ preds**2, total) - mean**2)


FITS: dict[str, Fit] = {
    "intercept": _intercept,
    "intercept and slope": _line,
    "temperature": _temperature,
    "vector": _vector,
    "shift": _shift,
    "line": _straight,
}
OF_PROBABILITIES = {
    "intercept": calibration.intercept,
    "slope": calibration.slope,
    **{name: BINARY[name] for name in ("calibration_error", "brier", "cross_entropy")},
}
OF_NUMBERS = {"bias": _bias, "slope": _slope_of_numbers, "rmse": REGRESSION["rmse"], "mae": REGRESSION["mae"]}
