"""A folder of tables, a file for each recording."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from medfit.data.datasets.roles import check_columns
from medfit.data.readers.files import READERS
from medfit.data.readers.headers import match
from medfit.errors import UserError

FILE = " file"  # a column of our own; the space keeps clear of the user's own


def read_folder(
    folder: Path, labels: str | None, record: str, read: Callable[..., pd.DataFrame]
) -> tuple[pd.DataFrame, list[str], str]:
    """Returns the rows of all tables below a folder, with a column that says which file each is of.

    Args:
        folder: Of the files.
        labels: A table with a row for each file, whose columns are added; None where the files hold all.
        record: Its column of names, with or without folder and ending; files that it does not name are left out.
        read: Returns the table of a file, given its path and the option that names it.

    Returns:
        The rows, the columns that the table of labels added, and what to say of files left out.

    Raises:
        UserError: there are no files, their columns differ, or the table does not name them.
    """
    own = Path(labels).expanduser().resolve() if labels else None
    files = {
        file.relative_to(folder).as_posix().removesuffix(file.suffix): file
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in READERS and not file.name.startswith(".") and file.resolve() != own
    }
    if not files:
        raise UserError(f"dataset.path: '{folder}' holds no files that end with {', '.join(READERS)}")
    if labels is None:
        return _united(files, read), [], ""
    table = read(labels, "labels")
    check_columns(table, {"record": record})
    named = match(table[record], list(files), READERS)
    rows = _united({name: files[name] for name in named if name}, read)
    if twice := sorted(set(rows) & set(table)):
        raise UserError(f"dataset.labels: column '{twice[0]}' is in '{labels}' and in the files")
    left = len(files) - len(named)
    told = f"; {left} files have no row in dataset.labels" if left else ""
    about = table.drop(columns=record)
    return rows.merge(about.assign(**{FILE: named}), on=FILE), [str(name) for name in about], told


def _united(files: dict[str, Path], read: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    tables = {name: read(file) for name, file in files.items()}
    first = next(iter(tables))
    for name, table in tables.items():
        if set(table) != set(tables[first]):
            other = sorted(set(table) ^ set(tables[first]))[0]
            raise UserError(
                f"dataset.path: '{files[name].name}' has other columns than '{files[first].name}', as '{other}'"
            )
    return pd.concat([table.assign(**{FILE: name}) for name, table in tables.items()], ignore_index=True)
