"""What readers of image files share."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medfit.errors import UserError

SAME_PLACE_VOXELS = 0.1  # headers are rounded, each by its own tool


@dataclass(frozen=True)
class RawImage:
    """An image file's contents.

    Args:
        x: In the shape (channels, *size), as :class:`medfit.data.image.Image` has it.
        spacing_mm: None where the file does not say.
        affine: From voxel numbers to mm to the right, anterior and superior, 4 x 4; None where the file does not say.
        own_affine: The same of the file's own voxels, before they were turned.
    """

    x: np.ndarray
    spacing_mm: tuple[float, ...] | None = None
    affine: np.ndarray | None = None
    own_affine: np.ndarray | None = None

    @property
    def axes(self) -> str | None:
        """Where the file's own axes point to, as ``LPS``; None where it does not say."""
        from nibabel.orientations import aff2axcodes  # late: a quick start

        return None if self.own_affine is None else "".join(map(str, aff2axcodes(self.own_affine)))

    def as_stored(self, x: np.ndarray) -> np.ndarray:
        """Returns what lies on the image's voxels, in the shape (*size), turned back to those of its file."""
        from nibabel import orientations  # late: a quick start

        if self.own_affine is None:
            return x
        turned_by = orientations.io_orientation(self.own_affine)
        back = orientations.ornt_transform(np.array([[0, 1], [1, 1], [2, 1]]), turned_by)
        return np.ascontiguousarray(orientations.apply_orientation(x, back))


@contextmanager
def whole(path: Path, kind: str) -> Iterator[None]:
    """Tells whatever a reader trips over as a damaged file, without the library's warnings.

    Args:
        path: Of the file; only its name is told.
        kind: Of the file, as ``PNG``.

    Raises:
        UserError: the reader raised anything.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except Exception as error:  # each reader has its own kinds
        reason = (str(error).replace(str(path), path.name) or type(error).__name__).splitlines()[0][:80]
        raise UserError(f"{path.name}: is not a whole {kind} file ({reason})") from error


def turned(name: str, data: np.ndarray, affine: np.ndarray) -> RawImage:
    """Returns a volume with its axes turned to right, anterior, superior, whichever it had nearest to them.

    Args:
        name: Of the file, for the message.
        data: In the shape (i, j, k) or (i, j, k, channels).
        affine: From (i, j, k) to mm to the right, anterior and superior, 4 x 4.

    Raises:
        UserError: an affine that says no place in space.
    """
    from nibabel import orientations  # late: a quick start
    from nibabel.affines import voxel_sizes

    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise UserError(f"{name}: its header says no spacing and orientation")
    orientation = orientations.io_orientation(affine)
    placed = affine @ orientations.inv_ornt_aff(orientation, data.shape[:3])
    data = orientations.apply_orientation(data, orientation)
    x = data[None] if data.ndim == 3 else np.moveaxis(data, -1, 0)
    spacing_mm = tuple(float(size) for size in voxel_sizes(placed))
    return RawImage(np.ascontiguousarray(x), spacing_mm, placed, affine)


def check_same_place(mask_name: str, mask: RawImage, image_name: str, image: RawImage) -> None:
    """Refuses a mask whose voxels lie elsewhere than its image's; sizes are checked by others.

    Raises:
        UserError: spacing, orientation or position differ.
    """
    if mask.affine is None or image.affine is None or mask.x.shape[1:] != image.x.shape[1:]:
        return
    size = np.array(image.x.shape[1:])
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in size], indexing="ij"), -1).reshape(-1, 3)
    moved = corners @ (mask.affine - image.affine)[:3, :3].T + (mask.affine - image.affine)[:3, 3]
    apart_mm = float(np.linalg.norm(moved, axis=1).max())
    if apart_mm > SAME_PLACE_VOXELS * min(image.spacing_mm or (1.0,)):
        raise UserError(
            f"{mask_name}: lies up to {apart_mm:.3g} mm away from its image {image_name}: spacing, orientation or "
            "position in their headers differ"
        )
