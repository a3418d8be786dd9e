"""Images with masks as a training takes them: patches to learn from, whole images to score."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from medfit.data import disk_cache
from medfit.data.cache_entry import Entry
from medfit.data.dataset import ImageDataset
from medfit.data.image import RESIDENT_SHARE, Image
from medfit.data.preprocessing.augmentation import Augmentation
from medfit.data.preprocessing.fitted_patches import FittedPatches
from medfit.data.preprocessing.patch_places import pad, random_marked

MOST_WINDOWS = 64  # of 2D images that are evaluated together
ImageAndMask = tuple[Tensor, Tensor]


class Shape(NamedTuple):
    """The size of a case, and the distance of its voxels along each axis (None where it is not known)."""

    size: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None


class Source(Protocol):
    """Has the images; :class:`medfit.data.preprocessing.patches.PatchPreprocessing` says what its attributes are."""

    dataset: ImageDataset
    axis: int | None
    shapes: list[Shape]
    native: list[Shape]
    patch_size: tuple[int, ...]
    patches_per_image: int
    foreground: float
    augmentation: Augmentation

    def spacing(self, row: int, native: bool = False) -> tuple[float, ...]:
        """Returns the distance of voxels along each axis of a case, in mm."""
        ...


class Patches:
    """Images with masks, as the data module takes them; see :class:`medfit.data.preprocessing.arrays.Arrays`.

    Args:
        source: Has the images.
        fitted: Prepares an image when it is needed; what was prepared is kept while there is memory.
    """

    evaluation_batch = 1  # that are explained at once

    def __init__(self, source: Source, fitted: FittedPatches) -> None:
        import psutil  # late: a quick start

        self.source, self.fitted, self.kept = source, fitted, dict[int, ImageAndMask]()
        self._contents = dict[int, str]()  # hashes of images as they were read
        self._native = dict[int, Tensor]()  # masks as they were read, of images that are resampled
        self._room = RESIDENT_SHARE * psutil.virtual_memory().available
        self._patients = np.unique(source.dataset.groups, return_inverse=True)[1]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of a patch: (channels, *patch_size)."""
        return (len(self.source.dataset.channels), *self.source.patch_size)

    def image_and_mask(self, row: int) -> ImageAndMask:
        """Returns a prepared image and its mask."""
        if row not in self.kept:
            case = self._prepared(row)
            if (needed := sum(part.nbytes for part in case)) > self._room:
                return case
            self._room -= needed
            self.kept[row] = case
        return self.kept[row]

    def _prepared(self, row: int) -> ImageAndMask:
        """Returns a prepared image and its mask, from the disk where it was prepared before."""
        cache = disk_cache.current()
        if cache is None or type(self.fitted) is not FittedPatches:  # of the code of others nobody can say what it is
            return self._made(row)

        def make() -> Entry:
            x, mask = self._made(row)
            return Entry({"x": x.numpy(), "mask": mask.numpy()})

        if row not in self._contents:
            self._contents[row] = _digest(self.source.dataset.image(row))
        arrays = cache.kept(["prepared", self._contents[row], self.fitted.values()], make).arrays
        return torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["mask"])

    def _made(self, row: int) -> ImageAndMask:
        x, mask = self.fitted.image_and_mask(self.source.dataset.image(row))
        assert mask is not None
        return x, mask

    def native_mask(self, row: int) -> Tensor:
        """Returns the mask of an image as it was read, whatever grid the network sees: scores are of this one."""
        source = self.source
        if source.shapes[row].size == source.native[row].size:
            return self.image_and_mask(row)[1]
        if row in self._native:
            return self._native[row]
        mask = torch.from_numpy(np.array(source.dataset.image(row).mask))
        mask = mask if source.axis is None else mask.movedim(source.axis, 0).contiguous()
        if mask.nbytes <= self._room:
            self._room -= mask.nbytes
            self._native[row] = mask
        return mask

    @property
    def nbytes(self) -> int:
        """What the images that are kept take of the memory."""
        cases = [*self.kept.values(), tuple(self._native.values())]
        return sum(part.nbytes for case in cases for part in case)

    def place(self, device: torch.device) -> None:
        """Leaves the images in the computer's memory, whatever the device: patches are cut there."""

    def training(self, rows: Sequence[int]) -> "_Training":
        """Returns patches at random places."""
        return _Training(self, rows)

    def evaluation(self, rows: Sequence[int]) -> "_Evaluation":
        """Returns whole images, with masks, patients' numbers and spacings in mm as they were read."""
        return _Evaluation(self, rows)

    def augment(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Returns a training batch, changed at random."""
        made, mask = self.source.augmentation(x, y, self.source.spacing(0)[-len(self.source.patch_size) :])
        assert mask is not None
        return made, mask

    def about(self, row: int) -> tuple[int, tuple[float, ...]]:
        """Returns the patient's number and the mask's spacing in mm; no tensors, which a precision would round."""
        return int(self._patients[row]), self.source.spacing(row, native=True)


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

    def _patch(self, row: int, part: int | None, generator: torch.Generator) -> ImageAndMask:
        x, mask = self.patches.image_and_mask(row)
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
    """Whole images; those of one size that follow each other come together, as many as a window's worth of memory.

    Masks and spacings are of the grid that was read, though the network may see another: what is scored is the same
    whatever the preprocessing is.
    """

    def __len__(self) -> int:
        return len(self.rows)

    def in_order(self) -> list[Tensor]:
        """Returns the places of each batch."""
        made: list[Tensor] = []
        for size, places in groupby(range(len(self)), key=self._size):
            made += torch.tensor(list(places)).split(self._at_once(size[0]))
        return made

    def batch(self, places: Tensor, seed: int = 0) -> tuple[Tensor, Tensor, list[int], list[tuple[float, ...]]]:
        """Returns images with their masks, the patients' numbers and the spacings in mm; nothing in it is random."""
        rows = [self.rows[place] for place in places.tolist()]
        x = torch.stack([self.patches.image_and_mask(row)[0] for row in rows])
        mask = torch.stack([self.patches.native_mask(row) for row in rows])
        patients, spacings_mm = zip(*map(self.patches.about, rows), strict=True)
        return x, mask.long(), list(patients), list(spacings_mm)

    def _size(self, place: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Returns an image's size and its mask's."""
        source, row = self.patches.source, self.rows[place]
        return source.shapes[row].size, source.native[row].size

    def _at_once(self, size: tuple[int, ...]) -> int:
        """Returns how many images of a size go through the network together: one of a volume, or of a large image."""
        window = self.patches.source.patch_size
        return max(1, MOST_WINDOWS * prod(window) // prod(size)) if len(size) == len(window) == 2 else 1


def _digest(image: Image) -> str:
    """Returns a hash of all that an image holds."""
    digest = hashlib.blake2b(digest_size=20)
    for array in (image.x, image.mask):
        if array is not None:
            digest.update(f"{array.shape} {array.dtype.str} {image.spacing_mm}".encode())
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
