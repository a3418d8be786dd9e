"""Masks in DICOM: segmentations (SEG), whose frames lie on the image's grid, and contours (RTSTRUCT)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medfit.data.readers.dicom_contours import filled
from medfit.data.readers.dicom_files import NO_IMAGES, dicom_files, header, opened
from medfit.data.readers.dicom_frames import Frame
from medfit.data.readers.raw_images import SAME_PLACE_VOXELS, RawImage, whole
from medfit.data.readers.structures import Structure
from medfit.errors import UserError

SEG, CONTOURS = "a segmentation (SEG)", "1.2.840.10008.5.1.4.1.1.481.3"
SAME = {"PatientID": "patient (PatientID)", "FrameOfReferenceUID": "frame of reference"}  # of a mask and its image


def read_structures(path: Path, image: RawImage, image_path: Path) -> list[Structure]:
    """Returns the structures that a DICOM SEG or RTSTRUCT marks in an image.

    Args:
        path: Of the file, or of a folder that holds it alone.
        image: That it belongs to, a volume.
        image_path: Of the image's file, or of its series' folder.

    Raises:
        UserError: the file is damaged or no such mask, the image does not say where it lies, or is another patient's
            or elsewhere in space.
    """
    file = _single(path)
    head = opened(file)
    kind = str(head.get("SOPClassUID"))
    if NO_IMAGES.get(kind) != SEG and kind != CONTOURS:
        raise UserError(f"{path.name}: of DICOM files, segmentations (SEG) and contours (RTSTRUCT) are masks alone")
    if image.affine is None:
        raise UserError(f"{path.name}: marks a place in space, which its image does not say; only volumes do")
    _check_same(file, head, image_path)
    with whole(file, "DICOM"):
        return _contours(file, head, image) if kind == CONTOURS else _segments(file, head, image)


def _single(path: Path) -> Path:
    files = dicom_files(path) if path.is_dir() else [path]
    if not path.exists():
        raise UserError(f"{path.name}: there is no such file")
    if len(files) != 1:
        raise UserError(f"{path.name}: holds {len(files)} DICOM files; a mask is one file")
    return files[0]


def _check_same(path: Path, head: Any, image_path: Path) -> None:
    """Refuses a mask that says another patient or frame of reference than its image, where both say one."""
    files = dicom_files(image_path) if image_path.is_dir() else [image_path]
    try:
        image_head = header(files[0])
    except UserError:  # the image is of another format
        return
    for key, what in SAME.items():
        own, other = (str(each.get(key) or _contour_frame(each, key)).strip() for each in (head, image_head))
        if own and other and own != other:
            raise UserError(f"{path.name}: is of another {what} than its image {image_path.name}")


def _contour_frame(head: Any, key: str) -> str:
    """Returns the frame of reference that an RTSTRUCT names in a sequence of its own."""
    named = (head.get("StructureSetROISequence") or ()) if key == "FrameOfReferenceUID" else ()
    found = {str(roi.get("ReferencedFrameOfReferenceUID") or "") for roi in named}
    return found.pop() if len(found) == 1 else ""


def _segments(path: Path, head: Any, image: RawImage) -> list[Structure]:
    if head.get("SegmentationType") == "FRACTIONAL":
        raise UserError(
            f"{path.name}: holds shares of voxels (FRACTIONAL); a mask marks whole ones: turn it into NIfTI"
        )
    each = head.PerFrameFunctionalGroupsSequence
    pixels = np.asarray(head.pixel_array).reshape(len(each), head.Rows, head.Columns)
    frames = [Frame(f"{path.name}, frame {number + 1}", head, number) for number in range(len(each))]
    by_values = head.get("SegmentationType") == "LABELMAP"  # the value of a pixel is its segment
    owners = [None if by_values else _segment_of(frame) for frame in frames]
    return [
        Structure(
            number, str(segment.get("SegmentLabel") or number), partial(_placed, image, frames, pixels, owners, number)
        )
        for segment in head.SegmentSequence
        for number in [int(segment.SegmentNumber)]
    ]


def _segment_of(frame: Frame) -> int:
    groups = [frame.head.PerFrameFunctionalGroupsSequence[frame.number], *frame.head.SharedFunctionalGroupsSequence]
    found = next(group.SegmentIdentificationSequence for group in groups if "SegmentIdentificationSequence" in group)
    return int(found[0].ReferencedSegmentNumber)


def _placed(
    image: RawImage, frames: Sequence[Frame], pixels: np.ndarray, owners: Sequence[int | None], number: int
) -> np.ndarray:
    """Returns what a segment marks, bool in the shape of the image."""
    made = np.zeros(image.x.shape[1:], dtype=bool)
    for frame, values, owner in zip(frames, pixels, owners, strict=True):
        if owner in (None, number):
            rows, columns = np.nonzero(values == number if owner is None else values)
            made[tuple(_voxels(frame, image) @ np.stack([columns, rows, np.ones_like(rows)]))] = True
    return made


def _voxels(frame: Frame, image: RawImage) -> np.ndarray:
    """Returns the whole numbers (3, 3) that take a frame's (column, row, 1) to a voxel of the image.

    Raises:
        UserError: a frame whose pixels are no voxels of the image.
    """
    across, down = frame.numbers("ImageOrientationPatient").reshape(2, 3)
    apart = frame.numbers("PixelSpacing")
    to_mm = np.column_stack([across * apart[1], down * apart[0], frame.numbers("ImagePositionPatient")])
    to_mm = np.vstack([to_mm * np.array([[-1], [-1], [1]]), [0, 0, 1]])  # DICOM has LPS
    assert image.affine is not None  # made sure before
    to_voxel = (np.linalg.inv(image.affine) @ to_mm)[:3]
    whole_numbers = np.rint(to_voxel)
    last = np.array([frame.head.Columns - 1, frame.head.Rows - 1])
    corners = np.array([[c, r, 1] for c in (0, last[0]) for r in (0, last[1])]).T
    places = whole_numbers @ corners
    size = np.array(image.x.shape[1:])[:, None]
    if np.abs(to_voxel @ corners - places).max() > SAME_PLACE_VOXELS or (places < 0).any() or (places >= size).any():
        raise UserError(f"{frame.name}: its pixels are no voxels of its image: spacing, orientation or position differ")
    return whole_numbers.astype(int)


def _contours(path: Path, head: Any, image: RawImage) -> list[Structure]:
    contours = {
        int(roi.ReferencedROINumber): roi.get("ContourSequence") or () for roi in head.get("ROIContourSequence") or ()
    }
    return [
        Structure(number, name, partial(filled, f"{path.name}, '{name}'", contours.get(number, ()), image))
        for roi in head.StructureSetROISequence
        for number, name in [(int(roi.ROINumber), str(roi.get("ROIName") or roi.ROINumber))]
    ]
