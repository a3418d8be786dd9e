"""A user's own recordings: a folder of files in a format of physiological signals, cut into windows."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Self, Unpack

import numpy as np
import pandas as pd
from pydantic import Field

from medfit.data.datasets import suspects
from medfit.data.datasets.faults import Faults, OnError
from medfit.data.datasets.options import Asked, Options, TableReader, Targets
from medfit.data.datasets.recording_windows import Cut, Wanted, cut
from medfit.data.datasets.roles import check_columns
from medfit.data.datasets.series import Series, points
from medfit.data.datasets.windows import Mark, Windows
from medfit.data.readers.channels import lost, unified
from medfit.data.readers.headers import Header, common, divided, match, noted, patients
from medfit.data.scratch import Held
from medfit.errors import UserError
from medfit.terminal.console import say

Positive = Annotated[float, Field(gt=0)]
NEEDED = "dataset: give dataset.symbols, or dataset.labels (a table of recordings) and dataset.target"
# columns of our own; the space keeps clear of the user's own
RECORDING, PATIENT, ANNOTATION = " recording", " patient", "annotation"
NOTHING = Asked(pd.DataFrame(), [ANNOTATION], {})


class Recordings(Series):
    """Windows of a folder's recordings; a format says how one is read.

    Without ``window_s`` and ``symbols`` a recording is one series, and lengths may differ. A recording's targets stand
    in a table, a row each; an annotated window's target is the annotation's class. Windows tile annotations that last
    (``symbols`` with ``window_s``), or lie around annotations (``before_s`` and ``after_s``). Windows follow their
    patient, or their recording where no column names the patient, into one split. Recordings that the table does not
    name, windows beyond the ends, and windows in which a channel is missing throughout, are left out. A channel is the
    same in all recordings whatever its capitals; volts are brought to the first recording's unit.

    Args:
        root: The folder, searched with all below it.
        labels: A table of the recordings (CSV, TSV, Parquet or Excel), a row each. None with ``symbols``, where each
            recording is a patient's.
        record: The table's column of names, with or without folder and ending.
        target: The table's target column, or several; None with ``symbols`` or ``target_rule``.
        patient: The table's column that says whose recording it is.
        split: The table's column that says ``train``, ``val`` or ``test``.
        window_s: Seconds of a window; None for the whole recording.
        stride_s: Seconds from one window's start to the next one's; None for ``window_s``.
        symbols: The annotations to cut windows from, with the class of each; other annotations are left out.
        before_s: Seconds of a window before its annotation.
        after_s: Seconds from its annotation on.
        annotator: The ending of annotation files, where the format keeps annotations in files of their own.
        channels: Their names; None for all that all recordings have in common.
        channel_names: Other names of channels, by those that files have, where spellings differ by more than capitals
            and a leading kind (``EEG``, ``ECG``, ``lead``).
        resample_hz: A rate that all are brought to, where theirs differ.
        memory_gib: Of memory that windows may take; those that outgrow it lie in a file while the command runs. None
            for a quarter of what is free.
        on_error: ``stop`` at the first recording that can't be read, or ``skip`` all of them, and list why.
        header: Whether the first row of a table in text names the columns; else they are named 0, 1 and so on.
        units: Of targets; the files tell those of channels.
        **options: Of the table, as :class:`medfit.data.datasets.options.Options` describes them.

    Attributes:
        headers: Of each window's recording.
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
        channel_names: Mapping[str, str] | None = None,
        resample_hz: Positive | None = None,
        memory_gib: Positive | None = None,
        on_error: OnError = "stop",
        header: bool = True,
        units: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        self.folder, reader, faults = Path(root).expanduser(), TableReader(**options), Faults(on_error)
        if (asks := target is not None or reader.by_rule) == bool(symbols) or (asks and labels is None):
            raise UserError(NEEDED)
        self.annotator, windows = annotator, Windows(window_s, stride_s, symbols, before_s, after_s)
        asked = _labelled(reader, labels, header, target, [record, patient, split]) if labels else NOTHING
        table, headers = self._named(asked.table, record, faults) if labels else self.every(faults)
        headers, spelt = unified(headers, channels, channel_names)
        table, headers = _having(table, headers, channels, faults)
        names, rate, its_units, told_units = common(headers, channels, resample_hz)
        wanted = Wanted(names, its_units, resample_hz, windows)
        with Held(memory_gib) as held:
            (cuts, told), x = cut(headers, self.read, self.marks, wanted, faults, held), held.series()
        table, patient = _owned(table, headers, patient)
        told += divided(headers, table[patient]) if patient else ""
        rest, about, told_roles = reader.roles(_taken(table, cuts, asks), asked.targets, patient or RECORDING, split)
        about["facts"] = rest.drop(columns=[name for name in (record, RECORDING, PATIENT) if name in rest])
        about["excluded"] = {**about["excluded"], "recording skipped": len(faults.reasons)}
        about |= {"name": self.folder.resolve().name, "source": f"{self.folder.name}, the user's own"}
        about["units"] = its_units | asked.units | dict(units or {})
        super().__init__(x=x, channels=names, sampling_rate_hz=rate, **about)
        self.reading = {"rates_hz": sorted({each.rates_hz[each.place(name)] for each in headers for name in names})}
        self.headers = [headers[piece.row] for piece in cuts]
        faults.tell("recordings")
        say(
            f"{self.name}: {len(headers)} recordings; {told_roles}; series of {len(names)} x {points(x)} points"
            f"{told}{held.told()}{noted(headers)}{spelt}{told_units}{'' if channels else lost(headers, names)}"
        )

    @classmethod
    def opened(cls, folder: Path, annotator: str) -> Self:
        """Returns a folder whose recordings can be read one by one; none is yet, and it is no data set.

        Args:
            folder: With the recordings.
            annotator: As the data set takes it.
        """
        made = cls.__new__(cls)
        made.folder, made.annotator = folder, annotator
        return made

    @abstractmethod
    def header(self, file: Path) -> Header:
        """Returns what a recording's header says."""

    @abstractmethod
    def read(self, header: Header, channels: Sequence[int]) -> list[np.ndarray]:
        """Returns the signal of each of some channels, by their numbers; NaN where a value is missing."""

    @abstractmethod
    def marks(self, header: Header) -> Sequence[Mark]:
        """Returns a recording's annotations."""

    def named(self, file: Path) -> str:
        """Returns a file's name below the data set's folder."""
        return file.relative_to(self.folder).as_posix()

    def is_recording(self, file: Path) -> bool:
        """Tells whether a file of the folder names a recording, by its ending; a format may tell otherwise."""
        return file.suffix.lower() in self.endings

    def files(self, found: list[Path]) -> list[Path]:
        """Returns which of some files are recordings; others hold what belongs to these, and a format may keep them."""
        return found

    def _files(self, only: Path | None = None) -> dict[str, Path]:
        """Returns all recordings of the folder by name, without ending, or a single one."""
        if not self.folder.is_dir():
            raise UserError(f"dataset.root: there is no folder '{self.folder}'")
        found = self.files([
            file
            for file in sorted(self.folder.rglob("*") if only is None else self.folder.iterdir())
            if not file.name.startswith(".") and file.is_file() and self.is_recording(file)
        ])  # fmt: skip
        if not found:
            raise UserError(f"dataset.root: '{self.folder}' holds no files that end with {' or '.join(self.endings)}")
        ended = [file.suffix if file.suffix.lower() in self.endings else "" for file in found]
        files = {self.named(file).removesuffix(end): file for file, end in zip(found, ended, strict=True)}
        if twin := next(iter(sorted(set(found) - set(files.values()))), None):
            raise UserError(f"dataset.root: '{self.named(twin)}' and another file differ by their ending alone")
        return {name: file for name, file in files.items() if only is None or file == only}

    def every(self, faults: Faults, only: Path | None = None) -> tuple[pd.DataFrame, list[Header]]:
        """Returns all recordings of the folder, in a table and as headers, but for those that are pieces of others.

        Args:
            faults: Of single recordings.
            only: A file of the folder, whose recording alone is read.
        """
        headers: dict[str, Header] = {}
        wrong: dict[str, UserError] = {}
        for name, file in self._files(only).items():
            try:
                headers[name] = self.header(file)
            except UserError as error:  # of no weight where the file is a piece of another, as a layout is
                wrong[name] = error
        pieces = {piece for header in headers.values() for piece in header.pieces}
        for name in wrong.keys() - pieces:
            with faults.of(name):
                raise wrong[name]
        whole = [name for name in headers if name not in pieces]
        return pd.DataFrame({RECORDING: whole}), [headers[name] for name in whole]

    def _named(self, table: pd.DataFrame, record: str, faults: Faults) -> tuple[pd.DataFrame, list[Header]]:
        """Returns the recordings that a table names."""
        files = self._files()
        names = match(table[record], list(files), self.endings + self.data_endings, faults.on_error == "skip")
        headers = {}
        for row, name in zip(table.index, names, strict=True):
            with faults.of(name or f"row {row}"):
                if name is None:
                    raise UserError(f"dataset.labels: data row {row + 1}: no such recording is under dataset.root")
                headers[name] = self.header(files[name])
        table = table.assign(**{RECORDING: names})
        return table[table[RECORDING].isin(headers)], list(headers.values())


