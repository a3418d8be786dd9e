"""What a finished model expects of the columns of new patients, and what is odd about them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from medfit.data.readers.cells import NONE, numbers_in
from medfit.evidence.differences import Distribution

MARGIN = 0.5  # of the spread of the middle 98 %, beyond which a number was in no training row, or hardly
FEWEST = 10  # new rows whose middle value tells whether a unit is another


@dataclass(frozen=True)
class Column:
    """A feature as the training rows had it; nothing in it is of a single patient but the names of levels.

    Args:
        name: Of the column.
        kind: ``numeric``, ``categorical`` or ``boolean``.
        unit: Empty where it has none, or none is known.
        levels: Of a categorical column.
        low: Numbers below it are out of range: the first percentile less half the spread of the middle 98 %.
        high: Numbers above it are out of range, likewise.
        missing: Share of the training rows that lacked it.
        mean: Of the known numbers, or the share of yes; None of words, and in models of before.
        sd: Their standard deviation.
        shares: Of the levels, in their order, among the rows that have one.
    """

    name: str
    kind: str
    unit: str = ""
    levels: list[str] = field(default_factory=list)
    low: float | None = None
    high: float | None = None
    missing: float = 0.0
    mean: float | None = None
    sd: float | None = None
    shares: list[float] = field(default_factory=list)

    @property
    def distribution(self) -> Distribution:
        """What is known of its values in the training rows."""
        return Distribution(self.mean, self.sd, dict(zip(self.levels, self.shares, strict=False)), self.missing)


@dataclass(frozen=True)
class Oddity:
    """What is odd about some of the new rows.

    Args:
        column: In which.
        what: In words, without any value.
        rows: Marks of the rows, in the shape (rows,).
        remark: Whether it is to stand beside the predictions, too.
    """

    column: str
    what: str
    rows: np.ndarray
    remark: bool = True


def lines(found: Sequence[Oddity]) -> Iterator[str]:
    """Yields a line for each thing that is odd, with the columns and how many rows of each."""
    for what in dict.fromkeys(one.what for one in found):
        columns = [f"'{one.column}' ({int(one.rows.sum())})" for one in found if one.what == what]
        yield f"of {len(found[0].rows)} rows, {what}: {', '.join(columns)}"


def expected(x: pd.DataFrame, kinds: Mapping[str, str], units: Mapping[str, str]) -> list[dict[str, Any]]:
    """Returns what JSON can hold of each :class:`Column`.

    Args:
        x: The training rows alone.
        kinds: Of the columns.
        units: Of those that have one.
    """
    return [asdict(_column(x[name], kinds[str(name)], units.get(str(name), ""))) for name in x]


def _column(values: pd.Series, kind: str, unit: str) -> Column:
    found = Distribution.of(values, of_words=kind == "categorical")
    name, missing = str(values.name), float(values.isna().mean())
    column = Column(name, kind, unit, missing=missing, mean=found.mean, sd=found.sd)
    if kind == "categorical":
        return replace(column, levels=list(found.shares), shares=list(found.shares.values()))
    if kind == "boolean":
        return replace(column, low=0.0, high=1.0)
    low, high = np.quantile(values.dropna().to_numpy(dtype=float), [0.01, 0.99])
    margin = MARGIN * (high - low)
    return replace(column, low=float(low - margin), high=float(high + margin))


def joined_columns(several: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Returns what several trainings expect together: the levels and the ranges of all their training rows.

    Args:
        several: Of each training, as :func:`expected` gave it; the same columns in the same order.
    """
    return [asdict(_joined([Column(**column) for column in own])) for own in zip(*several, strict=True)]


def _joined(own: Sequence[Column]) -> Column:
    lows = [column.low for column in own if column.low is not None]
    highs = [column.high for column in own if column.high is not None]
    shares = [column.distribution.shares for column in own]
    levels = sorted({level for column in own for level in column.levels})
    return replace(
        own[0],
        levels=levels,
        shares=[float(np.mean([one.get(level, 0.0) for one in shares])) for level in levels] if all(shares) else [],
        low=min(lows, default=None),
        high=max(highs, default=None),
        missing=float(np.mean([column.missing for column in own])),
        mean=_middle([column.mean for column in own]),
        sd=_middle([column.sd for column in own]),
    )


def _middle(values: Sequence[float | None]) -> float | None:
    """Returns the mean of those that are known; None without any."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def as_known(
    cells: pd.Series, column: Column, fold_case: bool, decimal: str = ".", thousands: str | None = None
) -> pd.Series:
    """Returns the cells of a categorical column as the levels that the model knows; others stay as they are.

    Each cell is read by itself, so that a row alone means what it means among others: ``01``, ``1`` and ``1.0`` are the
    level ``01``, unless two levels are that number. ``None`` is missing where the levels are numbers or truths, as it
    was in training; among words it is a value.

    Args:
        cells: Without spaces, NaN where missing.
        column: What is expected.
        fold_case: Whether levels that differ by case alone are one.
        decimal: The decimal mark of numbers in words.
        thousands: What groups their thousands.
    """
    known = {_plain(level, fold_case): level for level in column.levels} | {level: level for level in column.levels}
    of_levels = numbers_in(pd.Series(column.levels, dtype=object))
    once = of_levels[~of_levels.duplicated(keep=False)].dropna()
    by_number = {number: column.levels[place] for place, number in once.items()}
    numbers = numbers_in(cells, decimal, thousands)
    found = [
        known.get(str(cell).strip()) or known.get(_plain(cell, fold_case)) or by_number.get(number) or str(cell)
        for cell, number in zip(cells, numbers, strict=True)
    ]
    words = of_levels.isna() & ~pd.Series(column.levels, dtype=object).str.lower().isin(("true", "false"))
    missing = cells.isna() | (cells.eq(NONE) & (not words.any()))
    return pd.Series(found, index=cells.index, dtype=object).mask(missing, np.nan)


def _plain(cell: Any, fold_case: bool) -> str:
    word = str(cell).strip()
    word = word[:-2] if word.endswith(".0") and word[:-2].lstrip("-").isdigit() else word
    return word.casefold() if fold_case else word


def oddities(x: pd.DataFrame, columns: Sequence[Column]) -> Iterator[Oddity]:
    """Yields what is odd about new rows: cells that are missing, of no known level, or out of the training range.

    Args:
        x: The rows, as the preprocessing takes them.
        columns: What is expected.
    """
    for column in columns:
        cells = x[column.name]
        missing = cells.isna().to_numpy()
        if missing.all():
            yield Oddity(column.name, "all missing, and filled as in training", missing)
        elif missing.any() and not column.missing:
            yield Oddity(column.name, "missing, which it never was in training", missing)
        if column.kind == "categorical":
            unseen = ~cells.isin(column.levels).to_numpy() & ~missing
            if unseen.any():
                yield Oddity(column.name, "a level that no training row had", unseen)
        elif column.low is not None:
            values = cells.to_numpy(dtype=float)
            outside = (values < column.low) | (values > column.high)
            if outside.any():
                yield Oddity(column.name, "beyond the training range" + _unit(values, column), outside)


def _unit(values: np.ndarray, column: Column) -> str:
    """Returns a question where the middle of the new rows lies beyond the training range."""
    known = values[np.isfinite(values)]
    assert column.low is not None and column.high is not None
    if len(known) < FEWEST or column.low <= np.median(known) <= column.high:
        return ""
    return f", the middle one too; is it in another unit than {column.unit or 'in training'}?"
