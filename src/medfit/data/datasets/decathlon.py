"""Data in the layout of the Medical Segmentation Decathlon."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from medfit.data.datasets.image_folders import Found, find, folder_of, pair
from medfit.data.datasets.image_patients import patients_of
from medfit.data.datasets.images import Images
from medfit.data.readers.image_files import channel_names, read_image, read_pair
from medfit.data.readers.mask_numbers import indexed
from medfit.errors import UserError
from medfit.terminal.console import say

Pair = tuple[Path, list[Path]]  # an image and its masks


class Decathlon(Images):
    """The training volumes of a task of the Medical Segmentation Decathlon, or of data laid out alike.

    A folder holds ``imagesTr`` and ``labelsTr`` with a NIfTI file for each case, and ``dataset.json`` with the
    ``training`` pairs, the ``labels`` and the ``modality`` of each channel; without it all files of the same name are
    pairs. ``imagesTs`` has no labels and is not read.

    Source of the Decathlon's tasks: Antonelli et al., Nature Communications 2022 (CC BY-SA 4.0).

    Args:
        root: The task's folder, relative to where the command is run.
        classes: Their names in the order of the labels' numbers, the background first; None takes ``dataset.json``'s.
        channels: Names of the images' channels; None takes ``dataset.json``'s, or names them from the first image.
        patient: A regular expression whose first group in an image's file name is the patient; None where each image
            is one.
        empty_masks: Whether a mask of nothing but background is taken (``keep``) or is a mistake (``refuse``).
        name: Of the data set; None for the folder's.
        source: Where the data come from.

    Raises:
        UserError: files that are missing or have no partner, a ``dataset.json`` that can't be read, and all that
            :class:`Images` refuses.
    """

    def __init__(
        self,
        root: str,
        classes: Sequence[str] | None = None,
        channels: Sequence[str] | None = None,
        patient: str | None = None,
        empty_masks: Literal["refuse", "keep"] = "refuse",
        name: str | None = None,
        source: str = "the user's own, in the Decathlon's layout",
    ) -> None:
        folder = folder_of(root, "root")
        about = _read_about(folder)
        listed = about.get("training")
        pairs = _listed(folder, listed) if listed else _beside(folder, partly=empty_masks == "keep")
        names = [image.name for image, _ in pairs]
        known = list(classes or _in_order(about.get("labels"), "labels"))
        if not known:
            raise UserError("dataset.classes is needed where dataset.json does not name the labels")
        super().__init__(
            name=name or folder.resolve().name,
            names=names,
            readers=[functools.partial(read_pair, image, {1: labels}, indexed) for image, labels in pairs],
            channels=channels or _in_order(_modality(about), "modality") or channel_names(read_image(pairs[0][0])),
            task="segmentation",
            target_names=known,
            groups=patients_of([image for image, _ in pairs], patient),
            empty_masks=empty_masks,
            source=source,
        )
        say(f"{self.name}: {len(self)} volumes of {len(set(self.groups.tolist()))} patients; {', '.join(known)}")


def _read_about(folder: Path) -> dict[str, Any]:
    """Returns what ``dataset.json`` says; nothing where there is none."""
    file = folder / "dataset.json"
    if not file.is_file():
        return {}
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file.name}: is not whole JSON ({str(error)[:80]})") from error
    if not isinstance(about, dict):
        raise UserError(f"{file.name}: does not describe a task of the Decathlon")
    return about


def _modality(about: Mapping[str, Any]) -> Any:
    return about.get("modality") or about.get("channel_names")  # the second is nnU-Net's word


def _in_order(named: Any, key: str) -> list[str]:
    """Returns names by their numbers, which nnU-Net writes the other way round.

    Raises:
        UserError: numbers other than 0, 1, 2 and so on.
    """
    if not named:
        return []
    try:
        numbers = {int(k): str(v) for k, v in named.items()} if _is_number(next(iter(named))) else {
            int(v): str(k) for k, v in named.items()
        }  # fmt: skip
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"dataset.json: its {key} are not names by number") from error
    if sorted(numbers) != list(range(len(named))):
        raise UserError(f"dataset.json: its {key} are not numbered 0, 1, 2 and so on")
    return [numbers[number] for number in sorted(numbers)]


def _is_number(key: Any) -> bool:
    return str(key).isdigit()


def _listed(folder: Path, training: Any) -> list[Pair]:
    """Returns the pairs that ``dataset.json`` lists."""
    try:
        pairs = [(folder / pair["image"], [folder / pair["label"]]) for pair in training]
    except (KeyError, TypeError) as error:
        raise UserError("dataset.json: its training list does not pair images and labels") from error
    if missing := [file.name for image, labels in pairs for file in (image, *labels) if not file.is_file()]:
        raise UserError(
            f"dataset.json: {len(missing)} files of its training list are not there, the first: {missing[0]}"
        )
    return pairs


def _beside(folder: Path, partly: bool) -> list[Pair]:
    """Returns the files of the same name in ``imagesTr`` and ``labelsTr``."""
    images, labels = (_files(folder, part) for part in ("imagesTr", "labelsTr"))
    found = zip(images, pair(images, labels, partly), strict=True)
    return [(image.path, [label.path] if label else []) for image, label in found]


def _files(folder: Path, part: str) -> list[Found]:
    if not (folder / part).is_dir():
        raise UserError(f"dataset.root: '{folder.name}' has no folder {part}, as the Decathlon's tasks have")
    return find(folder / part, "root")
