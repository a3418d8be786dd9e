"""Sizes and values of images."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from medfit.data.image import Image
from medfit.errors import UserError

LEAST_STD = 1e-6  # as a share of the mean: less is the rounding of an image of one value
Scaling = Literal["unit", "per_image", "train", "none"]


def scale(x: np.ndarray, scaling: Scaling, window: Sequence[float] | None) -> np.ndarray:
    """Returns an image in float32 with its values scaled; ``train`` needs all images, and is :class:`Standard`'s.

    Args:
        x: In the shape (channels, *size).
        scaling: ``unit`` to [0, 1]: from the window, or from [0, 255] for bytes, else from the image's own range;
            ``per_image`` to mean 0 and standard deviation 1 by channel.
        window: Lowest and highest value, beyond which values are cut off (Hounsfield units in CT).
    """
    values = x.astype(np.float32)
    low, high = (0.0, 255.0) if x.dtype == np.uint8 else (float(values.min()), float(values.max()))
    if window is not None:
        low, high = window
        values = values.clip(low, high)
    if scaling == "unit":
        return (values - low) / ((high - low) or 1.0)
    if scaling == "per_image":
        axes = tuple(range(1, x.ndim))
        mean, std = values.mean(axis=axes, keepdims=True), values.std(axis=axes, keepdims=True)
        return (values - mean) / np.where(std > LEAST_STD * np.abs(mean), std, np.float32(1))
    return values


def check_window(window: Sequence[float] | None) -> None:
    """Refuses a window that is none.

    Raises:
        UserError: not two numbers, the lower first.
    """
    if window is not None and (len(window) != 2 or window[0] >= window[1]):
        raise UserError(f"preprocessing.window: expected [lowest, highest], not {list(window)}")


def check_spacing(spacing_mm: Sequence[float] | None, image: Image, name: str) -> None:
    """Refuses a spacing that an image can't be resampled to.

    Args:
        spacing_mm: The wanted one; None for none.
        image: To resample.
        name: Of its file.

    Raises:
        UserError: another number of axes, or an image whose own spacing is not known.
    """
    if spacing_mm is None:
        return
    if len(spacing_mm) != image.x.ndim - 1:
        raise UserError(f"preprocessing.spacing_mm: expected {image.x.ndim - 1} numbers, not {len(spacing_mm)}")
    if image.spacing_mm is None:
        raise UserError(f"{name}: does not say its own spacing, so preprocessing.spacing_mm can't resample it")


def resample(image: Image, spacing_mm: Sequence[float] | None, size: Sequence[int] | None = None) -> Image:
    """Returns an image with another spacing or size: linear between voxels, its mask by the nearest one.

    It stays as large, in mm, as it was, so that its spacing differs from the wanted one by less than half a voxel in
    all.
    """
    size, spacing_mm = resampled(image, spacing_mm, size)
    mask = None if image.mask is None else resize(image.mask[None], size, nearest=True)[0]
    return Image(resize(image.x, size), mask, spacing_mm)


def resampled(
    image: Image, spacing_mm: Sequence[float] | None, new: Sequence[int] | None = None
) -> tuple[tuple[int, ...], tuple[float, ...] | None]:
    """Returns the size and the spacing that an image will have.

    Args:
        image: As it was read.
        spacing_mm: That is wanted; None leaves it.
        new: Size that is wanted whatever the spacing; None for that of the spacing.
    """
    size, old = image.x.shape[1:], image.spacing_mm
    if new is None:
        if spacing_mm is None or old is None or np.allclose(old, spacing_mm):
            return size, old
        new = [max(1, round(n * a / b)) for n, a, b in zip(size, old, spacing_mm, strict=True)]
    return tuple(new), old and tuple(a * n / m for n, a, m in zip(size, old, new, strict=True))


def resize(x: np.ndarray, size: Sequence[int], nearest: bool = False) -> np.ndarray:
    """Returns an image of another size, by MONAI; smoothed before it shrinks, so that nothing aliases.

    Args:
        x: In the shape (channels, *old size).
        size: The new one.
        nearest: Whether to take the nearest value instead, as for masks.
    """
    from monai.transforms import Resize  # late: a quick start

    if tuple(x.shape[1:]) == tuple(size):
        return x
    linear = "bilinear" if x.ndim == 3 else "trilinear"
    shrinks = not nearest and any(new < old for new, old in zip(size, x.shape[1:], strict=True))
    made = Resize(tuple(size), mode="nearest-exact" if nearest else linear, anti_aliasing=shrinks)(
        torch.from_numpy(np.array(x, dtype=np.float32, order="C"))  # a copy, as files are read only
    ).numpy()
    return made if x.dtype.kind == "f" else made.round().astype(x.dtype)


class Standard:
    """Mean 0 and standard deviation 1 of each channel over the training images.

    Args:
        mean: Of each channel, float32.
        std: Of each channel, float32; 1 where nothing varies.
    """

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self.mean, self.std = mean, std

    @classmethod
    def of(cls, images: Iterable[Tensor]) -> Self:
        """Returns the standard of training images, each in the shape (channels, *size)."""
        count, total, square = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        for x in images:
            values = x.double().flatten(1)
            count, total, square = (
                count + values.shape[1],
                total + values.sum(dim=1),
                square + values.square().sum(dim=1),
            )
        mean = total / count
        std = (square / count - mean.square()).clamp(min=0).sqrt()
        return cls(mean.float(), torch.where(std > LEAST_STD * mean.abs(), std, 1.0).float())

    def values(self) -> dict[str, list[float]]:
        """Returns it as plain numbers, from which it can be made again without a difference."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_values(cls, values: Mapping[str, Sequence[float]]) -> Self:
        """Returns the standard of plain numbers."""
        return cls(torch.tensor(values["mean"]), torch.tensor(values["std"]))

    def __call__(self, x: Tensor) -> Tensor:
        """Returns an image with its values scaled."""
        shape = (-1, *[1] * (x.ndim - 1))
        return (x - self.mean.view(shape)) / self.std.view(shape)
