"""Data in the layout of the Medical Segmentation Decathlon."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from medfit.data.datasets.faults import Faults, OnError
from medfit.data.datasets.image_channels import cases_of
from medfit.data.datasets.image_folders import Found, find, folder_of, pair
from medfit.data.datasets.image_patients import patients_of
from medfit.data.datasets.images import Images
from medfit.data.readers.image_files import read_pair
from medfit.data.readers.mask_numbers import indexed
from medfit.errors import UserError
from medfit.terminal.console import say

Pair = tuple[list[Path], list[Path]]  # an image's files, one for each channel or of all, and its masks


class Decathlon(Images):
    """The training volumes of a task of the Medical Segmentation Decathlon, or of data laid out alike.

    A folder holds ``imagesTr`` and ``labelsTr`` with a NIfTI file for each case, and ``dataset.json`` with the
    ``training`` pairs, the ``labels`` and the ``modality`` of each channel; without it all files of the same name are
    pairs. ``imagesTs`` has no labels and is not read. In nnU-Net's layout, a case's channels lie in files of their own
    (``case_0000.nii.gz``, ``case_0001.nii.gz``), and are joined in the order of their numbers.

    Source of the Decathlon's tasks: Antonelli et al., Nature Communications 2022 (CC BY-SA 4.0).

    Args:
        root: The task's folder, relative to where the command is run.
        classes: Their names in the order of the labels' numbers, the background first; None takes ``dataset.json``'s.
        channels: Names of the images' channels; None takes ``dataset.json``'s, or names them from the images.
        patient: A regular expression whose first group in an image's file name is the patient; None where each image
            is one.
        empty_masks: Whether a mask of nothing but background is taken (``keep``) or is a mistake (``refuse``).
        on_error: ``stop`` at the first image that can't be used, or ``skip`` all of them, and list why.
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
        on_error: OnError = "stop",
        name: str | None = None,
        source: str = "the user's own, in the Decathlon's layout",
    ) -> None:
        folder, faults = folder_of(root, "root"), Faults(on_error)
        about = _read_about(folder)
        listed, keep = about.get("training"), empty_masks == "keep"
        named = _in_order(_modality(about), "modality")
        if _are_there(folder, listed):
            pairs = _listed(folder, listed, faults)
        else:
            pairs = _beside(folder, keep, len(named), faults)
        names = [files[0].name for files, _ in pairs]
        known = list(classes or _in_order(_labels(about), "labels"))
        if not known:
            raise UserError("dataset.classes is needed where dataset.json does not name the labels")
        super().__init__(
            name=name or folder.resolve().name,
            names=names,
            readers=[functools.partial(read_pair, files, {1: labels}, indexed) for files, labels in pairs],
            channels=channels or named,
            task="segmentation",
            target_names=known,
            groups=patients_of([files[0] for files, _ in pairs], patient, names, faults),
            empty_masks=empty_masks,
            source=source,
            faults=faults,
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


def _labels(about: Mapping[str, Any]) -> Any:
    """Returns the labels by name or number.

    Raises:
        UserError: what medfit has no classes for: regions of several numbers, voxels that are not to be judged.
    """
    labels = about.get("labels")
    if isinstance(labels, Mapping):
        way = "'dataset.classes=[background, ...]' names the masks' numbers, each a class"
        if regions := [str(name) for name, numbers in labels.items() if isinstance(numbers, list)]:
            raise UserError(f"dataset.json: '{regions[0]}' is a region of several labels, which may overlap; {way}")
        if "ignore" in labels:
            raise UserError(
                f"dataset.json: the label 'ignore' ({labels['ignore']}) marks voxels that are not to be judged, which "
                f"medfit can't leave out of loss and scores; take these cases or marks away, or {way}"
            )
    return labels


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


def _are_there(folder: Path, training: Any) -> bool:
    """Tells whether a training list names files; nnU-Net's names cases, whose files have a channel's number."""
    if not training or not list(folder.glob("imagesTr/*_0000.*")):
        return bool(training)
    return any((folder / pair["image"]).exists() for pair in training if isinstance(pair, dict) and "image" in pair)


def _listed(folder: Path, training: Any, faults: Faults) -> list[Pair]:
    """Returns the pairs that ``dataset.json`` lists."""
    try:
        pairs = [([folder / pair["image"]], [folder / pair["label"]]) for pair in training]
    except (KeyError, TypeError) as error:
        raise UserError("dataset.json: its training list does not pair images and labels") from error
    if missing := [file.name for files, labels in pairs for file in files + labels if faults.missing(file)]:
        raise UserError(
            f"dataset.json: {len(missing)} files of its training list are not there, the first: {missing[0]}"
        )
    return pairs


def _beside(folder: Path, keep: bool, num_channels: int, faults: Faults) -> list[Pair]:
    """Returns the files of the same name in ``imagesTr`` and ``labelsTr``."""
    images, labels = (_files(folder, part) for part in ("imagesTr", "labelsTr"))
    cases = cases_of(images, {label.name for label in labels}, num_channels, faults)
    own = pair([case.found for case in cases], labels, keep or faults.on_error == "skip")
    for case, mask in zip(cases, own, strict=True):
        if mask is None and not keep:
            faults.reasons[case.files[0].name] = f"{case.files[0].name}: has no mask"
    return [(case.files, [label.path] if label else []) for case, label in zip(cases, own, strict=True)]


def _files(folder: Path, part: str) -> list[Found]:
    if not (folder / part).is_dir():
        raise UserError(f"dataset.root: '{folder.name}' has no folder {part}, as the Decathlon's tasks have")
    return find(folder / part, "root")
