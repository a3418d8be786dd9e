"""A user's own DICOM files, for generation."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from medfit.data.datasets.image_folders import folder_of, tell_left_out
from medfit.data.datasets.image_patients import refuse_nameless, tags_of, tell_shared_studies
from medfit.data.datasets.images import Images
from medfit.data.image import Image
from medfit.data.readers.dicom_files import dicom_files, header, read_dicom, read_series
from medfit.data.readers.image_files import channel_names
from medfit.data.readers.raw_images import RawImage
from medfit.errors import UserError
from medfit.terminal.console import say


class DicomSeries(Images):
    """The images in a tree of DICOM files: a volume of each series, or each slice; for generation.

    Values are Hounsfield units for CT, and what the scanner wrote for all else. Files without an image, as reports and
    plans, are left out. Who the patients are is used to divide them, and neither shown nor stored.

    Args:
        root: The tree's folder, relative to where the command is run.
        slices: Whether each slice is an image of its own; else each series is a volume.
        patient: What in a file says whose it is; ``StudyInstanceUID`` where the patients have no number.
        channels: Names of the images' channels; None to name them from the first image.

    Raises:
        UserError: no DICOM files, files that do not say whose they are, and all that
            :func:`medfit.data.readers.dicom_files.read_series` and :class:`Images` refuse.
    """

    def __init__(
        self,
        root: str,
        slices: bool = False,
        patient: Literal["PatientID", "StudyInstanceUID"] = "PatientID",
        channels: Sequence[str] | None = None,
    ) -> None:
        folder = folder_of(root, "root")
        samples = _samples(folder, slices, patient)
        readers: list[Callable[[], Image]] = [functools.partial(_read, files) for files, _ in samples]
        super().__init__(
            name=folder.resolve().name,
            names=[_name(files) for files, _ in samples],
            readers=readers,
            channels=channels or channel_names(readers[0]()),
            task="generation",
            target_names=[],
            groups=pd.factorize(np.array([owner for _, owner in samples]))[0],  # numbers, that nobody is named
            source="the user's own DICOM files",
        )
        kind = "slices" if slices else "series"
        say(f"{self.name}: {len(self)} {kind} of {len(set(self.groups.tolist()))} patients")


def _samples(folder: Path, slices: bool, patient: str) -> list[tuple[list[Path], str]]:
    """Returns the files of each sample, and whose it is."""
    found: dict[str, tuple[list[Path], str]] = {}
    heads: list[dict[str, str]] = []
    files_found = dicom_files(folder, deep=True)
    rest = {path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")} - {*files_found}
    tell_left_out(folder, sorted(path for path in rest if path.name != "DICOMDIR"), "they are no DICOM files")
    for path in files_found:
        head = header(path)
        if "Rows" not in head:
            continue
        heads.append(tags_of(head))
        owner = heads[-1][patient]
        key = str(path) if slices else str(head.get("SeriesInstanceUID"))
        files, first_owner = found.setdefault(key, ([], owner))
        if owner != first_owner:
            raise UserError(f"{path.name}: is of another patient than the rest of its series")
        files.append(path)
    if not found:
        raise UserError(f"dataset.root: there are no DICOM images in '{folder.name}'")
    refuse_nameless(sum(not tags[patient] for tags in heads), patient)
    if patient == "PatientID":
        tell_shared_studies(heads)
    return list(found.values())


def _name(files: Sequence[Path]) -> str:
    return files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"


def _read(files: Sequence[Path]) -> Image:
    raw: RawImage = read_dicom(files[0]) if len(files) == 1 else read_series(files, _name(files))
    return Image(raw.x, spacing_mm=raw.spacing_mm)
