"""A user's own time series in a table: one in each row, or a moment in each row."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Unpack

import numpy as np
import pandas as pd
from pydantic import Field

from medfit.data.datasets import suspects
from medfit.data.datasets.options import Options, TableReader
from medfit.data.datasets.roles import check_columns
from medfit.data.datasets.series import Series, points
from medfit.data.datasets.series_layouts import EVEN, Laid, long, wide
from medfit.data.datasets.table_folder import FILE, read_folder
from medfit.errors import UserError
from medfit.terminal.console import say

PART = " part"  # a column of our own; the space keeps clear of the user's own


class SeriesTable(Series):
    """Series of a CSV, TSV, ARFF, Parquet or Excel file.

    In the ``wide`` layout a row is a series: each column a point in time, from left to right, several channels one
    after another (all columns of the first, then of the second). Where all that follows is missing, the series ends. In
    the ``long`` layout a row is a moment, and a column a channel. Targets are inferred as
    :class:`medfit.data.datasets.table.Table` does.

    Args:
        path: Of the file, relative to where the command is run; or of a folder with a file of moments for each patient.
        target: Its column, or several; None with ``target_rule``.
        test_path: Of a second file with the same columns, whose series are the test split.
        labels: Of a folder's files, a table with a row for each; None where the files hold the targets.
        record: Its column of the files' names, with or without folder and ending.
        patient: The column that says whose series it is; None where each series is a patient's.
        exclude: Columns that are no points in time.
        split: The column that says ``train``, ``val`` or ``test``.
        layout: ``wide`` or ``long``; None for ``wide``, unless the table looks long, or has fewer than eight points.
        time: The column of moments in the long layout, numbers or dates; in a folder None where rows are in order.
        series: The column that tells series apart in the long layout; None for ``patient``.
        channels: Names of the channels, None for ``signal``; in the long layout the columns of the channels, None for
            all that have no other part.
        sampling_rate_hz: None where it is not known, or where dates tell it.
        header: Whether the first row of a text file names the columns; else they are named 0, 1 and so on.
        units: Of channels and targets.
        **options: As :class:`medfit.data.datasets.options.Options` describes them.

    Attributes:
        steps: From one moment to the next in each series, NaN where uneven; none of the wide layout, or without times.
    """

    def __init__(
        self,
        path: str,
        target: str | list[str] | None = None,
        test_path: str | None = None,
        labels: str | None = None,
        record: str = "record",
        patient: str | None = None,
        exclude: Sequence[str] = (),
        split: str | None = None,
        layout: Literal["wide", "long"] | None = None,
        time: str | None = None,
        series: str | None = None,
        channels: Sequence[str] | None = None,
        sampling_rate_hz: Annotated[float, Field(gt=0)] | None = None,
        header: bool = True,
        units: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        file, reader, by = Path(path).expanduser(), TableReader(**options), series or patient or ""
        _check_options(layout, time, file.is_dir(), by, split and test_path)
        read = partial(reader.read, header=header)
        if file.is_dir():
            _check_folder(layout, series, test_path)
            table, added, left = read_folder(file, labels, record, read)
            layout, by, exclude = "long", FILE, [*exclude, *added]
        elif labels:
            raise UserError("dataset.labels: a table of labels goes with a folder (dataset.path)")
        else:
            table, left = _read(path, test_path, read), ""
        split = PART if test_path else split
        check_columns(table, {"exclude": exclude})
        table, targets, found_units = reader.ask(table, target, [patient, split, series, time, record, FILE])
        named = {"patient": patient, "split": split, "time": time, "series": series}
        check_columns(table, {**named, **({"channels": channels} if layout == "long" else {})})
        roles = [*targets, *(name for name in (patient, split) if name)]
        others = [*roles, *(name for name in exclude if name in table)]  # a rule has taken its column's place
        if layout == "long":
            laid = long(table, others, channels, time, by, roles)
        else:
            laid = wide(table, others, channels, sure=layout == "wide")
        rest, about, told = reader.roles(laid.rows, targets, patient, split)
        about |= {"facts": rest, "name": file.stem.removesuffix("_TRAIN"), "source": f"{file.name}, the user's own"}
        about["units"] = found_units | dict(units or {})
        x, rate = [laid.x[row] for row in rest.index], sampling_rate_hz or laid.rate_hz
        super().__init__(x=x, channels=laid.channels, sampling_rate_hz=rate, **about)
        self.reading = _reading(laid, by, [str(name) for name in table])
        self.steps = [laid.steps[row] for row in rest.index] if laid.steps else []
        say(f"{file.name}: {told}; series of {len(laid.channels)} x {points(x)} points{laid.told}{left}")
        suspects.tell(laid.rows[targets])


def _reading(laid: Laid, by: str, columns: list[str]) -> dict[str, Any]:
    """Returns what reading new series takes: the columns, and the step that all moments follow each other in."""
    steps = np.array(laid.steps)
    even = bool(len(steps)) and bool(np.isfinite(steps).all()) and bool((np.abs(steps / steps[0] - 1) <= EVEN).all())
    return {
        "by": "" if laid.points else by,
        "columns": columns,
        "points": laid.points,
        "step": float(np.median(steps)) if even else None,
    }


def _check_options(layout: str | None, time: str | None, in_folder: bool, by: str, two_splits: Any) -> None:
    if layout == "long" and not in_folder and not (time and by):
        raise UserError("dataset.layout=long: give dataset.time, and dataset.patient or dataset.series")
    if layout != "long" and not in_folder and time:
        raise UserError("dataset.time: moments are of the long layout; give dataset.layout=long")
    if two_splits:
        raise UserError("dataset.test_path: the column of dataset.split says already which series are for testing")


def _check_folder(layout: str | None, series: str | None, test_path: str | None) -> None:
    if layout == "wide":
        raise UserError("dataset.layout=wide: the rows of a folder's files are moments; give the path of a file")
    if series or test_path:
        raise UserError("dataset.series, dataset.test_path: in a folder (dataset.path) each file is a series")


def _read(path: str, test_path: str | None, read: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Returns the table of a file, or of two with a column that says which."""
    table = read(path)
    if test_path is None:
        return table
    test = read(test_path, "test_path")
    if set(test.columns) != set(table.columns):
        other = next(iter(sorted(set(test.columns) ^ set(table.columns))))
        raise UserError(f"dataset.test_path: '{test_path}' has other columns than '{path}', as '{other}'")
    return pd.concat([table.assign(**{PART: "train"}), test.assign(**{PART: "test"})], ignore_index=True)
