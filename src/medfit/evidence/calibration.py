"""Whether probabilities mean what they say, and how validation data put them right."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from scipy import optimize

from medfit.evidence.intervals import mean_of, resample, strata_of
from medfit.evidence.odds import logit
from medfit.evidence.predictions import Predictions
from medfit.evidence.thresholds import wilson
from medfit.evidence.weighted import calibration_error, share

STEPS = 40
NUM_GROUPS = 10
METHODS = ("none", "temperature", "platt", "isotonic")


def slope(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the calibration slope: 1 is right, less is too extreme (Cox, Biometrika 1958).

    Args:
        preds: Probabilities, in the shape (rows,).
        target: 0 or 1, in the shape (rows,).
        weights: In the shape (resamples, rows).
    """
    return _fit(np.stack([np.ones_like(preds), logit(preds)]), np.zeros_like(preds), target, weights)[:, 1]


def intercept(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns calibration in the large: the log odds that predictions are too low by, all in all."""
    return _fit(np.ones((1, len(preds))), logit(preds), target, weights)[:, 0]


def _fit(x: np.ndarray, offset: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns logistic regression coefficients (resamples, terms) by Newton's method; NaN where there is no optimum."""
    together = weights.sum(axis=0, keepdims=True)  # whose optimum is near all others'
    beta = np.zeros((len(weights), len(x))) + (
        np.nan_to_num(_fit(x, offset, target, together)) if len(weights) > 1 else 0
    )
    settled = np.zeros(len(weights), dtype=bool)
    for _ in range(STEPS):
        share_of_yes = 1 / (1 + np.exp(-np.clip(beta @ x + offset, -30, 30)))
        gradient = (weights * (target - share_of_yes)) @ x.T
        curvature = np.einsum("bn,in,jn->bij", weights * share_of_yes * (1 - share_of_yes), x, x, optimize=True)
        solvable = np.linalg.cond(curvature) < 1e12
        step = np.zeros_like(beta)
        step[solvable] = np.linalg.solve(curvature[solvable], gradient[solvable, :, None])[:, :, 0]
        beta += np.clip(step, -2, 2)
        settled = solvable & (np.abs(step).max(axis=1) < 1e-8)
        if settled.all():
            break
    return np.where(settled[:, None], beta, np.nan)


def curve(units: Sequence[Predictions]) -> pd.DataFrame:
    """Returns the predicted probability and observed share of groups of equal size, all trainings together.

    The interval of the share is Wilson's, for the number of patients.
    """
    rows = []
    for column, name in enumerate(units[0].names):
        preds = np.concatenate([unit.preds[:, column] for unit in units])
        target = np.concatenate([unit.target[:, column] for unit in units])
        patient = np.concatenate([unit.patient for unit in units])
        for group in groups(preds):
            number = len(np.unique(patient[group]))
            observed = float(target[group].mean())
            low, high = wilson(observed, number)
            rows.append(
                {
                    "column": name,
                    "predicted": float(preds[group].mean()),
                    "observed": observed,
                    "low": low,
                    "high": high,
                    "patients": number,
                }
            )
    return pd.DataFrame(rows)


def groups(preds: np.ndarray) -> list[np.ndarray]:
    """Returns the rows of groups of about equal size; equal predictions are in one group."""
    edges = np.unique(np.quantile(preds, np.linspace(0, 1, NUM_GROUPS + 1)[1:-1]))
    code = np.searchsorted(edges, preds, side="right")
    return [np.flatnonzero(code == group) for group in np.unique(code)]


def recalibrated(method: str, learn_from: Predictions, apply_to: Predictions) -> Predictions:
    """Returns predictions put right by what validation data show.

    ``temperature`` divides log odds (or log probabilities of classes) by one number (Guo et al., ICML 2017); ``platt``
    fits a line to each column's log odds (Platt 1999); ``isotonic`` any rising function (Zadrozny & Elkan, KDD 2002).
    Classes are put to a sum of 1 afterwards.

    Args:
        method: One of ``METHODS``; ``none`` changes nothing.
        learn_from: Predictions of the validation split.
        apply_to: The same model's predictions of another split.
    """
    if method == "none":
        return apply_to
    if method == "temperature":
        preds = apply_to.kind.tempered(apply_to.preds, temperature(learn_from))
    else:
        fit = _platt if method == "platt" else _isotonic
        columns = range(apply_to.preds.shape[1])
        preds = np.stack(
            [fit(learn_from.preds[:, k], learn_from.target[:, k])(apply_to.preds[:, k]) for k in columns], axis=1
        )
        preds = apply_to.kind.normalised(preds)
    return replace(apply_to, preds=preds)


def table(
    units: Sequence[Predictions],
    learnt_from: Sequence[Predictions],
    num_resamples: int = 500,
    methods: Sequence[str] = METHODS,
) -> pd.DataFrame:
    """Returns slope, intercept and expected calibration error of each column, before and after recalibration.

    Means over trainings, with intervals of slope and intercept by resampling patients; chance raises the error, so that
    it has none. Slope and intercept are given before and after a recalibration that leaves log odds finite: not after
    ``isotonic``, which makes probabilities of 0 and 1.
    """
    rows = []
    for method in methods:
        after = [recalibrated(method, val, unit) for val, unit in zip(learnt_from, units, strict=True)]
        for column, name in enumerate(units[0].names):
            wanted = {"calibration_error": calibration_error} | (
                {} if method == "isotonic" else {"slope": slope, "intercept": intercept}
            )
            for measure, interval in intervals(after, column, wanted, num_resamples).items():
                rows.append({"column": name, "recalibration": method, "measure": measure, **interval})
    return pd.DataFrame(rows)


def intervals(
    units: Sequence[Predictions], column: int, wanted: Mapping[str, Callable[..., np.ndarray]], num_resamples: int
) -> dict[str, dict[str, float]]:
    """Returns measures of a column, as means over trainings, with their BCa intervals over patients.

    Args:
        units: Each training's predictions.
        column: Its number.
        wanted: Functions of predictions (rows,), targets (rows,) and weights (resamples, rows), by name.
        num_resamples: Of the patients.
    """
    patients, strata = strata_of(units)
    statistics = {
        name: mean_of(units, [partial(of, u.preds[:, column], u.target[:, column]) for u in units], patients)
        for name, of in wanted.items()
    }
    drawn = resample(statistics, len(patients), strata, num_resamples, num_rows=max(map(len, units)))
    return {
        name: {"estimate": found.estimate, "low": found.low, "high": found.high} for name, found in drawn.bca().items()
    }


def temperature(predictions: Predictions) -> float:
    """Returns the temperature between .05 and 20 under which the targets are likeliest."""

    def loss(log_temperature: float) -> float:
        preds = predictions.kind.tempered(predictions.preds, float(np.exp(log_temperature)))
        return float(-np.log(predictions.kind.likelihood(np.clip(preds, 1e-12, 1 - 1e-12), predictions.target)).sum())

    return float(np.exp(optimize.minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def line(preds: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Returns intercept and slope of the log odds under which the targets are likeliest; NaN without an optimum.

    Args:
        preds: Probabilities, in the shape (rows,).
        target: 0 or 1, in the shape (rows,).
    """
    rows = np.stack([np.ones_like(preds), logit(preds)])
    add, times = _fit(rows, np.zeros_like(preds), target, np.ones((1, len(preds))))[0].tolist()
    return add, times


def platt_line(preds: np.ndarray, target: np.ndarray) -> list[float]:
    """Returns intercept and slope of the log odds, for targets drawn a little towards the middle, as Platt did.

    Where all predictions are one number, the share of cases is the answer to any.

    Args:
        preds: Probabilities, in the shape (rows,).
        target: 0 or 1, in the shape (rows,).
    """
    cases, others = target.sum(), len(target) - target.sum()
    softened = np.where(target > 0.5, (cases + 1) / (cases + 2), 1 / (others + 2))
    rows = np.stack([np.ones_like(preds), logit(preds)])
    beta = _fit(rows, np.zeros_like(preds), softened, np.ones((1, len(preds))))[0]
    if not np.isfinite(beta).all():  # all predictions are one number
        return [float(logit(np.array(share(target.sum(), len(target))))), 0.0]
    return [float(beta[0]), float(beta[1])]


def _platt(preds: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    intercept, slope = platt_line(preds, target)
    return lambda new: 1 / (1 + np.exp(-(intercept + slope * logit(new))))


def _isotonic(preds: np.ndarray, target: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.isotonic import IsotonicRegression  # late: a quick start

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(preds, target)
    return fitted.predict
