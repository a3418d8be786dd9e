"""Subgroups of patients: by sex, age band, site or any other column."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from medfit.errors import UserError

MOST_LEVELS = 12
MISSING = "missing"


def levels(
    column: pd.Series, name: str, edges: Sequence[float] | None, section: str = "evaluate.subgroups"
) -> np.ndarray:
    """Returns the subgroup of each row as a word.

    Args:
        column: A value each row.
        name: Of the column.
        edges: Where bands of numbers begin, such as 40 and 60 for "below 40", "40 to 60" and "60 and above"; None
            takes each value as a group.
        section: The config path that names the column.

    Raises:
        UserError: more values than subgroups can be, or edges for words or in no order.
    """
    where = f"{section}.{name}"
    if edges is None:
        if column.nunique() > MOST_LEVELS:
            hint = "; give the edges of bands, such as [40, 60]" if pd.api.types.is_numeric_dtype(column) else ""
            raise UserError(f"{where}: the column has {column.nunique()} values, more than {MOST_LEVELS}{hint}")
        words = column.map(_word, na_action="ignore").astype(object)
        return words.where(column.notna(), MISSING).to_numpy(dtype=str)
    if not pd.api.types.is_numeric_dtype(column):
        raise UserError(f"{where}: only numbers have bands, but the column holds words")
    if not edges or list(edges) != sorted(set(edges)):
        raise UserError(f"{where}: give the edges in rising order")
    names = [f"below {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges))]
    bands = np.array([*names, f"{edges[-1]:g} and above"])
    found = bands[np.searchsorted(np.asarray(edges, dtype=float), column.to_numpy(dtype=float), side="right")]
    return np.where(column.isna(), MISSING, found)


def _word(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
