"""What the headers of recordings say, and how a table names them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medfit.data.readers.files import first_row
from medfit.errors import UserError, suggest


@dataclass(frozen=True)
class Header:
    """What a recording's header says.

    Args:
        file: That names the recording.
        name: The file's, below the data set's folder.
        channels: Their names.
        rates_hz: The sampling rate of each.
        units: Of each.
        pieces: Names of the recordings that this one is put together from.
    """

    file: Path
    name: str
    channels: Sequence[str]
    rates_hz: Sequence[float]
    units: Sequence[str]
    pieces: Sequence[str] = ()


def unreadable(file: Path, name: str, error: Exception) -> UserError:
    """Returns an error about a file that a reader refused, in the reader's words but for the folder's name."""
    reason = (str(error).replace(f"{file.parent}/", "").splitlines() or [""])[0][:120]
    return UserError(f"dataset: '{name}' can't be read ({reason or type(error).__name__})")


def distinct(names: Sequence[str | None]) -> list[str]:
    """Returns channels' names, those that occur again or not at all with a number."""
    plain = [(name or "").strip() or f"channel {number}" for number, name in enumerate(names, 1)]
    taken: list[str] = []
    for name in plain:
        own = (name, *(f"{name} {number}" for number in range(2, 2 + len(plain) * 2)))
        taken.append(next(one for one in own if one not in taken and (one == name or one not in plain)))
    return taken


def match(column: pd.Series, names: Sequence[str], endings: Sequence[str]) -> list[str]:
    """Returns the recordings that a table's column names, with or without folder, ending and leading noughts.

    Raises:
        UserError: a recording that is not there, that is named twice, or whose name is that of several.
    """
    by_alias: dict[str, set[str]] = {}
    for name in names:
        base = name.rpartition("/")[2]
        for alias in {name, base, str(int(base)) if base.isdecimal() else base}:
            by_alias.setdefault(alias, set()).add(name)
    found = column.map(lambda cell: by_alias.get(_plain(cell, endings), set()))
    for wrong, what in (
        (found.map(len) == 0, "no such recording is under dataset.root"),
        (found.map(len) > 1, "several recordings have this name: write it with its folder"),
        (found.map(sorted).map(tuple).duplicated(), "the recording has a row already"),
    ):
        if wrong.any():
            rows = f"{int(wrong.sum())} rows (first is data row {first_row(wrong)})"
            raise UserError(f"dataset.labels: column '{column.name}', {rows}: {what}")
    return [next(iter(one)) for one in found]


def _plain(cell: Any, endings: Sequence[str]) -> str:
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
    text = text.replace("\\", "/").removeprefix("./")
    return text.removesuffix(Path(text).suffix) if Path(text).suffix.lower() in endings else text


def common(
    headers: Sequence[Header], channels: Sequence[str] | None, resample_hz: float | None
) -> tuple[list[str], float, dict[str, str]]:
    """Returns the channels to take, their rate, and the unit of each.

    Args:
        headers: Of all recordings.
        channels: Their names; None for all that all recordings have.
        resample_hz: A rate that all are brought to; None where theirs must be one.

    Raises:
        UserError: a channel that a recording lacks, none that all have, or one whose rate or unit differs.
    """
    first = headers[0]
    names = [name for name in first.channels if all(name in header.channels for header in headers)]
    names = list(channels) if channels is not None else names
    if not names:
        raise UserError(
            f"dataset.channels: no channel is in all {len(headers)} recordings ('{first.name}' is the first)"
        )
    units: dict[str, str] = {}
    for header in headers:
        places = [_place(header, name) for name in names]
        if resample_hz is None:
            _check_rates(first, header, names, places)
        for name, place in zip(names, places, strict=True):
            unit, known = header.units[place], units.get(name, "")
            if unit and known and unit.lower() != known.lower():
                by = next(one.name for one in headers if one.units[_place(one, name)] == known)
                raise UserError(f"dataset: channel '{name}' is in {known} in '{by}', but in {unit} in '{header.name}'")
            units[name] = known or unit
    return names, resample_hz or first.rates_hz[_place(first, names[0])], units


def _place(header: Header, name: str) -> int:
    if name not in header.channels:
        hint = suggest(name, header.channels) or f" (channels: {', '.join(header.channels[:8])})"
        raise UserError(f"dataset.channels: '{header.name}' has no channel '{name}'{hint}")
    return list(header.channels).index(name)


def _check_rates(first: Header, header: Header, names: Sequence[str], places: Sequence[int]) -> None:
    """Refuses a rate other than the first recording's in the first channel."""
    expected = first.rates_hz[_place(first, names[0])]
    for name, place in zip(names, places, strict=True):
        if header.rates_hz[place] != expected:
            raise UserError(
                f"dataset: '{first.name}' has {expected:g} Hz in channel '{names[0]}', but '{header.name}' "
                f"{header.rates_hz[place]:g} Hz in '{name}'; bring all to one rate with dataset.resample_hz"
            )
