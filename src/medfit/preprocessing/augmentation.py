"""Random changes of training images, by MONAI's transforms."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

Share = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]


class Augmentation:
    """Flips, rotates, zooms, bends and changes the values of images, and moves their masks along.

    Args:
        flip_axes: Axes along which an image is mirrored, each with a probability of a half (0: the first).
        rotation_degrees: Largest turn, either way, about each axis.
        zoom: Largest change of size, as a share.
        elastic_px: Largest shift of a smooth random deformation, in pixels.
        noise: Standard deviation of added noise, in scaled values.
        gain: Largest change of contrast, as a share.
        offset: Largest change of brightness, in scaled values.
    """

    def __init__(
        self,
        flip_axes: Sequence[Annotated[int, Field(ge=0, le=2)]] = (),
        rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 0.0,
        zoom: Share = 0.0,
        elastic_px: NonNegative = 0.0,
        noise: NonNegative = 0.0,
        gain: Share = 0.0,
        offset: NonNegative = 0.0,
    ) -> None:
        self.flip_axes, self.rotation_degrees, self.zoom = list(flip_axes), rotation_degrees, zoom
        self.elastic_px, self.noise, self.gain, self.offset = elastic_px, noise, gain, offset
        self._transforms: Any = None

    @property
    def changes(self) -> bool:
        """Whether it does anything."""
        return bool(self.flip_axes) or any(
            (self.rotation_degrees, self.zoom, self.elastic_px, self.noise, self.gain, self.offset)
        )

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Returns a batch, each image changed on its own.

        Args:
            x: In the shape (batch, channels, *size).
            mask: Class numbers in the shape (batch, *size).
        """
        if not self.changes:
            return x, mask
        if self._transforms is None:
            self._transforms = self._compose(x.ndim - 2, mask is not None)
            self._transforms.set_random_state(int(torch.randint(2**31, ())))  # the run's seed decides
        samples = [{"x": image} for image in x]
        if mask is not None:
            samples = [{**sample, "mask": y[None].float()} for sample, y in zip(samples, mask, strict=True)]
        made = [self._transforms(sample) for sample in samples]
        images = torch.stack([sample["x"].as_tensor() for sample in made])
        if mask is None:
            return images, None
        return images, torch.stack([sample["mask"].as_tensor()[0] for sample in made]).round().to(mask.dtype)

    def _compose(self, dimensions: int, masked: bool) -> Any:
        from monai import transforms as t

        keys, modes = (["x", "mask"], ["bilinear", "nearest"]) if masked else (["x"], ["bilinear"])
        steps: list[Any] = [
            t.RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in self.flip_axes if axis < dimensions
        ]
        turn = np.deg2rad(self.rotation_degrees)
        if turn or self.zoom:
            turns = [turn] * (1 if dimensions == 2 else 3)
            zooms = [(-self.zoom, self.zoom)] * dimensions
            steps.append(
                t.RandAffined(keys, prob=1.0, rotate_range=turns, scale_range=zooms, mode=modes, padding_mode="border")
            )
        if self.elastic_px:
            steps.append(self._elastic(t, dimensions, keys, modes))
        if self.gain:
            steps.append(t.RandScaleIntensityd("x", factors=self.gain, prob=1.0))
        if self.offset:
            steps.append(t.RandShiftIntensityd("x", offsets=self.offset, prob=1.0))
        if self.noise:
            steps.append(t.RandGaussianNoised("x", prob=1.0, std=self.noise, sample_std=False))
        return t.Compose(steps)

    def _elastic(self, t: Any, dimensions: int, keys: list[str], modes: list[str]) -> Any:
        shifts = (0.0, self.elastic_px)
        if dimensions == 2:
            return t.Rand2DElasticd(
                keys, spacing=(16, 16), magnitude_range=shifts, prob=1.0, mode=modes, padding_mode="border"
            )
        sigma = 6.0  # of the smoothing, which shrinks uniform noise; three standard deviations are to be elastic_px
        magnitude = self.elastic_px * (2 * np.sqrt(np.pi) * sigma) ** 1.5 / np.sqrt(3)
        return t.Rand3DElasticd(
            keys,
            sigma_range=(sigma, sigma),
            magnitude_range=(0.0, magnitude),
            prob=1.0,
            mode=modes,
            padding_mode="border",
        )
