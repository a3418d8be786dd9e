"""A plot of the gains of models over one another."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from medfit.plots.predictions import as_label

MOST_PANELS = 12


def forest(table: pd.DataFrame) -> Figure:
    """Returns a panel for each metric, a line for each pair: the gain and its 95 % interval.

    Args:
        table: As :func:`medfit.compare.compare` returns it.
    """
    table = table[~table.metric.str.contains("/")]
    metrics = list(dict.fromkeys(table.metric))[:MOST_PANELS]
    pairs = list(dict.fromkeys(zip(table.model, table.compared_with, strict=True)))
    columns = min(3, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = Figure(figsize=(1.8 + 2.6 * columns, 0.6 + rows * (0.7 + 0.35 * len(pairs))), layout="constrained")
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for place, (axes, metric) in enumerate(zip(panels, metrics, strict=False)):
        own = table[table.metric == metric].reset_index(drop=True)
        axes.axvline(0, color="0.7", linewidth=1, linestyle="--")
        axes.errorbar(own.gain, own.index, xerr=_errors(own), fmt="o", markersize=4, capsize=2)
        axes.set_title(f"gain in {metric}", fontsize="medium")
        labels = [f"{as_label(one)}\nover {as_label(other)}" for one, other in pairs] if place % columns == 0 else []
        axes.set_yticks(range(len(labels)), labels, fontsize="small")
        axes.set_ylim(len(pairs) - 0.5, -0.5)
        axes.locator_params(axis="x", nbins=4)
    for axes in panels[len(metrics) :]:
        axes.set_visible(False)
    return figure


def _errors(own: pd.DataFrame) -> np.ndarray:
    errors: np.ndarray = np.nan_to_num(np.maximum(np.stack([own.gain - own.low, own.high - own.gain]), 0))
    return errors
