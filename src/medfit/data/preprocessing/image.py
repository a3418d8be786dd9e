"""Preprocessing of whole images, all made the same size: for classification, regression and generation."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from medfit.data.preprocessing.arrays import Arrays
from medfit.data.preprocessing.augmentation import Augmentation
from medfit.data.preprocessing.intensity import Scaling, Standard, check_spacing, check_window, resample, resize, scale
from medfit.errors import UserError

Pixels = Annotated[int, Field(ge=1)]


class ImagePreprocessing:
    """Resamples, resizes and scales images; augments training batches.

    Args:
        dataset: :class:`medfit.data.datasets.images.Images`.
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
        dataset: Any,
        spacing_mm: Sequence[Annotated[float, Field(gt=0)]] | None = None,
        size: Pixels | Sequence[Pixels] | None = None,
        fit: Literal["stretch", "pad"] = "stretch",
        window: Sequence[float] | None = None,
        scaling: Scaling = "unit",
        augmentation: Augmentation | None = None,
    ) -> None:
        if not hasattr(dataset, "image"):
            raise UserError(f"preprocessing=image takes images, which {dataset.name} has none of")
        if dataset.task == "segmentation":
            raise UserError("preprocessing=image leaves masks out; take preprocessing=patches")
        check_window(window)
        dimensions = dataset.num_dimensions
        self.dataset, self.spacing_mm, self.fit, self.window, self.scaling = dataset, spacing_mm, fit, window, scaling
        self.size = [size] * dimensions if isinstance(size, int) else size
        if self.size is not None and len(self.size) != dimensions:
            raise UserError(f"preprocessing.size: expected one number or {dimensions}, not {len(self.size)}")
        self.augmentation = augmentation or Augmentation()

    def usable(self) -> np.ndarray:
        """Marks all images."""
        return np.ones(len(self.dataset), dtype=bool)

    def apply(self, train: np.ndarray) -> Arrays:
        """Returns all images and targets as tensors, ``x`` in the shape (samples, channels, *size).

        Args:
            train: Numbers of the training images.

        Raises:
            UserError: images of several sizes, where none is set, or more than fits in memory.
        """
        x = torch.from_numpy(self._all())
        if self.scaling == "train":
            standard = Standard(x[row] for row in train)
            for image in x:
                image.copy_(standard(image))
        return Arrays(x, torch.tensor(self.dataset.y), self._augment)

    def _all(self) -> np.ndarray:
        import psutil

        first = self._prepare(0)
        if (needed := first.nbytes * len(self.dataset)) > (free := psutil.virtual_memory().available):
            raise UserError(
                f"the prepared images take {needed / 2**30:.1f} GiB, but only {free / 2**30:.1f} GiB of memory are "
                "free; set a smaller preprocessing.size"
            )
        made = np.empty((len(self.dataset), *first.shape), dtype=np.float32)
        for index in range(len(self.dataset)):
            image = self._prepare(index) if index else first
            if image.shape != first.shape:
                shapes = [" x ".join(map(str, shape[1:])) for shape in (first.shape, image.shape)]
                raise UserError(
                    f"{self.dataset.file_names[index]}: {shapes[1]} pixels, but the first image has {shapes[0]}; "
                    "set preprocessing.size"
                )
            made[index] = image
        return made

    def _prepare(self, index: int) -> np.ndarray:
        image = self.dataset.image(index)
        check_spacing(self.spacing_mm, image, self.dataset.file_names[index])
        image = resample(image, self.spacing_mm)
        return self._resize(scale(image.x, "none" if self.scaling == "train" else self.scaling, self.window))

    def _resize(self, x: np.ndarray) -> np.ndarray:
        if self.size is None:
            return x
        if self.fit == "stretch":
            return resize(x, self.size)
        ratio = min(new / old for new, old in zip(self.size, x.shape[1:], strict=True))
        x = resize(x, [max(1, min(new, round(n * ratio))) for n, new in zip(x.shape[1:], self.size, strict=True)])
        missing = [new - n for new, n in zip(self.size, x.shape[1:], strict=True)]
        return np.pad(x, [(0, 0), *((m // 2, m - m // 2) for m in missing)], constant_values=x.min())

    def _augment(self, x: Tensor) -> Tensor:
        return self.augmentation(x)[0]
