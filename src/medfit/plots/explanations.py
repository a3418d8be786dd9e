"""Plots of what features, and moments of signals, do to predictions."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

MOST_FEATURES = 15
MOST_TARGETS = 4
MOST_CHANNELS = 4
MOST_LETTERS = 40
LEAST, MOST = "#3b6fb6", "#c8423b"  # lowers, raises
VALUES = "plasma"
SIGNED = "coolwarm"


def features(
    found: Mapping[str, tuple[np.ndarray, np.ndarray]], labels: Sequence[str], title: str, effect: str
) -> Figure:
    """Returns the features' mean sizes beside each sample's attribution, a row of panels each target.

    Args:
        found: Attributions and ranks of the values in [0, 1] (NaN where values have no order), each in the shape
            (samples, features), by target.
        labels: Of the features.
        title: The method.
        effect: What attributions are measured in.
    """
    shown = dict(list(found.items())[:MOST_TARGETS])
    count = min(MOST_FEATURES, len(labels))
    figure = Figure(figsize=(11, (0.3 * count + 1.4) * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), 2, squeeze=False, width_ratios=[1, 1.4])
    for (bars, dots), (target, (values, ranks)) in zip(grid, shown.items(), strict=True):
        sizes = np.abs(values).mean(axis=0)
        order = np.argsort(sizes, kind="stable")[-count:]
        bars.barh(range(count), sizes[order], color="0.55")
        bars.set_yticks(range(count), [short(labels[i]) for i in order])
        bars.set(xlabel=f"mean size of {effect}", title=short(target))
        _swarm(dots, values[:, order], ranks[:, order])
        dots.set(xlabel=effect, yticks=range(count), yticklabels=[], title="each sample", ylim=bars.get_ylim())
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), VALUES), ax=grid[:, 1], fraction=0.03, ticks=[0, 1])
    bar.ax.set_yticklabels(["lowest", "highest"])
    bar.set_label("feature's value (grey: no order)", labelpad=-20)
    figure.suptitle(title)
    return figure


def features_of_case(found: Mapping[str, np.ndarray], labels: Sequence[str], title: str, effect: str) -> Figure:
    """Returns one sample's attributions, a panel each method; the features of most weight over all methods.

    Args:
        found: Attributions (features,), by method.
        labels: Of the features, with their values.
        title: Above it.
        effect: What attributions are measured in.
    """
    shares = [np.abs(values) / (np.abs(values).sum() or 1.0) for values in found.values()]
    order = np.argsort(np.sum(shares, axis=0), kind="stable")[-MOST_FEATURES:]
    figure = Figure(figsize=(3.6 + 2.6 * len(found), 0.3 * len(order) + 1.5), layout="constrained")
    for axes, (method, values) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        chosen = values[order]
        axes.barh(range(len(order)), chosen, color=np.where(chosen > 0, MOST, LEAST).tolist())
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set_yticks(
            range(len(order)), [short(labels[i]) for i in order] if not axes.get_subplotspec().colspan.start else []
        )
        axes.set_title(method)
        axes.margins(x=0.08)
        axes.locator_params(axis="x", nbins=4)
    figure.supxlabel(effect, fontsize="medium")
    figure.suptitle(title)
    return figure


def along_time(
    time: np.ndarray,
    signals: Mapping[str, np.ndarray],
    sizes: Mapping[str, np.ndarray],
    channels: Sequence[str],
    labels: tuple[str, str, str],
    title: str,
) -> Figure:
    """Returns mean signals above mean sizes of their attribution, a column each channel.

    Args:
        time: Of the samples.
        signals: Mean signals (channels, length), by target.
        sizes: Mean sizes in the same shape, by target.
        channels: Their names; those of most weight are shown.
        labels: Of time, of the signals' unit and of the attributions.
        title: The method.
    """
    order = _strongest(list(sizes.values()))
    figure = Figure(figsize=(max(6.5, 3.6 * len(order)), 5.2), layout="constrained")
    grid = figure.subplots(2, len(order), squeeze=False, sharex=True, sharey="row")
    for column, channel in enumerate(order):
        for target in signals:
            grid[0, column].plot(time, signals[target][channel], linewidth=1.2, label=short(target))
            grid[1, column].plot(time, sizes[target][channel], linewidth=1.2)
        grid[0, column].set_title(short(channels[channel]))
        grid[1, column].set(xlabel=labels[0], ylim=(0, None))
    grid[0, 0].set_ylabel(_with_unit("mean signal", labels[1]))
    grid[1, 0].set_ylabel(f"mean size of\n{labels[2]}")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(title)
    return figure


def coloured_signal(
    time: np.ndarray,
    signal: np.ndarray,
    found: Mapping[str, np.ndarray],
    channels: Sequence[str],
    labels: tuple[str, str, str],
    title: str,
) -> Figure:
    """Returns a signal coloured by its attribution, a column each method and a row each channel.

    Args:
        time: Of the samples.
        signal: In the shape (channels, length); NaN where it is padded.
        found: Attributions in the same shape, by method.
        channels: Their names; those of most weight are shown.
        labels: Of time, of the signal's unit and of the attributions.
        title: Above it.
    """
    order = _strongest([np.abs(values) / (np.abs(values).max() or 1.0) for values in found.values()])
    figure = Figure(figsize=(5.2 * len(found), 1.6 + 1.7 * len(order)), layout="constrained")
    grid = figure.subplots(len(order), len(found), squeeze=False, sharex=True, sharey="row")
    for column, (method, values) in zip(grid.T, found.items(), strict=True):
        scale = signed_scale(values)
        for axes, channel in zip(column, order, strict=True):
            _coloured_line(axes, time, signal[channel], values[channel], scale)
            axes.set_ylabel(_with_unit(short(channels[channel]), labels[1]) if axes in grid[:, 0] else "")
        column[0].set_title(method)
        column[-1].set_xlabel(labels[0])
        figure.colorbar(ScalarMappable(scale, SIGNED), ax=list(column), label=labels[2], fraction=0.05)
    figure.suptitle(title)
    return figure


def signed_scale(values: np.ndarray) -> Normalize:
    """Returns a colour scale with nought in its middle."""
    largest = float(np.nanmax(np.abs(values))) or 1.0
    return Normalize(-largest, largest)


def short(name: str) -> str:
    """Returns a name that leaves room for the plot itself, and whose dollar signs begin no formula."""
    return (name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…").replace("$", r"\$")


def _swarm(axes, values, ranks) -> None:  # type: ignore[no-untyped-def]
    """Draws each sample as a dot, those of like attribution above each other."""
    for row, (column, rank) in enumerate(zip(values.T, ranks.T, strict=True)):
        heights, ordered = row + 0.35 * _spread(column), np.isfinite(rank)
        axes.scatter(column[~ordered], heights[~ordered], color="0.6", s=7)
        axes.scatter(column[ordered], heights[ordered], c=rank[ordered], cmap=VALUES, vmin=0, vmax=1, s=7)
    axes.axvline(0, color="0.3", linewidth=0.8)


def _spread(values: np.ndarray, num_bins: int = 60) -> np.ndarray:
    """Returns heights in [-1, 1], the wider apart the more values are alike."""
    bins = np.digitize(values, np.linspace(values.min(), values.max() + 1e-12, num_bins))
    heights, most = np.zeros(len(values)), max(np.bincount(bins).max(), 2)
    for number in np.unique(bins):
        places = np.flatnonzero(bins == number)
        heights[places] = (np.arange(len(places)) - (len(places) - 1) / 2) * 2 / most
    return heights


def _coloured_line(axes, time, signal, values, scale) -> None:  # type: ignore[no-untyped-def]
    points = np.column_stack([time, signal])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    axes.plot(time, signal, color="0.75", linewidth=0.6)
    lines = LineCollection(list(pieces), cmap=SIGNED, norm=scale, linewidths=2.2)
    lines.set_array((values[:-1] + values[1:]) / 2)
    axes.add_collection(lines)


def _strongest(sizes: Sequence[np.ndarray]) -> list[int]:
    """Returns the channels of most weight, in their own order."""
    weight = np.nansum([np.nansum(np.abs(size), axis=1) for size in sizes], axis=0)
    return sorted(np.argsort(-weight, kind="stable")[:MOST_CHANNELS].tolist())


def _with_unit(name: str, unit: str) -> str:
    return f"{name}\n({unit})" if unit else name
