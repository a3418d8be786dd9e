"""DICOM files: flat images, and series of slices as volumes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medfit.data.readers.dicom_decoders import register
from medfit.data.readers.dicom_frames import Frame, frames, rescaled, stacked, volume
from medfit.data.readers.raw_images import RawImage, whole
from medfit.errors import UserError

SUFFIXES = (".dcm", ".dicom", ".ima")
NO_IMAGES = {  # have rows and columns, and are about an image
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation (SEG)",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation (SEG)",
    "1.2.840.10008.5.1.4.1.1.481.2": "a dose (RTDOSE)",
}


def dicom_files(folder: Path) -> list[Path]:
    """Returns a folder's DICOM files, by ending or contents, without an index (DICOMDIR).

    Raises:
        UserError: a file with DICOM's ending that is none.
    """
    found = sorted(path for path in folder.iterdir() if path.is_file())
    return [path for path in found if not path.name.startswith(".") and path.name != "DICOMDIR" and is_dicom(path)]


def is_dicom(path: Path) -> bool:
    """Tells whether a file is one of DICOM, by its contents.

    Raises:
        UserError: it has DICOM's ending and is none, or it can't be opened.
    """
    with whole(path, "DICOM"), path.open("rb") as file:
        marked = file.read(132)[128:] == b"DICM"
    if not marked and path.suffix.lower() in SUFFIXES:
        raise UserError(f"{path.name}: is not a whole DICOM file (it has no DICM mark)")
    return marked


def header(path: Path) -> Any:
    """Returns a file's DICOM header, which names the patient: nothing of it may be told."""
    return opened(path, pixels=False)


def opened(path: Path, pixels: bool = True) -> Any:
    """Returns a file's header, with its pixels or without; pydicom's warnings would tell its values, so there are none.

    Raises:
        UserError: the file is damaged.
    """
    import pydicom  # late: a quick start

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    with whole(path, "DICOM"):
        return pydicom.dcmread(path, stop_before_pixels=not pixels)


def has_image(head: Any) -> bool:
    """Tells whether a file holds an image, by its header: plans, reports, masks and doses are none."""
    return "Rows" in head and str(head.get("SOPClassUID")) not in NO_IMAGES


def read_dicom(path: Path) -> RawImage:
    """Returns a file's one image as float32 (channels, rows, columns), in Hounsfield units for CT.

    Of an enhanced file with several frames it returns the volume, as :func:`read_series` does.

    Raises:
        UserError: the file is damaged, holds no image, or several that are no volume, or is compressed in a way that
            can't be read.
    """
    pixels, found = _pixels(path)
    if len(found) > 1:
        order, affine = stacked(path.name, found)
        return volume(path.name, pixels[order], affine)
    with whole(path, "DICOM"):
        spacing = found[0].fact("PixelSpacing") or found[0].head.get("ImagerPixelSpacing") or ()
        spacing_mm = tuple(float(size) for size in spacing)
    known = len(spacing_mm) == 2 and min(spacing_mm) > 0
    return RawImage(np.ascontiguousarray(np.moveaxis(pixels[0], -1, 0)), spacing_mm if known else None)


def read_series(files: Sequence[Path], name: str) -> RawImage:
    """Returns a series of slices, in any order, as a volume turned to right, anterior, superior; a single one as read.

    Args:
        files: Of one series.
        name: Of the series, for messages.

    Raises:
        UserError: several series or patients, slices that differ in size, spacing or direction, that are missing,
            doubled or uneven, or whose stack is tilted.
    """
    heads = {path: head for path in files if has_image(head := header(path))}  # not plans and reports beside them
    if not heads:
        raise UserError(f"{name}: holds no DICOM images")
    if (count := len({head.get("SeriesInstanceUID") for head in heads.values()})) > 1:
        raise UserError(f"{name}: holds {count} DICOM series; give each a folder of its own")
    if (count := len({str(head.get("PatientID") or "").strip() for head in heads.values()})) > 1:
        raise UserError(f"{name}: its slices are of {count} patients (PatientID); a volume is one patient's")
    if len(heads) == 1:
        return read_dicom(next(iter(heads)))
    found = {path: frames(path.name, head) for path, head in heads.items()}
    order, affine = stacked(name, [frame for own in found.values() for frame in own])
    slices = [plane for path in found for plane in _pixels(path)[0]]  # (rows, columns, channels) each
    return volume(name, np.stack([slices[number] for number in order]), affine)


def _pixels(path: Path) -> tuple[np.ndarray, list[Frame]]:
    """Returns float32 (frames, rows, columns, channels) and the frames."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut  # late: a quick start

    if not is_dicom(path):
        raise UserError(f"{path.name}: is not a whole DICOM file (it has no DICM mark)")
    with whole(path, "DICOM"):
        head = opened(path)
        if "PixelData" not in head or not has_image(head):
            what = NO_IMAGES.get(str(head.get("SOPClassUID")), "no image")
            raise UserError(f"{path.name}: holds {what}; an image was expected")
        found = frames(path.name, head)
        pixels = _decoded(path, head)
        if head.PhotometricInterpretation == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, head)
        elif head.PhotometricInterpretation == "MONOCHROME1":  # its largest value is black
            pixels = (-1 if head.PixelRepresentation else 2**head.BitsStored - 1) - pixels.astype(np.int64)
        shaped = pixels.reshape(len(found), head.Rows, head.Columns, -1)
        own = rescaled(found, shaped)
        return (apply_modality_lut(shaped, head) if own is None else own).astype(np.float32), found


def _decoded(path: Path, head: Any) -> np.ndarray:
    """Returns the pixels, decompressed."""
    register()
    syntax = head.file_meta.TransferSyntaxUID
    try:
        return head.pixel_array
    except Exception as error:  # each decoder has its own kinds
        if not syntax.is_compressed:
            raise
        raise UserError(
            f"{path.name}: is damaged, or compressed in a way that can't be read ({syntax.name}); decompress it first, "
            "as 'gdcmconv --raw' does"
        ) from error
