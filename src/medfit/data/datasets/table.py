"""A user's own table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
import pandas as pd

from medfit.data.datasets import suspects
from medfit.data.datasets.options import Options, TableReader
from medfit.data.datasets.records import Records
from medfit.data.datasets.roles import check_columns, check_finite, check_numbers
from medfit.data.readers.files import first_row
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
        units: Of columns.
        **options: As :class:`medfit.data.datasets.options.Options` describes them.
    """

    def __init__(
        self,
        path: str,
        target: str | list[str] | None = None,
        patient: str | None = None,
        exclude: Sequence[str] = (),
        split: str | None = None,
        kinds: Mapping[str, Kind] | None = None,
        units: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        file, reader = Path(path).expanduser(), TableReader(**options)
        table, apart = reader.read(path), [name for name in (patient, split) if name]
        check_columns(table, {"exclude": exclude})
        whole, targets, found_units = reader.ask(table, target, apart, [*exclude, *apart])
        units = found_units | dict(units or {})
        check_columns(whole, {"kinds": kinds, "units": units})
        table, about, told = reader.roles(whole, targets, patient, split)
        x = table.drop(columns=[column for column in exclude if column in table])
        all_kinds = {str(column): (kinds or {}).get(str(column)) or infer_kind(x[column]) for column in x}
        super().__init__(
            name=Path(file.name.removesuffix(".gz")).stem, x=_as_kinds(x, all_kinds), kinds=all_kinds, units=units,
            source=f"{file.name}, the user's own", facts=table.drop(columns=x.columns), **about,
        )  # fmt: skip
        counts = pd.Series(list(all_kinds.values())).value_counts()
        features = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        say(f"{file.name}: {told}; features: {features} (medfit inspect shows each column)")
        suspects.tell(whole[targets], whole[x.columns], all_kinds)


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
