"""DICOM files: flat images, and series of slices as volumes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medfit.data.readers.dicom_decoders import register
from medfit.data.readers.raw_images import RawImage, turned, whole
from medfit.errors import UserError

SUFFIXES = (".dcm", ".dicom", ".ima")
UNEVEN = 0.05  # of the slices' distance: positions are rounded
SAME_DIRECTION = 1e-3  # of cosines


def dicom_files(folder: Path, deep: bool = False) -> list[Path]:
    """Returns a folder's DICOM files, by ending or contents, without an index (DICOMDIR).

    Args:
        folder: Where they lie.
        deep: Whether folders below it count.

    Raises:
        UserError: a file with DICOM's ending that is none.
    """
    found = sorted(path for path in (folder.rglob("*") if deep else folder.iterdir()) if path.is_file())
    return [path for path in found if not path.name.startswith(".") and path.name != "DICOMDIR" and _is_dicom(path)]


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        marked = file.read(132)[128:] == b"DICM"
    if not marked and path.suffix.lower() in SUFFIXES:
        raise UserError(f"{path.name}: is not a whole DICOM file (it has no DICM mark)")
    return marked


def header(path: Path) -> Any:
    """Returns a file's DICOM header, which names the patient: nothing of it may be told."""
    import pydicom  # late: a quick start

    with whole(path, "DICOM"):
        return pydicom.dcmread(path, stop_before_pixels=True)


def read_dicom(path: Path) -> RawImage:
    """Returns a file's one image as float32 (channels, rows, columns), in Hounsfield units for CT.

    Raises:
        UserError: the file is damaged, holds no image or several, or is compressed in a way that can't be read.
    """
    pixels, head = _pixels(path)
    with whole(path, "DICOM"):
        spacing = head.get("PixelSpacing") or head.get("ImagerPixelSpacing")
        spacing_mm = tuple(float(size) for size in spacing) if spacing else None
    return RawImage(np.ascontiguousarray(np.moveaxis(pixels, -1, 0)), spacing_mm)


def read_series(files: Sequence[Path], name: str) -> RawImage:
    """Returns a series of slices, in any order, as a volume turned to right, anterior, superior; a single one as read.

    Args:
        files: Of one series.
        name: Of the series, for messages.

    Raises:
        UserError: several series or patients, slices that differ in size, spacing or direction, that are missing,
            doubled or uneven, or whose stack is tilted.
    """
    heads = {path: head for path in files if "Rows" in (head := header(path))}  # not plans and reports beside them
    if not heads:
        raise UserError(f"{name}: holds no DICOM images")
    if (count := len({head.get("SeriesInstanceUID") for head in heads.values()})) > 1:
        raise UserError(f"{name}: holds {count} DICOM series; give each a folder of its own")
    if (count := len({str(head.get("PatientID") or "").strip() for head in heads.values()})) > 1:
        raise UserError(f"{name}: its slices are of {count} patients (PatientID); a volume is one patient's")
    if len(heads) == 1:
        return read_dicom(next(iter(heads)))
    across, down, spacing = _plane(name, heads)
    places = {path: _numbers(path, head, "ImagePositionPatient") for path, head in heads.items()}
    ordered = sorted(places, key=lambda path: places[path] @ np.cross(across, down))
    step = _step(name, np.stack([places[path] for path in ordered]), np.cross(across, down))
    slices = np.stack([_pixels(path)[0] for path in ordered])  # (k, rows, columns, channels)
    affine = np.eye(4)
    affine[:3] = np.column_stack([across * spacing[1], down * spacing[0], step, places[ordered[0]]])
    data = slices.transpose(2, 1, 0, 3)
    return turned(name, data[..., 0] if data.shape[3] == 1 else data, np.diag([-1, -1, 1, 1]) @ affine)  # DICOM has LPS


def _plane(name: str, heads: dict[Path, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the directions along a row and down a column, and the distances of rows and of columns in mm."""
    keys = ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient")
    facts = {path: np.concatenate([_numbers(path, head, key) for key in keys]) for path, head in heads.items()}
    first = next(iter(facts.values()))
    for path, fact in facts.items():
        for what, part in (("size", slice(0, 2)), ("spacing", slice(2, 4)), ("direction", slice(4, 10))):
            if not np.allclose(fact[part], first[part], rtol=SAME_DIRECTION, atol=SAME_DIRECTION):
                raise UserError(f"{path.name}: has another {what} than the other slices of {name}")
    return first[4:7], first[7:10], first[2:4]


def _numbers(path: Path, head: Any, key: str) -> np.ndarray:
    with whole(path, "DICOM"):
        if not (value := head.get(key)):
            raise UserError(f"{path.name}: does not say its {key}, which a slice of a series needs")
        return np.array(value, dtype=float).ravel()


def _step(name: str, places: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Returns the way from one slice to the next in mm."""
    steps = np.diff(places, axis=0)
    apart = steps @ normal
    if apart.min() < 1e-3:
        raise UserError(f"{name}: two slices lie at the same place; is this more than one volume?")
    if apart.max() - apart.min() > UNEVEN * np.median(apart):
        raise UserError(
            f"{name}: slices are missing or uneven: they lie {apart.min():.4g} to {apart.max():.4g} mm apart"
        )
    step = steps.mean(axis=0)
    if np.linalg.norm(step - normal * apart.mean()) > UNEVEN * apart.mean():
        raise UserError(f"{name}: its slices are stacked at a slant (a tilted gantry); turn it into NIfTI straightened")
    return step


def _pixels(path: Path) -> tuple[np.ndarray, Any]:
    """Returns float32 (rows, columns, channels) and the header."""
    import pydicom  # late: a quick start
    from pydicom.pixels import apply_color_lut, apply_modality_lut

    if not _is_dicom(path):
        raise UserError(f"{path.name}: is not a whole DICOM file (it has no DICM mark)")
    with whole(path, "DICOM"):
        head = pydicom.dcmread(path)
        if "PixelData" not in head or int(head.get("NumberOfFrames") or 1) > 1:
            raise UserError(f"{path.name}: holds {head.get('NumberOfFrames') or 'no'} images; one was expected")
        pixels = _decoded(path, head)
        if head.PhotometricInterpretation == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, head)
        elif head.PhotometricInterpretation == "MONOCHROME1":  # its largest value is black
            pixels = (-1 if head.PixelRepresentation else 2**head.BitsStored - 1) - pixels.astype(np.int64)
        pixels = apply_modality_lut(pixels, head).astype(np.float32)
    return (pixels[..., None] if pixels.ndim == 2 else pixels), head


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
