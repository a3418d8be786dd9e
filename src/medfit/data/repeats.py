"""Rows that belong together although nobody said so: a patient's column that was forgotten."""

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from medfit.data.dataset import Dataset, TableDataset
from medfit.data.near_duplicates import SEARCHED

PATIENT = "patient|subject|participant|person|proband|pat|subj"
PATIENT_NAME = re.compile(
    rf"(?i)^(ids?|mrn|uid|pid|identifier)$|^({PATIENT})s?[\s_.-]*(ids?|nr|no|number|num|code|key|name)?$"
)
ID_NAME = re.compile(r"(?i)^(.*[\s_.-])?(id|mrn|uid|pid|identifier)$|^.*(?-i:[a-z]I[Dd])$")
LAST_NUMBER = re.compile(r"[\W_]+[A-Za-z]?\d+$")  # of a recording: P01_S07_3 is of P01_S07
FEWEST_LEVELS = 10
FEWEST_BY_NAME = 20
FEWEST_OF_EACH = 5  # levels above and below the mean, so that chance can't make all agree
AGREE = 0.9  # share of the variance that lies between levels
SMOOTH = 0.5  # correlation of neighbouring levels' means: beyond, the column is a measurement that tells the other
MOST_COLUMNS = 32  # of which each two are tried
MOST_TRIED = 10_000  # pairs of a column and a covariate, so that thousands of columns take seconds
FEWEST_OTHERS = 4
MOST_ROWS = 20_000  # that columns are tried on
BESIDE = 5  # rows in the file, before or after
MOST_BESIDE_ROWS = 5_000
BLOCK = 500  # rows that are compared with all at once
MOST_BESIDE = 0.5  # of the rows may have their nearest beside them


class Levels(NamedTuple):
    """A column's levels, of the rows whose level others share.

    Args:
        rows: Their row numbers.
        codes: Their levels from 0, in the levels' order.
        ordered: Whether neighbouring levels mean something.
    """

    rows: np.ndarray
    codes: np.ndarray
    ordered: bool = True

    @property
    def number(self) -> int:
        """How many levels there are."""
        return int(self.codes.max()) + 1 if len(self.codes) else 0


class Cells(NamedTuple):
    """A column.

    Args:
        codes: Its levels, -1 where missing.
        numbers: A number each row: its level, or whether it is the commonest of words.
        ordered: Whether neighbouring levels mean something.
    """

    codes: np.ndarray
    numbers: np.ndarray
    ordered: bool


def levels(codes: np.ndarray, ordered: bool = True) -> Levels | None:
    """Returns the levels that repeat, or None where most rows have one of their own, or levels are few.

    Args:
        codes: Of all rows, -1 where missing.
        ordered: As :class:`Levels` holds it.
    """
    counts, repeats = np.bincount(codes[codes >= 0], minlength=1), np.flatnonzero(_repeats(codes))
    if 2 * len(repeats) < len(codes) or (counts > 1).sum() < FEWEST_LEVELS:
        return None
    if len(repeats) > MOST_ROWS:  # some levels, whole
        share = MOST_ROWS / len(repeats)
        repeats = repeats[(np.random.default_rng(0).random(len(counts)) < share)[codes[repeats]]]
    return Levels(repeats, np.unique(codes[repeats], return_inverse=True)[1], ordered)


def _repeats(codes: np.ndarray) -> np.ndarray:
    """Marks the rows whose level others share."""
    return (codes >= 0) & (np.bincount(codes[codes >= 0], minlength=1)[codes] > 1)


def agreement(found: Levels, values: np.ndarray) -> tuple[float, float]:
    """Returns the share of the variance that lies between levels, and the correlation of neighbouring levels.

    Args:
        found: The levels.
        values: A number each row of the table; what varies too little has the share 0.
    """
    values, counts = values[found.rows], np.bincount(found.codes)
    means, centre = np.bincount(found.codes, values) / counts, values.mean()
    if min((means > centre).sum(), (means < centre).sum()) < FEWEST_OF_EACH:
        return 0.0, 0.0
    within = ((values - means[found.codes]) ** 2).sum() / max(len(values) - len(counts), 1)
    smooth = np.corrcoef(means[:-1], means[1:])[0, 1] if found.ordered and means[:-1].std() and means[1:].std() else 0
    return float(1 - within / values.var()), float(smooth)


