"""Reading a user's table, with errors that name the file, the row and the column."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from medfit.errors import UserError

READERS = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".xlsm")


def read_table(path: Path, *, encoding: str, decimal: str, missing_values: Sequence[str]) -> pd.DataFrame:
    """Returns the table in a CSV, TSV, Parquet or Excel file (its first sheet), with at least one row.

    Args:
        path: Its ending says the format. A CSV's separator may be a comma, semicolon, tab or bar.
        encoding: Of a text file.
        decimal: The decimal mark of a text file.
        missing_values: Cells that mean "missing", besides empty ones and the usual words.

    Raises:
        UserError: the file is missing, empty, not of its format, cut off or ragged.
    """
    if not path.is_file():
        raise UserError(f"dataset.path: there is no file '{path}'")
    if path.stat().st_size == 0:
        raise UserError(f"dataset.path: '{path}' is empty")
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise UserError(f"dataset.path: '{path}' has none of the endings {', '.join(READERS)}")
    if suffix in (".csv", ".tsv", ".txt"):
        table = _read_text(path, encoding, decimal, missing_values)
    else:
        table = _read_binary(path, suffix, missing_values)
    if len(table) == 0:
        raise UserError(f"dataset.path: '{path}' has a header but no rows")
    table.columns = [str(column).strip() for column in table.columns]
    if twice := sorted(set(table.columns[table.columns.duplicated()])):
        raise UserError(f"dataset.path: '{path}' has two columns named '{twice[0]}'")
    return table


def _read_text(path: Path, encoding: str, decimal: str, missing_values: Sequence[str]) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
            text = file.read()
    except (UnicodeDecodeError, LookupError) as error:
        raise UserError(
            f"dataset.path: '{path}' is not {encoding} text ({error}); try dataset.encoding=latin-1"
        ) from error
    if "\0" in text:
        raise UserError(f"dataset.path: '{path}' is a binary file, not a table in text")
    separator = _check_shape(path, text)
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
        return pd.read_csv(
            file,
            sep=separator,
            decimal=decimal,
            na_values=list(missing_values),
            skipinitialspace=True,
            low_memory=False,
        )


def _check_shape(path: Path, text: str) -> str:
    """Returns the separator, having made sure that all rows are as long as the header and the last is whole."""
    header = text.split("\n", 1)[0]
    separator = max(",;\t|", key=header.count)
    try:
        lengths = [
            (number, len(row))
            for number, row in enumerate(csv.reader(text.splitlines(True), delimiter=separator, strict=True), 1)
            if row
        ]
    except csv.Error as error:
        raise UserError(f"dataset.path: '{path}' is cut off or has a stray quote ({error})") from error
    if not lengths:
        raise UserError(f"dataset.path: '{path}' holds no rows")
    expected = lengths[0][1]
    for number, length in lengths:
        if length != expected:
            last = " (the last row: is the file cut off?)" if number == lengths[-1][0] else ""
            raise UserError(
                f"dataset.path: '{path}', row {number}: {expected} columns were expected, {length} came{last}"
            )
    return separator


def _read_binary(path: Path, suffix: str, missing_values: Sequence[str]) -> pd.DataFrame:
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_excel(path, na_values=list(missing_values))
    except Exception as error:  # each reader has its own kinds
        kind = "Parquet" if suffix == ".parquet" else "Excel"
        raise UserError(f"dataset.path: '{path}' is not a whole {kind} file ({str(error).splitlines()[0]})") from error
