"""The masks of images, found by a pattern of names or listed in a table."""

import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from medfit.data.datasets.faults import Faults
from medfit.data.datasets.image_folders import COMMON_ENDING, MASK_ENDING, Found, find, hidden, tell_left_out
from medfit.data.datasets.roles import SPLIT_WORDS
from medfit.data.readers.files import read_table
from medfit.data.readers.image_files import stem, suffix
from medfit.errors import UserError, renamed

STEM = "{stem}"
COLUMNS = ("image", "mask", "patient", "split")  # of a table of pairs


class Listed(NamedTuple):
    """Images with their masks, and whose they are.

    Args:
        images: In an order.
        masks: Of each image; none where nothing is marked.
        patients: Of each image, None where nothing says it.
    """

    images: list[Found]
    masks: list[list[Path]]
    patients: list[str] | None = None


def by_pattern(images: Path, masks: Path, pattern: str) -> Listed:
    """Returns the images of a folder with all masks whose names fit.

    Args:
        images: Their folder.
        masks: The folder of masks, which may be the same.
        pattern: Of a mask's name, with ``{stem}`` for its image's name without ending, and ``*`` for anything; below
            ``masks`` with its folders where it has a slash.

    Raises:
        UserError: a pattern without ``{stem}``, no masks, masks without an image, or of which nobody can tell whose.
    """
    if pattern.count(STEM) != 1:
        raise UserError(f"dataset.mask_name={pattern}: needs {STEM} once, the image's name, as in {STEM}_mask*")
    name_of = _namer(masks, pattern)
    any_stem = pattern.replace(STEM, "?*")
    together = images.samefile(masks)
    found = find(images, "images", skip=lambda path: together and fnmatchcase(name_of(path), any_stem))
    files = [path for path in _files(masks) if fnmatchcase(name_of(path), any_stem)]
    if not files:
        raise UserError(f"dataset.mask_name={pattern}: no file in '{masks.name}' fits")
    if not together:
        tell_left_out(masks, sorted({*_files(masks)} - {*files}), "their names do not fit dataset.mask_name")
    return Listed(found, _sorted_out(found, files, images, masks, pattern))


def _namer(masks: Path, pattern: str) -> Callable[[Path], str]:
    """Returns what gives the part of a file's path that a pattern is of."""
    deep, ended = "/" in pattern, bool(suffix(Path(pattern)))

    def name_of(path: Path) -> str:
        name = path.name if ended else stem(path)
        return (path.relative_to(masks).parent / name).as_posix() if deep else name

    return name_of


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if suffix(path) and path.is_file())
    return sorted(path for path in found if not hidden(folder, path))


def _sorted_out(
    found: Sequence[Found], files: Sequence[Path], images: Path, masks: Path, pattern: str
) -> list[list[Path]]:
    """Returns each image's masks: those beside it, else those of its name in any folder."""
    name_of = _namer(masks, pattern)
    beside: dict[tuple[Path, str], set[int]] = {}
    anywhere: dict[str, set[int]] = {}
    for number, image in enumerate(found):
        place = image.path.parent.relative_to(images)
        for name in {image.name, stem(image.path)}:
            beside.setdefault((place, name), set()).add(number)
            anywhere.setdefault(name, set()).add(number)
    own: list[list[Path]] = [[] for _ in found]
    for file in files:
        stems = list(_stems(name_of(file), pattern, anywhere))
        place = file.parent.relative_to(masks)
        owners = next((beside[place, name] for name in stems if (place, name) in beside), None)
        owners = owners or (anywhere[stems[0]] if stems else set())
        if len(owners) != 1:
            what = f"fits {len(owners)} images" if owners else "has no image"
            raise UserError(f"dataset.mask_name={pattern}: {file.name} {what}")
        own[next(iter(owners))].append(file)
    return own


def _stems(name: str, pattern: str, known: Mapping[str, object]) -> Iterator[str]:
    """Yields the images' names that a mask's name may hold, the longest first."""
    for length in range(len(name), 0, -1):
        for start in range(len(name) - length + 1):
            part = name[start : start + length]
            if part in known and fnmatchcase(name, pattern.replace(STEM, glob.escape(part))):
                yield part


