"""An image as it was read, and how many of them stay in memory."""

from dataclasses import dataclass

import numpy as np

RESIDENT_SHARE = 0.4  # of the memory that is free: more than that is read again whenever it is needed


@dataclass(frozen=True)
class Image:
    """An image as it was read.

    Args:
        x: In the shape (channels, *size), of any number type. Flat images have rows from the top and columns from the
            left, as they are shown; volumes the axes right, anterior, superior.
        mask: Class numbers from 0, uint8 in the shape (*size); None where there is none.
        spacing_mm: Distance of neighbouring pixels or voxels along each axis; None where it is not known.
        axes: Where the axes of a volume's file pointed to before they were turned, as ``LPS``; None where it is not
            known.
    """

    x: np.ndarray
    mask: np.ndarray | None = None
    spacing_mm: tuple[float, ...] | None = None
    axes: str | None = None

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        return self.x.nbytes + (0 if self.mask is None else self.mask.nbytes)
