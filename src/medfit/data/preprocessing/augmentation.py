"""Random changes of training images, each with a probability of its own; what moves them is measured in mm."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

CELL = 16  # pixels from one random shift of an elastic deformation to the next
Share = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]
Change = Literal["flip", "rotation", "zoom", "elastic", "noise", "gain", "offset"]
PROBABILITY: dict[Change, float] = {
    "flip": 0.5, "rotation": 0.2, "zoom": 0.2, "elastic": 0.2, "noise": 0.1, "gain": 0.15, "offset": 0.15,
}  # fmt: skip


class Augmentation:
    """Flips, rotates, zooms, bends and changes the values of images, and moves their masks along.

    Turns and bends are of what was imaged, not of the grid: where voxels are longer along one axis, a turned rod keeps
    its length in mm.

    Args:
        flip_axes: Axes along which an image may be mirrored, each on its own (0: the first); one that the images do
            not have is left out.
        rotation_degrees: Largest turn, either way, about each axis.
        zoom: Largest change of size, as a share.
        elastic_px: Largest shift along an axis by a smooth random deformation, in pixels (of the axis where they are
            closest).
        noise: Standard deviation of added noise, in scaled values.
        gain: Largest change of contrast, as a share.
        offset: Largest change of brightness, in scaled values.
        probability: Of each change in an image, ``PROBABILITY`` (nearly nnU-Net's) where nothing is said: others stay
            as they are, so that images without any change are seen, too.
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
        probability: Mapping[Change, Annotated[float, Field(ge=0, le=1)]] | None = None,
    ) -> None:
        self.flip_axes, self.rotation_degrees, self.zoom = list(flip_axes), rotation_degrees, zoom
        self.elastic_px, self.noise, self.gain, self.offset = elastic_px, noise, gain, offset
        self.probability: dict[Change, float] = PROBABILITY | dict(probability or {})

    @property
    def changes(self) -> bool:
        """Whether it does anything."""
        return bool(self.flip_axes) or any(
            (self.rotation_degrees, self.zoom, self.elastic_px, self.noise, self.gain, self.offset)
        )

    def __call__(
        self, x: Tensor, mask: Tensor | None = None, spacing_mm: Sequence[float] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Returns a batch, each image changed on its own.

        Args:
            x: In the shape (batch, channels, *size).
            mask: Class numbers in the shape (batch, *size).
            spacing_mm: Distance of pixels along each axis; None for the same along all.
        """
        if not self.changes:
            return x, mask
        spacing = tuple(spacing_mm or (1.0,) * (x.ndim - 2))
        parts = [x.float().clone()] if mask is None else [x.float().clone(), mask[:, None].float().clone()]
        self._flip(parts)
        self._move(parts, spacing)
        made = self._revalued(parts[0])
        return made.to(x.dtype), None if mask is None else parts[1][:, 0].round().to(mask.dtype)

    def _drawn(self, change: Change, num_images: int) -> Tensor:
        """Returns the numbers of the images that a change befalls; drawn on the CPU, as everything random here is."""
        return (torch.rand(num_images) < self.probability[change]).nonzero()[:, 0]

    def _flip(self, parts: Sequence[Tensor]) -> None:
        """Mirrors images in place."""
        for axis in self.flip_axes:
            if axis < parts[0].ndim - 2:
                rows = self._drawn("flip", len(parts[0])).to(parts[0].device)
                for part in parts:
                    part[rows] = part[rows].flip(axis + 2)

    def _move(self, parts: Sequence[Tensor], spacing: Sequence[float]) -> None:
        """Turns, zooms and bends images in place, all by one interpolation."""
        count, dimensions = len(parts[0]), parts[0].ndim - 2
        sizes: list[tuple[Change, float]] = [
            ("rotation", self.rotation_degrees), ("zoom", self.zoom), ("elastic", self.elastic_px),
        ]  # fmt: skip
        none = torch.zeros(0, dtype=torch.int64)
        turns, zooms, bends = (self._drawn(change, count) if size else none for change, size in sizes)
        rows = torch.cat([turns, zooms, bends]).unique()
        if not len(rows):
            return
        matrices = torch.eye(dimensions).repeat(count, 1, 1)
        matrices[zooms] = torch.diag_embed(1 + self.zoom * _either_way(len(zooms), dimensions))
        angles = math.radians(self.rotation_degrees) * _either_way(len(turns), 1 if dimensions == 2 else 3)
        matrices[turns] = _rotations(angles) @ matrices[turns]
        grid = _grid(matrices[rows], parts[0].shape[2:], spacing)
        grid[torch.isin(rows, bends)] += _shifts(len(bends), parts[0].shape[2:], spacing, self.elastic_px)
        rows, grid = rows.to(parts[0].device), grid.to(parts[0].device)
        for part, mode in zip(parts, ("bilinear", "nearest"), strict=False):
            part[rows] = F.grid_sample(part[rows], grid, mode, "border", align_corners=False)

    def _revalued(self, x: Tensor) -> Tensor:
        """Returns images with other contrast, brightness and noise."""
        count, alone = len(x), (-1, *[1] * (x.ndim - 1))
        sizes: list[tuple[Change, float]] = [("gain", self.gain), ("offset", self.offset)]
        for change, size in sizes:
            if size:
                rows, by = self._drawn(change, count), torch.zeros(count)
                by[rows] = size * _either_way(len(rows))
                by = by.view(alone).to(x.device)
                x = x * (1 + by) if change == "gain" else x + by
        if self.noise:
            rows = self._drawn("noise", count)
            x[rows.to(x.device)] += self.noise * torch.randn(len(rows), *x.shape[1:]).to(x.device)
        return x


def _either_way(*shape: int) -> Tensor:
    """Returns random numbers from -1 to 1."""
    return torch.rand(*shape) * 2 - 1


def _rotations(angles: Tensor) -> Tensor:
    """Returns rotations by angles about each axis, (rotations, 3), or about a single one, (rotations, 1)."""
    dimensions = 2 if angles.shape[1] == 1 else 3
    whole = torch.eye(dimensions).repeat(len(angles), 1, 1)
    for angle, (i, j) in zip(angles.unbind(1), ((0, 1), (0, 2), (1, 2)), strict=False):
        one = torch.eye(dimensions).repeat(len(angles), 1, 1)
        one[:, i, i], one[:, j, j], one[:, i, j], one[:, j, i] = angle.cos(), angle.cos(), -angle.sin(), angle.sin()
        whole = whole @ one
    return whole


def _grid(matrices: Tensor, size: Sequence[int], spacing: Sequence[float]) -> Tensor:
    """Returns where each pixel comes from, as ``grid_sample`` takes it.

    Args:
        matrices: What each image's places in mm, from its middle, are multiplied with, (batch, axes, axes).
        size: Of the images.
        spacing: Distance of pixels along each axis.
    """
    half_mm = torch.tensor([n * mm / 2 for n, mm in zip(size, spacing, strict=True)])
    shares = matrices * half_mm[None, None, :] / half_mm[None, :, None]  # of half the image, by axis
    theta = F.pad(shares.flip(1, 2), (0, 1))  # the last axis comes first
    return F.affine_grid(theta, [len(matrices), 1, *size], align_corners=False)


def _shifts(count: int, size: Sequence[int], spacing: Sequence[float], largest_px: float) -> Tensor:
    """Returns how far each pixel of images is shifted, as shares of half the image, the last axis first.

    The shifts are cubic B-splines between random ones (Rueckert et al., IEEE TMI 1999), scaled so that an image's
    largest shift lies anywhere between 0 and ``largest_px``, in pixels of the axis where they are closest.
    """
    pixels = [min(spacing) / mm for mm in spacing]  # along each axis, as long as the closest ones
    splines = [_splines(n, CELL * each) for n, each in zip(size, pixels, strict=True)]
    shifts = _either_way(count, len(size), *(len(spline) for spline in splines))
    for axis, spline in enumerate(splines, start=2):
        shifts = shifts.movedim(axis, -1).matmul(spline).movedim(-1, axis)
    largest = largest_px * torch.rand(count)
    shifts = shifts * (largest / shifts.flatten(1).abs().amax(dim=1)).view(-1, *[1] * (len(size) + 1))
    shares = [shift * 2 * each / n for shift, each, n in zip(shifts.unbind(1), pixels, size, strict=True)]
    return torch.stack(shares[::-1], dim=-1)


def _splines(size: int, cell: float) -> Tensor:
    """Returns the weight of each knot, ``cell`` pixels apart, at each pixel, in the shape (knots, size)."""
    at = torch.arange(size) / cell
    first, t = at.long(), at % 1
    weights = torch.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    return torch.zeros(int(first[-1]) + 4, size).scatter_(0, first + torch.arange(4)[:, None], weights)
