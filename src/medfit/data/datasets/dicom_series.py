"""A user's own DICOM files, for generation."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from medfit.data.datasets.faults import Faults, OnError
from medfit.data.datasets.image_folders import below, folder_of, hidden, tell_left_out
from medfit.data.datasets.image_patients import refuse_nameless, tags_of, tell_shared_studies
from medfit.data.datasets.images import Images
from medfit.data.image import Image
from medfit.data.readers.dicom_files import has_image, header, is_dicom, read_dicom, read_series
from medfit.data.readers.dicom_frames import num_frames
from medfit.data.readers.image_files import as_image
from medfit.data.readers.kept_raw import kept
from medfit.errors import UserError
from medfit.terminal.console import say


class DicomSeries(Images):
    """The images in a tree of DICOM files: a volume of each series, or each slice; for generation.

    Values are Hounsfield units for CT, and what the scanner wrote for all else. Files without an image (reports,
    plans, masks, doses) are left out. Who the patients are is used to divide them, and neither shown nor stored.

    Args:
        root: The tree's folder, relative to where the command is run.
        slices: Whether each slice is an image of its own; else each series is a volume.
        patient: What in a file says whose it is; ``StudyInstanceUID`` where the patients have no number.
        channels: Names of the images' channels; None to name them from the images.
        on_error: ``stop`` at the first image that can't be used, or ``skip`` all of them, and list why.

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
        on_error: OnError = "stop",
    ) -> None:
        folder, faults = folder_of(root, "root"), Faults(on_error)
        samples = _samples(folder, slices, patient, faults)
        readers: list[Callable[[], Image]] = [functools.partial(_read, files) for files, _ in samples]
        super().__init__(
            name=folder.resolve().name,
            names=[_name(folder, files) for files, _ in samples],
            readers=readers,
            channels=channels,
            task="generation",
            target_names=[],
            groups=pd.factorize(np.array([owner for _, owner in samples]))[0],  # numbers, that nobody is named
            source="the user's own DICOM files",
            faults=faults,
        )
        kind = "slices" if slices else "series"
        say(f"{self.name}: {len(self)} {kind} of {len(set(self.groups.tolist()))} patients")


class _Slice(NamedTuple):
    path: Path
    tags: dict[str, str]
    series: str


def _samples(folder: Path, slices: bool, patient: str, faults: Faults) -> list[tuple[list[Path], str]]:
    """Returns the files of each sample, and whose it is."""
    samples: dict[str, list[_Slice]] = {}
    found = _files(folder, slices, faults)
    if not found:
        raise UserError(f"dataset.root: there are no DICOM images in '{folder.name}'")
    for one in found:
        samples.setdefault(str(one.path) if slices else one.series, []).append(one)
    names = {key: _name(folder, [one.path for one in own]) for key, own in samples.items()}
    nameless = [names[key] for key, own in samples.items() for one in own if not one.tags[patient]]
    refuse_nameless(nameless, patient, faults)
    if patient == "PatientID":
        tell_shared_studies([one.tags for one in found])
    for key, own in samples.items():
        with faults.of(names[key]):
            _check_one_patient(own, patient)
    return [([one.path for one in own], own[0].tags[patient]) for own in samples.values()]


def _files(folder: Path, slices: bool, faults: Faults) -> list[_Slice]:
    """Returns the files that hold an image; says which ones hold none, or are no DICOM files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "DICOMDIR")
    files = [path for path in files if not hidden(folder, path)]
    found: list[_Slice] = []
    rest: list[Path] = []
    without: list[Path] = []
    for path, name in zip(files, below(folder, files), strict=True):
        with faults.of(name):
            if not is_dicom(path):
                rest.append(path)
            elif not has_image(head := header(path)):
                without.append(path)
            else:
                if slices and (count := num_frames(path.name, head)) > 1:
                    raise UserError(f"{path.name}: holds {count} slices; dataset.slices=false reads it as a volume")
                found.append(_Slice(path, tags_of(head), str(head.get("SeriesInstanceUID"))))
    tell_left_out(folder, rest, "they are no DICOM files")
    tell_left_out(folder, without, "they hold no image")
    return found


def _check_one_patient(slices: Sequence[_Slice], patient: str) -> None:
    for one in slices:
        if one.tags[patient] != slices[0].tags[patient]:
            raise UserError(f"{one.path.name}: is of another patient than the rest of its series")


def _name(folder: Path, files: Sequence[Path]) -> str:
    first = below(folder, files[:1])[0]
    return first if len(files) == 1 else f"{first} and {len(files) - 1} more"


def _read(files: Sequence[Path]) -> Image:
    first = files[0]
    if len(files) == 1:
        return as_image(kept(files, "dicom", lambda: read_dicom(first)))
    return as_image(kept(files, "series", lambda: read_series(files, _name(first.parent, files))))
