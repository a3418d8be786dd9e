"""A user's own images and masks, in folders."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from medfit.data.datasets.image_folders import Found, find, folder_of, pair, patients_of, splits_of, visible
from medfit.data.datasets.images import Images
from medfit.data.readers.image_files import Numbers, channel_names, read_image, read_pair
from medfit.errors import UserError, suggest
from medfit.terminal.console import say

NUMBERS: dict[str, Numbers] = {"indexed": "indexed", "binary": "binary", "file_per_class": "binary"}


class ImageMasks(Images):
    """Images and masks of the same names in two folders, for segmentation.

    Images are PNG, JPEG, BMP, GIF, TIFF, NIfTI or DICOM files, or a sub-folder for each case with a DICOM series;
    masks are any of these but DICOM. Names may differ by common endings, as ``_mask``, ``_seg`` or nnU-Net's
    ``_0000``. Sub-folders ``train``, ``val`` and ``test`` of the images give the split.

    Args:
        images: The images' folder, relative to where the command is run.
        masks: The masks' folder.
        classes: Their names in the order of the masks' numbers, the background first.
        layout: ``indexed``: a mask holds class numbers; ``binary``: it marks the one class; ``file_per_class``: each
            class has a folder of its name in ``masks``, with a binary mask for each image that shows it; a later
            class covers an earlier one.
        patient: A regular expression whose first group in a file's name is the patient; None where each image is one.
        channels: Names of the images' channels; one name for colour images turns them grey. None to name them from
            the first image.
        empty_masks: Whether a mask of nothing but background is taken (``keep``) or is a mistake (``refuse``).

    Raises:
        UserError: an image without a mask or the reverse, and all that :class:`Images` refuses.
    """

    def __init__(
        self,
        images: str,
        masks: str,
        classes: Sequence[str],
        layout: Literal["indexed", "binary", "file_per_class"] = "indexed",
        patient: str | None = None,
        channels: Sequence[str] | None = None,
        empty_masks: Literal["refuse", "keep"] = "refuse",
    ) -> None:
        _check_classes(classes, layout)
        folder = folder_of(images, "images")
        found = find(folder, "images")
        mask_files = _masks(found, masks, classes, layout)
        num_channels = len(channels) if channels else None
        super().__init__(
            name=folder.resolve().parent.name if folder.name.lower() == "images" else folder.resolve().name,
            names=[image.path.name for image in found],
            readers=[
                functools.partial(read_pair, image.path, files, NUMBERS[layout], num_channels)
                for image, files in zip(found, mask_files, strict=True)
            ],
            channels=channels or channel_names(read_image(found[0].path)),
            task="segmentation",
            target_names=classes,
            groups=patients_of([image.path.name for image in found], patient),
            given_split=splits_of(found),
            empty_masks=empty_masks,
            source="the user's own",
        )
        say(f"{self.name}: {len(self)} images of {len(set(self.groups.tolist()))} patients; {', '.join(classes)}")


def _check_classes(classes: Sequence[str], layout: str) -> None:
    if len(classes) < 2 or len(set(classes)) != len(classes):
        raise UserError("dataset.classes: name the background and at least one class, each once")
    if layout == "binary" and len(classes) != 2:
        raise UserError(f"dataset.layout=binary marks one class beside the background, not {len(classes) - 1}")


def _masks(found: Sequence[Found], masks: str, classes: Sequence[str], layout: str) -> list[dict[int, Path]]:
    """Returns each image's mask files by class number."""
    folder = folder_of(masks, "masks")
    if layout != "file_per_class":
        return [{1: mask.path} for mask in pair(found, find(folder, "masks")) if mask]
    files: list[dict[int, Path]] = [{} for _ in found]
    for number, name in enumerate(classes[1:], 1):
        if not (folder / name).is_dir():
            known = [path.name for path in visible(folder) if path.is_dir()]
            raise UserError(f"dataset.classes: '{folder.name}' has no folder '{name}'{suggest(name, known)}")
        for own, mask in zip(files, pair(found, find(folder / name, "masks"), partly=True), strict=True):
            own.update({number: mask.path} if mask else {})
    if lonely := [image.path.name for image, own in zip(found, files, strict=True) if not own]:
        raise UserError(f"dataset.masks: {len(lonely)} images have no mask, the first: {lonely[0]}")
    return files
