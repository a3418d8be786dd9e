"""What a finished model expects of new images, and what is odd about them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from medfit.data.dataset import ImageDataset
from medfit.data.image import Image
from medfit.data.preprocessing.fitted_patches import ALIKE, alike, in_mm
from medfit.data.preprocessing.intensity import check_spacing
from medfit.deployment.expected_columns import MARGIN, Oddity
from medfit.errors import UserError

MOST_SEEN, MOST_S = 200, 5.0  # training images that are looked at, and for how long
MOST_PIXELS = 10_000  # of an image that its values are told by
SHARES = (0.01, 0.5, 0.99)


class Look(NamedTuple):
    """What is told of an image.

    Args:
        size: Pixels along each axis.
        spacing_mm: Of them; None where it is not known.
        axes: Of a volume's file, as ``LPS``; None where they are not known.
        bytes: Whether its values have 8 bits.
        values: Its dark, its middle and its bright one: percentiles 1, 50 and 99.
    """

    size: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    axes: str | None
    bytes: bool
    values: tuple[float, ...]


def look(image: Image) -> Look:
    """Returns what is told of an image."""
    pixels = image.x.ravel()
    values = np.quantile(pixels[:: max(1, len(pixels) // MOST_PIXELS)].astype(float), SHARES)
    is_bytes = bool(image.x.dtype == np.uint8)
    return Look(image.x.shape[1:], image.spacing_mm, image.axes, is_bytes, tuple(map(float, values)))


def expected(dataset: ImageDataset, train: np.ndarray, preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what JSON can hold of the training images, and of what preprocessing does with new ones.

    Args:
        dataset: That was learnt from.
        train: Numbers of the training images, of which some are looked at.
        preprocessing: Its settings.
    """
    end, looks = time.monotonic() + MOST_S, list[Look]()
    for row in train[np.unique(np.linspace(0, len(train) - 1, MOST_SEEN).astype(int))].tolist():
        looks.append(look(dataset.image(row)))
        if time.monotonic() > end:
            break
    known = [one.spacing_mm for one in looks if one.spacing_mm is not None]
    seen = {
        "size": _range([one.size for one in looks], 0),
        "spacing_mm": _range(known, ALIKE) if known else None,
        "axes": sorted({one.axes for one in looks if one.axes}),
        "bytes": sorted({one.bytes for one in looks}),
        "values": _values([one.values for one in looks]),
    }
    keys = ("spacing_mm", "size", "fit", "window", "scaling")
    done = {key: preprocessing[key] for key in keys if preprocessing.get(key) is not None}
    masks = dataset.task == "segmentation"
    first = dataset.image(0)
    fixed = {"spacing_mm": first.spacing_mm} if masks else {"size": first.x.shape[1:]}
    resampled = "spacing_mm" in done or "size" in done
    return {
        "channels": list(dataset.channels),
        "dimensions": dataset.num_dimensions,
        "masks": masks,
        "seen": seen,
        "done": done,
        "fixed": {} if resampled else fixed,
    }


def _range(rows: Sequence[Sequence[float]], margin: float) -> list[list[float]]:
    """Returns the least and the largest of each axis, wider by a share."""
    low, high = np.min(rows, axis=0), np.max(rows, axis=0)
    return [(low * (1 - margin)).tolist(), (high * (1 + margin)).tolist()]


