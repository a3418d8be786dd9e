"""Finding images in folders: their splits, and the mask that belongs to each."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medfit.data.datasets.roles import SPLIT_WORDS
from medfit.data.readers.dicom_files import SUFFIXES as DICOM_SUFFIXES
from medfit.data.readers.dicom_files import is_dicom
from medfit.data.readers.image_files import stem, suffix
from medfit.errors import UserError
from medfit.terminal.console import say

COMMON_ENDING = re.compile(r"_0000$|[_-](masks?|segmentations?|seg|labels?|gt|images?|img)$", re.IGNORECASE)
MASK_ENDING = re.compile(r"[_-](masks?|segmentations?|seg|labels?|gt)$", re.IGNORECASE)  # of a mask beside its image
MOST_NAMED = 3  # files, in a message
CHANNEL = re.compile(r"_00\d[1-9]\.")  # of nnU-Net, from the second on

Key = tuple[str | None, str]  # split and name


class Found(NamedTuple):
    """An image's file, or the folder of its series.

    Args:
        path: Of the file or folder.
        name: The file's or case's name without an ending.
        split: ``train``, ``val``, ``test``, or None where the folders do not say.
    """

    path: Path
    name: str
    split: str | None


def folder_of(path: str, option: str) -> Path:
    """Returns a folder that is there.

    Raises:
        UserError: it is not.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(f"dataset.{option}: there is no folder '{path}'")
    return folder


def visible(folder: Path) -> list[Path]:
    """Returns what a folder holds, in order of names, but for hidden files and what a Mac leaves beside the data."""
    return sorted(path for path in folder.iterdir() if not hidden(folder, path))


def plain(name: str) -> str:
    """Returns a name that is the same however a system writes é: a Mac takes two letters."""
    return unicodedata.normalize("NFC", name)


