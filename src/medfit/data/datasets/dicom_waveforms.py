"""A user's own recordings in DICOM, as ECG devices store them."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from medfit.data.datasets.recordings import Recordings
from medfit.data.datasets.windows import Mark
from medfit.data.readers.dicom_files import SUFFIXES
from medfit.data.readers.dicom_waveforms import read_header, read_waveforms
from medfit.data.readers.headers import Header
from medfit.errors import UserError


class DicomWaveforms(Recordings):
    """DICOM files of waveforms: 12-lead, general and ambulatory ECG, and others, with or without an ending.

    Whose a recording is, its header says (``PatientID``), unless ``patient`` names a column of the table. Options are
    those of :class:`medfit.data.datasets.recordings.Recordings`, but for those of annotations, which are not read.
    """

    endings: ClassVar[tuple[str, ...]] = SUFFIXES

    def header(self, file: Path) -> Header:
        """Returns what a file's header says."""
        return read_header(file, self.named(file))

    def read(self, header: Header, channels: Sequence[int]) -> list[np.ndarray]:
        """Returns some channels' signals in their physical units."""
        return read_waveforms(header.file, header.name, channels)

    def marks(self, header: Header) -> Sequence[Mark]:
        """Refuses to give annotations.

        Raises:
            UserError: always.
        """
        raise UserError("dataset.symbols: annotations of DICOM waveforms are not read; give dataset.labels")

    def is_recording(self, file: Path) -> bool:
        """Tells whether a file is one of DICOM, by its ending or its mark."""
        if super().is_recording(file):
            return True
        with file.open("rb") as opened:
            return file.name != "DICOMDIR" and opened.read(132)[128:] == b"DICM"