def _values(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """Returns the least and the largest dark, middle and bright value, wider by a share of what is between."""
    low, high = np.min(rows, axis=0), np.max(rows, axis=0)
    margin = MARGIN * (high[-1] - low[0])
    return [(low - margin).tolist(), (high + margin).tolist()]


def joined_looks(seen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what all training images of several trainings looked like.

    Args:
        seen: Of each training, as ``seen`` of what :func:`expected` gave.
    """
    ranges = {key: [one[key] for one in seen if one[key] is not None] for key in ("size", "spacing_mm", "values")}
    sets = {key: sorted({value for one in seen for value in one[key]}) for key in ("axes", "bytes")}
    return {key: _widest(of) if of else None for key, of in ranges.items()} | sets


def _widest(ranges: Sequence[Sequence[Sequence[float]]]) -> list[list[float]]:
    lows, highs = zip(*ranges, strict=True)
    return [np.min(lows, axis=0).tolist(), np.max(highs, axis=0).tolist()]


def check(name: str, image: Image, about: Mapping[str, Any]) -> None:
    """Refuses an image that the model can't take.

    Args:
        name: Of the image, for the message.
        image: As it was read.
        about: As :func:`expected` gave it.

    Raises:
        UserError: other channels or dimensions, values that are no finite numbers, voxels at another distance or other
            sizes where nothing resamples them.
    """
    channels, fixed = about["channels"], about["fixed"]
    if image.x.ndim - 1 != about["dimensions"]:
        raise UserError(f"{name}: has {image.x.ndim - 1} dimensions, but the model takes {about['dimensions']}")
    if len(image.x) != len(channels):
        raise UserError(
            f"{name}: has {len(image.x)} channels, but the model takes {len(channels)} ({', '.join(channels)})"
        )
    if image.x.dtype.kind == "f" and not np.isfinite(image.x).all():
        raise UserError(f"{name}: holds values that are no finite numbers")
    if "spacing_mm" in fixed and not alike(image.spacing_mm, fixed["spacing_mm"]):
        raise UserError(
            f"{name}: its voxels are {in_mm(image.spacing_mm)} apart, the training images' "
            f"{in_mm(fixed['spacing_mm'])}, and this model resamples none"
        )
    if "size" in fixed and list(image.x.shape[1:]) != list(fixed["size"]):
        sizes = [" x ".join(map(str, size)) for size in (image.x.shape[1:], fixed["size"])]
        raise UserError(f"{name}: has {sizes[0]} pixels, but the model takes {sizes[1]}")
    if "spacing_mm" in about["done"]:
        check_spacing(about["done"]["spacing_mm"], image, name)


def oddities(looks: Sequence[Look | None], about: Mapping[str, Any]) -> Iterator[Oddity]:
    """Yields what is odd about new images.

    Args:
        looks: What is told of each; None of those that can't be read.
        about: As :func:`expected` gave it.
    """
    found: dict[tuple[str, str], list[int]] = {}
    for row, one in enumerate(looks):
        for told in [("file", "can't be read")] if one is None else _odd(one, about["seen"], about["done"]):
            found.setdefault(told, []).append(row)
    for (column, what), rows in found.items():
        yield Oddity(column, what, np.isin(np.arange(len(looks)), rows))


def _odd(one: Look, seen: Mapping[str, Any], done: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields of what an image is odd, and how."""
    if _beyond(one.size, seen["size"]):
        yield "size", f"beyond the training images', {_with_size(done)}"
    if one.spacing_mm is None and seen["spacing_mm"] is not None:
        yield "spacing", "not known, though it was in training"
    elif one.spacing_mm is not None and seen["spacing_mm"] and _beyond(one.spacing_mm, seen["spacing_mm"]):
        yield "spacing", f"beyond the training images', {'' if 'spacing_mm' in done else 'not '}resampled"
    if one.axes and seen["axes"] and one.axes not in seen["axes"]:
        yield "orientation", "one that no training image had, turned to theirs"
    if one.bytes not in seen["bytes"]:
        new, old = ("8 bits", "more") if one.bytes else ("more than 8 bits", "8")
        yield "type", f"of {new}, in training of {old}"
    elif not _levelled(one, done) and _beyond(one.values, seen["values"]):
        yield "values", "beyond the training range"


def _beyond(values: Sequence[float], seen: Sequence[Sequence[float]]) -> bool:
    low, high = seen
    return any(not a <= value <= b for value, a, b in zip(values, low, high, strict=True))


def _with_size(done: Mapping[str, Any]) -> str:
    """Returns what preprocessing does about a size."""
    if "size" not in done:
        return "taken as it is" if "spacing_mm" not in done else "resampled by its spacing"
    return "scaled and padded" if done.get("fit") == "pad" else "stretched"


def _levelled(one: Look, done: Mapping[str, Any]) -> bool:
    """Tells whether preprocessing takes away how bright an image is as a whole."""
    scaling = done.get("scaling")
    return "window" not in done and (scaling == "per_image" or (scaling == "unit" and not one.bytes))
