"""Samples that two splits share: identical ones, and ones that differ by no more than noise."""

import hashlib
import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

SEARCHED = 16  # dimensions in which neighbours are searched, before all are compared
NEIGHBOURS = 8
BY_CHANCE = 10  # times as many alike as chance gives: its estimate is right within a factor of about six


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


def shared(made: Prints, rows: Mapping[str, np.ndarray]) -> dict[tuple[str, str], tuple[int, int]]:
    """Returns, for each two splits, how many samples of the second are identical to one of the first, and nearly so.

    Nothing where chance makes samples alike, as in a table of a few yes-or-no columns: there must be many times as
    many as chance gives.

    Args:
        made: As the kind of data gives them.
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
    from scipy.spatial import cKDTree  # late: a quick start

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


def by_correlation(digests: np.ndarray, values: np.ndarray, correlation: float, noun: str) -> Prints:
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


def digest(x: np.ndarray) -> int:
    """Returns a number that is alike for identical arrays."""
    told = hashlib.blake2b(f"{x.shape} {x.dtype}".encode(), digest_size=8)
    told.update(np.ascontiguousarray(x).tobytes())
    return int.from_bytes(told.digest(), "little", signed=True)
