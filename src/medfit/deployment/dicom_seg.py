"""DICOM segmentations (SEG), by highdicom, which the extra ``dicom`` installs."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medfit.data.readers.dicom_files import has_image, header
from medfit.data.readers.dicom_frames import frames, stacked
from medfit.data.readers.raw_images import RawImage
from medfit.errors import UserError
from medfit.version import VERSION

SCHEME = "99MEDFIT"  # of codes: a class's name says nothing that a dictionary of anatomy could be asked for
SERIES_NUMBER = 9000
EMPTY = (  # attributes that a SEG has to have, be they empty, and that files without names often lack
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName", "SliceThickness",
)  # fmt: skip
LONGEST = 64  # letters of a label or a code's meaning


def write_seg(
    mask: np.ndarray, files: Sequence[Path], name: str, path: Path, classes: Sequence[str], run_id: str
) -> None:
    """Writes a mask as a DICOM SEG, with a segment for each class and a frame for each frame of the image.

    It names the image's patient and study, as the standard wants it.

    Args:
        mask: Class numbers in the shape of the image as it was read.
        files: Of the image; of a series in any order.
        name: Of the image, for messages.
        path: Of the new file.
        classes: Their names, the background first.
        run_id: Of the training.

    Raises:
        UserError: highdicom can't make it, as where the image's files lack what a SEG has to say.
    """
    heads = [(file, head) for file in files if has_image(head := header(file))]
    for _, head in heads:
        _complete(head)
    sources, planes = _planes(mask, heads, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pydicom and highdicom, that tell values of the header
            made = _segmentation(sources, planes, classes, run_id)
            made.save_as(path, enforce_file_format=True)
    except OSError:
        raise
    except Exception as error:  # highdicom has its own kinds, and their words may hold the header's values
        raise UserError(
            f"{name}: no DICOM SEG can be made of its mask ({type(error).__name__}: its header lacks what a SEG has to "
            "say, or says it in another way); turn the image into NIfTI"
        ) from error


def _complete(head: Any) -> None:
    """Says of an image's header that it does not know what a SEG has to repeat from it."""
    for key in EMPTY:
        if key not in head:
            setattr(head, key, None if key == "SliceThickness" else "")


def _planes(mask: np.ndarray, heads: Sequence[tuple[Path, Any]], name: str) -> tuple[list[Any], np.ndarray]:
    """Returns the image's headers, and the mask (frames, rows, columns) in the order of their frames."""
    found = [frame for file, head in heads for frame in frames(file.name, head)]
    if len(found) == 1:
        return [heads[0][1]], mask[None]
    order, affine = stacked(name, found)
    stored = RawImage(mask, own_affine=affine).as_stored(mask).transpose(2, 1, 0)
    planes = np.empty_like(stored)
    planes[order] = stored
    return [head for _, head in heads], planes


def _segmentation(sources: list[Any], planes: np.ndarray, classes: Sequence[str], run_id: str) -> Any:
    import highdicom as hd  # late: an extra
    from pydicom.sr.codedict import codes

    by = hd.AlgorithmIdentificationSequence(
        name=f"medfit run {run_id}"[:LONGEST], family=codes.DCM.ArtificialIntelligence, version=VERSION
    )
    kind = hd.sr.CodedConcept("class", SCHEME, "Class of pixels")
    segments = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label[:LONGEST],
            segmented_property_category=kind,
            segmented_property_type=hd.sr.CodedConcept(str(number), SCHEME, label[:LONGEST]),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=by,
        )
        for number, label in enumerate(classes[1:], 1)
    ]
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=planes,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=hd.UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="medfit",
        manufacturer_model_name="medfit",
        software_versions=VERSION,
        device_serial_number=run_id[:LONGEST],
        omit_empty_frames=bool(planes.any()),
    )
