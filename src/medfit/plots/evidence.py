"""Plots of an evaluation's tables: scores, calibration, decision curves, subgroups, agreement and worst cases."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medfit.plots.predictions import as_label

WIDTH = 4.6  # inches: on a phone's screen letters stay readable
ROW = 0.27  # inches of a line of a forest plot
MOST_METRICS = 4
MOST_WORST = 5
MOST_PANELS = 6  # classes, labels or targets
OWN, OTHER, PALE = "#1f5fa8", "#6b7785", "0.75"
AFTER = "#c8662b"
RECALIBRATED = "platt"
FIRST = ("auroc", "dice", "mae")  # the metrics that decide, by the kind of task
Tables = Mapping[str, pd.DataFrame]


def figures(tables: Tables) -> dict[str, Figure]:
    """Returns the plots that an evaluation's tables allow, by name.

    Args:
        tables: As :func:`medfit.evidence.summary.summarise` returns them, or some of them.
    """
    made = {
        "scores": (scores, "scores"),
        "calibration": (calibration, "calibration_curve"),
        "decision": (decision, "decision_curve"),
        "subgroups": (subgroups, "subgroups"),
        "agreement": (agreement, "agreement"),
        "patients": (patients, "patients"),
    }
    return {name: draw(tables) for name, (draw, table) in made.items() if table in tables}


def first_metric(table: pd.DataFrame) -> str:
    """Returns the metric that decides whether one model is better than another.

    Args:
        table: With a column ``metric``.
    """
    have = list(dict.fromkeys(table.metric))
    return next((name for name in FIRST if name in have), have[0])


def num_worst(num_patients: int) -> int:
    """Returns how many patients are told of as the worst: at most half."""
    return min(MOST_WORST, max(1, num_patients // 2))


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Returns subgroups with the lowest band of numbers first.

    Args:
        table: With ``column`` and ``level``.
    """
    higher = ~table.level.str.startswith("below ").to_numpy()
    return table.iloc[np.lexsort((np.arange(len(table)), higher, pd.factorize(table.column)[0]))]


def scores(tables: Tables) -> Figure:
    """Returns a panel for each of a few metrics: estimate and 95 % interval of network and baselines."""
    table = tables["scores"]
    table = table[~table.metric.str.contains("/") & np.isfinite(table.estimate)]
    first = first_metric(table)
    metrics = [first, *(name for name in dict.fromkeys(table.metric) if name != first)][:MOST_METRICS]
    models = list(dict.fromkeys(table.model))
    figure = Figure(figsize=(WIDTH, len(metrics) * (0.5 + ROW * len(models))), layout="constrained")
    for axes, metric in zip(figure.subplots(len(metrics), 1, squeeze=False)[:, 0], metrics, strict=True):
        own = table[table.metric == metric].set_index("model").reindex(models)
        _forest(axes, own, [as_label(model) for model in models])
        axes.set_title(metric, loc="left")
    return figure


