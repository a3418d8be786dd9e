"""A user's own images and masks, in folders."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from medfit.data.datasets.faults import Faults, OnError
from medfit.data.datasets.image_folders import Found, below, find, folder_of, pair, splits_of, visible
from medfit.data.datasets.image_patients import patients_of
from medfit.data.datasets.images import Images
from medfit.data.datasets.mask_files import Listed, by_ending, by_pattern, by_table
from medfit.data.readers.image_files import read_pair
from medfit.data.readers.mask_numbers import Binary, Labels, Numbers, indexed
from medfit.data.readers.structures import Structures
from medfit.errors import UserError, suggest
from medfit.terminal.console import say

Layout = Literal["indexed", "binary", "file_per_class"]
Masks = list[dict[int, list[Path]]]  # of each image, by class number


class ImageMasks(Images):
    """Images and their masks, for segmentation.

    Images are PNG, JPEG, BMP, GIF, WebP, TIFF, NIfTI or DICOM files, or a sub-folder for each case with a DICOM series;
    masks are any of these, and of DICOM segmentations (SEG) and contours (RTSTRUCT). Sub-folders ``train``, ``val``
    and ``test`` of the images give the split. A mask belongs to the image of its name; names may differ by common
    endings, as ``_mask``, ``_seg`` or nnU-Net's ``_0000``. Masks beside their images are told by these endings.
    ``mask_name`` or ``pairs`` say it otherwise; both unite several masks of one image, as one for each instance.

    Args:
        images: The images' folder, relative to where the command is run.
        masks: The masks' folder; None for the images'.
        classes: Their names in the order of the masks' numbers, the background first; None takes those of
            ``label_values`` behind the background.
        layout: ``indexed``: a mask holds class numbers; ``binary``: it marks the one class; ``file_per_class``: each
            class has a folder of its name in ``masks``, with a binary mask for each image that shows it; a later
            class covers an earlier one.
        mask_name: A pattern of the masks' names, with ``{stem}`` for the image's, as ``{stem}_mask*``.
        pairs: A table (CSV, TSV, Parquet or Excel) with the columns ``image`` and ``mask``, files in these folders,
            and perhaps ``patient`` and ``split``.
        label_values: The class of each value that a mask holds, as ``{100: liver, 255: background}``; 0 is the
            background. Of a DICOM mask, the class of each structure, by its number or name, as ``{GTV-1: tumour}``;
            the others are left out. None takes the structures that are named as the classes.
        patient: A regular expression whose first group in a file's name is the patient; None for the ``PatientID`` of
            DICOM files, and for each other image as a patient; ``StudyInstanceUID`` for DICOM files without the former.
        channels: Names of the images' channels; one name for colour images turns them grey. None to name them from
            the images.
        empty_masks: Whether images without a mask, or with one of nothing but background, are taken as images without
            findings (``keep``) or are a mistake (``refuse``).
        on_error: ``stop`` at the first image that can't be used, or ``skip`` all of them, and list why.
        encoding: Of ``pairs``, where it is text.
        sheet: Of ``pairs``, where it is a workbook; None for the first.
        skip_rows: How many rows of ``pairs`` stand above the names of the columns.

    Raises:
        UserError: an image without a mask or the reverse, an image as its own mask, and all that :class:`Images`
            refuses.
    """

    def __init__(
        self,
        images: str,
        masks: str | None = None,
        classes: Sequence[str] | None = None,
        layout: Layout = "indexed",
        mask_name: str | None = None,
        pairs: str | None = None,
        label_values: Mapping[int | str, str] | None = None,
        patient: str | None = None,
        channels: Sequence[str] | None = None,
        empty_masks: Literal["refuse", "keep"] = "refuse",
        on_error: OnError = "stop",
        encoding: str = "utf-8",
        sheet: str | Annotated[int, Field(ge=1)] | None = None,
        skip_rows: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        labels = {int(key) if str(key).isdecimal() else key: name for key, name in (label_values or {}).items()}
        faults, known = Faults(on_error), _classes(classes, layout, labels)
        folder, keep = folder_of(images, "images"), empty_masks == "keep"
        mask_folder = folder if masks is None else folder_of(masks, "masks")
        if layout == "file_per_class":
            partly, patients = keep or on_error == "skip", None
            found, files = _by_class(folder, mask_folder, known, mask_name, pairs, partly)
        else:
            reading: dict[str, Any] = {"encoding": encoding, "sheet": sheet, "skip_rows": skip_rows}
            table = None if pairs is None else partial(by_table, Path(pairs).expanduser(), **reading)
            listed = _listed(folder, mask_folder, mask_name, table, keep, faults)
            found, files, patients = listed.images, [{1: own} for own in listed.masks], listed.patients
        names = below(folder, paths := [image.path for image in found])
        bare = [name for name, own in zip(names, files, strict=True) if not any(own.values())]
        _refuse_without_masks([] if keep else bare, faults)
        structures = Structures(_by_name(layout, known, labels), may_lack=keep)
        meant: dict[str, Any] = {"numbers": _numbers(layout, known, labels), "structures": structures}
        read = partial(read_pair, num_channels=len(channels) if channels else None, **meant)
        super().__init__(
            name=folder.resolve().parent.name if folder.name.lower() == "images" else folder.resolve().name,
            names=names,
            readers=[partial(read, path, own) for path, own in zip(paths, files, strict=True)],
            channels=channels,
            task="segmentation",
            target_names=known,
            groups=patients_of(paths, patient, names, faults) if patient or not patients else np.array(patients),
            given_split=splits_of(found),
            empty_masks=empty_masks,
            source="the user's own",
            faults=faults,
        )
        self._tell(len(set(bare) - faults.reasons.keys()), structures)

    def _tell(self, num_bare: int, structures: Structures) -> None:
        without = f"; {num_bare} without a mask, taken as images without findings" if num_bare else ""
        told = f"{without}; {', '.join(self.target_names)}{structures.told(self.target_names)}"
        say(f"{self.name}: {len(self)} images of {len(set(self.groups.tolist()))} patients{told}")


def _classes(classes: Sequence[str] | None, layout: str, label_values: Mapping[int | str, str]) -> list[str]:
    """Returns the classes' names, the background first."""
    if classes is None:
        classes = ["background", *dict.fromkeys(name for name in label_values.values() if name != "background")]
    if len(classes) < 2 or len(set(classes)) != len(classes):
        raise UserError("dataset.classes: name the background and at least one class, each once")
    if layout == "binary" and len(classes) != 2:
        raise UserError(f"dataset.layout=binary marks one class beside the background, not {len(classes) - 1}")
    if label_values and layout == "file_per_class":
        raise UserError("dataset.label_values: with layout=file_per_class, the folders say the class")
    for value, name in label_values.items():
        if name not in classes:
            raise UserError(f"dataset.label_values.{value}: there is no class '{name}'{suggest(name, classes)}")
    return list(classes)