def agrees(found: Levels, values: np.ndarray) -> bool:
    """Tells whether rows of a level agree, and those of neighbouring levels don't."""
    share, smooth = agreement(found, values)
    return share >= AGREE and smooth <= SMOOTH


def by_name(dataset: Dataset, rows: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Yields columns without a role that are called as a patient's, and whose levels several splits share."""
    for name in dataset.facts:
        codes, number = codes_of(dataset.facts[name]), dataset.facts[name].nunique()
        repeats = FEWEST_LEVELS <= number < len(np.unique(dataset.groups))
        if PATIENT_NAME.search(str(name)) and repeats and shared(codes, rows):
            yield (
                f"column '{name}' has no role, but repeats {number} values in {len(codes)} rows, which splits share; "
                f"if it names patients, set dataset.patient='{name}'"
            )


def of_columns(dataset: TableDataset, rows: np.ndarray, told: set[Any]) -> Iterator[str]:
    """Yields columns, or two of them, within whose levels the target or covariates agree.

    Args:
        dataset: A table.
        rows: A row of each patient.
        told: Columns that need no further word.
    """
    targets, columns = _targets(dataset, rows), {name: _cells(dataset, name, rows) for name in dataset.x}
    names = [name for name in columns if name not in told]
    found = {name: levels(columns[name].codes, columns[name].ordered) for name in names}
    lines = [
        f"column '{name}' looks like an identifier: {held.number} different values repeat in {len(rows)} rows{why}; "
        f"if it names patients, set dataset.patient='{name}'"
        for name, held in found.items()
        if held and (why := _why(name, held, columns, targets))
    ]
    yield from lines or _of_two({name: columns[name] for name in names}, targets)


def _why(name: Any, found: Levels, columns: Mapping[Any, Cells], targets: list[np.ndarray]) -> str:
    """Returns what makes a column's levels look like patients, empty if nothing does."""
    many = found.number >= FEWEST_BY_NAME
    if many and (PATIENT_NAME.search(str(name)) or ID_NAME.search(str(name))):
        return ", by its name"
    if any(agrees(found, target) for target in targets):
        return " and the rows of a value agree in the target"
    most = min(MOST_COLUMNS, max(FEWEST_OTHERS, MOST_TRIED // len(columns)))
    some = list(columns)[:: max(1, len(columns) // most)] if many else []
    others = [f"'{other}'" for other in some if other != name and agrees(found, columns[other].numbers)]
    return f" and the rows of a value agree in {', '.join(others[:3])}" if len(others) > 1 else ""


def _of_two(columns: Mapping[Any, Cells], targets: list[np.ndarray]) -> Iterator[str]:
    """Yields the first two columns that tell rows apart as patients do: age and sex, and the target agrees."""
    apart = [name for name, cells in columns.items() if not any(_tells_smoothly(cells, t) for t in targets)]
    few = sorted(apart, key=lambda name: columns[name].codes.max())[:MOST_COLUMNS]
    codes = {name: columns[name].codes[:MOST_ROWS] for name in few}
    few = [name for name in few if 2 * _repeats(codes[name]).sum() >= len(codes[name])]  # two columns repeat no more
    targets = [target[:MOST_ROWS] for target in targets]
    for one, other in combinations(few, 2):
        found = _both(codes[one], codes[other])
        agreeing = [target for target in targets if found and agrees(found, target)]
        turned = _both(codes[other], codes[one]) if agreeing else None
        if found and turned and any(agrees(turned, target) for target in agreeing):
            yield (
                f"rows that agree in '{one}' and '{other}' agree in the target: {found.number} groups in "
                f"{len(codes[one])} rows, as of patients with several rows; if so, set dataset.patient"
            )
            return


def _both(first: np.ndarray, second: np.ndarray) -> Levels | None:
    """Returns the levels of two columns at once, in the order of the first one's, then the second one's."""
    missing = (first < 0) | (second < 0)
    codes = np.unique(first.astype(np.int64) * (second.max() + 1) + second, return_inverse=True)[1]
    return levels(np.where(missing, -1, codes))


def _tells_smoothly(cells: Cells, target: np.ndarray) -> bool:
    """Tells whether a column's neighbouring levels have much the same target, as a measurement's have."""
    found = levels(cells.codes, cells.ordered)
    share, smooth = agreement(found, target) if found else (0.0, 0.0)
    return share >= AGREE / 2 and smooth > SMOOTH


def of_names(dataset: Dataset, rows: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Yields columns of names that differ by their last number alone, as recordings of one subject do."""
    columns = {f"column '{name}'": dataset.facts[name] for name in dataset.facts}
    columns["dataset.patient"] = pd.Series(np.asarray(dataset.groups).astype(object))
    targets = _targets(dataset, np.arange(len(dataset)))
    for what, column in columns.items():
        words = column[column.map(lambda cell: isinstance(cell, str))]
        if len(words) < len(column) or words.nunique() < 0.95 * len(words):
            continue
        stems = codes_of(words.map(lambda cell: LAST_NUMBER.sub("", cell)))
        found = levels(stems, ordered=False)
        if found and shared(stems, rows) and any(agrees(found, target) for target in targets):
            yield (
                f"{what} holds {words.nunique()} names of {found.number} subjects, if their last number counts "
                "recordings: those of one agree in the target; give a column that names the subject alone"
            )


def beside(points: np.ndarray, groups: np.ndarray) -> Iterator[str]:
    """Yields a line where rows are nearest to those beside them in the file, as one patient's are.

    Args:
        points: Rows in the shape (rows, columns), in standard deviations.
        groups: The patient of each row.
    """
    points, groups = points[:MOST_BESIDE_ROWS], groups[:MOST_BESIDE_ROWS]
    steps = np.diff(points, axis=0)
    in_order = np.maximum((steps >= 0).mean(axis=0), (steps <= 0).mean(axis=0)) > 0.9
    grains = np.array([0 if skip else len(np.unique(column)) for skip, column in zip(in_order, points.T, strict=True)])
    points = points[:, np.argsort(grains)[::-1][: min((grains > 1).sum(), SEARCHED)]]
    if points.shape[1] < 3 or len(points) < 10 * BESIDE:
        return
    here, other = np.arange(len(points)), _nearest(points)
    share = float(((np.abs(other - here) <= BESIDE) & (groups[other] != groups)).mean())
    chance = 2 * BESIDE / len(points)
    if share >= max(MOST_BESIDE, 5 * chance):
        yield (
            f"{share:.0%} of the rows are most like one beside them in the file (by chance {chance:.0%}), "
            "as rows of one patient are; if so, set dataset.patient"
        )


def _nearest(points: np.ndarray) -> np.ndarray:
    """Returns the number of the row that is nearest to each one: all are compared, as a tree is no quicker here."""
    found, squares = np.empty(len(points), dtype=int), (points**2).sum(axis=1)
    for first in range(0, len(points), BLOCK):
        rows = np.arange(first, min(first + BLOCK, len(points)))
        apart = squares - 2 * points[rows] @ points.T
        apart[rows - first, rows] = np.inf
        found[rows] = apart.argmin(axis=1)
    return found


def shared(codes: np.ndarray, rows: Mapping[str, np.ndarray]) -> bool:
    """Tells whether a level has rows in several splits."""
    seen = [np.unique(codes[chosen][codes[chosen] >= 0]) for chosen in rows.values()]
    together = np.concatenate(seen)
    return len(np.unique(together)) < len(together)


def codes_of(column: pd.Series) -> np.ndarray:
    """Returns a column's levels as whole numbers in their order, -1 where missing."""
    try:
        return pd.factorize(column, sort=True)[0]
    except TypeError:  # mixed or unhashable cells
        return pd.factorize(column.astype(str))[0]


def _targets(dataset: Dataset, rows: np.ndarray) -> list[np.ndarray]:
    """Returns each target as a number a row; what has no varying one has none."""
    y = np.asarray(dataset.y)[rows].astype(float)
    return [] if y.ndim == 2 and not y.shape[1] else list(y.reshape(len(y), -1).T)


def _cells(dataset: TableDataset, name: Any, rows: np.ndarray) -> Cells:
    column = dataset.x[name].iloc[rows]
    codes = codes_of(column)
    if dataset.kinds[name] == "categorical":
        commonest = np.bincount(codes[codes >= 0], minlength=1).argmax()
        return Cells(codes, (codes == commonest).astype(float), ordered=False)
    known = codes[codes >= 0]
    return Cells(codes, np.where(codes < 0, known.mean() if len(known) else 0, codes), ordered=True)
