"""What people's spreadsheets leave in a table that is none of its data: columns without a name, a row of totals."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from medfit.errors import UserError
from medfit.terminal.console import say

NAMELESS = re.compile(r"Unnamed: \d+")  # as pandas calls it
TOTALS = re.compile(
    r"(?i)(grand )?(totals?|sums?|means?|averages?)|gesamt|summe|mittelwert|total general|somme|moyenne"
)
FEWEST_ROWS = 3  # besides the last one
CLOSE = 1e-3  # by which a mean that was rounded differs, at most


def without_nameless(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table without columns that have neither a name nor a cell; says which others have no name.

    A first column without a name that merely counts the rows is left out as well, as R's and pandas' writers add it.

    Args:
        path: Of its file, for what is said.
        table: With names as text.
    """
    nameless = [name for name in table if NAMELESS.fullmatch(name)]
    empty = [name for name in nameless if table[name].isna().all() or (name == table.columns[0] and _counts(table))]
    if others := [name for name in nameless if name not in empty]:
        told = ", ".join(f"'{name}'" for name in others[:3]) + (", ..." if len(others) > 3 else "")
        say(
            f"Warning: {path.name}: {len(others)} columns have no name, and are called {told}; if the names stand in a "
            "lower row, as below merged cells, set dataset.skip_rows."
        )
    return table.drop(columns=empty)


def _counts(table: pd.DataFrame) -> bool:
    first = table[table.columns[0]]
    return pd.api.types.is_integer_dtype(first) and bool((first.diff()[1:] == 1).all())


def check_totals(path: Path, table: pd.DataFrame) -> None:
    """Refuses a table whose last row holds the sums or means of the others.

    Args:
        path: Of its file, for the error.
        table: With its numbers as such.

    Raises:
        UserError: it says so in a cell and is so in half of the columns of numbers; or all of them, two at least, are
            sums.
    """
    rest, last = table.iloc[:-1], table.iloc[-1]
    numbers = rest.select_dtypes("number")
    numbers = numbers.loc[:, (numbers.nunique() > 1) & last[numbers.columns].notna()]
    if len(rest) < FEWEST_ROWS or not numbers.shape[1]:
        return
    said = any(isinstance(cell, str) and TOTALS.fullmatch(cell.strip().rstrip(":")) for cell in last)
    ends = last[numbers.columns].to_numpy(dtype=float)
    sums = np.isclose(ends, numbers.sum().to_numpy(dtype=float), rtol=1e-9)
    means = np.isclose(ends, numbers.mean().to_numpy(dtype=float), rtol=CLOSE)
    share = (sums | means).mean() if said else sums.mean()
    if (said and share >= 0.5) or (share == 1 and len(ends) > 1):
        raise UserError(
            f"dataset.path: '{path}': the last row is no row of data: it holds sums or means of the others in "
            f"{round(share * len(ends))} columns; delete it"
        )
