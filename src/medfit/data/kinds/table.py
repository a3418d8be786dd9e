"""Tables: rows of mixed columns."""

import itertools
from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any

import numpy as np
import pandas as pd

from medfit.data import column_leaks, repeats
from medfit.data.dataset import TableDataset
from medfit.data.kind import Kind
from medfit.data.near_duplicates import SEARCHED, Prints, shared

ROUNDING = 1e-3  # of a column's standard deviation: rows that differ by less are nearly identical
PAIRS_UP_TO = 16  # columns, of which each two are left out in turn
MOST_LEFT_OUT = 64


class TableKind(Kind[TableDataset]):
    """Rows of a table."""

    samples = "records"
    preprocessing = "table"
    baselines = "medfit.evaluation.baselines.of_records"
    explainer = "medfit.explanations.table.Table"
    new_samples = "medfit.deployment.new_tables"

    def prints(self, dataset: TableDataset) -> Prints:
        """Returns rows by their cells, in standard deviations."""
        x, points = dataset.x, _points(dataset)
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

    def repeated(self, then: TableDataset, now: TableDataset) -> int:
        """Returns how many rows are those of an earlier table, or nearly so, if these are many more than by chance."""
        both: Any = copy(then)
        both.x = pd.concat([then.x, now.x[list(then.x)]], ignore_index=True)
        places = np.split(np.arange(len(both.x)), [len(then.x)])
        return sum(sum(counts) for counts in shared(self.prints(both), dict(zip("ab", places, strict=True))).values())

    def column_leaks(self, dataset: TableDataset, rows: Mapping[str, np.ndarray]) -> Iterator[str]:
        """Yields identifiers among the features, rows that belong together, and columns that tell the target alone."""
        every = np.concatenate(list(rows.values()))
        first = np.sort(every[np.unique(dataset.groups[every], return_index=True)[1]])
        numbered = dict(column_leaks.identifiers(dataset, first))
        belonging = list(repeats.of_columns(dataset, first, set(numbered)))
        yield from [*numbered.values(), *belonging]
        if not belonging:
            yield from repeats.beside(_points(dataset), dataset.groups)
        yield from column_leaks.telling(dataset, rows["train"])

    def private(self, dataset: TableDataset, rows: np.ndarray) -> Iterator[str]:
        """Yields columns of names, free text and the like, whose levels an encoder would list."""
        return column_leaks.of_single_patients(dataset, rows)

    def missing(self, dataset: TableDataset) -> dict[str, int]:
        """Returns how many cells of each column are missing, of the columns that lack any."""
        counts = dataset.x.isna().sum()
        return {str(name): int(count) for name, count in counts.items() if count}


def _points(dataset: TableDataset) -> np.ndarray:
    """Returns rows in the shape (rows, columns), in standard deviations."""
    return np.stack([_standard(dataset.x[name], dataset.kinds[name]) for name in dataset.x], axis=1)


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
    from scipy.linalg import qr  # late: a quick start

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
