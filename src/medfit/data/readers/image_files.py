"""Reading images and masks from files of any of the usual formats."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from medfit.data.image import Image
from medfit.data.readers import dicom_files, flat_files, itk_files
from medfit.data.readers.dicom_masks import read_structures
from medfit.data.readers.kept_raw import kept
from medfit.data.readers.mask_numbers import Numbers, indexed, united
from medfit.data.readers.nifti_files import read_nifti
from medfit.data.readers.raw_images import RawImage, check_same_place
from medfit.data.readers.structures import Structures
from medfit.errors import UserError

NIFTI_SUFFIXES = (".nii.gz", ".nii")
SUFFIXES = (
    *NIFTI_SUFFIXES, *flat_files.FORMATS, *flat_files.TIFF_SUFFIXES, *dicom_files.SUFFIXES, *itk_files.SUFFIXES
)  # fmt: skip
LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue, ITU-R BT.601


def suffix(path: Path) -> str:
    """Returns the ending that says the format; empty where none does."""
    return next((ending for ending in SUFFIXES if path.name.lower().endswith(ending)), "")


def stem(path: Path) -> str:
    """Returns a file's name without its ending, a folder's as it is."""
    return path.name if path.is_dir() else path.name[: len(path.name) - len(suffix(path))]


def read_image(path: Path, num_channels: int | None = None) -> Image:
    """Returns the image in a file of one of ``SUFFIXES``, or in a folder with a DICOM series.

    Args:
        path: Its ending says the format.
        num_channels: Turns colours into grey where it is 1, and grey into colours where it is 3.

    Raises:
        UserError: there is no such file, or it is damaged or not of its format; see the formats' readers.
    """
    return as_image(_read(path), num_channels)


def as_image(raw: RawImage, num_channels: int | None = None) -> Image:
    """Returns what was read as an image, its channels as :func:`read_image` has them."""
    return Image(_as_channels(raw.x, num_channels), spacing_mm=raw.spacing_mm, axes=raw.axes)


def read_raw(files: Sequence[Path]) -> RawImage:
    """Returns what one image's files hold: one of all channels, or a folder, or one for each channel.

    Raises:
        UserError: as :func:`read_image`, or channels that lie at different places.
    """
    return _read(files[0]) if len(files) == 1 else _joined(files)


def read_mask(path: Path, numbers: Numbers = indexed) -> np.ndarray:
    """Returns a mask's class numbers, uint8 in the shape (*size).

    Args:
        path: Of a file that is no JPEG, but for binary masks, and no DICOM.
        numbers: What the values mean: :func:`medfit.data.readers.mask_numbers.indexed`, ``Binary`` or ``Labels``.

    Raises:
        UserError: as :func:`read_image`, or values that are no class numbers.
    """
    return numbers(path, _read_numbers(path))


def read_pair(
    image: Path | Sequence[Path],
    masks: Mapping[int, Sequence[Path]],
    numbers: Numbers,
    num_channels: int | None = None,
    structures: Structures | None = None,
) -> Image:
    """Returns an image with its mask; one in which nothing is marked where it has none.

    Args:
        image: As :func:`read_image` takes it, or a file for each channel.
        masks: By the class that binary masks mark, a later one above an earlier; indexed masks by 1. Several of a class
            are united.
        numbers: As :func:`read_mask` takes it.
        num_channels: As :func:`read_image` takes it.
        structures: What the structures of DICOM masks mean; None where masks can't be DICOM.

    Raises:
        UserError: as both, channels or an image and a mask that lie at different places, or an image as its own mask.
    """
    files = [image] if isinstance(image, Path) else image
    raw = read_raw(files)
    mask: np.ndarray | None = None
    for number, paths in ((number, paths) for number, paths in masks.items() if paths):
        each = [_mask_of(path, files[0], raw, numbers, structures) for path in paths]
        with _named_by(files[0], *paths):
            marked = united(each, paths)
        if mask is not None and mask.shape != marked.shape:
            raise UserError(f"{files[0].name}: its masks of different classes differ in size")
        mask = marked * np.uint8(number) if mask is None else np.where(marked > 0, np.uint8(number), mask)
    if mask is None:
        mask = np.zeros(raw.x.shape[1:], dtype=np.uint8)
    return Image(_as_channels(raw.x, num_channels), mask, raw.spacing_mm, raw.axes)


def _joined(files: Sequence[Path]) -> RawImage:
    """Returns the image whose channels lie in a file each."""
    parts = [_read(file) for file in files]
    for file, part in zip(files, parts, strict=True):
        if len(part.x) != 1 or part.x.shape != parts[0].x.shape:
            raise UserError(
                f"{file.name}: is a channel of {len(part.x)} x {part.x.shape[1:]} values; {parts[0].x.shape[1:]} of "
                f"{files[0].name} were expected"
            )
        check_same_place(file.name, part, files[0].name, parts[0])
    return replace(parts[0], x=np.concatenate([part.x for part in parts]))


def _mask_of(path: Path, image: Path, raw: RawImage, numbers: Numbers, structures: Structures | None) -> np.ndarray:
    with _named_by(image, path):
        if structures is not None and (path.is_dir() or suffix(path) in dicom_files.SUFFIXES):
            return structures.mask(path, read_structures(path, raw, image), raw.x.shape[1:])
        marks = _read_numbers(path)
    if path.samefile(image):
        raise UserError(
            f"{path.name}: an image is not its own mask; say which files are masks, as "
            "\"dataset.mask_name='{stem}_mask*'\""
        )
    _check_upright(path, image, raw.x.shape[1:])
    with _named_by(image, path):
        check_same_place(path.name, marks, image.name, raw)
        return numbers(path, marks)


@contextmanager
def _named_by(image: Path, *masks: Path) -> Iterator[None]:
    """Tells what is wrong with a mask by its image's name first, as it is the image that is left out for it."""
    try:
        yield
    except UserError as error:
        message = str(error)
        if not message.startswith(tuple(mask.name for mask in masks)):
            raise
        raise UserError(f"{image.name}: its mask {message.replace(': its mask ', ': ', 1)}") from error.__cause__


