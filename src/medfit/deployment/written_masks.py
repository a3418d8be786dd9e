"""Masks as files in the geometry of their images' files, voxel by voxel."""

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from medfit.data.readers import flat_files
from medfit.data.readers.image_files import NIFTI_SUFFIXES, suffix
from medfit.data.readers.raw_images import RawImage
from medfit.deployment.dicom_seg import write_seg
from medfit.deployment.image_sources import Source
from medfit.errors import UserError


def check(sources: Sequence[Source]) -> None:
    """Refuses DICOM files where what writes their masks is not installed."""
    if any(source.dicom for source in sources) and find_spec("highdicom") is None:
        raise UserError("predict.data: masks of DICOM images are written by highdicom; run pip install 'medfit[dicom]'")


def names(sources: Sequence[Source], flat: bool) -> list[str]:
    """Returns the name of each image's mask below the folder of masks: the image's, with the mask's ending.

    Args:
        sources: The images.
        flat: Whether they are no volumes.
    """
    made = [_name(source, flat, whole=False) for source in sources]
    seen = Counter(made)
    return [
        one if seen[one] == 1 else _name(source, flat, whole=True) for one, source in zip(made, sources, strict=True)
    ]


def _name(source: Source, flat: bool, whole: bool) -> str:
    """Returns a mask's name, below the folder of masks wherever its image lies; ``whole`` leaves the image's ending."""
    place = PurePosixPath(source.name.replace("\\", "/"))
    parts = [part for part in place.parts if part not in (place.anchor, "..")]
    ending = suffix(Path(place.name))
    own = ending if ending in NIFTI_SUFFIXES else NIFTI_SUFFIXES[0]
    stem = parts[-1] if whole or not ending else parts[-1][: -len(ending)]
    return PurePosixPath(*parts[:-1], stem + (".dcm" if source.dicom else ".png" if flat else own)).as_posix()


def write(mask: np.ndarray, source: Source, path: Path, classes: Sequence[str], run_id: str) -> None:
    """Writes a mask: as DICOM SEG where its image is DICOM, as PNG where it is flat, as NIfTI else.

    Args:
        mask: Class numbers, uint8 in the shape of the image as it was read.
        source: The image.
        path: Of the new file; folders are made.
        classes: Their names, the background first.
        run_id: Of the training.

    Raises:
        UserError: it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if source.dicom:
            write_seg(mask, source.files, source.name, path, classes, run_id)
        elif mask.ndim == 2:
            _write_png(mask, source, path)
        else:
            _write_nifti(mask, source, path)
    except OSError as error:
        raise UserError(f"predict.out: cannot write to '{path}' ({error.strerror or error})") from error


def _write_png(mask: np.ndarray, source: Source, path: Path) -> None:
    """Writes class numbers as grey values; a tag that turns the image turns its mask, too."""
    from PIL import Image  # late: a quick start

    how, exif = flat_files.turned_by_tag(source.files[0]) if source.files else 1, Image.Exif()
    if how != 1:
        exif[flat_files.ORIENTATION] = how
    Image.fromarray(flat_files.as_stored(mask, how)).save(path, exif=exif)


def _write_nifti(mask: np.ndarray, source: Source, path: Path) -> None:
    import nibabel as nib  # late: a quick start

    if source.files and suffix(source.files[0]) in NIFTI_SUFFIXES:
        image: Any = nib.load(source.files[0])
        stored = RawImage(mask, own_affine=image.affine).as_stored(mask)
        made = type(image)(stored.reshape(image.shape[:3]), image.affine, _header(image.header))
    else:  # another format, whose place NIfTI can say, too
        raw = source.read()
        made = nib.Nifti1Image(raw.as_stored(mask), np.eye(4) if raw.own_affine is None else raw.own_affine)
        made.header.set_xyzt_units("mm")
    made.to_filename(path)


def _header(header: Any) -> Any:
    """Returns an image's header for its mask: what says the place stays, what may tell of the patient goes."""
    kept = header.copy()
    kept.set_data_dtype(np.uint8)
    kept.set_slope_inter(1, 0)
    kept.extensions.clear()
    for field in ("descrip", "aux_file", "intent_name", "cal_max", "cal_min"):
        kept[field] = np.zeros_like(kept[field])
    return kept
