"""What the headers of recordings say, and how a table names them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medfit.data.readers.files import first_row
from medfit.data.readers.units import factor
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
        patient: Whose it is, as the file says; nothing where the format does not say. Never to be shown.
        notes: What is to be said of it, beside how many recordings it is true of.
        files: All that its signals are read from; none where that is not known.
    """

    file: Path
    name: str
    channels: Sequence[str]
    rates_hz: Sequence[float]
    units: Sequence[str]
    pieces: Sequence[str] = ()
    patient: str = field(default="", repr=False)
    notes: Sequence[str] = ()
    files: Sequence[Path] = ()

    def place(self, channel: str) -> int:
        """Returns a channel's number.

        Raises:
            UserError: there is no such channel.
        """
        if channel not in self.channels:
            hint = suggest(channel, self.channels) or f" (channels: {', '.join(self.channels[:8])})"
            raise UserError(f"dataset.channels: '{self.name}' has no channel '{channel}'{hint}")
        return list(self.channels).index(channel)


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


def patients(headers: Sequence[Header]) -> np.ndarray | None:
    """Returns whose each recording is, as a number for each patient; None where no file says it.

    Raises:
        UserError: some files say it, others do not.
    """
    known = [header.patient for header in headers]
    if not any(known):
        return None
    if nameless := known.count(""):
        raise UserError(
            f"dataset.patient: {nameless} of {len(known)} files do not say whose they are; name a column of "
            "dataset.labels that does"
        )
    return pd.factorize(np.array(known, dtype=object))[0]


def divided(headers: Sequence[Header], groups: pd.Series) -> str:
    """Returns what to say of patients whom files name, and whom another answer takes for several.

    Args:
        headers: Of the recordings.
        groups: Whose each is by that answer.
    """
    known = pd.DataFrame({"owner": [header.patient for header in headers], "group": list(groups)})
    several = int((known[known.owner != ""].groupby("owner").group.nunique() > 1).sum())
    if not several:
        return ""
    return (
        f"; dataset.patient takes {several} patients, by what the files say, for several each, so that recordings of "
        "one may be in training and test"
    )


def noted(headers: Sequence[Header]) -> str:
    """Returns what is to be said of recordings, behind a semicolon each."""
    notes = Counter(note for header in headers for note in header.notes)
    return "".join(f"; in {number} recordings {note}" for note, number in notes.items())


def match(
    column: pd.Series, names: Sequence[str], endings: Sequence[str], skip_missing: bool = False
) -> list[str | None]:
    """Returns the recordings that a table's column names, with or without folder, ending and leading noughts.

    A name that is a recording's whole one, with its folder, is that recording's.

    Args:
        column: Of names.
        names: Of all recordings, with their folders.
        endings: That a name may have.
        skip_missing: Whether a name without a recording is None, rather than an error.

    Raises:
        UserError: a recording that is not there, that is named twice, or whose name is that of several.
    """
    by_alias: dict[str, set[str]] = {}
    for name in names:
        base = name.rpartition("/")[2]
        for alias in {base, str(int(base)) if base.isdecimal() else base}:
            by_alias.setdefault(alias, set()).add(name)
    by_alias |= {name: {name} for name in names}
    found = column.map(lambda cell: by_alias.get(_plain(cell, endings), set()))
    missing = found.map(len) == 0
    for wrong, what in (
        (missing & (not skip_missing), "no such recording is under dataset.root"),
        (found.map(len) > 1, "several recordings have this name: write it with its folder"),
        (found.map(sorted).map(tuple).duplicated() & ~missing, "the recording has a row already"),
    ):
        if wrong.any():
            rows = f"{int(wrong.sum())} rows (first is data row {first_row(wrong)})"
            raise UserError(f"dataset.labels: column '{column.name}', {rows}: {what}")
    return [next(iter(one), None) for one in found]


def _plain(cell: Any, endings: Sequence[str]) -> str:
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()
    text = text.replace("\\", "/").removeprefix("./")
    return text.removesuffix(Path(text).suffix) if Path(text).suffix.lower() in endings else text


def common(
    headers: Sequence[Header], channels: Sequence[str] | None, resample_hz: float | None
) -> tuple[list[str], float, dict[str, str], str]:
    """Returns the channels to take, their rate, the unit of each, and what to say of units.

    Args:
        headers: Of all recordings.
        channels: Their names; None for all that all recordings have.
        resample_hz: A rate that all are brought to; None where theirs must be one.

    Raises:
        UserError: a channel that a recording lacks, none that all have, or one whose rate differs, or whose unit is
            no other's by a factor.
    """
    first = headers[0]
    names = [name for name in first.channels if all(name in header.channels for header in headers)]
    names = list(channels) if channels is not None else names
    if not names:
        raise UserError(
            f"dataset.channels: no channel is in all {len(headers)} recordings ('{first.name}' is the first)"
        )
    if resample_hz is None:
        for header in headers:
            _check_rates(first, header, names, [header.place(name) for name in names])
    units, told = _units(headers, names)
    return names, resample_hz or first.rates_hz[first.place(names[0])], units, told


def _units(headers: Sequence[Header], names: Sequence[str]) -> tuple[dict[str, str], str]:
    """Returns the unit that each channel's values are brought to, the first that is told, and what to say of it."""
    units: dict[str, str] = {}
    first: dict[str, str] = {}  # the recording that told it
    converted = set()
    for header in headers:
        for name in names:
            unit = header.units[header.place(name)]
            if unit and not units.get(name):
                units[name], first[name] = unit, header.name
            known = units.setdefault(name, "")
            if (times := factor(unit, known)) is None:
                raise UserError(
                    f"dataset: channel '{name}' is in {known} in '{first[name]}', but in {unit} in '{header.name}'"
                )
            converted |= {f"{unit} to {known}"} if times != 1 else set()
    told = f"; values are brought from {', '.join(sorted(converted))}" if converted else ""
    untold = [name for name in names if units[name] and not all(header.units[header.place(name)] for header in headers)]
    if untold:
        told += f"; where a file tells no unit of {', '.join(untold)}, it is taken for that of the others"
    return units, told


def _check_rates(first: Header, header: Header, names: Sequence[str], places: Sequence[int]) -> None:
    """Refuses a rate other than the first recording's in the first channel."""
    expected = first.rates_hz[first.place(names[0])]
    for name, place in zip(names, places, strict=True):
        if header.rates_hz[place] != expected:
            raise UserError(
                f"dataset: '{first.name}' has {expected:g} Hz in channel '{names[0]}', but '{header.name}' "
                f"{header.rates_hz[place]:g} Hz in '{name}'; bring all to one rate with dataset.resample_hz"
            )