def _having(
    table: pd.DataFrame, headers: Sequence[Header], channels: Sequence[str] | None, faults: Faults
) -> tuple[pd.DataFrame, list[Header]]:
    """Returns the recordings that have the channels that are asked for."""
    kept = []
    for row, header in enumerate(headers):
        with faults.of(header.name):
            for name in channels or ():
                header.place(name)
            kept.append(row)
    if not kept:
        raise UserError(f"dataset.root: none of the recordings can be read ({next(iter(faults.reasons.values()), '')})")
    return table.iloc[kept], [headers[row] for row in kept]


def _owned(table: pd.DataFrame, headers: Sequence[Header], patient: str | None) -> tuple[pd.DataFrame, str | None]:
    """Returns the table of recordings and its column of patients: the headers', where the user names none."""
    if patient is None and (owners := patients(headers)) is not None:
        return table.assign(**{PATIENT: owners}), PATIENT
    return table, patient


def _taken(table: pd.DataFrame, cuts: Sequence[Cut], asks: bool) -> pd.DataFrame:
    """Returns a row each window: the recording's, with the window's annotation where that is the target."""
    taken = table.iloc[[piece.row for piece in cuts]]
    return taken if asks else taken.assign(**{ANNOTATION: [piece.annotation for piece in cuts]})


def _labelled(reader: TableReader, labels: str, header: bool, target: Targets, named: Sequence[str | None]) -> Asked:
    """Returns the recordings that a table tells of, those with a target alone.

    Args:
        reader: Of the user's tables.
        labels: Path of the table.
        header: Whether its first row names the columns.
        target: Its column, or several; None with a rule, and where annotations say what to learn.
        named: The columns of recordings, patients and splits.
    """
    table = reader.read(labels, "labels", header)
    check_columns(table, dict(zip(("record", "patient", "split"), named, strict=True)))
    if target is None and not reader.by_rule:
        return reader.ask(table.assign(**{ANNOTATION: ""}), ANNOTATION, named)
    asked = reader.ask(table, target, named)
    suspects.tell(asked.table[asked.targets])
    known = reader.roles(asked.table, asked.targets, *named[1:])[0].index  # a wrong column shows before any is read
    return asked._replace(table=asked.table.loc[known])
