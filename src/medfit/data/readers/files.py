"""Reading a user's table, with errors that name the file, the row and the column."""

import csv
import gzip
import io
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from medfit.data.readers.cells import MissingValues, Thousands, cleaned
from medfit.data.readers.column_names import check_names
from medfit.data.readers.leftovers import check_totals, without_nameless
from medfit.errors import UserError, suggest
from medfit.terminal.console import say

READERS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".xlsx", ".xlsm", ".arff")
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")  # 7.589: a number, or thousands


def read_table(
    path: Path,
    *,
    encoding: str = "utf-8",
    decimal: str = ".",
    missing_values: MissingValues = ("?",),
    header: bool = True,
    thousands: Thousands | None = None,
    missing_in: Mapping[str, MissingValues] | None = None,
    missing_words: bool = True,
    sheet: str | int | None = None,
    skip_rows: int = 0,
    words: Collection[str] = (),
) -> pd.DataFrame:
    """Returns the table in a CSV, TSV (both also as ``.gz``), Parquet or Excel file, with at least one row.

    Args:
        path: Its ending says the format. A CSV's separator may be a comma, semicolon, tab or bar.
        encoding: Of a text file.
        decimal: The decimal mark of numbers in text.
        missing_values: Cells that mean "missing", besides empty ones and the usual words.
        header: Whether a text file's first row names the columns; else they are named 0, 1 and so on.
        thousands: What groups the thousands of numbers in text.
        missing_in: Cells that do in a column alone.
        missing_words: Whether the usual words (``NA``, ``NaN``, ``null``) mean "missing".
        sheet: Of a workbook, by name or number from 1; None for the first, which is said where there are others.
        skip_rows: How many rows of a text file or a sheet stand above the header.
        words: Columns whose cells stay as they are written, as of identifiers with leading zeros.

    Raises:
        UserError: the file is missing, empty, not of its format, cut off or ragged, has no header, names two columns
            alike, or ends with a row of totals.
    """
    suffix = _format_of(path)
    if suffix.startswith((".csv", ".tsv", ".txt")):
        table = _read_text(path, encoding, decimal, header, skip_rows, words)
    else:
        table = _read_binary(path, suffix, sheet, skip_rows, words)
    if len(table) == 0:
        raise UserError(f"dataset.path: '{path}' has a header but no rows")
    table.columns = [str(column).strip() for column in table.columns]
    kept = {name: table[name] for name in words if name in table}
    table = cleaned(table.drop(columns=list(kept)), missing_values, missing_in, missing_words, decimal, thousands)
    table = without_nameless(path, table.assign(**kept))
    check_totals(path, table)
    return table


def _format_of(path: Path) -> str:
    """Returns the ending of a file that says its format."""
    if not path.is_file():
        raise UserError(f"dataset.path: there is no file '{path}'")
    if path.stat().st_size == 0:
        raise UserError(f"dataset.path: '{path}' is empty")
    two = "".join(path.suffixes[-2:]).lower()
    suffix = two if two in READERS else path.suffix.lower()
    if suffix not in READERS:
        raise UserError(f"dataset.path: '{path}' has none of the endings {', '.join(READERS)}")
    return suffix


def cells_of(text: str, name: str) -> tuple[list[str], list[list[str]]]:
    """Returns the names of a CSV's columns, and its rows' cells as they are written.

    Args:
        text: The CSV.
        name: What it is called in errors.

    Raises:
        UserError: as :func:`read_table` refuses a text file.
    """
    if "\0" in text:
        raise UserError(f"dataset.path: '{name}' is binary, not a table in text")
    separator, names = _check_shape(Path(name), text)
    check_names(Path(name), names, own=False)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    return [name.strip() for name in names], [row for row in lines if row][1:]


def _read_text(
    path: Path, encoding: str, decimal: str, header: bool, skip_rows: int, words: Collection[str]
) -> pd.DataFrame:
    text = _text(path, encoding)
    if "\0" in text:
        raise UserError(f"dataset.path: '{path}' is a binary file, not a table in text")
    text = re.split(r"\r\n|\n|\r", text, maxsplit=skip_rows)[-1] if skip_rows else text
    separator, names = _check_shape(path, text)
    if header:
        check_names(path, names)
    kept: dict[str, Any] = {"sep": separator, "header": "infer" if header else None, "skipinitialspace": True}
    kept |= {"keep_default_na": False, "na_values": [""]}
    as_written = {column: str for column in names if column.strip() in words}
    table = pd.read_csv(io.StringIO(text, newline=""), decimal=decimal, low_memory=False, dtype=as_written, **kept)
    if separator == ";" and decimal == ".":
        fractions = [place for place in range(table.shape[1]) if table.dtypes.iloc[place].kind == "f"]
        _tell_of_points(pd.read_csv(io.StringIO(text, newline=""), dtype=str, usecols=fractions, **kept))
    return table


