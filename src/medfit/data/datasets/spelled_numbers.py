"""Numbers that a table spells in words: ``<0.1``, ``4,2``, ``120/80``, ``95%``, ``70 kg``, ``2019-03``."""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from medfit.data.readers.cells import numbers_in
from medfit.data.readers.files import first_row
from medfit.errors import UserError

Way = Literal["number", "censored", "pair", "date"]
NUMBER = r"[+-]?\d+(?:[.,' ]\d+)*"
UNIT = r"(?:%|[A-Za-zµ°][\w/%°µ^²³.*-]*)"
CENSORED = re.compile(rf"([<>≤≥]=?)\s*({NUMBER})")
WITH_UNIT = re.compile(rf"({NUMBER})\s*({UNIT})?")
PAIR = re.compile(r"(\d{2,3})\s*/\s*(\d{2,3})")
DATE = re.compile(r"\d{4}-\d{1,2}(-\d{1,2})?([T ]\d.*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{1,2}/\d{4}")
GERMAN_DATE = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
COMMA = re.compile(r"[+-]?\d+,\d+")
GROUPS = re.compile(r"[+-]?\d{1,3}(?:([,.' ])\d{3})(?:\1\d{3})+|[+-]?\d{1,3}[' ]\d{3}")
REFERENCE = "2000-01-01"
MOST_OTHERS = 0.5  # of the cells may be other words


class Spelling(NamedTuple):
    """How a column spells numbers.

    Args:
        what: The cells, for a message.
        way_out: The setting that reads them.
        marked: Them.
    """

    what: str
    way_out: str
    marked: pd.Series


def spelling(column: pd.Series) -> Spelling | None:
    """Returns how a column of words spells numbers, None where it doesn't."""
    known = column.dropna().astype(object)
    words = known[known.map(lambda cell: isinstance(cell, str))].str.strip()
    if not len(words):
        return None
    numbers, parse = int(numbers_in(known).notna().sum()), "dataset.parse={" + str(column.name)
    units = words.str.extract(f"^{WITH_UNIT.pattern}$")[1].dropna()
    ways = [
        ("values beyond a limit, as <0.1,", f"{parse}:censored}}", CENSORED),
        ("pairs of numbers, as 120/80,", f"{parse}:pair}}", PAIR),
        ("dates", f"{parse}:date}}", DATE),
        ("numbers with grouped thousands", "dataset.thousands", GROUPS),
        ("numbers with a decimal comma", "dataset.decimal=','", COMMA),
        ("numbers with a unit", f"{parse}:number}}", WITH_UNIT if units.nunique() == 1 else None),
    ]
    for what, way_out, pattern in ways:
        fits = words.map(lambda cell, pattern=pattern: bool(pattern and pattern.fullmatch(cell)))
        marked = fits & numbers_in(words).isna()
        bands = pattern is CENSORED and not numbers  # <=20, 20-50, >50
        if marked.any() and not bands and numbers + marked.sum() > MOST_OTHERS * len(known):
            return Spelling(what, way_out, marked)
    return None


def refuse(column: pd.Series, path: str, way_out: str) -> None:
    """Refuses a column that spells numbers in words.

    Args:
        column: Of a table.
        path: Of the config, for the error.
        way_out: How to have them taken as words.
    """
    if found := spelling(column):
        raise UserError(
            f"{path}: column '{column.name}' holds {found.what} in {int(found.marked.sum())} cells (first in data row "
            f"{first_row(found.marked)}); read them with {found.way_out}, leave the column out, or {way_out}"
        )


def parsed(
    table: pd.DataFrame, ways: Mapping[str, Way], decimal: str, thousands: str | None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Returns a table whose columns of spelled numbers are numbers, and the units that they had.

    ``censored`` gives the limit as the value, and columns ``<name> below`` and ``<name> above`` that mark it; ``pair``
    the columns ``<name> 1`` and ``<name> 2``; ``date`` days since 2000-01-01; ``number`` leaves out a unit.

    Args:
        table: A user's.
        ways: Of columns.
        decimal: The decimal mark.
        thousands: What groups thousands; None where nothing does.

    Raises:
        UserError: cells that are not of the kind, or of several units.
    """
    parts: list[pd.DataFrame] = []
    units: dict[str, str] = {}
    for name in table:
        column = table[name]
        if (way := ways.get(str(name))) is None:
            parts.append(column.to_frame())
        elif way == "number":
            made, unit = _number(column, decimal, thousands)
            parts.append(made)
            units |= {str(name): unit} if unit else {}
        else:
            read = {"pair": _pair, "date": _date}.get(way)
            parts.append(read(column) if read else _censored(column, decimal, thousands))
    whole = pd.concat(parts, axis=1)
    if twice := [str(name) for name in whole.columns[whole.columns.duplicated()]]:
        raise UserError(f"dataset.parse: there is a column '{twice[0]}' already")
    return whole, units


def _matched(column: pd.Series, pattern: re.Pattern[str]) -> pd.DataFrame:
    """Returns the groups of a pattern in each cell; a number stands in all."""
    return column.map(lambda cell: cell if pd.isna(cell) else str(cell).strip()).astype("str").str.extract(
        f"^(?:{pattern.pattern})$"
    )  # fmt: skip


def _checked(column: pd.Series, numbers: pd.Series, way: Way) -> pd.Series:
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        raise UserError(
            f"dataset.parse: {int(wrong.sum())} cells of column '{column.name}' can't be read as {way} "
            f"(first in data row {first_row(wrong)})"
        )
    return numbers


def _number(column: pd.Series, decimal: str, thousands: str | None) -> tuple[pd.DataFrame, str]:
    found = _matched(column, WITH_UNIT)
    units = found[1].dropna().unique().tolist()
    if len(units) > 1:
        raise UserError(f"dataset.parse: column '{column.name}' holds numbers in {len(units)} units; bring them to one")
    numbers = _checked(column, numbers_in(found[0], decimal, thousands), "number")
    return numbers.rename(column.name).to_frame(), str(units[0]) if units else ""


def _censored(column: pd.Series, decimal: str, thousands: str | None) -> pd.DataFrame:
    found = _matched(column, CENSORED)
    plain = numbers_in(column, decimal, thousands)
    limits = numbers_in(found[1], decimal, thousands)
    made = {column.name: _checked(column, plain.fillna(limits), "censored")}
    for word, marks in (("below", "<≤"), ("above", ">≥")):
        beyond = found[0].str[0].isin(list(marks))
        if beyond.any():
            made[f"{column.name} {word}"] = beyond.astype(float).where(column.notna())
    return pd.DataFrame(made)


def _pair(column: pd.Series) -> pd.DataFrame:
    found = _matched(column, PAIR)
    both = {f"{column.name} {place + 1}": pd.to_numeric(found[place]) for place in (0, 1)}
    return pd.DataFrame({name: _checked(column, numbers, "pair") for name, numbers in both.items()})


def _date(column: pd.Series) -> pd.DataFrame:
    if column.dtype.kind == "M":
        dates = column.dt.tz_localize(None) if getattr(column.dt, "tz", None) is not None else column
    else:
        text = column.map(lambda cell: cell if pd.isna(cell) else GERMAN_DATE.sub(r"\3-\2-\1", str(cell).strip()))
        iso = text.where(text.map(lambda cell: isinstance(cell, str) and re.match(r"\d{4}-\d", cell) is not None))
        dates = pd.to_datetime(iso, errors="coerce", format="ISO8601")
    days = (dates - pd.Timestamp(REFERENCE)) / np.timedelta64(1, "D")
    return _checked(column, days, "date").rename(column.name).to_frame()