def by_ending(folder: Path, partly: bool) -> Listed:
    """Returns the images of a folder with the mask that lies beside each, told by its ending as ``_mask``.

    Args:
        folder: Of both.
        partly: Whether images may be without a mask.

    Raises:
        UserError: no masks, masks without an image, images without a mask, or several masks of one.
    """
    hint = "; say which files are masks, as \"dataset.mask_name='{stem}_mask*'\""
    found = find(folder, "images", skip=lambda path: bool(MASK_ENDING.search(stem(path))))
    masks = [path for path in _files(folder) if MASK_ENDING.search(stem(path))]
    if not masks:
        raise UserError(f"dataset.masks: images and masks lie in one folder, '{folder.name}'{hint}")
    owners: dict[tuple[Path, str], list[Path]] = {
        (image.path.parent, without_endings(image.path)): [] for image in found
    }
    for path in masks:
        if (key := (path.parent, without_endings(path))) not in owners:
            raise UserError(f"dataset.masks: {path.name} has no image{hint}")
        owners[key].append(path)
    own = [owners[image.path.parent, without_endings(image.path)] for image in found]
    for image, files in zip(found, own, strict=True):
        if len(files) > 1 or not (files or partly):
            raise UserError(f"dataset.masks: {image.path.name} has {len(files) or 'no'} masks beside it{hint}")
    return Listed(found, own)


def without_endings(path: Path) -> str:
    """Returns a file's name without its ending and without common ones, as ``_mask`` or nnU-Net's ``_0000``."""
    name = stem(path)
    while (shorter := COMMON_ENDING.sub("", name)) != name and shorter:
        name = shorter
    return name


def by_table(path: Path, images: Path, masks: Path, faults: Faults, **reading: Any) -> Listed:
    """Returns the pairs that a table lists, an ``image`` and a ``mask`` a row, perhaps with ``patient`` and ``split``.

    Args:
        path: Of the table. An image may have several rows, whose masks are united; an empty cell is no mask.
        images: The folder that images lie in.
        masks: The folder that masks lie in.
        faults: Say whether files that are not there end the reading.
        **reading: As :func:`medfit.data.readers.files.read_table` takes it.

    Raises:
        UserError: a table or column that can't be read, files that are not there, rows of one image that differ.
    """
    own: dict[Path, list[Path]] = {}
    about: dict[Path, tuple[str, str]] = {}
    for number, row in enumerate(_rows(path, **reading), 1):
        image = _there(images / row["image"], faults)
        own.setdefault(image, []).extend([_there(masks / row["mask"], faults)] if row["mask"] else [])
        facts = row["patient"], row["split"]
        if about.setdefault(image, facts) != facts:
            raise UserError(f"dataset.pairs: data row {number} says another patient or split of its image")
    found = [Found(image, stem(image), _split(split)) for image, (_, split) in about.items()]
    return Listed(found, list(own.values()), _patients([patient for patient, _ in about.values()]))


def _rows(path: Path, **reading: Any) -> list[dict[str, str]]:
    """Returns the rows of a table of pairs as text, by column; empty where nothing is said."""
    with renamed("dataset.path", "dataset.pairs"):
        table = read_table(path, words=COLUMNS, **reading)
    if not {"image", "mask"} <= {*table}:
        raise UserError(f"dataset.pairs: '{path.name}' needs the columns image and mask, and a row for each pair")
    table = table.reindex(columns=list(COLUMNS)).map(_as_text)
    if nameless := [number for number, name in enumerate(table["image"], 1) if not name]:
        raise UserError(f"dataset.pairs: column 'image' is empty in data row {nameless[0]}")
    return [dict(zip(COLUMNS, row, strict=True)) for row in table.to_numpy().tolist()]


def _as_text(cell: Any) -> str:
    """Returns a cell as it was written; a workbook's numbers have no noughts behind the point."""
    if pd.isna(cell):
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _there(path: Path, faults: Faults) -> Path:
    if faults.missing(path):
        raise UserError(f"dataset.pairs: there is no file {path.name} in '{path.parent.name}'")
    return path


def _split(word: str) -> str | None:
    if word and word.lower() not in SPLIT_WORDS:
        raise UserError(f"dataset.pairs: column 'split' holds '{word}', not train, val or test")
    return SPLIT_WORDS[word.lower()] if word else None


def _patients(patients: list[str]) -> list[str] | None:
    if any(patients) and not all(patients):
        raise UserError("dataset.pairs: column 'patient' is missing in some rows")
    return patients if all(patients) else None
