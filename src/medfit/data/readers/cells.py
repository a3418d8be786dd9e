"""What the cells of a user's table say: numbers, words, or that a value is missing."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

import numpy as np
import pandas as pd

from medfit.errors import UserError
from medfit.terminal.console import say

Mark = str | int | float
MissingValues = Sequence[Mark]
Thousands = Literal[".", ",", " ", "'"]
NUMBERS = (str, int, float, Decimal, np.integer, np.floating)
USUAL = frozenset({
    "nan", "NaN", "-nan", "-NaN", "NA", "<NA>", "#N/A", "#N/A N/A", "#NA", "N/A", "n/a", "NULL", "null",
    "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
})  # fmt: skip
NONE = "None"  # a missing number, but often a value among words: no diagnosis, no drug
POINTS = re.compile(r"[+-]?\d+\.[\d.]*(,\d*)?")
POINTED_DATE = re.compile(r"\d{1,2}\.\d{1,2}\.(\d{2}|\d{4})")
MOST_DIGITS = 15  # that a float holds


def cleaned(
    table: pd.DataFrame,
    missing_values: MissingValues = (),
    missing_in: Mapping[str, MissingValues] | None = None,
    missing_words: bool = True,
    decimal: str = ".",
    thousands: str | None = None,
) -> pd.DataFrame:
    """Returns a table without spaces around words, with missing cells as such, and columns of numbers as numbers.

    Args:
        table: As it was read; cells may be numbers or words.
        missing_values: Cells that mean "missing", in all columns.
        missing_in: Cells that do in a column alone.
        missing_words: Whether the usual words (``NA``, ``NaN``, ``null``) mean "missing"; ``None`` does so among
            numbers and truths, and is a value among other words.
        decimal: The decimal mark of numbers in words.
        thousands: What groups their thousands.

    Raises:
        UserError: points where the decimal mark is a comma.
    """
    columns = {}
    for name in table:
        marks = [*missing_values, *(missing_in or {}).get(str(name), ())]
        columns[name] = _column(table[name], marks, missing_words, decimal, thousands)
    return pd.DataFrame(columns, index=table.index)


def _column(
    column: pd.Series, marks: Sequence[Mark], missing_words: bool, decimal: str, thousands: str | None
) -> pd.Series:
    if pd.api.types.is_bool_dtype(column) or column.dtype.kind in "mM":
        return column
    if pd.api.types.is_numeric_dtype(column):
        marked = column.isin(_numbers_of(marks))
        return column.mask(marked) if marked.any() else column
    if not column.map(pd.api.types.is_hashable).all():
        return column
    cells = column.astype(object)
    words = as_words(cells, marks, missing_words, decimal, thousands)
    numbers = numbers_in(words, decimal, thousands)
    none = words.eq(NONE) if missing_words else pd.Series(False, index=words.index)
    rest = words.mask(none).dropna()
    if len(rest) and numbers[rest.index].notna().all() and not rest.map(_is_long).any():
        return numbers.mask(words.isna()) if words.isna().any() else numbers
    _refuse_points(rest, numbers, decimal)
    _tell(cells, words, none, missing_words)
    truths = none & rest.map(lambda cell: str(cell).lower() in ("true", "false")).all()
    if not (changed := words.mask(truths, np.nan)).equals(cells):
        return changed
    return column


def as_words(
    cells: pd.Series,
    marks: Sequence[Mark] = (),
    missing_words: bool = True,
    decimal: str = ".",
    thousands: str | None = None,
) -> pd.Series:
    """Returns cells without spaces around words, NaN where one means "missing", each by what it says itself.

    Args:
        cells: As they were read.
        marks: Cells that mean "missing".
        missing_words: See :func:`cleaned`, as for the rest.
        decimal: See there.
        thousands: See there.
    """
    words = cells.astype(object).map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    means_missing = {"", *map(str, marks), *(USUAL if missing_words else ())}
    words = words.mask(words.map(lambda cell: isinstance(cell, str) and cell in means_missing), np.nan)
    if numbers := _numbers_of(marks):
        words = words.mask(numbers_in(words, decimal, thousands).isin(numbers), np.nan)
    return words


def _is_long(cell: object) -> bool:
    """Tells whether a word has more digits than a number can hold, as of a patient's number."""
    return isinstance(cell, str) and cell.isdigit() and len(cell) > MOST_DIGITS


def _numbers_of(marks: Iterable[Mark]) -> list[float]:
    return [float(n) for n in pd.to_numeric(pd.Series(list(marks), dtype=object), errors="coerce").dropna()]


def numbers_in(cells: pd.Series, decimal: str = ".", thousands: str | None = None) -> pd.Series:
    """Returns cells as numbers, NaN where one is none: ``1.234,5`` with a comma and points is 1234.5.

    Args:
        cells: Of numbers and words.
        decimal: The decimal mark.
        thousands: What groups thousands; groups must be whole. None where nothing does.
    """
    words = cells.map(lambda cell: isinstance(cell, str))
    plain = cells.map(_number_or_word)
    if thousands is not None:
        grouped = re.compile(rf"[+-]?\d{{1,3}}({re.escape(thousands)}\d{{3}})+({re.escape(decimal)}\d*)?")
        plain = plain.map(
            lambda cell: cell.replace(thousands, "") if isinstance(cell, str) and grouped.fullmatch(cell) else cell
        )
    if decimal != ".":
        points = words & plain.map(lambda cell: isinstance(cell, str) and "." in cell)
        plain = plain.map(lambda cell: cell.replace(decimal, ".") if isinstance(cell, str) else cell).mask(points)
    return pd.to_numeric(plain, errors="coerce")


def _number_or_word(cell: object) -> object:
    """Returns a cell that may be a number, NaN in the place of others; a whole number beyond all floats is infinite."""
    if not isinstance(cell, NUMBERS) or isinstance(cell, bool):
        return np.nan
    return (np.inf if cell > 0 else -np.inf) if isinstance(cell, int) and abs(cell) > sys.float_info.max else cell


def _refuse_points(rest: pd.Series, numbers: pd.Series, decimal: str) -> None:
    """Refuses a column of numbers some of which have points, where the decimal mark is another; dates are none."""
    points = rest.map(lambda cell: isinstance(cell, str) and POINTS.fullmatch(cell) is not None)
    dates = rest.map(lambda cell: isinstance(cell, str) and POINTED_DATE.fullmatch(cell) is not None)
    if decimal != "." and not dates[points].all() and (points | numbers[rest.index].notna()).all():
        raise UserError(
            f"dataset.decimal: column '{rest.name}' holds {int(points.sum())} numbers with points, though the decimal "
            f"mark is '{decimal}' (first in data row {int(points.index[points][0]) + 1}); where points group "
            "thousands, as in 7.589 for 7589, set dataset.thousands='.'; else mend the column or leave it out"
        )


def _tell(cells: pd.Series, words: pd.Series, none: pd.Series, missing_words: bool) -> None:
    """Says what was done with words that may or may not mean "missing"."""
    dropped = int((cells.map(lambda cell: isinstance(cell, str) and cell.strip() == "NA") & words.isna()).sum())
    if dropped and missing_words:
        say(f"Column '{cells.name}': {dropped} cells 'NA' are missing (dataset.missing_words=false: a value).")
    if none.any():
        say(f"Column '{cells.name}': {int(none.sum())} cells say 'None'; among words that is a value, not missing.")
