"""Images with the outlines of true and predicted classes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from medfit.plots.predictions import as_label

MOST_PIXELS = 512
SIZE_IN = 4.0


class Overlay(NamedTuple):
    """A slice in the shape (height, width): the image in grey levels, and two masks of class numbers.

    Args:
        image: In 256 grey levels, as many are kept until all are scored.
        target: Class numbers.
        preds: Class numbers.
        aspect: A pixel's height by its width.
    """

    image: np.ndarray
    target: np.ndarray
    preds: np.ndarray
    aspect: float = 1.0


def slice_of(image: np.ndarray, target: np.ndarray, preds: np.ndarray, spacing_mm: Sequence[float]) -> Overlay:
    """Returns the slice that truly has most of the classes: across a volume's first axis, or a 2D image itself.

    A volume's other two axes lead to the right, the front or the crown; the first is shown from left to right, the
    second from the bottom to the top, so that people stand upright and look up in axial slices.

    Args:
        image: In the shape (*size).
        target: Class numbers in the same shape.
        preds: Class numbers in the same shape.
        spacing_mm: Of voxels along each axis.
    """
    parts, (height, width) = [image, target, preds], spacing_mm[-2:]
    if image.ndim == 3:
        marked = target if target.any() else preds
        place = int((marked > 0).sum(axis=(1, 2)).argmax()) if marked.any() else len(image) // 2
        parts, (width, height) = [part[place].T[::-1] for part in parts], spacing_mm[-2:]
    step = max(1, -(-max(parts[0].shape) // MOST_PIXELS))
    grey, target, preds = (part[::step, ::step].copy() for part in parts)
    return Overlay(_grey(grey), target, preds, height / width)


def _grey(x: np.ndarray) -> np.ndarray:
    low, high = float(x.min()), float(x.max())
    return ((x - low) * (255 / ((high - low) or 1.0))).round().astype(np.uint8)


def overlay(shown: Overlay, names: Sequence[str], title: str) -> Figure:
    """Returns the image alone, with the true outlines, and with the predicted ones.

    Args:
        shown: The slice.
        names: Of the classes, the background first.
        title: Above it.
    """
    from matplotlib import colormaps  # late: a quick start

    figure = Figure(figsize=(3 * SIZE_IN, SIZE_IN + 0.6), layout="constrained")
    figure.suptitle(title)
    colours = [colormaps["tab10"](k % 10) for k in range(len(names) - 1)]
    for axes, heading, mask in zip(
        figure.subplots(1, 3), ("image", "true", "predicted"), (None, shown.target, shown.preds), strict=True
    ):
        axes.imshow(shown.image, cmap="gray", interpolation="nearest", aspect=shown.aspect)
        axes.set(title=heading, xticks=[], yticks=[])
        for number, colour in enumerate(colours, start=1):
            if mask is not None and (mask == number).any():
                _outline(axes, mask == number, colour)
        height, width = shown.image.shape
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))  # outlines at the edge would widen it
    handles = [Patch(facecolor="none", edgecolor=c, label=as_label(n)) for c, n in zip(colours, names[1:], strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False)
    return figure


def _outline(axes, mask, colour) -> None:  # type: ignore[no-untyped-def]
    padded = np.pad(mask.astype(float), 1)  # so that an outline at the edge closes
    height, width = padded.shape
    axes.contourf(np.arange(width) - 1, np.arange(height) - 1, padded, levels=[0.5, 1.5], colors=[colour], alpha=0.2)
    axes.contour(np.arange(width) - 1, np.arange(height) - 1, padded, levels=[0.5], colors=[colour], linewidths=1.5)
