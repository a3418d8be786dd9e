"""Plots of generated images."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SIDE = 3.6  # inches of a panel
MOST_PAIRS = 8


def as_pixels(image: np.ndarray) -> np.ndarray:
    """Returns an image (channels, height, width) in [0, 1] as uint8, (height, width) or (height, width, 3).

    Other numbers of channels than three show the first.
    """
    pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    return np.moveaxis(pixels, 0, -1) if len(pixels) == 3 else pixels[0]


def tile(images: Sequence[np.ndarray] | np.ndarray, columns: int) -> np.ndarray:
    """Returns images of one size beside and below each other, as uint8; the last row is filled with black.

    Args:
        images: Each (channels, height, width) in [0, 1].
        columns: Images in a row.
    """
    made = [as_pixels(image) for image in images]
    made += [np.zeros_like(made[0])] * (-len(made) % columns)
    return np.concatenate([np.concatenate(made[i : i + columns], axis=1) for i in range(0, len(made), columns)])


def enlarged(pixels: np.ndarray, least_px: int) -> np.ndarray:
    """Returns an image of at least so many pixels a side, each one a square of them."""
    times = -(-least_px // min(pixels.shape[:2]))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def samples(generated: np.ndarray, real: np.ndarray) -> Figure:
    """Returns generated images beside as many real ones, each (images, channels, height, width) in [0, 1]."""
    count = min(len(generated), len(real))
    columns = max(1, int(np.sqrt(count)))
    return _panels([("generated", tile(generated[:count], columns)), ("real", tile(real[:count], columns))])


def nearest(generated: np.ndarray, training: np.ndarray, distances: np.ndarray) -> Figure:
    """Returns generated images above the training image nearest to each, the nearest pairs first.

    Args:
        generated: Images (images, channels, height, width) in [0, 1].
        training: The nearest of each, in the same shape.
        distances: Of each pair.
    """
    order = distances.argsort()[:MOST_PAIRS]
    pairs = np.concatenate([generated[order], training[order]])
    figure = Figure(figsize=(1.1 * len(order) + 0.6, 2.6), layout="constrained")
    axes = figure.subplots()
    height, width = pairs.shape[2:]
    _show(axes, tile(pairs, len(order)))
    axes.set_axis_on()
    axes.set_xticks([(i + 0.5) * width for i in range(len(order))], [f"{distances[i]:.2f}" for i in order])
    axes.set_yticks([height / 2, 3 * height / 2], ["generated", "training"])
    axes.set_xlabel("distance in the feature space")
    axes.tick_params(length=0)
    return figure


def _panels(panels: list[tuple[str, np.ndarray]]) -> Figure:
    figure = Figure(figsize=(SIDE * len(panels), SIDE + 0.3), layout="constrained")
    for axes, (title, image) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _show(axes, image)
        axes.set_title(title)
    return figure


def _show(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
