"""What a table's first row must be: names, each of one column; no message repeats a row of a patient's values."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medfit.errors import UserError

NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")
NUMBER_OR_DAY = re.compile(r"[\W_]*\d")  # how a cell of either begins
FEWEST_IN_ORDER = 5  # numbers that rise or fall by chance in fewer than two of a hundred rows


def check_names(path: Path, names: Sequence[str], own: bool = True) -> None:
    """Refuses a file whose first row is no header, or names two columns alike.

    Numbers may be names if they count, or if five or more rise or fall, as those of wavelengths.

    Args:
        path: Of the file, for the error.
        names: In its first row.
        own: Whether the user alone reads the error, so that it may repeat a name.

    Raises:
        UserError: half of the names are numbers in no order, or two columns have one name.
    """
    names = [name.strip() for name in names]
    numbers = [float(name.replace(",", ".")) for name in names if NUMBER.fullmatch(name)]
    if len(numbers) > 1 and 2 * len(numbers) >= len(list(filter(None, names))) and not _in_order(numbers):
        raise UserError(
            f"dataset.path: '{path}' has no header: its first row holds numbers, not the columns' names; write the "
            "names above it (for series, dataset.header=false may do)"
        )
    for place, name in enumerate(names):
        if name and (first := names.index(name)) < place:
            if own and not NUMBER_OR_DAY.match(name):
                raise UserError(f"dataset.path: '{path}' has two columns named '{name}'")
            raise UserError(
                f"dataset.path: '{path}' has one name for its columns {first + 1} and {place + 1}; no header?"
            )


def _in_order(numbers: Sequence[float]) -> bool:
    steps = np.diff(numbers)
    in_order = bool((steps > 0).all() or (steps < 0).all())
    return bool((steps == 1).all()) or (in_order and len(numbers) >= FEWEST_IN_ORDER)
