"""Where new images lie: in a folder, however it is laid out, in a table of files, in an archive of arrays."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medfit.data.datasets.faults import Faults
from medfit.data.datasets.image_channels import CHANNEL, cases_of
from medfit.data.datasets.image_folders import MASK_ENDING, Found, hidden, tell_left_out
from medfit.data.datasets.image_table import files_of
from medfit.data.datasets.mask_files import without_endings
from medfit.data.readers import dicom_files
from medfit.data.readers.dicom_frames import num_frames
from medfit.data.readers.files import READERS, read_table
from medfit.data.readers.image_files import read_raw, stem, suffix
from medfit.data.readers.raw_images import RawImage
from medfit.errors import UserError, suggest


@dataclass(frozen=True)
class Source:
    """An image among new ones.

    Args:
        name: Below the user's folder, or as the user wrote it.
        read: Reads it.
        files: That it is read from; none of an archive.
        dicom: Whether these are DICOM.
    """

    name: str
    read: Callable[[], RawImage]
    files: tuple[Path, ...] = ()
    dicom: bool = False


@dataclass(frozen=True)
class Sources:
    """New images in their order.

    Args:
        all: Of them.
        columns: Of the table that lists them, a row each image; none where there is no table.
    """

    all: list[Source]
    columns: pd.DataFrame = field(default_factory=pd.DataFrame)


def sources(
    source: Path | pd.DataFrame | Sequence[Path | str], about: Mapping[str, Any], faults: Faults, words: Sequence[str]
) -> Sources:
    """Returns the images that a user gives.

    Args:
        source: A folder, a file of an image, a table's file or rows with a column of images' files, a MedMNIST archive,
            or files.
        about: What the model expects of images.
        faults: To which single files are added that can't be read.
        words: Columns of a table whose cells stay as they are written.

    Raises:
        UserError: there are none.
    """
    if isinstance(source, pd.DataFrame):
        return _listed(source.reset_index(drop=True), Path(), about, faults)
    if not isinstance(source, Path):
        files = [Path(path).expanduser() for path in source]
        return Sources([_of_file(file, str(given)) for file, given in zip(files, source, strict=True)])
    if source.is_dir():
        return Sources(list(_in_folder(source, about, faults)))
    if not source.exists():
        raise UserError(f"predict.data: there is no file or folder '{source}'")
    if source.name.lower().endswith(READERS):
        table = read_table(source, words=[about["image"], *words], **about["reading"])
        return _listed(table, source.parent, about, faults)
    if source.suffix.lower() == ".npz":
        return Sources(_in_archive(source, about["dimensions"]))
    return Sources([_of_file(source, source.name)])


def _of_file(file: Path, name: str) -> Source:
    dicom = file.is_dir() or suffix(file) in dicom_files.SUFFIXES
    if not suffix(file) and file.is_file() and dicom_files.is_dicom(file):
        return _series([file], name)
    files = tuple(dicom_files.dicom_files(file)) if file.is_dir() else (file,)
    return Source(name, partial(read_raw, [file]), files, dicom)


def _listed(table: pd.DataFrame, folder: Path, about: Mapping[str, Any], faults: Faults) -> Sources:
    """Returns the images that a table lists, a row each."""
    column = about["image"]
    if column not in table:
        raise UserError(f"predict.data: there is no column '{column}', of images' files{suggest(column, table)}")
    files = files_of(table[column], folder, faults)
    names = [str(cell).strip() for cell in table[column]]
    return Sources([_of_file(file, name) for file, name in zip(files, names, strict=True)], table)


def _in_archive(file: Path, dimensions: int) -> list[Source]:
    """Returns the images of an archive as MedMNIST's: its arrays ``images``, or ``train_images`` and so on."""
    try:
        with np.load(file) as parts:
            found = {name: parts[name] for name in parts.files if name.endswith("images")}
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{file.name}: is not a whole .npz file") from error
    if not found:
        raise UserError(f"{file.name}: has no array whose name ends with 'images'")
    return [
        Source(f"{name}/{number}", partial(_of_array, images[number], dimensions))
        for name, images in found.items()
        for number in range(len(images))
    ]


