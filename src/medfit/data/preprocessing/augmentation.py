"""Random changes of training images: bent by splines of exact reach, all else by MONAI's transforms."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

CELL = 16  # pixels from one random shift of an elastic deformation to the next
Share = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]


class Augmentation:
    """Flips, rotates, zooms, bends and changes the values of images, and moves their masks along.

    Args:
        flip_axes: Axes along which an image is mirrored, each with a probability of a half (0: the first); one that
            the images do not have is left out.
        rotation_degrees: Largest turn, either way, about each axis.
        zoom: Largest change of size, as a share.
        elastic_px: Largest shift along an axis by a smooth random deformation, in pixels.
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
        self._transforms.set_random_state(int(torch.randint(2**31, ())))  # the run's seed decides, not an earlier run
        parts = {"x": x.float()} if mask is None else {"x": x.float(), "mask": mask[:, None].float()}
        if self.elastic_px:
            grid = _bent_grid(x, self.elastic_px)
            modes = {"x": "bilinear", "mask": "nearest"}
            parts = {k: F.grid_sample(v, grid, modes[k], "border", align_corners=False) for k, v in parts.items()}
        made = [self._transforms(dict(zip(parts, sample, strict=True))) for sample in zip(*parts.values(), strict=True)]
        # MONAI gives its own kind of tensor for what it has changed
        done = {k: torch.stack([sample[k].as_subclass(Tensor) for sample in made]) for k in parts}
        return done["x"].to(x.dtype), None if mask is None else done["mask"][:, 0].round().to(mask.dtype)

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
        if self.gain:
            steps.append(t.RandScaleIntensityd("x", factors=self.gain, prob=1.0))
        if self.offset:
            steps.append(t.RandShiftIntensityd("x", offsets=self.offset, prob=1.0))
        if self.noise:
            steps.append(t.RandGaussianNoised("x", prob=1.0, std=self.noise, sample_std=False))
        return t.Compose(steps)


def _bent_grid(x: Tensor, largest_px: float) -> Tensor:
    """Returns where each pixel of a batch comes from, as ``grid_sample`` takes it.

    The shifts are cubic B-splines between random ones (Rueckert et al., IEEE TMI 1999), scaled so that an image's
    largest shift lies anywhere between 0 and ``largest_px``.
    """
    size, dimensions = x.shape[2:], x.ndim - 2
    splines = [_splines(n).to(x.device) for n in size]
    # drawn on the CPU, so that a seed means the same everywhere
    shifts = (torch.rand(len(x), dimensions, *(len(spline) for spline in splines)) * 2 - 1).to(x.device)
    largest = largest_px * torch.rand(len(x)).to(x.device)
    for axis, spline in enumerate(splines, start=2):
        shifts = shifts.movedim(axis, -1).matmul(spline).movedim(-1, axis)
    shifts = shifts * (largest / shifts.flatten(1).abs().amax(dim=1)).view(-1, *[1] * (x.ndim - 1))
    shares = torch.stack([shift * 2 / n for shift, n in zip(shifts.unbind(1), size, strict=True)][::-1], dim=-1)
    straight = torch.eye(dimensions, dimensions + 1, device=x.device).expand(len(x), -1, -1)
    return F.affine_grid(straight, list(x.shape), align_corners=False) + shares


def _splines(size: int) -> Tensor:
    """Returns the weight of each knot, CELL pixels apart, at each pixel, in the shape (knots, size)."""
    at = torch.arange(size) / CELL
    first, t = at.long(), at % 1
    weights = torch.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    return torch.zeros(int(first[-1]) + 4, size).scatter_(0, first + torch.arange(4)[:, None], weights)
