"""What the preprocessing of images with masks has learnt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medfit.data.dataset import ImageFiles
from medfit.data.image import Image
from medfit.data.preprocessing.fitted import Fitted
from medfit.data.preprocessing.intensity import Scaling, Standard, check_spacing, resample, scale
from medfit.errors import UserError

ALIKE = 0.05  # largest difference of spacings that need no resampling, as a share


@dataclass(frozen=True, kw_only=True)
class FittedPatches(Fitted):
    """How images with masks are resampled and scaled; what a network sees of them at once.

    Args:
        axis: Of a volume, along which its slices follow each other; None where they are no slices.
        spacing_mm: The new distance of voxels along each axis of the image; None leaves it.
        own_spacing_mm: The one that all images have where it is left, in the order of a case's axes; None where it is
            not known.
        patch_size: Of what the network sees.
        window: Lowest and highest value.
        scaling: ``unit``, ``per_image``, ``train`` or ``none``.
        standard: Mean and standard deviation of each channel over the training images; None with other scaling.
        size: That flat images are stretched to; None leaves it.
    """

    axis: int | None
    spacing_mm: list[float] | None
    own_spacing_mm: list[float] | None
    patch_size: list[int]
    window: list[float] | None
    scaling: Scaling
    standard: dict[str, list[float]] | None
    size: list[int] | None = None

    def apply(self, samples: ImageFiles) -> Iterator[Tensor]:
        """Yields whole images, one by one, in the shape (channels, *size); with ``slices``, these lie along axis 1.

        Raises:
            UserError: other channels, or voxels at another distance.
        """
        self.check_features(samples.channels)
        for index in range(len(samples)):
            image, name = samples.image(index), samples.file_names[index]
            check_spacing(self.spacing_mm, image, name)
            own = image.spacing_mm and in_order(image.spacing_mm, self.axis)
            if self.spacing_mm is None and self.size is None and not alike(own, self.own_spacing_mm):
                raise UserError(
                    f"{name}: its voxels are {in_mm(own)} apart, those that the preprocessing learnt from "
                    f"{in_mm(self.own_spacing_mm)}"
                )
            yield self.image_and_mask(image)[0]

    def in_order(self, size: Sequence[int]) -> tuple[int, ...]:
        """Returns an image's size in the order of a case's axes, as :meth:`apply` yields them."""
        return in_order(tuple(size), self.axis)

    def in_the_images_order(self, mask: Tensor) -> Tensor:
        """Returns what lies on a case's voxels in the order of the image's axes."""
        return mask if self.axis is None else mask.movedim(0, self.axis)

    def image_and_mask(self, image: Image) -> tuple[Tensor, Tensor | None]:
        """Returns an image and its mask, if it has one; with ``slices``, these lie along axis 1 and 0."""
        image = resample(image, self.spacing_mm, self.size)
        x = torch.from_numpy(scale(image.x, "none" if self.scaling == "train" else self.scaling, self.window))
        mask = None if image.mask is None else torch.from_numpy(np.array(image.mask))
        x = x if self.standard is None else Standard.from_values(self.standard)(x)
        if self.axis is not None:
            x, mask = x.movedim(self.axis + 1, 1), None if mask is None else mask.movedim(self.axis, 0)
        return x.contiguous(), None if mask is None else mask.contiguous()


def in_order(values: tuple[Any, ...], axis: int | None) -> tuple[Any, ...]:
    """Returns what belongs to an image's axes in the order of a case's, whose slices follow each other first."""
    return values if axis is None else (values[axis], *values[:axis], *values[axis + 1 :])


def alike(spacing_mm: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    """Tells whether two distances of voxels need no resampling, an unknown one included."""
    if spacing_mm is None or other is None:
        return spacing_mm is other
    return np.allclose(spacing_mm, other, rtol=ALIKE)


def in_mm(spacing: Sequence[float] | None) -> str:
    """Returns a distance of voxels in words."""
    return "at an unknown distance" if spacing is None else " x ".join(f"{s:g}" for s in spacing) + " mm"
