"""Tables of series: a series in each row, or a moment."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from medfit.data.readers.files import first_row
from medfit.errors import UserError

FEWEST_POINTS = 8  # of a row that is taken for a series without being told to
TIMES = {"time", "timestamp", "datetime", "date", "t", "seconds", "sec", "ms", "time_s", "time_ms", "sample"}
EVEN = 0.01  # by which steps of time differ at most that count as even
SHARE = 0.9  # of rows that a column rises in by one step, as moments and numbers of rows do
FEWEST_ROWS = 8


@dataclass(frozen=True)
class Laid:
    """Series that a table holds.

    Args:
        rows: A row for each series: all columns that are no points, channels or moments, and say the same of all of it.
        x: float32 (channels, length) each; NaN where a value is missing.
        channels: Their names.
        rate_hz: Of the samples, where moments are dates.
        told: What to say of them, behind a semicolon.
        points: The columns of a table that holds a series in each row.
        steps: From one moment to the next in each series of a table that holds moments, in seconds where these are
            dates; NaN where steps are uneven.
    """

    rows: pd.DataFrame
    x: list[np.ndarray]
    channels: list[str]
    rate_hz: float | None = None
    told: str = ""
    points: list[str] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)


def wide(table: pd.DataFrame, others: Sequence[str], channels: Sequence[str] | None, sure: bool) -> Laid:
    """Returns the series of a table that holds one in each row.

    Args:
        table: All points of the first channel from left to right, then those of the second.
        others: Columns that are no points.
        channels: Their names; None for a single one.
        sure: Whether the user says that the table is of this layout.

    Raises:
        UserError: a point that is no number, columns that can't be shared out among the channels, or a table that looks
            as if each row were a moment.
    """
    names, rows = list(channels or ("signal",)), table[list(dict.fromkeys(others))]
    signals = table.drop(columns=rows.columns)
    if not sure:
        _check_wide(signals, signals.select_dtypes("number").shape[1] // len(names))
    check_numeric(signals)
    if signals.shape[1] == 0 or signals.shape[1] % len(names):
        raise UserError(f"dataset.channels: {signals.shape[1]} columns can't be shared out among {len(names)} channels")
    x, told = until_end(signals.to_numpy(dtype=np.float32).reshape(len(table), len(names), -1))
    return Laid(rows.reset_index(drop=True), x, names, told=told, points=[str(name) for name in signals])


def until_end(x: np.ndarray) -> tuple[list[np.ndarray], str]:
    """Returns series (samples, channels, length) up to where all that follows is missing, and what to say of that."""
    present = ~np.isnan(x).all(axis=1)
    lengths = np.where(present.any(axis=1), x.shape[2] - present[:, ::-1].argmax(axis=1), x.shape[2])
    shorter = int((lengths < x.shape[2]).sum())
    told = f"; {shorter} series end before the last column, where all that follows is missing" if shorter else ""
    return [series[:, :length] for series, length in zip(x, lengths, strict=True)], told


def long(
    table: pd.DataFrame,
    others: Sequence[str],
    channels: Sequence[str] | None,
    time: str | None,
    by: str,
    steady: Sequence[str],
) -> Laid:
    """Returns the series of a table that holds a moment in each row.

    Args:
        table: With a column for each channel.
        others: Columns that are no channels.
        channels: The columns of the channels; None for all that have no other part, and change within some series.
        time: The column of moments, numbers or dates; None where they are in order.
        by: The column that tells series apart.
        steady: Of the other columns those that must say the same of all rows of a series; the rest is left out where it
            does not.

    Raises:
        UserError: a moment that is missing, no time or given twice in a series, or a column that should be steady and
            changes within a series.
    """
    if table[by].isna().any():
        raise UserError(f"dataset: column '{by}' is missing in data row {first_row(table[by].isna())}")
    moments, is_date = (np.arange(len(table)), False) if time is None else _moments(table[time])
    codes = pd.factorize(table[by])[0]
    if len(set(codes)) == len(codes):
        raise UserError(
            f"dataset.layout: each '{by}' has a single row, and so a single moment; what tells series apart?"
        )
    rest = [name for name in table if name not in {*others, time, by}]
    same = [name for name in rest if not _changes(table[name], codes).any()] if channels is None else []
    names = [name for name in rest if name not in same] if channels is None else list(channels)
    if not names:
        raise UserError("dataset.channels: no column changes within a series, as a channel does")
    check_numeric(table[names])
    order = _in_order(moments, codes, time, by)
    for column in steady:
        _check_steady(table[column], codes)
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    steps = [np.diff(each) for each in np.split(moments[order], cuts)]
    rate, told = _rate(steps, time, is_date) if time else (None, "")
    even = [_even(each) for each in steps] if time else []
    x = [part.T.copy() for part in np.split(table[names].to_numpy(dtype=np.float32)[order], cuts)]
    told += f"; {', '.join(same)}: the same in all rows of a series, and so no channel" if same else ""
    kept = [name for name in dict.fromkeys([*steady, *others, *same]) if not _changes(table[name], codes).any()]
    firsts = table.iloc[np.unique(codes, return_index=True)[1]]
    return Laid(firsts[kept].reset_index(drop=True), x, names, rate, told, steps=even)


def _in_order(moments: np.ndarray, codes: np.ndarray, time: str | None, by: str) -> np.ndarray:
    """Returns the order of rows by series and moment; no series may have a moment twice."""
    order = np.lexsort((moments, codes))
    if (twice := (np.diff(moments[order]) == 0) & (np.diff(codes[order]) == 0)).any():
        raise UserError(
            f"dataset.time: column '{time}' gives {int(twice.sum())} moments twice within one '{by}'; "
            "name the column that tells series apart as dataset.series"
        )
    return order


def check_numeric(table: pd.DataFrame) -> None:
    """Refuses a column of words among those of signals."""
    words = [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]
    if words:
        raise UserError(
            f"dataset: column '{words[0]}' holds words, no point in time; leave it out with dataset.exclude"
        )


def _check_wide(signals: pd.DataFrame, length: int) -> None:
    """Refuses a table whose rows look like moments, not like series."""
    time = time_column(signals)
    words = signals.columns.difference(signals.select_dtypes("number").columns, sort=False)
    whose = words[0] if len(words) == 1 else "..."
    way_out = (
        f"if a row is a moment, give dataset.layout=long dataset.time={time or '...'} dataset.patient={whose}; "
        "if it is a series, dataset.layout=wide"
    )
    if time is not None:
        raise UserError(
            f"dataset.layout: column '{time}' tells moments or counts rows, and is no point in time; {way_out}"
        )
    if length < FEWEST_POINTS:
        raise UserError(f"dataset.layout: rows of {length} points are hardly series; {way_out}")


def _moments(column: pd.Series) -> tuple[np.ndarray, bool]:
    """Returns moments as numbers, of seconds where they are dates, and whether they are."""
    is_date = not pd.api.types.is_numeric_dtype(column)
    if is_date:
        dates = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
        numbers = (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    else:
        numbers = column.astype(float)
    if (wrong := ~np.isfinite(numbers)).any():
        raise UserError(
            f"dataset.time: column '{column.name}' holds neither a number nor a date (as 2024-01-31 12:00:00) in "
            f"{int(wrong.sum())} cells (first in data row {first_row(wrong)})"
        )
    return numbers.to_numpy(dtype=float), is_date


def _changes(column: pd.Series, codes: np.ndarray) -> np.ndarray:
    """Marks the series within which a column changes."""
    return column.groupby(codes).nunique(dropna=False).to_numpy() > 1


def _check_steady(column: pd.Series, codes: np.ndarray) -> None:
    if (changes := _changes(column, codes)).any():
        raise UserError(
            f"dataset.layout: column '{column.name}' changes within {int(changes.sum())} of {len(changes)} series; "
            "it must say the same of all rows of a series"
        )


def _rate(steps: Sequence[np.ndarray], time: str, is_date: bool) -> tuple[float | None, str]:
    """Returns the rate of moments that are dates, and what to say of steps that are uneven."""
    usual = float(np.median(np.concatenate(steps)))
    uneven = sum(bool((np.abs(step / usual - 1) > EVEN).any()) for step in steps)
    told = f"; steps of '{time}' are uneven in {uneven} of {len(steps)} series, whose points are taken as they follow"
    return (1 / usual if is_date else None), told if uneven else ""


def _even(steps: np.ndarray) -> float:
    """Returns the step that a series' steps all are, NaN where they differ or there is none."""
    usual = float(np.median(steps)) if len(steps) else np.nan
    return usual if bool((np.abs(steps - usual) <= EVEN * usual).all()) else np.nan


def time_column(table: pd.DataFrame) -> str | None:
    """Returns the column that tells time or counts rows, as one of a long table does; None where there is none."""
    for name in table:
        if str(name).strip().lower() in TIMES:
            return str(name)
    for name in table.select_dtypes("number"):
        with np.errstate(invalid="ignore"):  # of infinite values, which are refused later
            steps = np.diff(table[name].to_numpy(dtype=float))
            usual = np.median(steps) if len(steps) >= FEWEST_ROWS else 0
            if usual > 0 and (np.abs(steps - usual) <= EVEN * usual).mean() > SHARE:
                return str(name)
    return None