def _check_upright(mask: Path, image: Path, size: Sequence[int]) -> None:
    """Refuses an image that a tag turns, where its mask's size does not tell whether the mask is of the turned one."""
    how = flat_files.turned_by_tag(image)
    if how != flat_files.turned_by_tag(mask) and (how < 5 or len(set(size)) == 1):
        raise UserError(
            f"{image.name}: an EXIF tag turns it, and nobody can tell whether its mask {mask.name} is turned too; save "
            "it upright, without the tag"
        )


def _read(path: Path) -> RawImage:
    if path.is_dir():
        files = dicom_files.dicom_files(path)
        return kept(files, "series", lambda: dicom_files.read_series(files, path.name))
    if suffix(path) in dicom_files.SUFFIXES:
        _check_there(path)
        return kept([path], "dicom", lambda: dicom_files.read_dicom(path))
    return _read_plain(path)


def _read_plain(path: Path, numbers: bool = False) -> RawImage:
    _check_there(path)
    if suffix(path) in NIFTI_SUFFIXES:
        return kept([path], "nifti", lambda: read_nifti(path))
    if suffix(path) in itk_files.SUFFIXES:
        return itk_files.read_itk(path)
    return RawImage(flat_files.read_flat(path, numbers=numbers))


def _read_numbers(path: Path) -> RawImage:
    if path.is_dir() or suffix(path) in dicom_files.SUFFIXES:
        raise UserError(f"{path.name}: masks can't be read from DICOM; turn them into NIfTI or PNG")
    return _read_plain(path, numbers=True)


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path.name}: there is no such file")
    if not suffix(path):
        raise UserError(f"{path.name}: has none of the endings {', '.join(SUFFIXES)}")


def _as_channels(x: np.ndarray, num_channels: int | None) -> np.ndarray:
    if num_channels == 3 and len(x) == 1:
        return np.repeat(x, 3, axis=0)
    if num_channels == 1 and len(x) == 3:
        grey = np.tensordot(LUMA, x, axes=1)
        return (np.rint(grey) if x.dtype.kind in "iu" else grey).astype(x.dtype)[None]
    return x


def channel_names(count: int, flat: bool) -> list[str]:
    """Returns what the channels of images are called where nobody says."""
    if flat and count == 3:
        return ["red", "green", "blue"]
    return ["grey" if flat else "image"] if count == 1 else [f"channel {number}" for number in range(1, count + 1)]
