"""New series in tables: a series in each row, a moment in each row, or lists of numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medfit.data.datasets.options import READING, TableReader
from medfit.data.datasets.recording_windows import resampled
from medfit.data.datasets.series_layouts import EVEN, long, wide
from medfit.data.datasets.table_folder import FILE, read_folder
from medfit.data.readers.cells import cleaned
from medfit.data.readers.files import read_table
from medfit.data.readers.units import factor
from medfit.deployment.expected_series import SERIES, Expected, Remark
from medfit.deployment.new_arrays import WHERE, untold_rate
from medfit.deployment.taken_series import Taken
from medfit.errors import UserError

NOT_TAKEN = "a column that the model does not take"
CELLS = ("decimal", "thousands", "missing_values", "missing_in", "missing_words")


def read_file(source: Path, reading: Mapping[str, Any], identifiers: Sequence[str] | None, taken: Taken) -> None:
    """Takes in the series of a table.

    Args:
        source: The file.
        reading: How the training series were read.
        identifiers: Columns that are passed on; None for the patients', if it is there.
        taken: Takes them in.

    Raises:
        UserError: it can't be read, or lacks a column.
    """
    table = _read(source, reading, identifiers)
    if reading.get("by") == FILE:  # in training each file was a series
        table[FILE] = source.name.removesuffix(source.suffix)
    _take(table, reading, identifiers, taken)


def read_folder_of(source: Path, reading: Mapping[str, Any], identifiers: Sequence[str] | None, taken: Taken) -> None:
    """Takes in the series of a folder of tables, a file each, as :func:`read_file` does."""
    if reading.get("by") != FILE:
        raise UserError(f"{WHERE}: '{source}' is a folder, but the training series were no folder's tables or records")
    read = lambda path: _read(path, reading, identifiers)  # noqa: E731
    table, _, _ = read_folder(source, None, "", read)
    _take(table, reading, identifiers, taken)


def read_rows(rows: pd.DataFrame, reading: Mapping[str, Any], identifiers: Sequence[str] | None, taken: Taken) -> None:
    """Takes in rows that hold a list of numbers for each channel, or that are those of a table."""
    if len(rows) == 0:
        raise UserError(f"{WHERE}: there are no rows")
    table, names = rows.rename(columns=str).reset_index(drop=True), taken.wanted.channels
    lists = [name for name in table if table[name].map(lambda cell: isinstance(cell, list | tuple | np.ndarray)).any()]
    if not lists and ("points" in reading or "by" in reading):
        own = table[[name for name in _words(reading, identifiers) if name in table]]
        cells = cleaned(table.drop(columns=own.columns), **{key: reading[key] for key in CELLS if key in reading})
        return _take(pd.concat([own, cells], axis=1), reading, identifiers, taken)
    _check_there(names, table, "channel")
    own = _passed_on(table, reading, identifiers)
    for row, cells in enumerate(table[names].itertuples(index=False)):
        taken.add(_of_lists(cells, names, row + 1), {name: table[name].iloc[row] for name in own}, untold_rate(reading))
        taken.tell((str(name), NOT_TAKEN) for name in table if name not in {*names, *own})
    return None


def _of_lists(cells: Sequence[Any], names: Sequence[str], row: int) -> np.ndarray:
    """Returns a series of the lists in its channels' cells."""
    where = f"{WHERE}: row {row}: "
    channels = [_of_list(cell, where, name, names) for cell, name in zip(cells, names, strict=True)]
    if len({len(channel) for channel in channels}) > 1:
        raise UserError(f"{where}the channels' lists are of different lengths ({', '.join(names)})")
    return np.stack(channels)


def _of_list(cell: Any, where: str, name: str, names: Sequence[str]) -> np.ndarray:
    """Returns the numbers of a channel's cell."""
    told = f"{where}expected a list of numbers in each channel ({', '.join(names)}); in '{name}' is none"
    try:
        channel = np.asarray(cell, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):  # whose message would tell the value
        raise UserError(told) from None
    if channel.ndim != 1 or channel.size == 0:
        raise UserError(told)
    return channel


def _read(source: Path, reading: Mapping[str, Any], identifiers: Sequence[str] | None) -> pd.DataFrame:
    settings = {key: reading[key] for key in READING if key in reading}
    return read_table(source, header=reading.get("header", True), words=_words(reading, identifiers), **settings)


def _words(reading: Mapping[str, Any], identifiers: Sequence[str] | None) -> list[str]:
    """Returns the columns whose cells are passed on as they are written."""
    return [str(name) for name in {reading.get("by"), reading.get("patient"), *(identifiers or ())} if name]


def _passed_on(table: pd.DataFrame, reading: Mapping[str, Any], identifiers: Sequence[str] | None) -> list[str]:
    """Returns the columns that are passed on."""
    if identifiers is None:
        return [str(name) for name in [reading.get("patient")] if name in table]
    if lacking := [name for name in identifiers if name not in table]:
        raise UserError(f"predict.id: there is no column '{lacking[0]}'")
    return list(identifiers)


def _check_there(names: Sequence[str], table: pd.DataFrame, what: str) -> None:
    if lacking := [name for name in names if name not in table]:
        raise UserError(f"{WHERE}: there is no {what} {', '.join(map(repr, lacking[:8]))}, which the model needs")


