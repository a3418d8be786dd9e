"""Images in two or three dimensions: with a class or a number each, with masks, or to make more of."""

import time
from typing import ClassVar

import numpy as np

from medfit.data.dataset import ImageDataset
from medfit.data.kind import Kind
from medfit.data.near_duplicates import Prints, block_means, by_correlation, digest

CORRELATION = 0.999  # of images that are nearly identical: chest X-rays of different children reach 0.99
GRIDS = {2: 16, 3: 12}  # means of an image that are compared, along each axis, by its dimensions
READING_S = 10.0  # images that memory does not hold are read for no longer


class ImageKind(Kind[ImageDataset]):
    """Whole images, with a class or a number each."""

    samples = "images"
    preprocessing = "image"
    baselines = "medfit.evaluation.baselines.of_neighbours"
    explainer: ClassVar[str | None] = "medfit.explanations.image.Image"

    def prints(self, dataset: ImageDataset) -> Prints:
        """Returns images by means of their pixels over a coarse grid."""
        size = GRIDS[dataset.num_dimensions]
        points, digests, end = [], [], time.perf_counter() + READING_S
        for row in range(len(dataset)):
            x = dataset.image(row).x
            digests.append(digest(x))
            grid = x.astype(np.float32).mean(axis=0)
            for axis in range(grid.ndim):
                grid = block_means(_stretched(grid, size, axis), size, axis)
            points.append(grid.ravel())
            if time.perf_counter() > end:
                break
        made = by_correlation(np.array(digests), np.stack(points), CORRELATION, "image")
        return made if len(points) == len(dataset) else _unread(made, len(dataset))


class MaskKind(ImageKind):
    """Images with a mask each."""

    samples = "images with masks"
    preprocessing = "patches"
    baselines = "medfit.evaluation.baselines.of_masks"
    explainer = "medfit.explanations.masks.Masks"


class GenerationKind(ImageKind):
    """Images without a target, to make more of; nothing is predicted that could be explained."""

    samples = "images without a target"
    explainer = None


def _stretched(grid: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Returns an image with its pixels repeated along an axis, where they are fewer than ``size``."""
    length = grid.shape[axis]
    return grid if length >= size else np.take(grid, np.arange(size) * length // size, axis=axis)


def _unread(made: Prints, num_images: int) -> Prints:
    """Returns prints of which those of images that were not read tell nothing."""
    missing = num_images - len(made.digests)
    return made._replace(
        digests=np.pad(made.digests, (0, missing)),
        points=np.pad(made.points, [(0, missing), (0, 0)]),
        search=np.pad(made.search, [(0, missing), (0, 0)]),
        telling=np.pad(made.telling, (0, missing)),
        note=f"only {len(made.digests)} of {num_images} images were compared, as reading them takes long",
    )
