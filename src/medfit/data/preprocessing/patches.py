"""Preprocessing of images with masks: patches or slices to train on, whole images to score."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from medfit.data.dataset import ImageDataset
from medfit.data.kind import check_kind
from medfit.data.preprocessing.augmentation import Augmentation
from medfit.data.preprocessing.fitted import listed
from medfit.data.preprocessing.fitted_patches import FittedPatches, alike, in_mm, in_order
from medfit.data.preprocessing.intensity import (
    Scaling,
    Standard,
    check_spacing,
    check_window,
    resampled,
)
from medfit.data.preprocessing.patch_batches import Patches, Shape
from medfit.errors import UserError

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # the axis of a volume along which slices follow each other
MULTIPLE = 16  # of a patch's size, so that four halvings leave whole numbers
Pixels = Annotated[int, Field(ge=1)]
LARGEST_PATCH = {2: 256, 3: 96}


class PatchPreprocessing:
    """Resamples and scales images with masks; cuts patches or slices out of them for training.

    Args:
        dataset: Images with masks, as :class:`medfit.data.datasets.images.Images` may be.
        slices: Train a 2D network on the slices of volumes: ``axial``, ``coronal`` or ``sagittal``.
        spacing_mm: The new distance of voxels along each axis; None leaves it, if it is the same in all images.
        size: That flat images are stretched to, their masks by the nearest pixel; one number for both axes. None
            leaves it.
        patch_size: Of what the network sees; smaller images are padded with zeros. None for the largest image (up to
            256 x 256, or 96 x 96 x 96), rounded up to a multiple of 16.
        patches_per_image: Taken in each epoch from each image (from each slice, with ``slices``).
        foreground: Share of the patches that are taken around a voxel of a class other than the background, where
            there is one; the others lie anywhere.
        window: Lowest and highest value, beyond which values are cut off (Hounsfield units in CT).
        scaling: As of :class:`medfit.data.preprocessing.image.ImagePreprocessing`.
        augmentation: Of training batches.

    Attributes:
        axis: Of a volume, along which its slices follow each other; None where they are no slices.
        shapes: Of the images as the network sees them.
        native: Of the images as they were read.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        slices: Literal["axial", "coronal", "sagittal"] | None = None,
        spacing_mm: Sequence[Annotated[float, Field(gt=0)]] | None = None,
        size: Pixels | Sequence[Pixels] | None = None,
        patch_size: Sequence[Pixels] | None = None,
        patches_per_image: Pixels = 1,
        foreground: Annotated[float, Field(ge=0, le=1)] = 0.5,
        window: Sequence[float] | None = None,
        scaling: Scaling = "per_image",
        augmentation: Augmentation | None = None,
    ) -> None:
        check_kind(dataset, "patches")
        check_window(window)
        self.dataset, self.spacing_mm, self.window, self.scaling = dataset, spacing_mm, window, scaling
        self.axis, self.size = self._axis(slices), self._size(size)
        # so that no image is read again to know it: as the network sees it, and as it was read
        self.shapes, self.native = map(list, zip(*map(self._shapes, range(len(dataset))), strict=True))
        self._check_spacings()
        self.patch_size = self._patch_size(patch_size)
        self.patches_per_image, self.foreground = patches_per_image, foreground
        self.augmentation = augmentation or Augmentation()

    def usable(self) -> np.ndarray:
        """Marks all images."""
        return np.ones(len(self.dataset), dtype=bool)

    def fit(self, train: Sequence[int] | np.ndarray) -> "FittedPatches":
        """Returns what the training images teach: their mean and standard deviation, where these scale all images.

        Args:
            train: Numbers of the training images.
        """
        first = self.shapes[0].spacing_mm if self.spacing_mm is None else None
        steps = FittedPatches(
            features=list(self.dataset.channels),
            units=dict(self.dataset.units),
            target_names=list(self.dataset.target_names),
            axis=self.axis,
            spacing_mm=listed(self.spacing_mm),
            size=listed(self.size),
            own_spacing_mm=listed(first),
            patch_size=list(self.patch_size),
            window=listed(self.window),
            scaling=self.scaling,
            standard=None,
        )
        if self.scaling != "train":
            return steps
        images = (steps.image_and_mask(self.dataset.image(row))[0] for row in train)
        return replace(steps, standard=Standard.of(images).values())

    def prepared(self, fitted: "FittedPatches") -> "Patches":
        """Returns all images, prepared when they are needed."""
        return Patches(self, fitted)

    def spacing(self, row: int, native: bool = False) -> tuple[float, ...]:
        """Returns the distance of voxels along each axis of a case, in mm (1 where it is not known).

        Args:
            row: Of the case.
            native: Whether that of the file is meant; else that of what the network sees.
        """
        size, spacing_mm = (self.native if native else self.shapes)[row]
        return spacing_mm or (1.0,) * len(size)

    def _axis(self, slices: str | None) -> int | None:
        if slices is not None and self.dataset.num_dimensions != 3:
            raise UserError("preprocessing.slices: these images are no volumes")
        return None if slices is None else PLANES[slices]

    def _size(self, size: int | Sequence[int] | None) -> Sequence[int] | None:
        size = [size, size] if isinstance(size, int) else size
        if size is None:
            return None
        if self.dataset.num_dimensions != 2 or self.spacing_mm is not None:
            raise UserError("preprocessing.size: is of flat images, without spacing_mm, which resamples volumes")
        if len(size) != 2:
            raise UserError(f"preprocessing.size: expected one number or 2, not {len(size)}")
        return size

    def _shapes(self, row: int) -> tuple[Shape, Shape]:
        image = self.dataset.image(row)
        check_spacing(self.spacing_mm, image, self.dataset.file_names[row])
        grids = resampled(image, self.spacing_mm, self.size), (image.x.shape[1:], image.spacing_mm)
        seen, native = (Shape(self._in_order(size), mm and self._in_order(mm)) for size, mm in grids)
        return seen, native

    def _in_order(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns what belongs to an image's axes in the order of a case's."""
        return in_order(values, self.axis)

    def _patch_size(self, wanted: Sequence[int] | None) -> tuple[int, ...]:
        largest = np.max([size if self.axis is None else size[1:] for size, _ in self.shapes], axis=0)
        if wanted is None:
            return tuple(min(LARGEST_PATCH[len(largest)], int(-(-n // MULTIPLE) * MULTIPLE)) for n in largest)
        if len(wanted) != len(largest):
            raise UserError(f"preprocessing.patch_size: expected {len(largest)} numbers, not {len(wanted)}")
        return tuple(wanted)

    def _check_spacings(self) -> None:
        first = self.shapes[0].spacing_mm
        for name, (_, spacing) in zip(self.dataset.file_names, self.shapes, strict=True):
            if self.spacing_mm is None and self.size is None and not alike(spacing, first):
                raise UserError(
                    f"{name}: its voxels are {in_mm(spacing)} apart, those of the first image {in_mm(first)}; "
                    "set preprocessing.spacing_mm to resample them"
                )
