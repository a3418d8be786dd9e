"""Preprocessing of images with masks: patches or slices to train on, whole images to score."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from math import prod
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from medfit.data.dataset import ImageDataset
from medfit.data.image import RESIDENT_SHARE
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
from medfit.data.preprocessing.patch_places import pad, random_marked
from medfit.errors import UserError

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # the axis of a volume along which slices follow each other
MULTIPLE = 16  # of a patch's size, so that four halvings leave whole numbers
MOST_WINDOWS = 64  # of 2D images that are evaluated together
LARGEST_PATCH = {2: 256, 3: 96}
Case = tuple[Tensor, Tensor]


class Shape(NamedTuple):
    """The size of a case, and the distance of its voxels along each axis (None where it is not known)."""

    size: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None


class PatchPreprocessing:
    """Resamples and scales images with masks; cuts patches or slices out of them for training.

    Args:
        dataset: Images with masks, as :class:`medfit.data.datasets.images.Images` may be.
        slices: Train a 2D network on the slices of volumes: ``axial``, ``coronal`` or ``sagittal``.
        spacing_mm: The new distance of voxels along each axis; None leaves it, if it is the same in all images.
        patch_size: Of what the network sees; smaller images are padded with zeros. None for the largest image (up to
            256 x 256, or 96 x 96 x 96), rounded up to a multiple of 16.
        patches_per_image: Taken in each epoch from each image (from each slice, with ``slices``).
        foreground: Share of the patches that are taken around a voxel of a class other than the background, where
            there is one; the others lie anywhere.
        window: Lowest and highest value, beyond which values are cut off (Hounsfield units in CT).
        scaling: As of :class:`medfit.data.preprocessing.image.ImagePreprocessing`.
        augmentation: Of training batches.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        slices: Literal["axial", "coronal", "sagittal"] | None = None,
        spacing_mm: Sequence[Annotated[float, Field(gt=0)]] | None = None,
        patch_size: Sequence[Annotated[int, Field(ge=1)]] | None = None,
        patches_per_image: Annotated[int, Field(ge=1)] = 1,
        foreground: Annotated[float, Field(ge=0, le=1)] = 0.5,
        window: Sequence[float] | None = None,
        scaling: Scaling = "per_image",
        augmentation: Augmentation | None = None,
    ) -> None:
        check_kind(dataset, "patches")
        check_window(window)
        self.dataset, self.spacing_mm, self.window, self.scaling = dataset, spacing_mm, window, scaling
        self.axis = self._axis(slices)
        self.shapes = [self._shape(row) for row in range(len(dataset))]  # so that no image is read again to know it
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
            own_spacing_mm=listed(first),
            patch_size=list(self.patch_size),
            window=listed(self.window),
            scaling=self.scaling,
            standard=None,
        )
        if self.scaling != "train":
            return steps
        images = (steps.case(self.dataset.image(row))[0] for row in train)
        return replace(steps, standard=Standard.of(images).values())

    def prepared(self, fitted: "FittedPatches") -> "Patches":
        """Returns all images, prepared when they are needed."""
        return Patches(self, fitted)

    def spacing(self, row: int) -> tuple[float, ...]:
        """Returns the distance of voxels along each axis of a case, in mm (1 where it is not known)."""
        size, spacing_mm = self.shapes[row]
        return spacing_mm or (1.0,) * len(size)

    def _axis(self, slices: str | None) -> int | None:
        if slices is not None and self.dataset.num_dimensions != 3:
            raise UserError("preprocessing.slices: these images are no volumes")
        return None if slices is None else PLANES[slices]

    def _shape(self, row: int) -> Shape:
        image = self.dataset.image(row)
        check_spacing(self.spacing_mm, image, self.dataset.file_names[row])
        size, spacing = resampled(image, self.spacing_mm)
        return Shape(self._in_order(size), spacing and self._in_order(spacing))

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
            if self.spacing_mm is None and not alike(spacing, first):
                raise UserError(
                    f"{name}: its voxels are {in_mm(spacing)} apart, those of the first image {in_mm(first)}; "
                    "set preprocessing.spacing_mm to resample them"
                )


