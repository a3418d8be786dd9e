"""Preprocessing of whole images, all made the same size: for classification, regression and generation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from medfit.data.dataset import ImageDataset, ImageFiles
from medfit.data.image import Image
from medfit.data.kind import check_kind
from medfit.data.preprocessing.arrays import Arrays
from medfit.data.preprocessing.augmentation import Augmentation
from medfit.data.preprocessing.fitted import Fitted, listed
from medfit.data.preprocessing.intensity import Scaling, Standard, check_spacing, check_window, resample, resize, scale
from medfit.errors import UserError

Pixels = Annotated[int, Field(ge=1)]


class ImagePreprocessing:
    """Resamples, resizes and scales images; augments training batches.

    Args:
        dataset: Images, as :class:`medfit.data.datasets.images.Images` are.
        spacing_mm: The new distance of pixels along each axis; None leaves it.
        size: Pixels along each axis, or one number for all; None where all images have one size.
        fit: Whether an image of another shape is stretched, or scaled as it is and padded with its lowest value.
        window: Lowest and highest value, beyond which values are cut off (Hounsfield units in CT).
        scaling: ``unit`` to [0, 1] (from the window, from [0, 255] for bytes, else from the image's own range),
            ``per_image`` to mean 0 and standard deviation 1 by channel, ``train`` by the training images' mean and
            standard deviation, or ``none``.
        augmentation: Of training batches.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        spacing_mm: Sequence[Annotated[float, Field(gt=0)]] | None = None,
        size: Pixels | Sequence[Pixels] | None = None,
        fit: Literal["stretch", "pad"] = "stretch",
        window: Sequence[float] | None = None,
        scaling: Scaling = "unit",
        augmentation: Augmentation | None = None,
    ) -> None:
        check_kind(dataset, "image")
        check_window(window)
        dimensions = dataset.num_dimensions
        self.dataset, self.spacing_mm, self.fit_shape, self.window, self.scaling = (
            dataset,
            spacing_mm,
            fit,
            window,
            scaling,
        )
        self.size = [size] * dimensions if isinstance(size, int) else size
        if self.size is not None and len(self.size) != dimensions:
            raise UserError(f"preprocessing.size: expected one number or {dimensions}, not {len(self.size)}")
        self.augmentation = augmentation or Augmentation()

    def usable(self) -> np.ndarray:
        """Marks all images."""
        return np.ones(len(self.dataset), dtype=bool)

    def fit(self, train: np.ndarray) -> "FittedImages":
        """Returns what the training images teach: their mean and standard deviation, where these scale all images.

        Args:
            train: Numbers of the training images.

        Raises:
            UserError: images of several sizes, where none is set.
        """
        steps = FittedImages(
            features=list(self.dataset.channels),
            units=dict(self.dataset.units),
            target_names=list(self.dataset.target_names),
            spacing_mm=listed(self.spacing_mm),
            size=listed(self.size),
            fit=self.fit_shape,
            window=listed(self.window),
            scaling=self.scaling,
            standard=None,
            shape=None,
        )
        shape = list(steps.unscaled(self.dataset, 0).shape)
        standard = None
        if self.scaling == "train":
            images = (torch.from_numpy(steps.unscaled(self.dataset, row)) for row in train.tolist())
            standard = Standard.of(images).values()
        return replace(steps, shape=shape, standard=standard)

    def prepared(self, fitted: "FittedImages") -> Arrays:
        """Returns all images and targets as tensors ``(x, y)``."""
        x, spacings_mm = fitted.made(self.dataset)
        spacing_mm = np.median(spacings_mm, axis=0).tolist()  # stretched images have one each: it is the middle one's

        def augment(x: Tensor) -> Tensor:
            return self.augmentation(x, spacing_mm=spacing_mm)[0]

        return Arrays(x, torch.tensor(self.dataset.y), augment)


