"""A user's own images, in a folder for each class."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medfit.data.datasets.faults import Faults, OnError
from medfit.data.datasets.image_folders import (
    Found,
    below,
    find,
    folder_of,
    loose_images,
    split_folders,
    splits_of,
    tell_left_out,
    visible,
)
from medfit.data.datasets.image_patients import patients_of
from medfit.data.datasets.images import Images
from medfit.data.readers.image_files import read_image
from medfit.errors import UserError, suggest
from medfit.terminal.console import say


class ImageClasses(Images):
    """Images in a sub-folder for each class, for classification; without sub-folders for generation.

    Images are PNG, JPEG, BMP, GIF, WebP, TIFF, NIfTI or DICOM files, or a sub-folder for each case with a DICOM
    series. Two classes are a binary target, more a multiclass one. The class folders may lie in folders ``train``,
    ``val`` and ``test``, which then give the split.

    Args:
        root: The folder, relative to where the command is run.
        patient: A regular expression whose first group in a file's name is the patient; None for the ``PatientID`` of
            DICOM files, and for each other image as a patient; ``StudyInstanceUID`` for DICOM files without the former.
        positive: The positive one of two classes; None for the last in the alphabet.
        channels: Names of the images' channels; one name for colour images turns them grey, three for grey ones give
            them colours. None to name them from the images.
        on_error: ``stop`` at the first image that can't be used, or ``skip`` all of them, and list why.

    Raises:
        UserError: a single class, a class without images, images beside the class folders, and all that
            :class:`Images` refuses.
    """

    def __init__(
        self,
        root: str,
        patient: str | None = None,
        positive: str | None = None,
        channels: Sequence[str] | None = None,
        on_error: OnError = "stop",
    ) -> None:
        folder, faults = folder_of(root, "root"), Faults(on_error)
        found, labels = _find(folder)
        paths = [image.path for image in found]
        names = below(folder, paths)
        num_channels = len(channels) if channels else None
        super().__init__(
            name=folder.resolve().name,
            names=names,
            readers=[functools.partial(read_image, path, num_channels) for path in paths],
            channels=channels,
            groups=patients_of(paths, patient, names, faults),
            given_split=splits_of(found),
            source="the user's own",
            faults=faults,
            **_targets(labels, positive),
        )
        told = f"{self.task} ({', '.join(self.target_names)})" if labels else "no class folders, so for generation"
        say(f"{self.name}: {len(self)} images of {len(set(self.groups.tolist()))} patients; {told}")


def _find(folder: Path) -> tuple[list[Found], list[str]]:
    """Returns the images and each one's class; no classes where there are no class folders."""
    parts = [(split, part) for split, split_parts in split_folders(folder).items() for part in split_parts]
    class_folders = [(split, path) for split, part in parts for path in visible(part) if path.is_dir()]
    if not class_folders:
        return find(folder, "root"), []
    if loose := [path.name for _, part in parts for path in loose_images(part)]:
        raise UserError(f"dataset.root: {len(loose)} images lie beside the class folders, the first: {loose[0]}")
    _tell_beside(folder, [part for _, part in parts])
    found: list[Found] = []
    labels: list[str] = []
    for split, path in class_folders:
        images = find(path, "root")
        found += [image._replace(split=split or image.split) for image in images]
        labels += [path.name] * len(images)
    return found, labels


def _tell_beside(folder: Path, parts: Sequence[Path]) -> None:
    """Says how many files lie beside the class folders, or beside train, val and test, and are left out."""
    loose = [path for part in parts for path in visible(part) if path.is_file()]
    if folder not in parts:
        loose += [path for path in visible(folder) if path.is_file()]
        others = [path for path in visible(folder) if path.is_dir() and path not in parts]
        loose += [path for other in others for path in sorted(other.rglob("*")) if path.is_file()]
    tell_left_out(folder, loose, "they lie in no class's folder")


def _targets(labels: Sequence[str], positive: str | None) -> dict[str, Any]:
    """Returns task, targets and their names."""
    if not labels:
        return {"task": "generation", "target_names": []}
    classes = sorted(set(labels))
    if len(classes) == 1:
        raise UserError(f"dataset.root: holds the single class '{classes[0]}'; there is nothing to tell apart")
    if positive is not None and (len(classes) > 2 or positive not in classes):
        why = (
            f"there are {len(classes)} classes"
            if len(classes) > 2
            else f"there is no such class{suggest(positive, classes)}"
        )
        raise UserError(f"dataset.positive={positive}: {why}")
    if len(classes) == 2:
        positive = positive or classes[1]
        y = np.array([[label == positive] for label in labels], dtype=np.float32)
        return {"task": "binary", "target_names": [positive], "y": y}
    numbers = np.array([classes.index(label) for label in labels], dtype=np.int64)
    return {"task": "multiclass", "target_names": classes, "y": numbers}
