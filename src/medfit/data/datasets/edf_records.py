"""A user's own recordings in the European Data Format."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from medfit.data.datasets.recordings import Recordings
from medfit.data.datasets.windows import Marks
from medfit.data.readers.headers import Header, distinct, unreadable
from medfit.errors import UserError


class EdfRecords(Recordings):
    """Files in EDF, EDF+, BDF or BDF+, with the annotations that they hold.

    Options are those of :class:`medfit.data.datasets.recordings.Recordings`; ``annotator`` says nothing here.
    """

    endings: ClassVar[tuple[str, ...]] = (".edf", ".bdf")

    def header(self, file: Path) -> Header:
        """Returns what a file's header says.

        Raises:
            UserError: it can't be read, or names no signals.
        """
        with _reader(file, self.named(file)) as reader:
            numbers = range(reader.signals_in_file)
            names, rates = distinct(reader.getSignalLabels()), [float(reader.getSampleFrequency(i)) for i in numbers]
            units = [reader.getPhysicalDimension(i).replace("µ", "u") for i in numbers]
        if not names:
            raise UserError(f"dataset: '{self.named(file)}' holds no signals")
        return Header(file, self.named(file), names, rates, units)

    def read(self, header: Header, channels: Sequence[int]) -> list[np.ndarray]:
        """Returns some channels' signals in their physical units."""
        with _reader(header.file, header.name) as reader:
            return [reader.readSignal(channel) for channel in channels]

    def marks(self, header: Header) -> Marks:
        """Returns the annotations of an EDF+ or BDF+ file."""
        with _reader(header.file, header.name) as reader:
            seconds, _, texts = reader.readAnnotations()
        return seconds.tolist(), [str(text).strip() for text in texts]


@contextmanager
def _reader(file: Path, name: str) -> Iterator[Any]:
    """Gives an open file, and tells of its reader's errors as the file's."""
    from pyedflib import EdfReader

    if (promised := _promised_bytes(file)) and (held := file.stat().st_size) != promised:  # the reader would print it
        raise unreadable(file, name, OSError(f"{file.name}: holds {held} bytes, its header says {promised}"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that are not of the standard
        try:
            with EdfReader(str(file)) as reader:
                yield reader
        except OSError as error:
            raise unreadable(file, name, error) from error


def _promised_bytes(file: Path) -> int | None:
    """Returns the size that a file's header tells; None where it tells none, as in an unfinished recording."""
    with file.open("rb") as opened:
        head = opened.read(256)
        try:
            header, records, signals = int(head[184:192]), int(head[236:244]), int(head[252:256])
            opened.seek(256 + 216 * signals)
            samples = sum(int(opened.read(8)) for _ in range(signals))
        except (OSError, ValueError):
            return None
    return header + records * samples * (3 if head[:1] == b"\xff" else 2) if records >= 0 else None
