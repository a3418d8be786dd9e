"""A user's own table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from medfit.data.datasets import suspects
from medfit.data.datasets.questions import by_rule, check_follow_up
from medfit.data.datasets.records import Records
from medfit.data.datasets.roles import check_columns, check_finite, check_numbers, take_roles
from medfit.data.datasets.spelled_numbers import Way, parsed
from medfit.data.datasets.suspects import folded
from medfit.data.readers.cells import MissingValues, Thousands
from medfit.data.readers.files import first_row, read_table
from medfit.errors import UserError
from medfit.terminal.console import say

Kind = Literal["numeric", "categorical", "boolean"]
MOST_LEVELS = 20  # words with more distinct values than this, each a few times, are no categories
FEWEST_REPEATS = 5


class Table(Records):
    """The rows of a CSV, TSV, Parquet or Excel file; says what it inferred.

    Spaces around words are no part of them. Columns that spell numbers in words, or hold a time to an event, are
    refused by name, with the way to have them; what may mean "missing" or is the same word in another case is said.

    Rows without a target are left out. One target column of two values is binary, of several values multiclass,
    of numbers (not whole, or more than ten different) regression; several columns are multilabel if each holds
    two values, else regression.

    Args:
        path: Of the file, relative to where the command is run.
        target: Its column, or several; None with ``target_rule``.
        patient: The column that says whose row it is; None where each row is a patient.
        exclude: Columns that are no features.
        split: The column that says ``train``, ``val`` or ``test``.
        kinds: Of columns whose kind is guessed wrong.
        target_kind: ``binary``, ``multiclass``, ``multilabel`` or ``regression``, where it is guessed wrong.
        positive: The positive value of a binary target; None for the larger of the two.
        units: Of columns.
        missing_values: Cells that mean "missing", besides empty ones and the usual words.
        missing_in: Cells that do in a column alone, as ``{age: [999]}``.
        missing_words: Whether the usual words (``NA``, ``NaN``, ``null``) mean "missing"; ``None`` does among numbers.
        decimal: The decimal mark of numbers in text.
        thousands: What groups the thousands of numbers in text; None where nothing does.
        encoding: Of a text file.
        sheet: Of a workbook, by name or number from 1; None for the first.
        skip_rows: How many rows stand above the names of the columns.
        parse: Of columns that spell numbers in words: ``number`` (with a unit), ``censored`` (``<0.1``), ``pair``
            (``120/80``) or ``date``, as :func:`medfit.data.datasets.spelled_numbers.parsed` reads them.
        fold_case: Whether words that differ by case or spaces alone are one.
        target_rule: A question to a column in the place of a target, as ``num > 0``.
        time_to_event: ``plain`` takes times and events as they stand, where they would be refused.
    """

    def __init__(
        self,
        path: str,
        target: str | list[str] | None = None,
        patient: str | None = None,
        exclude: Sequence[str] = (),
        split: str | None = None,
        kinds: Mapping[str, Kind] | None = None,
        target_kind: Literal["binary", "multiclass", "multilabel", "regression"] | None = None,
        positive: str | int | float | bool | None = None,
        units: Mapping[str, str] | None = None,
        missing_values: MissingValues = ("?",),
        missing_in: Mapping[str, MissingValues] | None = None,
        missing_words: bool = True,
        decimal: Literal[".", ","] = ".",
        thousands: Thousands | None = None,
        encoding: str = "utf-8",
        sheet: str | Annotated[int, Field(ge=1)] | None = None,
        skip_rows: Annotated[int, Field(ge=0)] = 0,
        parse: Mapping[str, Way] | None = None,
        fold_case: bool = False,
        target_rule: str | None = None,
        time_to_event: Literal["refuse", "plain"] = "refuse",
    ) -> None:
        file = Path(path).expanduser()
        table = read_table(
            file, encoding=encoding, decimal=decimal, missing_values=missing_values, thousands=thousands,
            missing_in=missing_in, missing_words=missing_words, sheet=sheet, skip_rows=skip_rows,
        )  # fmt: skip
        check_columns(table, {"exclude": exclude, "missing_in": missing_in, "parse": parse})
        table, found_units = parsed(table, parse or {}, decimal, thousands)
        units = found_units | dict(units or {})
        check_columns(table, {"kinds": kinds, "units": units})
        table, targets = _asked(table, target, target_rule)
        if time_to_event == "refuse":
            check_follow_up(table, targets, [*exclude, *filter(None, [patient, split])])
        if fold_case:
            table = table.apply(lambda column: column if column.name in (patient, split) else folded(column))
        whole = table
        table, about, told = take_roles(table, targets, patient, split, target_kind, positive)
        x = table.drop(columns=[column for column in exclude if column in table])
        all_kinds = {str(column): (kinds or {}).get(str(column)) or infer_kind(x[column]) for column in x}
        super().__init__(
            name=Path(file.name.removesuffix(".gz")).stem, x=_as_kinds(x, all_kinds), kinds=all_kinds, units=units,
            source=f"{file.name}, the user's own", facts=table.drop(columns=x.columns), **about,
        )  # fmt: skip
        counts = pd.Series(list(all_kinds.values())).value_counts()
        say(f"{file.name}: {told}; features: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
        for line in suspects.lines(whole[x.columns], all_kinds, whole[targets]):
            say(f"Warning: {line}.")


def _asked(
    table: pd.DataFrame, target: str | list[str] | None, target_rule: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """Returns the table with what it is asked as columns, and their names."""
    if (target is None) == (target_rule is None):
        raise UserError("dataset.target is needed: give dataset.target=... or dataset.target_rule=..., one of them")
    if target_rule is not None:
        return by_rule(table, target_rule), [target_rule]
    return table, [target] if isinstance(target, str) else list(target or ())


def infer_kind(column: pd.Series) -> str:
    """Returns ``numeric``, ``categorical`` or ``boolean``.

    Raises:
        UserError: dates, lists, words that hardly repeat, or numbers with words among them.
    """
    name, known = column.name, column.dropna()
    if column.dtype.kind in "mM" or not known.map(pd.api.types.is_hashable).all():
        raise UserError(
            f"dataset: column '{name}' holds {'dates or times' if column.dtype.kind in 'mM' else 'lists'}; "
            f"leave it out with dataset.exclude=['{name}'] or turn it into a number"
            + (f" with dataset.parse={{{name}:date}}" if column.dtype.kind == "M" else "")
        )
    if len(known) and _truth(known).notna().all():
        return "boolean"
    if check_numbers(column, "dataset", f"set dataset.kinds.'{name}'=categorical"):
        return "numeric"
    if known.nunique() > max(MOST_LEVELS, len(known) / FEWEST_REPEATS):
        raise UserError(
            f"dataset: column '{name}' holds {known.nunique()} different words in {len(known)} rows, as a name or "
            f"number of a patient does; leave it out with dataset.exclude=['{name}'] or name it as dataset.patient"
        )
    return "categorical"


def _truth(column: pd.Series) -> pd.Series:
    """Returns 1 for yes, 0 for no, and NaN for all else."""
    words = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
    return column.astype(str).str.strip().str.lower().map(words)


def _as_kinds(x: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Returns numbers as float64 (boolean as 0 and 1) and categories as words, missing cells as NaN."""
    columns = {}
    for name in x:
        column = x[name]
        if kinds[str(name)] == "categorical":
            columns[name] = column.astype(object).where(column.notna(), np.nan).map(str, na_action="ignore")
        else:
            columns[name] = as_numbers(column, kinds[str(name)], "dataset.kinds")
            check_finite(columns[name], "dataset")
    return pd.DataFrame(columns, index=x.index)


def as_numbers(column: pd.Series, kind: str, where: str) -> pd.Series:
    """Returns numbers as float64, or truths as 0 and 1; missing cells as NaN.

    Args:
        column: As it was read.
        kind: ``numeric`` or ``boolean``.
        where: The config path that is to blame.

    Raises:
        UserError: cells that are not of this kind.
    """
    numbers = _truth(column) if kind == "boolean" else pd.to_numeric(column, errors="coerce")
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        raise UserError(
            f"{where}: {int(wrong.sum())} cells of column '{column.name}' are not {kind} "
            f"(first in data row {first_row(wrong)})"
        )
    return numbers.astype(float)
