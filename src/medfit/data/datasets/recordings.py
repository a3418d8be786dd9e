"""A user's own recordings: a folder of files in a format of physiological signals, cut into windows."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from medfit.data.datasets.roles import check_columns, take_roles
from medfit.data.datasets.series import Series, points
from medfit.data.datasets.windows import Marks, Windows
from medfit.data.readers.files import read_table
from medfit.data.readers.headers import Header, common, match
from medfit.errors import UserError
from medfit.terminal.console import say

Positive = Annotated[float, Field(gt=0)]
RECORDING, ANNOTATION = " recording", "annotation"  # columns of our own; the space keeps clear of the user's own


@dataclass(frozen=True)
class Cut:
    """A window.

    Args:
        row: Number of its recording.
        x: In the shape (channels, length).
        annotation: The class of the annotation that it lies around.
    """

    row: int
    x: np.ndarray
    annotation: str | None


class Recordings(Series):
    """Windows of a folder's recordings; a format says how one is read.

    Without ``window_s`` and ``symbols`` a recording is one series, and lengths may differ. A recording's targets stand
    in a table, a row each; an annotated window's target is the annotation's class. Windows follow their patient, or
    their recording where no column names the patient, into one split. Recordings that the table does not name, windows
    beyond the ends, and windows in which a channel is missing throughout, are left out.

    Args:
        root: The folder, searched with all below it.
        labels: A table of the recordings (CSV, TSV, Parquet or Excel), a row each. None with ``symbols``, where each
            recording is a patient's.
        record: The table's column of names, with or without folder and ending.
        target: The table's target column, or several; None with ``symbols``.
        patient: The table's column that says whose recording it is.
        split: The table's column that says ``train``, ``val`` or ``test``.
        window_s: Seconds of a window; None for the whole recording.
        stride_s: Seconds from one window's start to the next one's; None for ``window_s``.
        symbols: The annotations to cut windows around, with the class of each; other annotations are left out.
        before_s: Seconds of a window before its annotation.
        after_s: Seconds from its annotation on.
        annotator: The ending of annotation files, where the format keeps annotations in files of their own.
        channels: Their names; None for all that all recordings have in common.
        resample_hz: A rate that all are brought to, where theirs differ.
        target_kind: ``binary``, ``multiclass``, ``multilabel`` or ``regression``, where it is guessed wrong.
        positive: The positive value of a binary target; None for the larger of the two.
        units: Of targets; the files tell those of channels.
        missing_values: Cells of the table that mean "missing", besides empty ones and the usual words.
        decimal: The decimal mark of a table in text.
        encoding: Of a table in text.
    """

    endings: ClassVar[tuple[str, ...]]  # of the files that name a recording
    data_endings: ClassVar[tuple[str, ...]] = ()  # of other files, which a table may name as well

    def __init__(
        self,
        root: str,
        labels: str | None = None,
        record: str = "record",
        target: str | list[str] | None = None,
        patient: str | None = None,
        split: str | None = None,
        window_s: Positive | None = None,
        stride_s: Positive | None = None,
        symbols: Mapping[str, str | int] | None = None,
        before_s: Annotated[float, Field(ge=0)] | None = None,
        after_s: Annotated[float, Field(ge=0)] | None = None,
        annotator: str = "atr",
        channels: Sequence[str] | None = None,
        resample_hz: Positive | None = None,
        target_kind: Literal["binary", "multiclass", "multilabel", "regression"] | None = None,
        positive: str | int | float | bool | None = None,
        units: Mapping[str, str] | None = None,
        missing_values: Sequence[str] = ("?",),
        decimal: Literal[".", ","] = ".",
        encoding: str = "utf-8",
    ) -> None:
        if (target is None) == (not symbols) or (target is not None and labels is None):
            raise UserError(
                "dataset: give dataset.symbols, or dataset.labels (a table of recordings) and dataset.target"
            )
        self.folder, self.annotator = Path(root).expanduser(), annotator
        windows = Windows(window_s, stride_s, symbols, before_s, after_s)
        roles = partial(take_roles, split=split, target_kind=target_kind, positive=positive)
        if labels is None:
            table, headers = self._all()
        else:
            table = _read_labels(labels, missing_values=missing_values, decimal=decimal, encoding=encoding)
            check_columns(table, {"record": record, "patient": patient, "split": split})
            if target is not None:  # a wrong column shows before any recording is read
                table = table.loc[roles(table, target, patient)[0].index]
            table, headers = self._named(table, record)
        names, rate, its_units = common(headers, channels, resample_hz)
        cuts, told = self._cut(headers, names, resample_hz, windows)
        taken = table.iloc[[cut.row for cut in cuts]].assign(**{ANNOTATION: [cut.annotation for cut in cuts]})
        rest, about, told_roles = roles(taken, target or ANNOTATION, patient or RECORDING)
        about["facts"] = rest.drop(columns=[name for name in (record, RECORDING, ANNOTATION) if name in rest])
        about |= {"name": self.folder.resolve().name, "source": f"{self.folder.name}, the user's own"}
        x = [cut.x for cut in cuts]
        super().__init__(x=x, channels=names, sampling_rate_hz=rate, units=its_units | dict(units or {}), **about)
        say(f"{self.name}: {len(headers)} recordings; {told_roles}; series of {len(names)} x {points(x)} points{told}")

    @abstractmethod
    def header(self, file: Path) -> Header:
        """Returns what a recording's header says."""

    @abstractmethod
    def read(self, header: Header, channels: Sequence[int]) -> list[np.ndarray]:
        """Returns the signal of each of some channels, by their numbers; NaN where a value is missing."""

    @abstractmethod
    def marks(self, header: Header) -> Marks:
        """Returns a recording's annotations."""

    def named(self, file: Path) -> str:
        """Returns a file's name below the data set's folder."""
        return file.relative_to(self.folder).as_posix()

    def _files(self) -> dict[str, Path]:
        """Returns all recordings of the folder by name, without ending."""
        if not self.folder.is_dir():
            raise UserError(f"dataset.root: there is no folder '{self.folder}'")
        found = [
            file
            for file in sorted(self.folder.rglob("*"))
            if file.suffix.lower() in self.endings and not file.name.startswith(".") and file.is_file()
        ]
        if not found:
            raise UserError(f"dataset.root: '{self.folder}' holds no files that end with {' or '.join(self.endings)}")
        files = {self.named(file).removesuffix(file.suffix): file for file in found}
        if twin := next(iter(sorted(set(found) - set(files.values()))), None):
            raise UserError(f"dataset.root: '{self.named(twin)}' and another file differ by their ending alone")
        return files

    def _all(self) -> tuple[pd.DataFrame, list[Header]]:
        """Returns all recordings of the folder, in a table and as headers, but for those that are pieces of others."""
        headers = {name: self.header(file) for name, file in self._files().items()}
        pieces = {piece for header in headers.values() for piece in header.pieces}
        whole = [name for name in headers if name not in pieces]
        return pd.DataFrame({RECORDING: whole}), [headers[name] for name in whole]

    def _named(self, table: pd.DataFrame, record: str) -> tuple[pd.DataFrame, list[Header]]:
        """Returns the recordings that a table names."""
        files = self._files()
        names = match(table[record], list(files), self.endings + self.data_endings)
        return table.assign(**{RECORDING: names}), [self.header(files[name]) for name in names]

    def _cut(
        self, headers: Sequence[Header], names: Sequence[str], resample_hz: float | None, windows: Windows
    ) -> tuple[list[Cut], str]:
        """Reads all recordings, and returns their windows and what to say of those left out."""
        cuts, num_beyond, num_missing = [], 0, 0
        for row, header in enumerate(headers):
            x, rate = self._signals(header, names, resample_hz)
            marks = self.marks(header) if windows.symbols else ((), ())
            spans, beyond = windows.spans(x.shape[1], rate, marks)
            pieces = [Cut(row, x[:, start:stop], annotation) for start, stop, annotation in spans]
            whole = [cut for cut in pieces if not np.isnan(cut.x).all(axis=1).any()]
            cuts += whole
            num_beyond, num_missing = num_beyond + beyond, num_missing + len(pieces) - len(whole)
        if not cuts:
            raise UserError(f"dataset: no window lies within the {len(headers)} recordings{_left_out(0, num_missing)}")
        short = len(headers) - len({cut.row for cut in cuts})
        return cuts, _left_out(num_beyond, num_missing) + (f"; {short} recordings have no window" if short else "")

    def _signals(self, header: Header, names: Sequence[str], resample_hz: float | None) -> tuple[np.ndarray, float]:
        """Returns a recording in the shape (channels, length), and its rate."""
        numbers = [list(header.channels).index(name) for name in names]
        signals = self.read(header, numbers)
        rate = header.rates_hz[numbers[0]]
        for name, signal in zip(names, signals, strict=True):
            if not len(signal):
                raise UserError(f"dataset: '{header.name}' holds no samples")
            if np.isinf(signal).any():
                raise UserError(f"dataset: '{header.name}', channel '{name}', holds a value that is infinite")
            if np.isnan(signal).all():
                raise UserError(f"dataset: '{header.name}', channel '{name}', is all missing")
        if resample_hz is not None:
            rates = [header.rates_hz[number] for number in numbers]
            signals = [_resampled(signal, old, resample_hz) for signal, old in zip(signals, rates, strict=True)]
            rate = resample_hz
        length = min(len(signal) for signal in signals)  # resampling rounds
        return np.stack([signal[:length] for signal in signals]).astype(np.float32), rate


def _read_labels(labels: str, **text: Any) -> pd.DataFrame:
    try:
        return read_table(Path(labels).expanduser(), **text)
    except UserError as error:
        raise UserError(str(error).replace("dataset.path", "dataset.labels", 1)) from error


def _resampled(signal: np.ndarray, old: float, new: float) -> np.ndarray:
    """Returns a signal at another rate, missing where it was."""
    from medfit.data.preprocessing.signal_cleaning import fill, resample

    gaps = np.isnan(signal)
    x = resample(fill(signal[None], "interpolate").astype(np.float64), old, new)[0]
    nearest = np.round(np.arange(len(x)) * old / new).astype(int).clip(max=len(signal) - 1)
    return np.where(gaps[nearest], np.nan, x)


def _left_out(num_beyond: int, num_missing: int) -> str:
    beyond = f"; {num_beyond} annotated windows reach beyond an end" if num_beyond else ""
    return beyond + (f"; in {num_missing} windows a channel is missing throughout" if num_missing else "")
