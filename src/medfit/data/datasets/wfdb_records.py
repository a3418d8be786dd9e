"""A user's own recordings in PhysioNet's format."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from medfit.data.datasets.recordings import Recordings
from medfit.data.datasets.windows import Mark
from medfit.data.readers.headers import Header, distinct, unreadable
from medfit.data.readers.units import factor
from medfit.errors import UserError


class WfdbRecords(Recordings):
    """WFDB records: ``.hea`` headers with their signal files, and annotations beside them.

    Records of several segments are read as one, missing where there is a gap. A signal of several samples a frame is
    averaged to the frame's rate. Options are those of :class:`medfit.data.datasets.recordings.Recordings`.
    """

    endings: ClassVar[tuple[str, ...]] = (".hea",)
    data_endings: ClassVar[tuple[str, ...]] = (".dat", ".mat")

    def header(self, file: Path) -> Header:
        """Returns what a record's header says.

        Raises:
            UserError: it can't be read, or names no signals.
        """
        with _wfdb(file, self.named(file)) as wfdb:
            record = wfdb.rdheader(str(file.with_suffix("")), rd_segments=True)
            segments = getattr(record, "seg_name", None) or ()
            described = next((one for one in record.segments if one), record) if segments else record
            if segments:
                _check_segments(record, described)
            names, units = distinct(described.sig_name or ()), [unit or "" for unit in described.units or ()]
        if not names or record.sig_len == 0:
            raise UserError(f"dataset: '{self.named(file)}' holds no signals")
        if len(names) != described.n_sig:
            raise UserError(f"dataset: '{self.named(file)}' describes {len(names)} of its {described.n_sig} signals")
        folder = self.named(file).rpartition("/")
        pieces = [f"{folder[0]}{folder[1]}{name}" for name in segments]
        rates_hz, files = [float(record.fs)] * len(names), _files(file, record)
        return Header(file, self.named(file), names, rates_hz, units, pieces, files=files)

    def read(self, header: Header, channels: Sequence[int]) -> list[np.ndarray]:
        """Returns some channels' signals in their physical units."""
        with _wfdb(header.file, header.name) as wfdb:
            name, own = str(header.file.with_suffix("")), sorted(set(channels))  # of the others nothing is read
            x = wfdb.rdrecord(name, channels=own, return_res=32).p_signal
            return [x[:, own.index(channel)] for channel in channels]

    def marks(self, header: Header) -> Sequence[Mark]:
        """Returns the annotations of ``annotator``."""
        with _wfdb(header.file, header.name) as wfdb:
            found = wfdb.rdann(str(header.file.with_suffix("")), self.annotator)
        rate = found.fs or header.rates_hz[0]
        return [Mark(sample / rate, symbol) for sample, symbol in zip(found.sample, found.symbol, strict=True)]


def _files(file: Path, record: Any) -> list[Path]:
    """Returns all files that a record's signals are read from: its own, and those of its segments."""
    segments = [one for one in getattr(record, "segments", None) or () if one is not None]
    names = {name for one in (record, *segments) for name in getattr(one, "file_name", None) or ()}
    names |= {f"{one.record_name}.hea" for one in segments}
    return [file, *(file.parent / name for name in sorted(names - {"", "~"}))]  # ~ is a gap


def _check_segments(record: Any, described: Any) -> None:
    """Refuses segments whose channels are not those that the whole record is read as; raises ValueError."""
    units = dict(zip(described.sig_name or (), described.units or (), strict=False))
    fixed = record.seg_len[0] > 0  # or else the first one is a layout, and segments may have channels in any order
    for name, segment in zip(record.seg_name, record.segments, strict=False):
        if segment is None or not segment.sig_name:  # a gap
            continue
        if fixed and segment.sig_name != described.sig_name:
            raise ValueError(f"its segment {name} has other channels, or in another order, than the first")
        for channel, unit in zip(segment.sig_name, segment.units or (), strict=False):
            if factor(unit or "", units.get(channel) or "") != 1:
                raise ValueError(f"its segment {name} has {channel} in {unit}, others in {units[channel]}")


@contextmanager
def _wfdb(file: Path, name: str) -> Iterator[ModuleType]:
    """Gives the package, and tells of its errors as the file's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own use of pandas and numpy
        import wfdb  # late: a quick start

        try:
            yield wfdb
        except FileNotFoundError as error:
            missing = Path(error.filename or "").name
            raise UserError(f"dataset: '{name}' needs the file '{missing}', which is not there") from error
        except Exception as error:  # it has many kinds
            raise unreadable(file, name, error) from error