class Patches:
    """Images with masks, as the data module takes them; see :class:`medfit.data.preprocessing.arrays.Arrays`.

    Args:
        source: Has the images.
        fitted: Prepares an image when it is needed; what was prepared is kept while there is memory.
    """

    evaluation_batch = 1  # that are explained at once

    def __init__(self, source: PatchPreprocessing, fitted: FittedPatches) -> None:
        import psutil

        self.source, self.fitted, self.kept = source, fitted, dict[int, Case]()
        self._room = RESIDENT_SHARE * psutil.virtual_memory().available
        self._patients = np.unique(source.dataset.groups, return_inverse=True)[1]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of a patch: (channels, *patch_size)."""
        return (len(self.source.dataset.channels), *self.source.patch_size)

    def case(self, row: int) -> Case:
        """Returns a prepared image and its mask."""
        if row not in self.kept:
            x, mask = self.fitted.case(self.source.dataset.image(row))
            assert mask is not None
            case = x, mask
            if (needed := sum(part.nbytes for part in case)) > self._room:
                return case
            self._room -= needed
            self.kept[row] = case
        return self.kept[row]

    @property
    def nbytes(self) -> int:
        """What the images that are kept take of the memory."""
        return sum(part.nbytes for case in self.kept.values() for part in case)

    def place(self, device: torch.device) -> None:
        """Leaves the images in the computer's memory, whatever the device: patches are cut there."""

    def training(self, rows: Sequence[int]) -> "_Training":
        """Returns patches at random places."""
        return _Training(self, rows)

    def evaluation(self, rows: Sequence[int]) -> "_Evaluation":
        """Returns whole images, with the patients' numbers and the spacings in mm."""
        return _Evaluation(self, rows)

    def augment(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Returns a training batch, changed at random."""
        made, mask = self.source.augmentation(x, y)
        assert mask is not None
        return made, mask

    def about(self, row: int) -> tuple[int, tuple[float, ...]]:
        """Returns the patient's number and the spacing in mm; no tensors, which a regime's precision would round."""
        return int(self._patients[row]), self.source.spacing(row)


class _Images:
    """Some of the images."""

    def __init__(self, patches: Patches, rows: Sequence[int]) -> None:
        self.patches, self.rows = patches, rows

    @property
    def resident(self) -> bool:
        """Whether all of them are prepared and in memory."""
        return all(row in self.patches.kept for row in self.rows)

    def batches(self, plan: Iterable[tuple[Tensor, int]]) -> Iterator[Any]:
        """Yields all batches."""
        return (self.batch(places, seed) for places, seed in plan)  # type: ignore[attr-defined]


class _Training(_Images):
    """Patches of some images, each place a patch."""

    def __init__(self, patches: Patches, rows: Sequence[int]) -> None:
        super().__init__(patches, rows)
        self.places: list[tuple[int, int | None]] = []
        for row in rows:
            parts = [None] if patches.source.axis is None else list(range(patches.source.shapes[row].size[0]))
            self.places += [(row, part) for part in parts for _ in range(patches.source.patches_per_image)]

    def __len__(self) -> int:
        return len(self.places)

    def batch(self, places: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Returns patches ``(x, y)`` at places in their images that the seed decides."""
        generator = torch.Generator().manual_seed(seed)
        chosen = [self.places[place] for place in places.tolist()]
        made = [self._patch(row, part, generator) for row, part in chosen]
        x, y = (torch.stack(parts) for parts in zip(*made, strict=True))
        return x, y.long()

    def _patch(self, row: int, part: int | None, generator: torch.Generator) -> Case:
        x, mask = self.patches.case(row)
        if part is not None:
            x, mask = x[:, part], mask[part]
        size = self.patches.source.patch_size
        starts = self._starts(mask, size, generator)
        place = tuple(slice(s, s + n) for s, n in zip(starts, size, strict=True))
        return pad(x[(slice(None), *place)], size), pad(mask[place], size)

    def _starts(self, mask: Tensor, size: Sequence[int], generator: torch.Generator) -> list[int]:
        """Returns where a patch begins: anywhere, or around a voxel of the foreground."""
        spare = [max(0, old - new) for old, new in zip(mask.shape, size, strict=True)]
        if not any(spare):
            return [0] * len(spare)
        around = float(torch.rand((), generator=generator)) < self.patches.source.foreground
        centre = random_marked(mask, generator) if around else None
        if centre is None:
            return [int(torch.randint(room + 1, (), generator=generator)) for room in spare]
        return [min(max(0, c - n // 2), room) for c, n, room in zip(centre, size, spare, strict=True)]


class _Evaluation(_Images):
    """Whole images; those of one size that follow each other come together, as many as a window's worth of memory."""

    def __len__(self) -> int:
        return len(self.rows)

    def in_order(self) -> list[Tensor]:
        """Returns the places of each batch."""
        made: list[Tensor] = []
        for size, places in groupby(range(len(self)), key=self._size):
            made += torch.tensor(list(places)).split(self._at_once(size))
        return made

    def batch(self, places: Tensor, seed: int = 0) -> tuple[Tensor, Tensor, list[int], list[tuple[float, ...]]]:
        """Returns images with their masks, the patients' numbers and the spacings in mm; nothing in it is random."""
        rows = [self.rows[place] for place in places.tolist()]
        x, mask = (torch.stack(parts) for parts in zip(*map(self.patches.case, rows), strict=True))
        patients, spacings_mm = zip(*map(self.patches.about, rows), strict=True)
        return x, mask.long(), list(patients), list(spacings_mm)

    def _size(self, place: int) -> tuple[int, ...]:
        return self.patches.source.shapes[self.rows[place]].size

    def _at_once(self, size: tuple[int, ...]) -> int:
        """Returns how many images of a size go through the network together: one of a volume, or of a large image."""
        window = self.patches.source.patch_size
        return max(1, MOST_WINDOWS * prod(window) // prod(size)) if len(size) == len(window) == 2 else 1
