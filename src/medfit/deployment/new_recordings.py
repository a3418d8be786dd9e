"""New recordings in a format of physiological signals, cut into windows as the training's were."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medfit.data.datasets.dicom_waveforms import DicomWaveforms
from medfit.data.datasets.edf_records import EdfRecords
from medfit.data.datasets.faults import Faults
from medfit.data.datasets.recording_windows import Wanted, signals
from medfit.data.datasets.recordings import Recordings
from medfit.data.datasets.wfdb_records import WfdbRecords
from medfit.data.datasets.windows import Windows, in_words
from medfit.data.readers.channels import unified
from medfit.data.readers.headers import Header
from medfit.data.readers.units import factor
from medfit.deployment.expected_series import SERIES, Expected, Remark
from medfit.deployment.new_arrays import WHERE
from medfit.deployment.taken_series import Taken
from medfit.errors import UserError
from medfit.terminal.console import say

FORMATS: tuple[type[Recordings], ...] = (WfdbRecords, EdfRecords, DicomWaveforms)
ENDINGS = tuple(ending for format in FORMATS for ending in format.endings if ending)
WITHOUT = "{} have no window, and so no row"
NOT_TAKEN = "a channel that the model does not take"


def holds(source: Path, reading: Mapping[str, Any]) -> bool:
    """Tells whether a file is a recording, or a folder holds some."""
    return _format(source, reading) is not None


def _format(source: Path, reading: Mapping[str, Any]) -> type[Recordings] | None:
    """Returns the format of a file or of a folder's recordings, the training's first; None where it is none."""
    target = str(reading.get("_target_", ""))
    own = [format for format in FORMATS if target.endswith(f".{format.__name__}")]
    if source.is_dir() and not own and reading.get("columns"):
        return None  # tables, among which a recording lies by chance
    files = [source] if source.is_file() else [
        file for file in source.rglob("*") if file.is_file() and not file.name.startswith(".")
    ]  # fmt: skip
    for format in (*own, *FORMATS):
        folder = format.opened(source, "")
        if any(folder.is_recording(file) for file in files):
            return format
    return None


@dataclass(frozen=True)
class _Cutting:
    """How recordings are read and cut.

    Args:
        folder: Of the recordings.
        windows: Where windows lie.
        around: Whether they lie around annotations.
        resample_hz: As in training.
        known_rates_hz: Of the training's recordings; empty where they were none.
    """

    folder: Recordings
    windows: Windows
    around: bool
    resample_hz: float | None
    known_rates_hz: Sequence[float]


def read(source: Path, reading: Mapping[str, Any], identifiers: Sequence[str] | None, taken: Taken) -> None:
    """Takes in the windows of a folder's recordings, or of one.

    Args:
        source: The folder, searched with all below it, or a recording's file.
        reading: How the training series were read.
        identifiers: Must be None: recordings have no columns.
        taken: Takes them in.

    Raises:
        UserError: a recording can't be read, lacks a channel, or is in another unit.
    """
    if identifiers:
        raise UserError("predict.id: recordings have no columns; their names stand beside the predictions")
    format = _format(source, reading)
    assert format is not None
    folder = format.opened(source if source.is_dir() else source.parent, reading.get("annotator", "atr"))
    faults = Faults(reading.get("on_error", "stop"))
    headers = folder.every(faults, None if source.is_dir() else source)[1]
    known = {name for header in headers for name in header.channels}
    names = {old: new for old, new in reading.get("channel_names", {}).items() if old in known}
    headers, _ = unified(headers, taken.wanted.channels, names)
    cutting, told = _cutting(folder, reading), Counter[str]()
    for header in headers:
        with faults.of(header.name):
            told += _take(header, cutting, taken)
    faults.tell("recordings")
    if not len(taken):
        raise UserError(f"{WHERE}: no window lies within the {len(headers)} recordings{in_words(told)}")
    if told:
        say(f"Note: of {len(headers)} recordings{in_words(told).removeprefix(';')}.")


def _cutting(folder: Recordings, reading: Mapping[str, Any]) -> _Cutting:
    """Returns how recordings are cut: as in training, but that windows along annotations tile whole recordings."""
    given = {key: reading.get(key) for key in ("window_s", "stride_s", "symbols", "before_s", "after_s")}
    around = bool(given["symbols"]) and not given["window_s"]
    if not around:
        given = {key: given[key] for key in ("window_s", "stride_s")}
    return _Cutting(folder, Windows(**given), around, reading.get("resample_hz"), reading.get("rates_hz", ()))


def _take(header: Header, cutting: _Cutting, taken: Taken) -> Counter[str]:
    """Takes in the windows of a recording, and returns how many are not as one may think, by what is said of them."""
    wanted, folder, windows = taken.wanted, cutting.folder, cutting.windows
    if lacking := [name for name in wanted.channels if name not in header.channels]:
        raise UserError(
            f"{WHERE}: '{header.name}' has no channel '{lacking[0]}', which the model needs (channels: "
            f"{', '.join(header.channels[:12])})"
        )
    remarks = [*of_units(header, wanted), *of_rates(header, wanted, cutting.known_rates_hz)]
    other = any(header.rates_hz[header.place(name)] != wanted.rate_hz for name in wanted.channels)
    rate = cutting.resample_hz or (wanted.rate_hz if other else None)
    x, rate = signals(header, folder.read, Wanted(wanted.channels, wanted.units, rate, windows), _check)
    spans, told = windows.spans(x.shape[1], rate, folder.marks(header) if cutting.around else ())
    whole = not (windows.window_s or cutting.around)
    for start, stop, _ in spans:
        place = {} if whole else {"start_s": start / rate, "end_s": stop / rate}
        taken.add(x[:, start:stop], {"record": header.name, **place}, remarks)
        taken.tell((name, NOT_TAKEN) for name in header.channels if name not in wanted.channels)
    return told if spans else told + Counter({WITHOUT: 1})


def _check(file: str, channel: str, signal: np.ndarray) -> None:
    """Refuses infinite values; what is missing is told of each window."""
    if np.isinf(signal).any():
        raise UserError(f"{WHERE}: '{file}', channel '{channel}', holds a value that is infinite")


def of_units(header: Header, wanted: Expected) -> list[Remark]:
    """Returns what to remark of a recording's units.

    Raises:
        UserError: no factor brings one to the training's.
    """
    units = {name: header.units[header.place(name)] for name in wanted.channels}
    made = (of_unit(name, unit, wanted.units[name], f" in '{header.name}'") for name, unit in units.items())
    return [remark for remarks in made for remark in remarks]


def of_unit(name: str, unit: str, known: str, where: str = "") -> Iterator[Remark]:
    """Yields what to remark of a channel's unit.

    Args:
        name: Of the channel.
        unit: Of the new values; empty where it is not told.
        known: Of the training's, likewise.
        where: In which recording, for the error.

    Raises:
        UserError: no factor brings one to the other.
    """
    times = factor(unit, known)
    if times is None:
        raise UserError(f"{WHERE}: channel '{name}' is in {unit}{where}, the training's in {known}")
    if times != 1:
        yield name, f"brought from {unit} to {known}"
    elif known and not unit:
        yield name, f"of an untold unit, which is taken for {known}"
    elif unit and not known:
        yield name, f"in {unit}, while the training's unit is not known"


def of_rates(header: Header, wanted: Expected, known_hz: Sequence[float]) -> list[Remark]:
    """Returns what to remark of rates that no training recording had; refuses any where the training's is not known."""
    if wanted.rate_hz is None:
        raise UserError(
            f"{WHERE}: '{header.name}' has a sampling rate, but that of the training series is not known; train with "
            "dataset.sampling_rate_hz"
        )
    rates = {header.rates_hz[header.place(name)] for name in wanted.channels} - {wanted.rate_hz, *known_hz}
    return [(SERIES, resampling(rate, wanted.rate_hz)) for rate in sorted(rates)]


def resampling(rate: float, wanted: float) -> str:
    """Returns what is done to series of another rate, and what they lack."""
    lacks = f", though it holds nothing above {rate / 2:g} Hz" if rate < wanted else ""
    return f"sampled at {rate:g} Hz, and brought to {wanted:g} Hz{lacks}"