def _text(path: Path, encoding: str) -> str:
    encoding_of = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path, "rt", encoding=encoding_of, newline="") as file:
                return file.read()
        with path.open(encoding=encoding_of, newline="") as file:
            return file.read()
    except (UnicodeError, LookupError) as error:
        other = "utf-16" if _is_utf_16(path) else "latin-1"
        raise UserError(
            f"dataset.path: '{path}' is not {encoding} text ({error}); try dataset.encoding={other}"
        ) from error
    except (OSError, EOFError) as error:
        raise UserError(f"dataset.path: '{path}' is not a whole gzip file ({error})") from error


def _is_utf_16(path: Path) -> bool:
    """Tells whether a file begins as Excel's "Unicode text" does."""
    with path.open("rb") as file:
        return file.read(2) in (b"\xff\xfe", b"\xfe\xff")


def _tell_of_points(cells: pd.DataFrame) -> None:
    """Says which columns of a file that may be German or French hold numbers that may be thousands."""
    for name in cells:
        known = cells[name].dropna().str.strip()
        points = known.str.contains(".", regex=False)
        if points.sum() > 1 and known[points].map(lambda cell: GROUPED.fullmatch(cell) is not None).all():
            say(
                f"Warning: column '{name}': all {int(points.sum())} numbers with a point have three digits behind it; "
                "if points group thousands, as in 7.589 for 7589, set dataset.decimal=',' dataset.thousands='.'."
            )


def _check_shape(path: Path, text: str) -> tuple[str, list[str]]:
    """Returns the separator and the first row, having made sure that all rows are as long and the last is whole."""
    header = text.lstrip("\r\n").split("\n", 1)[0]
    separator = max(",;\t|", key=header.count)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
        number, names = next(((number, row) for number, row in enumerate(lines, 1) if row), (0, []))
        lengths = [(number, len(row)) for number, row in enumerate(lines, number + 1) if row]
    except csv.Error as error:
        raise UserError(f"dataset.path: '{path}' is cut off or has a stray quote ({error})") from error
    if not names:
        raise UserError(f"dataset.path: '{path}' holds no rows")
    for number, length in lengths:
        if length != len(names):
            last = " (the last row: is the file cut off?)" if number == lengths[-1][0] else ""
            raise UserError(
                f"dataset.path: '{path}', row {number}: {len(names)} columns were expected, {length} came{last}"
            )
    return separator, names


def _read_binary(
    path: Path, suffix: str, sheet: str | int | None, skip_rows: int, words: Collection[str]
) -> pd.DataFrame:
    kind = {".parquet": "Parquet", ".arff": "ARFF"}.get(suffix, "Excel")
    try:
        if kind == "Excel":
            return _read_excel(path, sheet, skip_rows, words)
        return _read_parquet(path) if kind == "Parquet" else _read_arff(path)
    except UserError:
        raise
    except Exception as error:  # each reader has its own kinds
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"dataset.path: '{path}' is not a whole {kind} file ({reason})") from error


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow.parquet import read_schema  # late: a quick start

    check_names(path, read_schema(path).names)
    table = pd.read_parquet(path)
    return table.reset_index(drop=all(name is None for name in table.index.names))  # a named index is a column


def _read_excel(path: Path, sheet: str | int | None, skip_rows: int, words: Collection[str]) -> pd.DataFrame:
    with pd.ExcelFile(path) as book:
        name = _sheet(path, [str(name) for name in book.sheet_names], sheet)
        header = pd.read_excel(book, sheet_name=name, header=None, nrows=1, skiprows=skip_rows).to_numpy().ravel()
        check_names(path, [str(cell) for cell in header if not pd.isna(cell)])
        as_written = {cell: object for cell in header if str(cell).strip() in words}  # else pandas makes 7 of "007"
        return pd.read_excel(
            book, sheet_name=name, skiprows=skip_rows, keep_default_na=False, na_values=[""], dtype=as_written
        )


def _sheet(path: Path, names: list[str], sheet: str | int | None) -> str:
    """Returns the name of the sheet to read, and says which others there are."""
    told = ", ".join(f"'{name}'" for name in names)
    if sheet is None:
        if len(names) > 1:
            say(f"{path.name}: of the sheets {told} only '{names[0]}' is read; dataset.sheet=... takes another.")
        return names[0]
    if isinstance(sheet, str) and sheet in names:
        return sheet
    if isinstance(sheet, int) and 1 <= sheet <= len(names):
        return names[sheet - 1]
    near = suggest(sheet, names) if isinstance(sheet, str) else ""
    raise UserError(f"dataset.sheet: '{path}' has no sheet {sheet!r}{near} (sheets: {told})")


def _read_arff(path: Path) -> pd.DataFrame:
    from scipy.io import arff  # late: a quick start

    table = pd.DataFrame(arff.loadarff(path)[0])
    return table.map(lambda cell: cell.decode() if isinstance(cell, bytes) else cell)


def first_row(marked: pd.Series) -> int:
    """Returns the number of the first marked row below the file's header, from 1."""
    return int(marked.index[marked][0]) + 1