def _numbers(layout: str, classes: Sequence[str], label_values: Mapping[int | str, str]) -> Numbers:
    if label_values:
        named = {key: classes.index(name) for key, name in label_values.items() if isinstance(key, int)}
        return Labels(named)
    return indexed if layout == "indexed" else Binary()


def _by_name(layout: str, classes: Sequence[str], label_values: Mapping[int | str, str]) -> dict[int | str, int]:
    """Returns the class of each structure of a DICOM mask, by number or name; nothing where it is its only one."""
    if label_values:
        return {key: classes.index(name) for key, name in label_values.items()}
    return {name: number for number, name in enumerate(classes) if number} if layout == "indexed" else {}


def _listed(
    images: Path, masks: Path, mask_name: str | None, table: Callable[..., Listed] | None, keep: bool, faults: Faults
) -> Listed:
    """Returns images and masks by a table, by a pattern, or by their names."""
    skip = faults.on_error == "skip"
    if table is not None:
        if mask_name is not None:
            raise UserError("dataset.pairs: lists the masks, so dataset.mask_name has nothing to say")
        return table(images, masks, faults)
    if mask_name is not None:
        return by_pattern(images, masks, mask_name)
    if images.samefile(masks):
        return by_ending(images, skip and not keep)  # what is not named as a mask is no image without findings
    found = find(images, "images")
    own = pair(found, find(masks, "masks"), partly=keep or skip)
    return Listed(found, [[mask.path] if mask else [] for mask in own])


def _by_class(
    images: Path, masks: Path, classes: Sequence[str], mask_name: str | None, pairs: str | None, partly: bool
) -> tuple[list[Found], Masks]:
    """Returns images with the masks in each class's folder."""
    if mask_name is not None or pairs is not None:
        raise UserError("dataset.layout=file_per_class: finds masks by their folders, without mask_name and pairs")
    found = find(images, "images")
    files: Masks = [{} for _ in found]
    for number, name in enumerate(classes[1:], 1):
        if not (masks / name).is_dir():
            known = [path.name for path in visible(masks) if path.is_dir()]
            raise UserError(f"dataset.classes: '{masks.name}' has no folder '{name}'{suggest(name, known)}")
        for own, mask in zip(files, pair(found, find(masks / name, "masks"), partly=True), strict=True):
            own.update({number: [mask.path]} if mask else {})
    return found, files


def _refuse_without_masks(bare: Sequence[str], faults: Faults) -> None:
    """Refuses images without a mask, or skips each of them."""
    if faults.on_error == "skip":
        faults.reasons |= {name: f"{name}: has no mask" for name in bare}
    elif bare:
        raise UserError(
            f"dataset.masks: {len(bare)} images have no mask, the first: {bare[0]}; dataset.empty_masks=keep takes "
            "them as images without findings"
        )
