"""Samples that two splits share: identical ones, and ones that differ by no more than noise."""

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

ROUNDING = 1e-3  # of a column's standard deviation: rows that differ by less are nearly identical
SERIES_CORRELATION = 0.9999  # heartbeats of one patient reach 0.998
IMAGES_CORRELATION = 0.999  # chest X-rays of different children reach 0.99
SERIES_VALUES = 2048  # of a series that are compared: means of neighbouring samples, where it has more
GRIDS = {2: 16, 3: 12}  # means of an image that are compared, along each axis, by its dimensions
SEARCHED = 16  # dimensions in which neighbours are searched, before all are compared
NEIGHBOURS = 8
BY_CHANCE = 10  # times as many alike as chance gives: its estimate is right within a factor of about six
PAIRS_UP_TO = 16  # columns, of which each two are left out in turn
MOST_LEFT_OUT = 64
READING_S = 10.0  # images that memory does not hold are read for no longer
CHUNK = 256


class Prints(NamedTuple):
    """What tells samples apart.

    Args:
        digests: Alike of identical samples, in the shape (samples,).
        points: Near each other for samples that are nearly identical, in the shape (samples, values).
        search: ``points`` in few dimensions, in which no two are farther apart.
        tolerance: Distance of points that are nearly identical.
        norm: Of the distance: 2 or infinity.
        telling: Marks samples that hold enough to be told apart.
        noun: For one sample.
        chance: Gives the number of pairs, of one split's rows and another's, that are to be expected alike.
        note: What was not looked at; empty where all was.
    """

    digests: np.ndarray
    points: np.ndarray
    search: np.ndarray
    tolerance: float
    norm: float
    telling: np.ndarray
    noun: str
    chance: Callable[[np.ndarray, np.ndarray], float]
    note: str = ""


def prints(dataset: Any) -> Prints | None:
    """Returns what tells a data set's samples apart: records, series or images; None for another kind."""
    for sign, made in {"kinds": _of_records, "sampling_rate_hz": _of_series, "image": _of_images}.items():
        if hasattr(dataset, sign):
            return made(dataset)
    return None


def shared(made: Prints, rows: Mapping[str, np.ndarray]) -> dict[tuple[str, str], tuple[int, int]]:
    """Returns, for each two splits, how many samples of the second are identical to one of the first, and nearly so.

    Nothing where chance makes samples alike, as in a table of a few yes-or-no columns: there must be many times as
    many as chance gives.

    Args:
        made: By :func:`prints`.
        rows: Row numbers of each split.
    """
    rows = {split: chosen[made.telling[chosen]] for split, chosen in rows.items()}
    found = {(one, other): _alike(made, rows[one], rows[other]) for one, other in itertools.combinations(rows, 2)}
    found = {pair: counts for pair, counts in found.items() if any(counts)}
    by_chance = sum(made.chance(rows[one], rows[other]) for one, other in found)
    return found if sum(map(sum, found.values())) > BY_CHANCE * by_chance else {}