def hidden(folder: Path, path: Path) -> bool:
    """Tells whether a file or folder is none of a folder's data, by its name or that of a folder it is in."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(folder).parts)


def below(folder: Path, paths: Iterable[Path]) -> list[str]:
    """Returns names of files for messages: below a folder where they lie there, else as they are."""
    return [(path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix() for path in paths]


def loose_images(folder: Path) -> list[Path]:
    """Returns the files of images that lie in a folder itself."""
    return [path for path in visible(folder) if path.is_file() and suffix(path)]


def split_folders(folder: Path) -> dict[str | None, list[Path]]:
    """Returns a folder's sub-folders for training, validation and test, or itself under None.

    Raises:
        UserError: images lie beside these sub-folders.
    """
    found: dict[str | None, list[Path]] = {}
    for path in visible(folder):
        if path.is_dir() and path.name.lower() in SPLIT_WORDS:
            found.setdefault(SPLIT_WORDS[path.name.lower()], []).append(path)
    if found and (loose := loose_images(folder)):
        raise UserError(f"{loose[0].name}: lies beside the folders train, val and test, and not in one of them")
    return found or {None: [folder]}


def find(folder: Path, option: str, skip: Callable[[Path], bool] = lambda path: False) -> list[Found]:
    """Returns a folder's images: files, and sub-folders of a case with one image or a DICOM series.

    Files of other kinds are left out; how many is said.

    Args:
        folder: Its sub-folders ``train``, ``val`` and ``test``, if there are any, say the split.
        option: That named the folder, for messages.
        skip: Tells whether a file is passed over, as a mask beside its image.

    Raises:
        UserError: there are none, or two of one name in one split.
    """
    found = [
        Found(path, name, split)
        for split, parts in split_folders(folder).items()
        for part in parts
        for path, name in _images(part, skip)
    ]
    if not found:
        dicom = any(map(is_dicom, others(folder)[:MOST_NAMED]))
        hint = "; DICOM files need the ending .dcm here" if dicom else ""
        raise UserError(f"dataset.{option}: there are no images in '{folder.name}'{hint}")
    check_unique([(image.split, image.name) for image in found], option)
    tell_left_out(folder, others(folder), "their endings are none of an image's")
    return found


def others(folder: Path) -> list[Path]:
    """Returns the files in a folder and the folders below it that are no images by their endings.

    Files in a folder without an image of a known ending may be slices of a DICOM series, and are left to its reader.
    """
    found: list[Path] = []
    inner = (path for path in folder.rglob("*") if path.is_dir() and not hidden(folder, path))
    for place in (folder, *inner):
        files = [path for path in visible(place) if path.is_file()]
        if place == folder or any(map(suffix, files)):
            found += [path for path in files if not suffix(path)]
    return found


def tell_left_out(folder: Path, files: Sequence[Path], why: str) -> None:
    """Says how many files are left out, and names the first ones."""
    if files:
        names = ", ".join(path.name for path in files[:MOST_NAMED]) + (", ..." if len(files) > MOST_NAMED else "")
        say(f"{folder.name}: {len(files)} files are left out, as {why}: {names}")


def _images(folder: Path, skip: Callable[[Path], bool]) -> Iterable[tuple[Path, str]]:
    for path in visible(folder):
        if path.is_dir():
            images = [file for file in visible(path) if suffix(file) and suffix(file) not in DICOM_SUFFIXES]
            images = [file for file in images if not skip(file)]
            if len(images) > 1:
                raise UserError(f"{path.name}: the folder of a case holds {len(images)} images; one was expected")
            yield (images[0] if images else path), path.name
        elif suffix(path) and not skip(path):
            yield path, stem(path)


def check_unique(names: Sequence[Key], option: str, hint: str = "") -> None:
    """Refuses two images of one name in one split."""
    (_, twice), count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UserError(f"dataset.{option}: there are {count} images '{twice}'{hint}")


def pair(images: Sequence[Found], masks: Sequence[Found], partly: bool = False) -> list[Found | None]:
    """Returns the mask of each image: of the same name, or the same but for a common ending as ``_mask``.

    Args:
        images: Each in one split, if they have splits.
        masks: Of these images; they may have no splits.
        partly: Whether images may be without a mask.

    Raises:
        UserError: images without a mask, or masks without an image; says how many, and names the first.
    """
    by_split = any(mask.split for mask in masks)
    for loosen in (False, True):
        of_images, of_masks = (
            [(found.split if by_split else None, _key(found.name, loosen)) for found in side]
            for side in (images, masks)
        )
        lonely, unused = _without(images, of_images, of_masks), _without(masks, of_masks, of_images)
        if not unused and (partly or not lonely):
            break
    for names, what in (([] if partly else lonely, "images have no mask"), (unused, "masks have no image")):
        if names:
            channels = CHANNEL.search(names[0])  # dataset=decathlon joins them
            hint = "; dataset=decathlon reads nnU-Net's folder with a file for each channel" if channels else ""
            hint = hint or (
                "; dataset.empty_masks=keep takes them as images without findings" if names is lonely else ""
            )
            raise UserError(f"dataset.masks: {len(names)} {what}, the first: {names[0]}{hint}")
    check_unique(of_images, "images")
    check_unique(of_masks, "masks", "; \"dataset.mask_name='{stem}_mask*'\" unites masks of one image")
    mask_of = dict(zip(of_masks, masks, strict=True))
    return [mask_of.get(key) for key in of_images]


def _without(files: Sequence[Found], keys: Sequence[Key], others: Sequence[Key]) -> list[str]:
    known = set(others)
    return [file.path.name for file, key in zip(files, keys, strict=True) if key not in known]


def _key(name: str, loosen: bool) -> str:
    name = plain(name)
    while loosen and (shorter := COMMON_ENDING.sub("", name)) != name and shorter:
        name = shorter
    return name


def splits_of(found: Sequence[Found]) -> np.ndarray | None:
    """Returns each image's split, None where the folders do not say.

    Raises:
        UserError: they say it of some only.
    """
    without = [image.path.name for image in found if image.split is None]
    if without and len(without) < len(found):
        raise UserError(f"{without[0]}: lies in no folder train, val or test, as other images do")
    return None if without else np.array([image.split for image in found], dtype="<U5")