def _take(table: pd.DataFrame, reading: Mapping[str, Any], identifiers: Sequence[str] | None, taken: Taken) -> None:
    if reading.get("by"):
        _take_long(table, reading, identifiers, taken)
    else:
        _take_wide(table, reading, identifiers, taken)


def _take_wide(
    table: pd.DataFrame, reading: Mapping[str, Any], identifiers: Sequence[str] | None, taken: Taken
) -> None:
    points, channels = reading.get("points"), taken.wanted.channels
    if points and not reading.get("header", True):
        table = _by_place(table, points, reading["columns"])
    own = _passed_on(table, reading, identifiers)
    points = points or _every(table, own, taken.wanted)
    ends = len(points) - next((n for n, name in enumerate(reversed(points)) if name in table), len(points))
    there = points[:ends] if len(channels) == 1 and ends else points  # series that all end before
    _check_there(there, table, "column")
    laid = wide(table[there], [], channels, sure=True)
    extra = _extra(table, [*points, *own], reading)
    for row, series in enumerate(laid.x):
        taken.add(series, {name: table[name].iloc[row] for name in own}, untold_rate(reading))
        taken.tell((name, NOT_TAKEN) for name in extra)


def _by_place(table: pd.DataFrame, points: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Returns a table without a header with the names of the training's: of all its columns, or of the points alone."""
    if table.shape[1] not in (len(points), len(columns)):
        raise UserError(
            f"{WHERE}: {table.shape[1]} columns; the training's table had {len(columns)}, of them {len(points)} points"
        )
    return table.set_axis(list(points if table.shape[1] == len(points) else columns), axis=1)


def _every(table: pd.DataFrame, own: Sequence[str], wanted: Expected) -> list[str]:
    """Returns all columns as points, where the training series were in no table: if there are as many as must be."""
    points = [str(name) for name in table if name not in own]
    numbers = pd.to_numeric(pd.Series(points), errors="coerce")
    if numbers.notna().all() and (numbers.diff()[1:] != 1).any():
        raise UserError(f"{WHERE}: the first row holds numbers, not the columns' names")
    if wanted.shortest != wanted.longest or len(points) != len(wanted.channels) * wanted.longest:
        raise UserError(
            f"{WHERE}: {len(points)} columns of points; series of the model, which were in no table, take "
            f"{len(wanted.channels)} channels x {wanted.shortest} to {wanted.longest} points; name others with id="
        )
    return points


def _extra(table: pd.DataFrame, known: Sequence[str], reading: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in table if name not in {*known, *reading.get("columns", ())}]


def _take_long(
    table: pd.DataFrame, reading: Mapping[str, Any], identifiers: Sequence[str] | None, taken: Taken
) -> None:
    by, time, channels = reading["by"], reading.get("time"), taken.wanted.channels
    own = [name for name in _passed_on(table, reading, identifiers) if name != by]
    _check_there(channels, table, "channel")
    _check_there([name for name in (by, time) if name], table, "column")
    needed = list(dict.fromkeys([by, *own, *([time] if time else []), *channels]))
    rows, brought = _in_units(table[needed], reading, taken.wanted)
    laid = long(rows, [], channels, time, by, [by, *own])
    extra = _extra(table, needed, reading)
    for place, series in enumerate(laid.x):
        told = {"record" if name == by == FILE else name: laid.rows[name].iloc[place] for name in (by, *own)}
        remarks: list[Remark] = []
        if laid.steps and reading.get("step") is not None:
            series, remarks = at_step(series, laid.steps[place], reading["step"])
        taken.add(series, told, [*remarks, *brought])
        taken.tell((name, NOT_TAKEN) for name in extra)


def _in_units(table: pd.DataFrame, reading: Mapping[str, Any], wanted: Expected) -> tuple[pd.DataFrame, list[Remark]]:
    """Returns a table whose channels are in the training's units, where cells tell theirs, and what to remark."""
    options = {key: reading[key] for key in ("decimal", "thousands") if key in reading}
    parse = {name: way for name, way in reading.get("parse", {}).items() if name in table}
    table, units = TableReader(parse=parse, **options).tidied(table)
    remarks = []
    for name in (name for name in wanted.channels if name in units):
        times = factor(units[name], wanted.units[name])
        if times is None:
            raise UserError(f"{WHERE}: channel '{name}' is in {units[name]}, the training's in {wanted.units[name]}")
        if times != 1:
            table[name] = table[name] * times
            remarks.append((name, f"brought from {units[name]} to {wanted.units[name]}"))
    return table, remarks


def at_step(series: np.ndarray, step: float, wanted: float) -> tuple[np.ndarray, list[Remark]]:
    """Returns a series whose moments follow each other as the training's did, and what to remark.

    Args:
        series: In the shape (channels, length).
        step: From one of its moments to the next; NaN where steps are uneven.
        wanted: The step of all training series.
    """
    if not np.isfinite(step):
        return series, [(SERIES, "of uneven steps of time, and taken as its points follow")]
    if abs(step / wanted - 1) <= EVEN:
        return series, []
    told = f"of steps of {step:g}, and brought to the training's steps of {wanted:g} (of time)"
    return np.stack([resampled(channel, 1 / step, 1 / wanted) for channel in series]), [(SERIES, told)]
