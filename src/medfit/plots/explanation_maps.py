"""Plots of which places of images count."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from medfit.plots.explanations import MOST_TARGETS, SIGNED, short, signed_scale

SIDE = 3.4  # inches of a panel
POSITIVE = "inferno"


def mean_maps(found: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str, effect: str) -> Figure:
    """Returns mean sizes beside the mean image, a column each target.

    Args:
        found: Mean image and mean sizes, each (*size), by target.
        title: The method.
        effect: What attributions are measured in.
    """
    shown = dict(list(found.items())[:MOST_TARGETS])
    figure = Figure(figsize=(SIDE * len(shown) + 0.6, 2 * SIDE + 0.5), layout="constrained")
    grid = figure.subplots(2, len(shown), squeeze=False)
    for (above, below), (target, (image, sizes)) in zip(grid.T, shown.items(), strict=True):
        image, sizes = (_flat(part, strongest(sizes)) for part in (image, sizes))
        _grey(above, image, 1.0)
        above.set_title(short(target), fontsize="medium")
        drawn = below.imshow(sizes, cmap=POSITIVE, vmin=0, vmax=sizes.max() or 1.0)
        below.set(xticks=[], yticks=[])
        figure.colorbar(drawn, ax=below, label=f"mean size of {effect}", fraction=0.046)
    figure.suptitle(title)
    return figure


def maps(
    image: np.ndarray,
    found: Mapping[str, tuple[np.ndarray, str]],
    title: str,
    region: np.ndarray | None = None,
    spacing_mm: Sequence[float] = (1.0, 1.0),
) -> Figure:
    """Returns an image alone and with each method's map over it; of a volume, the slice with most attribution.

    Of a volume with a region, it is one of those that cut it.

    Args:
        image: In the shape (*size).
        found: Attributions in the same shape, and what they are measured in, by method.
        title: Above it.
        region: Whose outline is drawn, in the same shape.
        spacing_mm: Of pixels, along the last two axes.
    """
    sizes = np.zeros(image.shape)
    for values, _ in found.values():
        sizes += np.abs(values) / (np.abs(values).max() or 1.0)
    if region is not None and image.ndim == 3:
        sizes *= region.any(axis=(1, 2), keepdims=True)
    place = strongest(sizes)
    height, width = spacing_mm if image.ndim == 2 else reversed(spacing_mm)
    figure = Figure(figsize=(SIDE * (1 + len(found)) + 1.2, SIDE + 0.7), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(found))
    flat = _flat(image, place)
    for axes in (first, *others):
        _grey(axes, flat, height / width)
        if region is not None and (outline := _flat(region, place)).any():
            axes.contour(outline.astype(float), levels=[0.5], colors="#30d040", linewidths=1.0)
    first.set_title("image" if region is None else "image, predicted outline", fontsize="medium")
    for axes, (method, (values, effect)) in zip(others, found.items(), strict=True):
        figure.colorbar(_laid_over(axes, _flat(values, place), values), ax=axes, label=effect, fraction=0.046)
        axes.set_aspect(height / width)
        axes.set_title(method, fontsize="medium")
    figure.suptitle(title)
    return figure


def by_distance(means: pd.DataFrame, title: str, effect: str) -> Figure:
    """Returns mean sizes by the distance from the region's border, a line each target.

    Args:
        means: Of ``target``, ``distance_mm`` and ``mean_size``.
        title: The method.
        effect: What attributions are measured in.
    """
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    for target, part in means.groupby("target", sort=False):
        axes.plot(part["distance_mm"], part["mean_size"], label=short(str(target)))
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set(xlabel="distance from the border of the predicted region (mm; inside below 0)", ylim=(0, None))
    axes.set(ylabel=f"mean size of {effect},\nas a share of the largest", title=title)
    axes.legend(frameon=False)
    return figure


def strongest(sizes: np.ndarray) -> int:
    """Returns the place along a volume's first axis with most of what is given; 0 for a flat image."""
    return int(np.abs(sizes).sum(axis=(1, 2)).argmax()) if sizes.ndim == 3 else 0


def _flat(part: np.ndarray, place: int) -> np.ndarray:
    """Returns a flat image as it is, or a volume's slice as overlays show it."""
    return part[place].T[::-1] if part.ndim == 3 else part


def _grey(axes, image, aspect) -> None:  # type: ignore[no-untyped-def]
    axes.imshow(image, cmap="gray", interpolation="nearest", aspect=aspect)
    axes.set(xticks=[], yticks=[])


def _laid_over(axes: Any, shown: np.ndarray, values: np.ndarray) -> Any:
    """Draws a map over an image, the weaker the more transparent."""
    if (values >= 0).all():
        return axes.imshow(shown, cmap=POSITIVE, vmin=0, vmax=values.max() or 1.0, alpha=0.55)
    scale = signed_scale(values)
    return axes.imshow(shown, cmap=SIGNED, norm=scale, alpha=0.2 + 0.6 * np.abs(shown) / scale.vmax)
