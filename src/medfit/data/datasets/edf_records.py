"""A user's own recordings in the European Data Format."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from medfit.data.datasets.recordings import Recordings
from medfit.data.datasets.windows import Mark
from medfit.data.readers.edf_headers import annotation_files, promised_bytes
from medfit.data.readers.headers import Header, distinct, unreadable
from medfit.errors import UserError


class EdfRecords(Recordings):
    """Files in EDF, EDF+, BDF or BDF+, with their annotations, in the same file or in a second one of its name.

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
        return Header(file, self.named(file), names, rates, units, files=[file])

    def read(self, header: Header, channels: Sequence[int]) -> list[np.ndarray]:
        """Returns some channels' signals in their physical units."""
        with _reader(header.file, header.name) as reader:
            return [reader.readSignal(channel).astype(np.float32) for channel in channels]

    def files(self, found: list[Path]) -> list[Path]:
        """Returns the recordings; the others hold annotations of one, as a hypnogram does."""
        self.annotations = annotation_files(found)
        theirs = {file for files in self.annotations.values() for file in files}
        return [file for file in found if file not in theirs]

    def marks(self, header: Header) -> Sequence[Mark]:
        """Returns the annotations of an EDF+ or BDF+ file, and those of a second file of its name."""
        start, marks = self._marks(header.file)
        for file in self.annotations.get(header.file, ()):
            its_start, its_marks = self._marks(file)
            later = (its_start - start).total_seconds()
            marks += [Mark(mark.second + later, mark.symbol, mark.lasts_s) for mark in its_marks]
        return marks

    def _marks(self, file: Path) -> tuple[datetime, list[Mark]]:
        """Returns when a file begins, and its annotations."""
        with _reader(file, self.named(file)) as reader:
            start, (seconds, lasts, texts) = reader.getStartdatetime(), reader.readAnnotations()
        notes = zip(seconds.tolist(), lasts.tolist(), texts, strict=True)
        return start, [Mark(second, str(text).strip(), max(0.0, last)) for second, last, text in notes]


@contextmanager
def _reader(file: Path, name: str) -> Iterator[Any]:
    """Gives an open file, and tells of its reader's errors as the file's."""
    from pyedflib import EdfReader  # late: a quick start

    if (promised := promised_bytes(file)) and (held := file.stat().st_size) != promised:  # the reader would print it
        raise unreadable(file, name, OSError(f"{file.name}: holds {held} bytes, its header says {promised}"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that are not of the standard
        try:
            with EdfReader(str(file)) as reader:
                yield reader
        except OSError as error:
            raise unreadable(file, name, error) from error
