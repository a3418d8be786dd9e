"""Images in two or three dimensions: with a class or a number each, with masks, or to make more of."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from medfit.data.dataset import ImageDataset
from medfit.data.kind import Kind
from medfit.data.near_duplicates import Prints, block_means, by_correlation, digest

CORRELATION = 0.999  # of images that are nearly identical: chest X-rays of different children reach 0.99
GRIDS = {2: 16, 3: 12}  # means of an image that are compared, along each axis, by its dimensions
READING_S = 10.0  # images that memory does not hold are read for no longer


class Header(NamedTuple):
    """What is told of an image.

    Args:
        size: Pixels along each axis.
        spacing_mm: Of them; None where it is not known.
        dtype: Their type.
        classes: Numbers that the mask holds, but for the background; None where there is no mask.
    """

    size: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    dtype: str
    classes: frozenset[int] | None


class ImageKind(Kind[ImageDataset]):
    """Whole images, with a class or a number each."""

    samples = "images"
    preprocessing = "image"
    baselines = "medfit.evaluation.baselines.of_neighbours"
    explainer: ClassVar[str | None] = "medfit.explanations.image.Image"
    new_samples: ClassVar[str | None] = "medfit.deployment.new_images"

    def facts(self, dataset: ImageDataset) -> Iterator[tuple[str, str]]:
        """Yields sizes, spacing and types, and of masks how many images hold each class."""
        read = list(_headers(dataset))
        if len(read) < len(dataset):
            yield "Looked at", f"{len(read)} of {len(dataset)} images, as reading them takes long"
        yield "Sizes", _common([" x ".join(map(str, one.size)) for one in read]) + " pixels"
        spacing = [one.spacing_mm and " x ".join(f"{mm:.3g}" for mm in one.spacing_mm) + " mm" for one in read]
        yield "Spacing", _common([mm or "not known" for mm in spacing])
        yield "Type", _common([one.dtype for one in read])
        if masks := [one.classes for one in read if one.classes is not None]:
            for number, name in enumerate(dataset.target_names[1:], 1):
                yield "Masks", f"{name} in {sum(number in classes for classes in masks)} of {len(masks)}"
            yield "Masks", f"{sum(not classes for classes in masks)} of {len(masks)} are empty"

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
    new_samples = None


def _headers(dataset: ImageDataset) -> Iterator[Header]:
    """Yields what is told of each image, of as many as there is time for."""
    end = time.perf_counter() + READING_S
    for row in range(len(dataset)):
        image = dataset.image(row)
        classes = None if image.mask is None else frozenset(np.unique(image.mask).tolist()) - {0}
        yield Header(image.x.shape[1:], image.spacing_mm, str(image.x.dtype), classes)
        if time.perf_counter() > end:
            return


def _common(told: Sequence[str]) -> str:
    """Returns what all have in common, or the commonest and how many others there are."""
    (first, number), *others = Counter(told).most_common()
    return f"{first} in {number} of {len(told)}, {len(others)} others" if others else first


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
