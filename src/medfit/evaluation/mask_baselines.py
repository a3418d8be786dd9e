"""Baselines of segmentation: thresholds by scikit-image, and where a class usually lies."""

from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np

from medfit.evidence import segmentation as evidence

MOST_BANDS = 5  # the search for thresholds takes levels^(bands - 1)
LEVELS = {2: 256, 3: 256, 4: 128, 5: 64}  # of an image's histogram, by bands
LARGEST_GRID = {2: 256, 3: 96}  # of the mean mask along each axis, by dimensions
Example = tuple[np.ndarray, np.ndarray]  # an image (channels, *size), and its mask (*size)


class Otsu:
    """Bands of an image's own intensities, each of which is a class (Otsu, IEEE SMC 1979; Liao et al., JISE 2001).

    The training images teach which channel counts and which band is which class: those with the best mean Dice.

    Args:
        num_classes: The background among them; 2 to 5.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.channel, self.classes = 0, np.zeros(num_classes, dtype=np.uint8)

    def fit(self, examples: Iterable[Example]) -> "Otsu":
        """Learns from training images."""
        tables = np.array([self._crossed(x, mask) for x, mask in examples])
        ways = product(range(tables.shape[1]), product(range(self.num_classes), repeat=self.num_classes))
        self.channel, classes = max(ways, key=lambda way: _dice(tables[:, way[0]], way[1]))
        self.classes = np.array(classes, dtype=np.uint8)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Returns the class numbers of an image, uint8 in the shape (*size)."""
        return self.classes[bands(x[self.channel], self.num_classes)]

    def _crossed(self, x: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        """Returns for each channel how many voxels of each band are of each class, in the shape (bands, classes)."""
        size = self.num_classes
        crossed = [size * bands(channel, size) + mask.astype(int) for channel in x]
        return [np.bincount(cells.ravel(), minlength=size**2).reshape(size, size) for cells in crossed]


def bands(values: np.ndarray, num_bands: int) -> np.ndarray:
    """Returns the band of each voxel, from 0 for the darkest; all of an image of one value are in the first."""
    from skimage.filters import threshold_multiotsu  # late: a quick start

    levels = LEVELS[num_bands]
    try:  # the limits are the middles of a band's last level, whose upper half would be in the next
        limits = threshold_multiotsu(values, num_bands, nbins=levels) + np.ptp(values) / levels / 2
    except ValueError:  # fewer different values than bands
        limits = np.unique(values)[:-1]
    return np.digitize(values, limits, right=True)


def _dice(crossed: np.ndarray, classes: Sequence[int]) -> float:
    """Returns the mean Dice of images, in the shape (images, bands, classes), whose bands are given classes."""
    given = np.eye(crossed.shape[2], dtype=int)[list(classes)]  # (bands, classes)
    counts = np.stack([(crossed * given).sum(axis=1), crossed.sum(axis=2) @ given, crossed.sum(axis=1)], axis=1)
    found = evidence.mean(evidence.overlaps(counts[..., 1:])["dice"], axis=1)
    return float(np.nan_to_num(evidence.mean(found, axis=0)))


class MeanMask:
    """The class that most training masks have at a place, in shares of an image's size, whatever the image shows.

    Args:
        num_classes: The background among them.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.shares: list[np.ndarray] = []

    def fit(self, examples: Iterable[Example]) -> "MeanMask":
        """Learns from training masks, on the grid of the first."""
        grid: tuple[int, ...] = ()
        for _, mask in examples:
            grid = grid or tuple(min(n, LARGEST_GRID[mask.ndim]) for n in mask.shape)
            self.shares = self.shares or [np.zeros(grid, dtype=np.float32) for _ in range(self.num_classes)]
            for k, share in enumerate(self.shares):
                share += resized(mask == k, grid)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Returns the class numbers of an image, uint8 in the shape (*size)."""
        return np.stack([resized(share, x.shape[1:]) for share in self.shares]).argmax(axis=0).astype(np.uint8)


def resized(values: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Returns a map of another size: linear between places, smoothed before it shrinks."""
    from skimage.transform import resize  # late: a quick start

    values = values.astype(np.float32)
    return values if values.shape == tuple(size) else resize(values, tuple(size), order=1, mode="edge")
