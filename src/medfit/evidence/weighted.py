"""Metrics of many weighted samples at once: what resampling patients takes thousands of times.

Each takes weights in the shape (resamples, rows) and returns an array (resamples,); with all weights 1 it is the metric
of the same name in :mod:`medfit.tasks.metrics` or :mod:`medfit.evidence.segmentation`. What is undefined, as the AUROC
of a resample without events, is NaN.
"""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from medfit.evidence.predictions import Metric, Predictions
from medfit.evidence.segmentation import DISTANCES, overlaps

ColumnMetric = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
TINY = 1e-7
NUM_BINS = 10


def by_column(wanted: Mapping[str, ColumnMetric], predictions: Predictions) -> dict[str, Metric]:
    """Returns metrics of each column of predictions, and their means, as functions of the rows' weights."""
    target, preds = predictions.target, predictions.preds
    return _with_means(
        {
            name: [_of(metric, preds[:, k], target[:, k]) for k in range(preds.shape[1])]
            for name, metric in wanted.items()
        },
        predictions.names,
    )


def of_classes(predictions: Predictions) -> dict[str, Metric]:
    """Returns the metrics of classes that exclude one another, as functions of the rows' weights."""
    return {name: _of(metric, predictions.preds, predictions.target) for name, metric in CLASSES.items()}


def means_over_rows(predictions: Predictions) -> dict[str, Metric]:
    """Returns the means over rows of a segmentation's overlaps and distances, which leave out what is NaN."""
    values = overlaps(predictions.target)
    values |= {name: predictions.preds[:, place] for place, name in enumerate(DISTANCES)}
    known = {name: rows for name, rows in values.items() if np.isfinite(rows).any()}
    return _with_means(
        {name: [_known_mean(rows[:, k]) for k in range(rows.shape[1])] for name, rows in known.items()},
        predictions.names,
    )


def nan_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Returns the mean of what is not NaN; NaN of nothing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        return np.nanmean(values, axis=axis)


