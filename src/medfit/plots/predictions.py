"""Plots of predictions and of training, as matplotlib figures without a display."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SIZE = (4.2, 3.6)
NUM_BINS = 10
MOST_CURVES = 10
MOST_LETTERS = 24
MOST_COUNTED = 20  # classes whose confusions have room for a number each


def classification(
    preds: np.ndarray, target: np.ndarray, names: Sequence[str], exclusive: bool = False
) -> dict[str, Figure]:
    """Returns the ROC, precision-recall, calibration and confusion plots.

    Args:
        preds: Probabilities, in the shape (samples, columns).
        target: 0 or 1, in the same shape.
        names: Of the columns.
        exclusive: Whether the columns are classes, one of which is true, rather than labels of their own.
    """
    names = [as_label(name) for name in names]
    return {
        "roc": _curves(_roc, preds, target, names, "1 - specificity", "sensitivity", diagonal=True),
        "precision_recall": _curves(_precision_recall, preds, target, names, "recall (sensitivity)", "precision (PPV)"),
        "calibration": _curves(
            _calibration, preds, target, names, "predicted probability", "observed share", diagonal=True
        ),
        "confusion": _confusion(preds, target, names, exclusive),
    }


def regression(preds: np.ndarray, target: np.ndarray, names: Sequence[str]) -> dict[str, Figure]:
    """Returns predicted against true, and residuals, a panel for each column of (samples, columns)."""
    names = [as_label(name) for name in names]
    return {
        "predicted_against_true": _panels(_predicted, preds, target, names),
        "residuals": _panels(_residuals, preds, target, names),
    }


def learning_curves(history: Mapping[str, Sequence[tuple[int, float]]]) -> Figure:
    """Returns the loss by epoch, of training and validation.

    Args:
        history: ``train/loss``, ``val/loss`` or ``val/loss_resampled`` as (epoch, value).
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for name in ("train/loss", "val/loss", "val/loss_resampled"):
        if points := history.get(name):
            axes.plot(*zip(*points, strict=True), label=name.split("/")[0])
    axes.set(xlabel="epoch", ylabel="loss")
    if axes.lines:
        axes.legend(frameon=False)
    return figure


def as_label(name: str) -> str:
    """Returns a name that leaves room for the plot itself, and whose dollar signs begin no formula."""
    short = name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"
    return short.replace("$", r"\$")


def _curves(curve, preds, target, names, xlabel, ylabel, diagonal=False) -> Figure:  # type: ignore[no-untyped-def]
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    if diagonal:
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--")
    for column, name in list(enumerate(names))[:MOST_CURVES]:
        if 0 < target[:, column].sum() < len(target):
            curve(axes, preds[:, column], target[:, column], name)
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize="small")
    return figure


def _roc(axes: Axes, preds: np.ndarray, target: np.ndarray, name: str) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve  # late: a quick start

    x, y, _ = roc_curve(target, preds)
    axes.plot(x, y, label=f"{name}, area {roc_auc_score(target, preds):.3f}")


def _precision_recall(axes: Axes, preds: np.ndarray, target: np.ndarray, name: str) -> None:
    from sklearn.metrics import average_precision_score, precision_recall_curve  # late: a quick start

    precision, recall, _ = precision_recall_curve(target, preds)
    axes.step(recall, precision, where="post", label=f"{name}, area {average_precision_score(target, preds):.3f}")


def _calibration(axes: Axes, preds: np.ndarray, target: np.ndarray, name: str) -> None:
    bins = np.digitize(preds, np.linspace(0, 1, NUM_BINS + 1)[1:-1], right=True)
    used = np.unique(bins)
    axes.plot([preds[bins == b].mean() for b in used], [target[bins == b].mean() for b in used], "o-", label=name)


def _confusion(preds: np.ndarray, target: np.ndarray, names: Sequence[str], exclusive: bool) -> Figure:
    if exclusive:
        tables = [(list(names), _counts(target.argmax(axis=1), preds.argmax(axis=1), len(names)))]
    else:
        yes = preds > 0.5
        tables = [
            (["no", name], _counts(target[:, c].astype(int), yes[:, c].astype(int), 2))
            for c, name in enumerate(names[:MOST_CURVES])
        ]
    figure = Figure(figsize=(SIZE[0] * len(tables), SIZE[1]), layout="constrained")
    for axes, (labels, counts) in zip(figure.subplots(1, len(tables), squeeze=False)[0], tables, strict=True):
        axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
        if len(labels) <= MOST_COUNTED:
            _write_counts(axes, counts)
        told = range(0, len(labels), -(-len(labels) // MOST_COUNTED))  # names that have room
        axes.set_xticks(told, [labels[i] for i in told], rotation=30 if len(labels) <= MOST_COUNTED else 90, ha="right")
        axes.set_yticks(told, [labels[i] for i in told])
        axes.set(xlabel="predicted", ylabel="true")
    return figure


def _write_counts(axes: Axes, counts: np.ndarray) -> None:
    for (i, j), count in np.ndenumerate(counts):
        dark = count > counts[i].sum() / 2
        axes.text(j, i, str(count), ha="center", va="center", color="white" if dark else "black")


def _counts(target: np.ndarray, preds: np.ndarray, size: int) -> np.ndarray:
    counts = np.zeros((size, size), dtype=int)
    np.add.at(counts, (target, preds), 1)
    return counts


def _panels(panel, preds, target, names) -> Figure:  # type: ignore[no-untyped-def]
    names = list(names)[:MOST_CURVES]
    figure = Figure(figsize=(SIZE[0] * len(names), SIZE[1]), layout="constrained")
    for column, axes in enumerate(figure.subplots(1, len(names), squeeze=False)[0]):
        panel(axes, preds[:, column], target[:, column])
        axes.set_title(names[column])
    return figure


def _predicted(axes: Axes, preds: np.ndarray, target: np.ndarray) -> None:
    low, high = float(min(preds.min(), target.min())), float(max(preds.max(), target.max()))
    axes.plot([low, high], [low, high], color="0.7", linewidth=1, linestyle="--")
    axes.scatter(target, preds, s=8, alpha=0.5)
    axes.set(xlabel="true", ylabel="predicted")


def _residuals(axes: Axes, preds: np.ndarray, target: np.ndarray) -> None:
    axes.axhline(0, color="0.7", linewidth=1, linestyle="--")
    axes.scatter(preds, preds - target, s=8, alpha=0.5)
    axes.set(xlabel="predicted", ylabel="predicted - true")
