"""NRRD and MetaImage files, by SimpleITK, which the extra ``formats`` installs."""

from pathlib import Path

import numpy as np

from medfit.data.readers.raw_images import RawImage, turned, whole
from medfit.errors import UserError

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")


def read_itk(path: Path) -> RawImage:
    """Returns a volume turned to right, anterior, superior, or a flat image with rows from the top.

    Raises:
        UserError: SimpleITK is not installed, or the file is damaged or of another number of dimensions.
    """
    try:
        import SimpleITK  # late: a quick start
    except ImportError as error:
        raise UserError(
            f"{path.name}: is read by SimpleITK; run pip install 'medfit[formats]', or turn it into NIfTI"
        ) from error
    with whole(path, "NRRD" if path.suffix.lower() in SUFFIXES[:2] else "MetaImage"):
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
        image = SimpleITK.ReadImage(str(path))
        axes, data = image.GetDimension(), SimpleITK.GetArrayFromImage(image)
        several = image.GetNumberOfComponentsPerPixel() > 1
    if axes == 2:
        pixels = np.moveaxis(data, -1, 0) if several else data[None]
        return RawImage(np.ascontiguousarray(pixels), tuple(image.GetSpacing()[::-1]))
    if axes != 3:
        raise UserError(f"{path.name}: has {axes} dimensions; 2 or 3 were expected")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    places = (2, 1, 0, 3) if several else (2, 1, 0)  # SimpleITK's arrays have the last axis first
    return turned(path.name, data.transpose(places), np.diag([-1, -1, 1, 1]) @ affine)  # ITK has LPS