def _of_array(x: np.ndarray, dimensions: int) -> RawImage:
    return RawImage(np.moveaxis(x, -1, 0) if x.ndim > dimensions else x[None])


def _in_folder(folder: Path, about: Mapping[str, Any], faults: Faults) -> Iterator[Source]:
    """Yields the images of a folder and those below it: each file, each DICOM series, each case of several channels."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not hidden(folder, path))
    known = [path for path in files if suffix(path) and suffix(path) not in dicom_files.SUFFIXES]
    masks = _masks(known) if about["masks"] else []
    plain = [path for path in known if path not in set(masks)]
    found = [*_cases(folder, plain, about, faults), *_dicom(folder, sorted({*files} - {*known}), about, faults)]
    tell_left_out(folder, masks, "they are named as masks")
    if not found and not faults.reasons:
        raise UserError(f"predict.data: there are no images in '{folder.name}'")
    yield from sorted(found, key=lambda one: one.name)


def _masks(files: Sequence[Path]) -> list[Path]:
    """Returns files that are named as the masks of others beside them."""
    images = {(path.parent, without_endings(path)) for path in files if not MASK_ENDING.search(stem(path))}
    named = [path for path in files if MASK_ENDING.search(stem(path))]
    return [path for path in named if (path.parent, without_endings(path)) in images]


def _cases(folder: Path, files: Sequence[Path], about: Mapping[str, Any], faults: Faults) -> Iterator[Source]:
    """Yields an image of each file, or of the files of all channels, as nnU-Net has them."""
    count = len(about["channels"])
    numbered = count > 1 and files and all(CHANNEL.fullmatch(stem(path)) for path in files)
    if numbered and len(read_raw([files[0]]).x) == 1:
        images = [Found(path, (path.relative_to(folder).parent / stem(path)).as_posix(), None) for path in files]
        for case in cases_of(images, set(), count, faults):
            if case.files[0].name not in faults.reasons:
                yield Source(case.found.name, partial(read_raw, case.files), tuple(case.files))
        return
    for path in files:
        yield _of_file(path, path.relative_to(folder).as_posix())


def _dicom(folder: Path, files: Sequence[Path], about: Mapping[str, Any], faults: Faults) -> Iterator[Source]:
    """Yields the flat images, or the series that slices make up, whichever the model takes."""
    series: dict[str, list[Path]] = {}
    rest: list[Path] = []
    without: list[Path] = []
    for path in files:
        name = path.relative_to(folder).as_posix()
        with faults.of(name):
            if path.name == "DICOMDIR":
                continue
            if not dicom_files.is_dicom(path):
                rest.append(path)
            elif not dicom_files.has_image(head := dicom_files.header(path)):
                without.append(path)
            else:
                alone = about["dimensions"] == 2 or num_frames(path.name, head) > 1
                series.setdefault(name if alone else str(head.get("SeriesInstanceUID")), []).append(path)
    tell_left_out(folder, rest, "they are no images by their endings, and no DICOM files")
    tell_left_out(folder, without, "they hold no image")
    for key, own in series.items():
        yield _series(
            own, _series_name(folder, own, [path for other in series if other != key for path in series[other]])
        )


def _series_name(folder: Path, own: Sequence[Path], others: Sequence[Path]) -> str:
    """Returns the name of a series' folder if it holds nothing else, else that of its first file."""
    places = {path.parent for path in own}
    alone = len(places) == 1 and folder not in places and not places & {path.parent for path in others}
    return (own[0].parent if alone else own[0]).relative_to(folder).as_posix()


def _series(files: Sequence[Path], name: str) -> Source:
    return Source(name, partial(dicom_files.read_series, files, name), tuple(files), dicom=True)
