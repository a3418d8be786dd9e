"""A user's own time series, one in each row of a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from medfit.data.datasets.roles import check_columns, take_roles
from medfit.data.datasets.series import Series
from medfit.data.readers.files import read_table
from medfit.errors import UserError
from medfit.terminal.console import say


class SeriesTable(Series):
    """The rows of a CSV, TSV, ARFF, Parquet or Excel file as series: each column a point in time, from left to right.

    Several channels stand one after another: all columns of the first, then of the second. Targets are inferred as
    :class:`medfit.data.datasets.table.Table` does.

    Args:
        path: Of the file, relative to where the command is run.
        target: Its column, or several.
        patient: The column that says whose series it is; None where each series is a patient's.
        exclude: Columns that are no points in time.
        split: The column that says ``train``, ``val`` or ``test``.
        channels: Names of the channels.
        sampling_rate_hz: None where it is not known.
        header: Whether the first row of a text file names the columns; else they are named 0, 1 and so on.
        target_kind: ``binary``, ``multiclass``, ``multilabel`` or ``regression``, where it is guessed wrong.
        positive: The positive value of a binary target; None for the larger of the two.
        units: Of channels and targets.
        missing_values: Cells that mean "missing", besides empty ones and the usual words.
        decimal: The decimal mark of a text file.
        encoding: Of a text file.
    """

    def __init__(
        self,
        path: str,
        target: str | list[str],
        patient: str | None = None,
        exclude: Sequence[str] = (),
        split: str | None = None,
        channels: Sequence[str] = ("signal",),
        sampling_rate_hz: Annotated[float, Field(gt=0)] | None = None,
        header: bool = True,
        target_kind: Literal["binary", "multiclass", "multilabel", "regression"] | None = None,
        positive: str | int | float | bool | None = None,
        units: Mapping[str, str] | None = None,
        missing_values: Sequence[str] = ("?",),
        decimal: Literal[".", ","] = ".",
        encoding: str = "utf-8",
    ) -> None:
        file = Path(path).expanduser()
        table = read_table(file, encoding=encoding, decimal=decimal, missing_values=missing_values, header=header)
        check_columns(table, {"exclude": exclude})
        table, about, told = take_roles(table, target, patient, split, target_kind, positive)
        x = _values(table.drop(columns=[column for column in exclude if column in table]), len(channels))
        about["facts"] = table[[column for column in exclude if column in table]]
        about |= {"name": file.stem, "source": f"{file.name}, the user's own", "units": units}
        super().__init__(x=x, channels=channels, sampling_rate_hz=sampling_rate_hz, **about)
        say(f"{file.name}: {told}; series of {len(channels)} x {x.shape[2]} points")


def _values(table: pd.DataFrame, num_channels: int) -> np.ndarray:
    """Returns the series in the shape (rows, channels, length).

    Raises:
        UserError: a column that is no number, or columns that can't be shared out among the channels.
    """
    words = [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]
    if words:
        raise UserError(
            f"dataset: column '{words[0]}' holds words, no point in time; leave it out with dataset.exclude"
        )
    if table.shape[1] == 0 or table.shape[1] % num_channels:
        raise UserError(f"dataset.channels: {table.shape[1]} columns can't be shared out among {num_channels} channels")
    return table.to_numpy(dtype=np.float32).reshape(len(table), num_channels, -1)
