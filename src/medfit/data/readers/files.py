"""Reading a user's table, with errors that name the file, the row and the column."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from medfit.errors import UserError

READERS = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".xlsm", ".arff")
SPELT = ("string", "decimal", "integer", "floating", "mixed", "mixed-integer", "mixed-integer-float")  # to pandas


def read_table(
    path: Path, *, encoding: str, decimal: str, missing_values: Sequence[str], header: bool = True
) -> pd.DataFrame:
    """Returns the table in a CSV, TSV, Parquet or Excel file (its first sheet), with at least one row.

    Args:
        path: Its ending says the format. A CSV's separator may be a comma, semicolon, tab or bar.
        encoding: Of a text file.
        decimal: The decimal mark of a text file.
        missing_values: Cells that mean "missing", besides empty ones and the usual words.
        header: Whether a text file's first row names the columns; else they are named 0, 1 and so on.

    Raises:
        UserError: the file is missing, empty, not of its format, cut off or ragged, or names two columns alike.
    """
    if not path.is_file():
        raise UserError(f"dataset.path: there is no file '{path}'")
    if path.stat().st_size == 0:
        raise UserError(f"dataset.path: '{path}' is empty")
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise UserError(f"dataset.path: '{path}' has none of the endings {', '.join(READERS)}")
    if suffix in (".csv", ".tsv", ".txt"):
        table = _read_text(path, encoding, decimal, missing_values, header)
    else:
        table = _read_binary(path, suffix, missing_values)
    if len(table) == 0:
        raise UserError(f"dataset.path: '{path}' has a header but no rows")
    table.columns = [str(column).strip() for column in table.columns]
    return table.drop(columns=[column for column in table.columns[:1] if _is_row_number(table, column)])


def _is_row_number(table: pd.DataFrame, column: str) -> bool:
    """Tells whether a first column without a name merely counts the rows, as R's and pandas' writers add."""
    nameless = column.startswith("Unnamed: ") and pd.api.types.is_integer_dtype(table[column])
    return nameless and bool((table[column].diff()[1:] == 1).all())


def _check_names(path: Path, names: Iterable[str]) -> None:
    """Looks at the file's own header, as pandas renames the second of two columns."""
    seen: set[str] = set()
    for name in filter(None, (name.strip() for name in names)):
        if name in seen:
            raise UserError(f"dataset.path: '{path}' has two columns named '{name}'")
        seen.add(name)


def _read_text(path: Path, encoding: str, decimal: str, missing_values: Sequence[str], header: bool) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
            text = file.read()
    except (UnicodeError, LookupError) as error:
        raise UserError(
            f"dataset.path: '{path}' is not {encoding} text ({error}); try dataset.encoding=latin-1"
        ) from error
    if "\0" in text:
        raise UserError(f"dataset.path: '{path}' is a binary file, not a table in text")
    separator, names = _check_shape(path, text)
    if header:
        _check_names(path, names)
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
        return pd.read_csv(
            file,
            sep=separator,
            header="infer" if header else None,
            decimal=decimal,
            na_values=list(missing_values),
            skipinitialspace=True,
            low_memory=False,
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


def _read_binary(path: Path, suffix: str, missing_values: Sequence[str]) -> pd.DataFrame:
    readers = {".parquet": ("Parquet", _read_parquet), ".arff": ("ARFF", _read_arff)}
    kind, read = readers.get(suffix, ("Excel", _read_excel))
    try:
        table = read(path)
    except UserError:
        raise
    except Exception as error:  # each reader has its own kinds
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"dataset.path: '{path}' is not a whole {kind} file ({reason})") from error
    return pd.DataFrame({name: _as_text_would_be(table[name], missing_values) for name in table})


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow.parquet import read_schema

    _check_names(path, read_schema(path).names)
    table = pd.read_parquet(path)
    return table.reset_index(drop=all(name is None for name in table.index.names))  # a named index is a column


def _read_excel(path: Path) -> pd.DataFrame:
    header = pd.read_excel(path, header=None, nrows=1).to_numpy().ravel()
    _check_names(path, [str(name) for name in header if not pd.isna(name)])
    return pd.read_excel(path)


def _read_arff(path: Path) -> pd.DataFrame:
    from scipy.io import arff

    table = pd.DataFrame(arff.loadarff(path)[0])
    return table.map(lambda cell: cell.decode() if isinstance(cell, bytes) else cell)


def _as_text_would_be(column: pd.Series, missing_values: Sequence[str]) -> pd.Series:
    """Returns a column as a text file's would be read: with marks for missing cells, and numbers spelt as words."""
    cells = column.astype(object)
    if not cells.map(pd.api.types.is_hashable).all():
        return column
    numbers = pd.to_numeric(pd.Series(list(missing_values), dtype=object), errors="coerce").dropna()
    marked = cells.isin([*missing_values, *numbers])
    column, cells = column.mask(marked), cells.mask(marked)
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.infer_dtype(cells) not in SPELT:
        return column
    read = pd.to_numeric(cells, errors="coerce")
    return read if read.notna().equals(cells.notna()) else column


def first_row(marked: pd.Series) -> int:
    """Returns the number of the first marked row below the file's header, from 1."""
    return int(marked.index[marked][0]) + 1