def _alike(made: Prints, one: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    same = np.isin(made.digests[other], made.digests[one])
    return int(same.sum()), _near(made, one, other[~same])


def _near(made: Prints, one: np.ndarray, other: np.ndarray) -> int:
    """Counts rows with a near neighbour, searched in few dimensions and compared in all."""
    from scipy.spatial import cKDTree

    one = one[np.unique(made.digests[one], return_index=True)[1]]
    if not len(one) or not len(other):
        return 0
    reach = made.tolerance * (1 + 1e-6)
    tree = cKDTree(made.search[one])
    found = tree.query(made.search[other], NEIGHBOURS, p=made.norm, distance_upper_bound=reach)[1]
    places, ranks = np.nonzero(found < len(one))
    between = made.points[other[places]] - made.points[one[found[places, ranks]]]
    close = np.linalg.norm(between, made.norm, axis=1) <= reach
    return len(np.unique(places[close]))


def _of_records(dataset: Any) -> Prints:
    x = dataset.x
    points = np.stack([_standard(x[name], dataset.kinds[name]) for name in x], axis=1)
    grains = [len(np.unique(column)) for column in points.T]
    return Prints(
        digests=pd.util.hash_pandas_object(x, index=False).to_numpy(),
        points=points,
        search=points[:, np.argsort(grains)[::-1][:SEARCHED]],
        tolerance=ROUNDING,
        norm=np.inf,
        telling=x.notna().to_numpy().mean(axis=1) >= 0.5,
        noun="row",
        chance=lambda one, other: _chance_of(points, one, other),
    )


def _standard(column: pd.Series, kind: str) -> np.ndarray:
    """Returns a column in standard deviations; a missing cell and each category stand apart."""
    if kind == "categorical":
        return pd.factorize(column)[0].astype(float)
    values = column.to_numpy(dtype=float, na_value=np.nan)
    scale = np.nanstd(values)
    values = (values - np.nanmean(values)) / (scale if scale > 0 and np.isfinite(scale) else 1.0)
    return np.where(np.isnan(values), np.nanmax(values) + 10, values)


def _chance_of(points: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """Returns the chance of columns that no others add up to, as items do to their total, in levels of rounding."""
    from scipy.linalg import qr

    kept = np.arange(points.shape[1])
    if len(kept) <= MOST_LEFT_OUT:
        some = points[:: max(1, len(points) // 5000)]
        triangle, order = qr(some - some.mean(axis=0), mode="r", pivoting=True)
        size = np.abs(np.diag(triangle))
        kept = order[: len(size)][size > 1e-6 * max(size[0], 1e-6)]
    codes = np.stack([pd.factorize(np.round(column / (2 * ROUNDING)))[0] for column in points.T[kept]], axis=1)
    return chance(codes[one], codes[other])


def chance(one: np.ndarray, other: np.ndarray) -> float:
    """Returns how many pairs of rows are to be expected alike although they have nothing to do with each other.

    The larger of two: as if columns were independent; and from the pairs that are alike in all columns but one or two,
    which copies of a row are not.

    Args:
        one: Codes of the cells, in the shape (rows, columns).
        other: The same of other rows.
    """
    copies = {column.tobytes(): place for place, column in enumerate(np.concatenate([one, other]).T)}
    columns = list(copies.values())  # a column's copy tells nothing
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 2**63, (max(one.max(), other.max()) + 1, len(columns)), np.uint64)
    a, b = (numbers[codes[:, columns], np.arange(len(columns))] for codes in (one, other))
    whole_a, whole_b, total = a.sum(axis=1), b.sum(axis=1), len(one) * len(other)
    share = [_pairs(a[:, c], b[:, c]) / total for c in range(len(columns))]
    found, alike = [total * float(np.prod(share))], _pairs(whole_a, whole_b)
    for left in _left_out(len(columns)):
        own, others = a[:, left].sum(axis=1), b[:, left].sum(axis=1)
        if (match := _pairs(own, others) / total) < 0.9:
            differ = _pairs(whole_a - own, whole_b - others) - alike
            found.append(differ * match / (1 - match))
    return max(found)


def _left_out(num_columns: int) -> Iterator[list[int]]:
    some = np.linspace(0, num_columns - 1, min(num_columns, MOST_LEFT_OUT)).astype(int)
    yield from ([column] for column in some.tolist())
    if num_columns <= PAIRS_UP_TO:
        yield from (list(two) for two in itertools.combinations(range(num_columns), 2))


def _pairs(one: np.ndarray, other: np.ndarray) -> int:
    """Counts the pairs of equal numbers."""
    values, counts = np.unique(one, return_counts=True)
    places = np.searchsorted(values, other).clip(max=len(values) - 1)
    return int(counts[places][values[places] == other].sum())


def _of_series(dataset: Any) -> Prints:
    points = np.concatenate([_shape_of(part) for part in _chunks(dataset.x)])
    digests = np.array([_digest(series) for series in dataset.x])
    return _by_correlation(digests, points, SERIES_CORRELATION, "series")


def _chunks(x: Any) -> Iterator[np.ndarray]:
    """Yields series in the shape (samples, channels, length), all of one length."""
    from scipy.ndimage import zoom

    if not isinstance(x, np.ndarray):
        length = min(int(np.median([series.shape[1] for series in x])), SERIES_VALUES)
        x = [zoom(np.nan_to_num(series), (1, length / series.shape[1]), order=1) for series in x]
        x = np.stack(x)
    yield from (x[start : start + CHUNK] for start in range(0, len(x), CHUNK))


def _shape_of(x: np.ndarray) -> np.ndarray:
    """Returns each series without its offset, trend and scale, in the shape (samples, values)."""
    from scipy.signal import detrend

    x = x.astype(float)
    x = np.where(np.isnan(x), np.nanmean(x, axis=2, keepdims=True), x)
    x = block_means(x, max(2, SERIES_VALUES // x.shape[1]), 2)
    x = detrend(x, axis=2) if x.shape[2] > 2 else x - x.mean(axis=2, keepdims=True)
    std = x.std(axis=2, keepdims=True)
    return (x / np.where(std > 1e-9, std, np.inf)).reshape(len(x), -1)


def _of_images(dataset: Any) -> Prints:
    size = GRIDS[dataset.num_dimensions]
    points, digests, end = [], [], time.perf_counter() + READING_S
    for row in range(len(dataset)):
        x = dataset.image(row).x
        digests.append(_digest(x))
        grid = x.astype(np.float32).mean(axis=0)
        for axis in range(grid.ndim):
            grid = block_means(_stretched(grid, size, axis), size, axis)
        points.append(grid.ravel())
        if time.perf_counter() > end:
            break
    made = _by_correlation(np.array(digests), np.stack(points), IMAGES_CORRELATION, "image")
    return made if len(points) == len(dataset) else _unread(made, len(dataset))


def _stretched(grid: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Returns an image with its pixels repeated along an axis, where they are fewer than ``size``."""
    length = grid.shape[axis]
    return grid if length >= size else np.take(grid, np.arange(size) * length // size, axis=axis)


def _unread(made: Prints, num_images: int) -> Prints:
    """Returns prints of which those of images that were not read tell nothing."""
    missing = num_images - len(made.digests)
    return made._replace(
        digests=np.pad(made.digests, (0, missing)),
        points=np.pad(made.points, [(0, missing), (0, 0)]),
        search=np.pad(made.search, [(0, missing), (0, 0)]),
        telling=np.pad(made.telling, (0, missing)),
        note=f"only {len(made.digests)} of {num_images} images were compared, as reading them takes long",
    )


def _by_correlation(digests: np.ndarray, values: np.ndarray, correlation: float, noun: str) -> Prints:
    """Returns prints whose distance is that of correlation; what does not vary tells nothing."""
    mean = values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(values - mean, axis=1, keepdims=True)
    varies = length > 1e-6 * np.maximum(np.abs(mean), 1e-6)
    points = np.where(varies, (values - mean) / np.where(varies, length, 1.0), 0).astype(np.float32)
    return Prints(
        digests=digests,
        points=points,
        search=_principal(points),
        tolerance=float(np.sqrt(2 * (1 - correlation))),
        norm=2,
        telling=varies[:, 0],
        noun=noun,
        chance=lambda one, other: 0.0,
    )


def _principal(points: np.ndarray) -> np.ndarray:
    """Returns points in the few directions in which they differ most."""
    some = points[np.linspace(0, len(points) - 1, min(len(points), 500)).astype(int)]
    return points @ np.linalg.svd(some - some.mean(axis=0), full_matrices=False)[2][:SEARCHED].T


def block_means(x: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Returns means of neighbouring values along an axis, as many as ``size``; fewer values are left as they are."""
    if x.shape[axis] <= size:
        return x
    starts = np.linspace(0, x.shape[axis], size, endpoint=False).astype(int)
    widths = np.diff(np.append(starts, x.shape[axis]))
    shape = [-1 if a == axis else 1 for a in range(x.ndim)]
    return np.add.reduceat(x, starts, axis=axis) / widths.reshape(shape)


def _digest(x: np.ndarray) -> int:
    told = hashlib.blake2b(f"{x.shape} {x.dtype}".encode(), digest_size=8)
    told.update(np.ascontiguousarray(x).tobytes())
    return int.from_bytes(told.digest(), "little", signed=True)
