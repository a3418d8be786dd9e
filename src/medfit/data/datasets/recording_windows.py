"""Reading recordings and cutting them into windows."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medfit.data import disk_cache
from medfit.data.cache_entry import Entry
from medfit.data.datasets.faults import Faults
from medfit.data.datasets.series_layouts import FEWEST_POINTS
from medfit.data.datasets.windows import Mark, Windows, in_words
from medfit.data.readers.headers import Header
from medfit.data.readers.units import factor
from medfit.data.scratch import Held
from medfit.errors import UserError

MISSING = "in {} windows a channel is missing throughout"
WITHOUT = "{} recordings have no window"


@dataclass(frozen=True)
class Cut:
    """A window.

    Args:
        row: Number of its recording.
        annotation: The class of the annotation that it lies around or along.
    """

    row: int
    annotation: str | None


@dataclass(frozen=True)
class Wanted:
    """What is wanted of each recording.

    Args:
        channels: Their names.
        units: That values are brought to, by channel.
        resample_hz: A rate that all are brought to; None to keep theirs.
        windows: Where windows lie.
    """

    channels: Sequence[str]
    units: Mapping[str, str]
    resample_hz: float | None
    windows: Windows


Read = Callable[[Header, Sequence[int]], list[np.ndarray]]
Marks = Callable[[Header], Sequence[Mark]]
Check = Callable[[str, str, np.ndarray], None]


def cut(
    headers: Sequence[Header], read: Read, marks: Marks, wanted: Wanted, faults: Faults, held: Held
) -> tuple[list[Cut], str]:
    """Returns what the windows of recordings are, and what to say of those left out.

    Args:
        headers: Of the recordings.
        read: Returns the signals of some channels of a recording.
        marks: Returns a recording's annotations.
        wanted: Of each recording.
        faults: Of single recordings.
        held: Takes in the windows, in the shape (channels, length), in their order.

    Raises:
        UserError: there is no window or no room for them, or a recording is wrong and none is to be skipped.
    """
    cuts: list[Cut] = []
    told: Counter[str] = Counter()
    for row, header in enumerate(headers):
        with faults.of(header.name):
            its_marks = marks(header) if wanted.windows.symbols else ()
            x, rate = _kept_signals(header, read, wanted)
            spans, its_told = wanted.windows.spans(x.shape[1], rate, its_marks)
        if header.name in faults.reasons:
            continue
        pieces = [(Cut(row, annotation), x[:, start:stop]) for start, stop, annotation in spans]
        whole = [(piece, window) for piece, window in pieces if not np.isnan(window).all(axis=1).any()]
        for piece, window in whole:
            held.add(window)
            cuts.append(piece)
        told += its_told + Counter({MISSING: len(pieces) - len(whole)})
    if not cuts:
        raise UserError(f"dataset: no window lies within the {len(headers)} recordings{in_words(told)}")
    read_well = sum(header.name not in faults.reasons for header in headers)
    return cuts, in_words(told + Counter({WITHOUT: read_well - len({cut.row for cut in cuts})}))


def _check(file: str, channel: str, signal: np.ndarray) -> None:
    if len(signal) < FEWEST_POINTS:
        raise UserError(
            f"dataset: '{file}' holds {len(signal)} samples, too few for a series ({FEWEST_POINTS} at least)"
        )
    if np.isinf(signal).any():
        raise UserError(f"dataset: '{file}', channel '{channel}', holds a value that is infinite")
    if np.isnan(signal).all():
        raise UserError(f"dataset: '{file}', channel '{channel}', is all missing")


def signals(header: Header, read: Read, wanted: Wanted, check: Check = _check) -> tuple[np.ndarray, float]:
    """Returns a recording in the shape (channels, length), float32 in the units wanted, and its rate.

    Args:
        header: Of the recording.
        read: Returns the signals of some channels of a recording.
        wanted: Of it.
        check: Refuses a signal, given the names of the recording and of the channel.
    """
    numbers = [header.place(name) for name in wanted.channels]
    found = [np.asarray(signal, dtype=np.float32) for signal in read(header, numbers)]
    rate = header.rates_hz[numbers[0]]
    for name, signal in zip(wanted.channels, found, strict=True):
        check(header.name, name, signal)
    if (new := wanted.resample_hz) is not None:
        rates = [header.rates_hz[number] for number in numbers]
        found = [resampled(signal, old, new) for signal, old in zip(found, rates, strict=True)]
        rate = new
    length = min(len(signal) for signal in found)  # resampling rounds
    x = np.empty((len(found), length), dtype=np.float32)
    for row, (name, number, signal) in enumerate(zip(wanted.channels, numbers, found, strict=True)):
        x[row] = signal[:length]
        x[row] *= factor(header.units[number], wanted.units[name]) or 1.0
    return x, rate


def _kept_signals(header: Header, read: Read, wanted: Wanted) -> tuple[np.ndarray, float]:
    """Returns what :func:`signals` does, from the disk where that was kept."""
    if not header.files:
        return signals(header, read, wanted)

    def make() -> Entry:
        x, rate = signals(header, read, wanted)
        return Entry({"x": x}, {"rate_hz": rate})

    its = [list(header.channels), list(header.rates_hz), list(header.units)]
    asked = [list(wanted.channels), dict(wanted.units), wanted.resample_hz]
    entry = disk_cache.of_files(header.files, [f"{read.__module__}.{read.__qualname__}", its, asked], make)
    return entry.arrays["x"], entry.facts["rate_hz"]


def resampled(signal: np.ndarray, old: float, new: float) -> np.ndarray:
    """Returns a signal at another rate, missing where it was."""
    from medfit.data.preprocessing.signal_cleaning import fill, resample  # late: a quick start

    gaps = np.isnan(signal)
    known = np.zeros_like(signal) if gaps.all() else signal
    x = resample(fill(known[None], "interpolate").astype(np.float64), old, new)[0]
    nearest = np.round(np.arange(len(x)) * old / new).astype(int).clip(max=len(signal) - 1)
    return np.where(gaps[nearest], np.nan, x)
