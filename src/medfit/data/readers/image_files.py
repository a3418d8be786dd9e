"""Reading images and masks from files of any of the usual formats."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from medfit.data.image import Image
from medfit.data.readers import dicom_files, flat_files
from medfit.data.readers.nifti_files import read_nifti
from medfit.data.readers.raw_images import RawImage, check_same_place
from medfit.errors import UserError

NIFTI_SUFFIXES = (".nii.gz", ".nii")
SUFFIXES = (*NIFTI_SUFFIXES, *flat_files.FORMATS, *flat_files.TIFF_SUFFIXES, *dicom_files.SUFFIXES)
GREY_SCALE = 128  # a mask whose largest value is no smaller is in shades of grey
LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue, ITU-R BT.601
Numbers = Literal["indexed", "binary"]


def suffix(path: Path) -> str:
    """Returns the ending that says the format; empty where none does."""
    return next((ending for ending in SUFFIXES if path.name.lower().endswith(ending)), "")


def stem(path: Path) -> str:
    """Returns a file's name without its ending, a folder's as it is."""
    return path.name if path.is_dir() else path.name[: len(path.name) - len(suffix(path))]


def read_image(path: Path, num_channels: int | None = None) -> Image:
    """Returns the image in a PNG, JPEG, BMP, GIF, TIFF, NIfTI or DICOM file, or in a folder with a DICOM series.

    Args:
        path: Its ending says the format.
        num_channels: Turns colours into grey where it is 1, and grey into colours where it is 3.

    Raises:
        UserError: there is no such file, or it is damaged or not of its format; see the formats' readers.
    """
    raw = _read(path)
    return Image(_as_channels(raw.x, num_channels), spacing_mm=raw.spacing_mm)


def read_mask(path: Path, numbers: Numbers = "indexed") -> np.ndarray:
    """Returns a mask's class numbers, uint8 in the shape (*size).

    Args:
        path: Of a file that is no JPEG, but for binary masks, and no DICOM.
        numbers: ``indexed`` takes values, or numbers of a palette's colours, as class numbers; ``binary`` marks
            every value above 0 as 1, or in a mask in shades of grey those from half of the largest.

    Raises:
        UserError: as :func:`read_image`, or values that are no class numbers.
    """
    return _class_numbers(path, _read_numbers(path), numbers)


def read_pair(image: Path, masks: Mapping[int, Path], numbers: Numbers, num_channels: int | None = None) -> Image:
    """Returns an image with its mask.

    Args:
        image: As :func:`read_image` takes it.
        masks: By the class that a binary mask marks, a later one above an earlier; indexed masks by 1.
        numbers: As :func:`read_mask` takes it.
        num_channels: As :func:`read_image` takes it.

    Raises:
        UserError: as both, or an image and a mask that lie at different places.
    """
    raw = _read(image)
    mask: np.ndarray | None = None
    for number, path in masks.items():
        marks = _read_numbers(path)
        check_same_place(path.name, marks, image.name, raw)
        marked = _class_numbers(path, marks, numbers)
        if mask is not None and mask.shape != marked.shape:
            raise UserError(f"{path.name}: its masks of different classes differ in size")
        mask = marked * np.uint8(number) if mask is None else np.where(marked > 0, np.uint8(number), mask)
    return Image(_as_channels(raw.x, num_channels), mask, raw.spacing_mm)


def _read(path: Path) -> RawImage:
    if path.is_dir():
        return dicom_files.read_series(dicom_files.dicom_files(path), path.name)
    _check_there(path)
    if suffix(path) in NIFTI_SUFFIXES:
        return read_nifti(path)
    return (
        dicom_files.read_dicom(path) if suffix(path) in dicom_files.SUFFIXES else RawImage(flat_files.read_flat(path))
    )


def _read_numbers(path: Path) -> RawImage:
    if path.is_dir() or suffix(path) in dicom_files.SUFFIXES:
        raise UserError(f"{path.name}: masks can't be read from DICOM; turn them into NIfTI or PNG")
    _check_there(path)
    return read_nifti(path) if suffix(path) in NIFTI_SUFFIXES else RawImage(flat_files.read_flat(path, numbers=True))


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path.name}: there is no such file")
    if not suffix(path):
        raise UserError(f"{path.name}: has none of the endings {', '.join(SUFFIXES)}")


def _class_numbers(path: Path, raw: RawImage, numbers: Numbers) -> np.ndarray:
    values = raw.x[0]
    if flat_files.FORMATS.get(suffix(path)) == "JPEG":
        if numbers == "indexed":
            raise UserError(f"{path.name}: JPEG changes a mask's numbers; save it as PNG (or dataset.layout=binary)")
        return (values >= GREY_SCALE).astype(np.uint8)
    if not all(np.array_equal(values, channel) for channel in raw.x[1:]):
        raise UserError(f"{path.name}: a mask needs one number a pixel, not colours; save it in grey or with a palette")
    if wrong := values[(values < 0) | (values % 1 != 0)].ravel()[:1].tolist():
        raise UserError(f"{path.name}: its mask holds {wrong[0]:.4g}, which is no class number")
    largest = values.max()
    if numbers == "binary":
        return (values >= largest / 2 if largest >= GREY_SCALE else values > 0).astype(np.uint8)
    if largest > 255:
        raise UserError(f"{path.name}: its mask holds {largest}; class numbers go up to 255")
    return values.astype(np.uint8)


def _as_channels(x: np.ndarray, num_channels: int | None) -> np.ndarray:
    if num_channels == 3 and len(x) == 1:
        return np.repeat(x, 3, axis=0)
    if num_channels == 1 and len(x) == 3:
        grey = np.tensordot(LUMA, x, axes=1)
        return (np.rint(grey) if x.dtype.kind in "iu" else grey).astype(x.dtype)[None]
    return x


def channel_names(image: Image) -> list[str]:
    """Returns what an image's channels are called where nobody says."""
    flat, count = image.x.ndim == 3, len(image.x)
    if flat and count == 3:
        return ["red", "green", "blue"]
    return ["grey" if flat else "image"] if count == 1 else [f"channel {number}" for number in range(1, count + 1)]