def calibration(tables: Tables) -> Figure:
    """Returns predicted against observed, before and after recalibration where there is one, a panel each column."""
    table = tables["calibration_curve"]
    figure, panels = _panels(list(dict.fromkeys(table.column)))
    for axes, (name, own) in zip(panels, table.groupby("column", sort=False), strict=False):
        if "recalibration" not in own:
            _line_of_groups(axes, own, OWN, "", "o-")
            axes.set(xlabel="mean predicted", ylabel="mean observed")
        else:
            _line_of_groups(axes, own[own.recalibration == "none"], OWN, "as predicted", "o-")
            method = RECALIBRATED if RECALIBRATED in set(own.recalibration) else own.recalibration.iloc[-1]
            if method != "none":
                told = f"after {method} scaling" if method == RECALIBRATED else f"after updating: {method}"
                _line_of_groups(axes, own[own.recalibration == method], AFTER, told, "s--")
            axes.set(xlabel="predicted probability", ylabel="observed share", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
            axes.legend(frameon=False, fontsize="small")
        low, high = _ends(own)
        axes.plot([low, high], [low, high], color=PALE, linewidth=1, linestyle=":", zorder=0)
        axes.set_title(as_label(str(name)), loc="left")
    return figure


def decision(tables: Tables) -> Figure:
    """Returns the net benefit by threshold, of the model, of acting on all and on nobody, a panel each column."""
    table = tables["decision_curve"]
    figure, panels = _panels(list(dict.fromkeys(table.column)))
    for axes, (name, own) in zip(panels, table.groupby("column", sort=False), strict=False):
        axes.plot(own.threshold, own["all"], color=OTHER, linestyle="--", linewidth=1.2, label="act on all")
        axes.plot(own.threshold, own.none, color="0.2", linewidth=1, label="act on nobody")
        axes.plot(own.threshold, own.model, color=OWN, linewidth=1.8, label="network")
        top = max(float(own.model.max()), float(own["all"].max()), 0.01)
        axes.set(xlabel="threshold probability", ylabel="net benefit", xlim=(0, 1), ylim=(-0.25 * top, 1.1 * top))
        axes.legend(frameon=False, fontsize="small")
        axes.set_title(as_label(str(name)), loc="left")
    return figure


def subgroups(tables: Tables) -> Figure:
    """Returns the deciding metric of each subgroup with its 95 % interval; hollow where a subgroup is small."""
    table = in_order(tables["subgroups"])
    metric = first_metric(table)
    rows = table[table.metric == metric]
    labels = [as_label(f"{row.column}: {row.level}") + f" (n={row.patients:.0f})" for row in rows.itertuples()]
    figure = Figure(figsize=(WIDTH, 0.8 + ROW * len(rows)), layout="constrained")
    axes = figure.subplots()
    _forest(axes, rows, labels, hollow=rows.small.to_numpy(dtype=bool), own=range(len(rows)))
    if "scores" in tables:
        everyone = tables["scores"].query("metric == @metric", local_dict={"metric": metric}).estimate.iloc[0]
        axes.axvline(everyone, color=PALE, linewidth=1.2, linestyle="--", zorder=0)
    axes.set_title(f"{metric}, dashed: all patients", loc="left")
    return figure


def agreement(tables: Tables) -> Figure:
    """Returns the bias and the 95 % limits of agreement of each target, with their intervals."""
    table = tables["agreement"]
    columns = list(dict.fromkeys(table.column))[:MOST_PANELS]
    figure = Figure(figsize=(WIDTH, len(columns) * (0.55 + 3 * ROW) + 0.2), layout="constrained")
    panels = figure.subplots(len(columns), 1, squeeze=False)[:, 0]
    for axes, name in zip(panels, columns, strict=True):
        own = table[table.column == name].set_index("measure").reindex(["upper limit", "bias", "lower limit"])
        axes.axvline(0, color=PALE, linewidth=1, linestyle="--", zorder=0)
        _forest(axes, own, list(own.index), own=(1,))
        axes.set_title(as_label(str(name)), loc="left")
    panels[-1].set_xlabel("predicted − measured")
    return figure


def patients(tables: Tables) -> Figure:
    """Returns each test patient's Dice, by class: the box holds the middle half; orange: the worst patients."""
    table = tables["patients"].sort_values("dice")
    columns = [name for name in table if name.startswith("dice/")][:MOST_PANELS] or ["dice"]
    figure = Figure(figsize=(WIDTH, 1.0 + 0.55 * len(columns)), layout="constrained")
    axes = figure.subplots()
    heights = np.random.default_rng(0)  # spreads dots that would lie on each other
    worst = np.arange(len(table)) < num_worst(len(table))
    for place, name in enumerate(columns):
        values = table[name].to_numpy(dtype=float)
        known = np.isfinite(values)
        style = {"color": OTHER}
        axes.boxplot(values[known], positions=[place], orientation="horizontal", widths=0.6, showfliers=False,
                     medianprops=style, boxprops=style, whiskerprops=style, capprops=style)  # fmt: skip
        spread = place + heights.uniform(-0.18, 0.18, len(values))
        axes.scatter(values[~worst], spread[~worst], s=10, color=OWN, alpha=0.7, linewidths=0)
        axes.scatter(values[worst], spread[worst], s=14, color=AFTER, linewidths=0)
    axes.set_yticks(range(len(columns)), [as_label(name.removeprefix("dice/")) for name in columns])
    axes.set(xlabel="Dice of a patient", ylim=(len(columns) - 0.4, -0.6))
    return figure


def _forest(
    axes: Axes,
    rows: pd.DataFrame,
    labels: list[str],
    own: range | tuple[int, ...] = (0,),
    hollow: np.ndarray | None = None,
) -> None:
    """Draws estimates with intervals below each other."""
    for place, row in enumerate(rows.itertuples()):
        colour = OWN if place in own else OTHER
        if np.isfinite([row.low, row.high]).all():
            axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.8, solid_capstyle="butt")
        fill = "white" if hollow is not None and hollow[place] else colour
        axes.plot([row.estimate], [place], "o", markersize=5.5, color=colour, markerfacecolor=fill)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _panels(names: list[str]) -> tuple[Figure, list[Axes]]:
    """Returns a figure with a panel each name, two in a row, as many as are shown."""
    count = min(len(names), MOST_PANELS)
    columns, rows = min(2, count), -(-count // 2)
    figure = Figure(figsize=(WIDTH if columns == 1 else 1.6 * WIDTH, 3.5 * rows), layout="constrained")
    panels = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, panels[:count]


def _line_of_groups(axes: Axes, own: pd.DataFrame, colour: str, label: str, style: str) -> None:
    errors = np.nan_to_num(np.maximum(np.stack([own.observed - own.low, own.high - own.observed]), 0))
    axes.errorbar(own.predicted, own.observed, yerr=errors, fmt=style, color=colour, markersize=4.5, linewidth=1.3,
                  elinewidth=0.9, label=label)  # fmt: skip


def _ends(own: pd.DataFrame) -> tuple[float, float]:
    if "recalibration" in own:
        return 0.0, 1.0
    return float(min(own.predicted.min(), own.observed.min())), float(max(own.predicted.max(), own.observed.max()))