@dataclass(frozen=True, kw_only=True)
class FittedImages(Fitted):
    """How images are resampled, resized and scaled.

    Args:
        spacing_mm: As :class:`ImagePreprocessing` takes it, and the next four.
        size: Pixels along each axis.
        fit: ``stretch`` or ``pad``.
        window: Lowest and highest value.
        scaling: ``unit``, ``per_image``, ``train`` or ``none``.
        standard: Mean and standard deviation of each channel over the training images; None with other scaling.
        shape: Of a prepared image: (channels, *size).
    """

    spacing_mm: list[float] | None
    size: list[int] | None
    fit: Literal["stretch", "pad"]
    window: list[float] | None
    scaling: Scaling
    standard: dict[str, list[float]] | None
    shape: list[int] | None

    def apply(self, samples: ImageFiles) -> Tensor:
        """Returns images in the shape (samples, channels, *size).

        Raises:
            UserError: other channels or another size than the first image had, or more than fits in memory.
        """
        return self.made(samples)[0]

    def made(self, samples: ImageFiles) -> tuple[Tensor, np.ndarray]:
        """Returns images, and the distance of pixels in each, in mm or in pixels of the file, (samples, axes).

        Raises:
            UserError: as :func:`apply`.
        """
        import psutil  # late: a quick start

        self.check_features(samples.channels)
        assert self.shape is not None
        needed, free = 4 * math.prod(self.shape) * len(samples), psutil.virtual_memory().available
        if needed > free:
            raise UserError(
                f"the prepared images take {needed / 2**30:.1f} GiB, but only {free / 2**30:.1f} GiB of memory are "
                "free; set a smaller preprocessing.size"
            )
        made = np.empty((len(samples), *self.shape), dtype=np.float32)
        spacings_mm = np.ones((len(samples), len(self.shape) - 1))
        for index in range(len(samples)):
            image = self._resampled(samples, index)
            made[index] = self._checked(self._scaled(image), samples.file_names[index])
            spacings_mm[index] = self._spacing(image)
        x = torch.from_numpy(made)
        if self.standard is not None:
            standard = Standard.from_values(self.standard)
            for image in x:
                image.copy_(standard(image))
        return x, spacings_mm

    def unscaled(self, samples: ImageFiles, index: int) -> np.ndarray:
        """Returns an image with all done but the scaling by the training images."""
        return self._scaled(self._resampled(samples, index))

    def _resampled(self, samples: ImageFiles, index: int) -> Image:
        image = samples.image(index)
        check_spacing(self.spacing_mm, image, samples.file_names[index])
        return resample(image, self.spacing_mm)

    def _spacing(self, image: Image) -> np.ndarray:
        """Returns how far pixels are apart once an image is resized."""
        own = np.array(image.spacing_mm or (1.0,) * (image.x.ndim - 1))
        if self.size is None:
            return own
        grown = np.array(image.x.shape[1:]) / self.size
        return own * (grown if self.fit == "stretch" else grown.max())

    def _scaled(self, image: Image) -> np.ndarray:
        return self._resize(scale(image.x, "none" if self.scaling == "train" else self.scaling, self.window))

    def _checked(self, image: np.ndarray, name: str) -> np.ndarray:
        if list(image.shape) != self.shape:
            shapes = [" x ".join(map(str, shape[1:])) for shape in (self.shape or (), image.shape)]
            raise UserError(f"{name}: {shapes[1]} pixels, but the first image has {shapes[0]}; set preprocessing.size")
        return image

    def _resize(self, x: np.ndarray) -> np.ndarray:
        if self.size is None:
            return x
        if self.fit == "stretch":
            return resize(x, self.size)
        ratio = min(new / old for new, old in zip(self.size, x.shape[1:], strict=True))
        x = resize(x, [max(1, min(new, round(n * ratio))) for n, new in zip(x.shape[1:], self.size, strict=True)])
        missing = [new - n for new, n in zip(self.size, x.shape[1:], strict=True)]
        return np.pad(x, [(0, 0), *((m // 2, m - m // 2) for m in missing)], constant_values=x.min())