def mean_of_defined(values: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns the mean over the parts that all samples define; NaN where a resample leaves one of those undefined.

    A mean over fewer parts would be another number: that of the classes that happen to be drawn.

    Args:
        values: In the shape (parts, resamples).
        whole: Of all samples, in the shape (parts,); NaN marks parts that are undefined.
    """
    defined = np.isfinite(whole)
    return values[defined].mean(axis=0) if defined.any() else np.full(values.shape[1], np.nan)


def all_rows(weights: np.ndarray) -> np.ndarray:
    """Returns the weights of one draw of every row, in the shape (1, rows)."""
    return np.ones((1, weights.shape[1]))


def share(part: ArrayLike, whole: ArrayLike) -> np.ndarray:
    """Returns part / whole; NaN where the whole is nothing."""
    parts, wholes = np.broadcast_arrays(np.asarray(part, dtype=float), np.asarray(whole, dtype=float))
    return np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes > 0)


def auroc(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the area under the ROC curve, ties counted half."""
    positive, negative = _by_threshold(preds, target, weights)
    below = np.cumsum(negative, axis=1) - negative
    pairs = (positive * (below + negative / 2)).sum(axis=1)
    return share(pairs, positive.sum(axis=1) * negative.sum(axis=1))


def auprc(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the average precision; NaN, as the AUROC, with one class."""
    positive, negative = (part[:, ::-1] for part in _by_threshold(preds, target, weights))
    true, false = positive.cumsum(axis=1), negative.cumsum(axis=1)
    precision = np.nan_to_num(share(true, true + false))
    found = share((positive * precision).sum(axis=1), positive.sum(axis=1))
    return np.where(negative.sum(axis=1) > 0, found, np.nan)


def calibration_error(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the mean gap of predicted probability and observed share over ten bins, weighed by their samples."""
    bins = np.digitize(preds, np.linspace(0, 1, NUM_BINS + 1)[1:-1], right=True)
    gaps = weights @ (np.eye(NUM_BINS)[bins] * (target - preds)[:, None])
    return share(np.abs(gaps).sum(axis=1), weights.sum(axis=1))


def confusion(preds: np.ndarray, target: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    """Returns the weight of each true and predicted class, in the shape (resamples, size, size).

    Args:
        preds: Class numbers.
        target: Class numbers.
        weights: In the shape (resamples, rows).
        size: Number of classes.
    """
    cells = target.astype(int) * size + preds.astype(int)
    order = np.argsort(cells, kind="stable")
    present, starts = np.unique(cells[order], return_index=True)
    counts = np.zeros((len(weights), size * size))
    counts[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
    return counts.reshape(-1, size, size)


def recall(counts: np.ndarray) -> np.ndarray:
    """Returns the share of each class's samples that is found, in the shape (resamples, classes)."""
    return share(np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2))


def f1(counts: np.ndarray) -> np.ndarray:
    """Returns the F1 score of each class, in the shape (resamples, classes); NaN for one that occurs nowhere."""
    found = np.diagonal(counts, axis1=1, axis2=2)
    return share(2 * found, counts.sum(axis=1) + counts.sum(axis=2))


def mcc(counts: np.ndarray) -> np.ndarray:
    """Returns Matthews' correlation coefficient (Gorodkin 2004 for several classes); 0 for a constant prediction."""
    true, predicted, total = counts.sum(axis=2), counts.sum(axis=1), counts.sum(axis=(1, 2))
    covariance = np.trace(counts, axis1=1, axis2=2) * total - (true * predicted).sum(axis=1)
    spread = [np.sqrt(np.maximum(total**2 - (part**2).sum(axis=1), 0)) for part in (true, predicted)]
    return np.nan_to_num(share(covariance, spread[0] * spread[1]))


def _over_cells(
    of: Callable[[np.ndarray], np.ndarray], cells: ColumnMetric, p: np.ndarray, t: np.ndarray, w: np.ndarray
) -> np.ndarray:
    """Returns the mean over classes of what their counts tell, over the classes that all samples define."""
    return mean_of_defined(of(cells(p, t, w)).T, of(cells(p, t, all_rows(w)))[0])


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return share(weights @ values, weights.sum(axis=1))


def _cross_entropy(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    of_truth = np.where(target > 0.5, preds, 1 - preds)
    return _mean(-np.log(np.clip(of_truth, TINY, 1)), weights)


def _two(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return confusion(preds > 0.5, target > 0.5, weights, 2)


def _r2(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    center = target.mean()  # far from which a difference of squares would lose digits
    spread = weights @ (target - center) ** 2 - share((weights @ (target - center)) ** 2, weights.sum(axis=1))
    return 1 - share(weights @ (target - preds) ** 2, np.where(spread > 1e-12 * weights.sum(axis=1), spread, 0))


BINARY: dict[str, ColumnMetric] = {
    "cross_entropy": _cross_entropy,
    "auroc": auroc,
    "auprc": auprc,
    "accuracy": lambda p, t, w: _mean((p > 0.5) == (t > 0.5), w),
    "balanced_accuracy": lambda p, t, w: _over_cells(recall, _two, p, t, w),
    "f1": lambda p, t, w: np.nan_to_num(f1(_two(p, t, w))[:, 1]),
    "mcc": lambda p, t, w: mcc(_two(p, t, w)),
    "brier": lambda p, t, w: _mean((p - t) ** 2, w),
    "calibration_error": calibration_error,
}
REGRESSION: dict[str, ColumnMetric] = {
    "mse": lambda p, t, w: _mean((p - t) ** 2, w),
    "rmse": lambda p, t, w: np.sqrt(_mean((p - t) ** 2, w)),
    "mae": lambda p, t, w: _mean(np.abs(p - t), w),
    "r2": _r2,
}


def _several(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return confusion(preds.argmax(axis=1), target.argmax(axis=1), weights, preds.shape[1])


def _over_classes(of: ColumnMetric) -> ColumnMetric:
    """Returns the mean over the classes that occur of each class against all others."""

    def each(p: np.ndarray, t: np.ndarray, w: np.ndarray) -> np.ndarray:
        return np.stack([of(p[:, k], t[:, k], w) for k in range(p.shape[1])])

    return lambda p, t, w: mean_of_defined(each(p, t, w), each(p, t, all_rows(w))[:, 0])


CLASSES: dict[str, ColumnMetric] = {
    "cross_entropy": lambda p, t, w: _mean(-np.log(np.clip((p * t).sum(axis=1), TINY, 1)), w),
    "auroc": _over_classes(auroc),
    "auprc": _over_classes(auprc),
    "accuracy": lambda p, t, w: _mean(p.argmax(axis=1) == t.argmax(axis=1), w),
    "balanced_accuracy": lambda p, t, w: _over_cells(recall, _several, p, t, w),
    "f1": lambda p, t, w: _over_cells(f1, _several, p, t, w),
    "mcc": lambda p, t, w: mcc(_several(p, t, w)),
    "brier": lambda p, t, w: _mean(((p - t) ** 2).sum(axis=1), w),
    "calibration_error": lambda p, t, w: calibration_error(
        p.max(axis=1), (p.argmax(axis=1) == t.argmax(axis=1)).astype(float), w
    ),
}


def _by_threshold(preds: np.ndarray, target: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the weights of positives and negatives of each distinct prediction, the smallest first."""
    order = np.argsort(preds, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(preds[order]) > 0])
    sorted_weights, positive = weights[:, order], target[order] > 0.5
    parts = (sorted_weights * positive, sorted_weights * ~positive)
    return np.add.reduceat(parts[0], starts, axis=1), np.add.reduceat(parts[1], starts, axis=1)


def _of(metric: ColumnMetric, preds: np.ndarray, target: np.ndarray) -> Metric:
    return lambda weights: metric(preds, target, weights)


def _mean_of(columns: list[Metric]) -> Metric:
    def each(weights: np.ndarray) -> np.ndarray:
        return np.stack([of(weights) for of in columns])

    return lambda weights: mean_of_defined(each(weights), each(all_rows(weights))[:, 0])


def _known_mean(values: np.ndarray) -> Metric:
    known = np.isfinite(values)
    return lambda weights: share(weights[:, known] @ values[known], weights[:, known].sum(axis=1))


def _with_means(columns: dict[str, list[Metric]], names: list[str]) -> dict[str, Metric]:
    found: dict[str, Metric] = {}
    for metric, own in columns.items():
        found[metric] = _mean_of(own)
        if len(own) > 1:
            found |= {f"{metric}/{name}": of for name, of in zip(names, own, strict=True)}
    return found
