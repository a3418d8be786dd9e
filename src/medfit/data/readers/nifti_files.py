"""NIfTI files."""

from pathlib import Path

import numpy as np

from medfit.data.readers.raw_images import RawImage, turned, whole
from medfit.errors import UserError

MM_PER_UNIT = {"meter": 1000.0, "micron": 0.001}  # all else is taken as mm, as scanners write


def read_nifti(path: Path) -> RawImage:
    """Returns a volume, turned to right, anterior, superior; a fourth axis is its channels.

    Whole numbers stay whole where the header has no scale; other numbers become float32.

    Raises:
        UserError: the file is damaged, has other than two to four axes, or holds no plain numbers.
    """
    import nibabel as nib  # late: a quick start
    from nibabel.imageglobals import LoggingOutputSuppressor

    with whole(path, "NIfTI"), LoggingOutputSuppressor():
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Pair):
            raise UserError(f"{path.name}: is not a NIfTI file")
        data = np.array(image.dataobj)  # a copy, as a view would keep the file open
        unit = MM_PER_UNIT.get(image.header.get_xyzt_units()[0], 1.0)
        affine = np.diag([unit, unit, unit, 1.0]) @ image.affine
    if data.dtype.kind not in "iuf":
        raise UserError(f"{path.name}: holds {data.dtype} values, no plain numbers")
    return turned(path.name, _axes(path.name, _numbers(data)), affine)


def _numbers(data: np.ndarray) -> np.ndarray:
    if data.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused by the data set
            return data.astype(np.float32)
    return data.astype(data.dtype.newbyteorder("="))


def _axes(name: str, data: np.ndarray) -> np.ndarray:
    """Returns data with three axes, or four if there are several channels."""
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if data.ndim == 2:
        return data[..., None]
    if data.ndim not in (3, 4) or 0 in data.shape:
        raise UserError(f"{name}: has the shape {data.shape}; (x, y, z) or (x, y, z, channels) was expected")
    return data
