"""Data sets of images, in two or three dimensions, with masks where they are to be segmented."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from medfit.data.dataset import ImageDataset
from medfit.data.datasets.samples import Samples
from medfit.data.image import RESIDENT_SHARE, Image
from medfit.data.kinds.images import GenerationKind, ImageKind, MaskKind
from medfit.errors import UserError

KINDS = {"segmentation": MaskKind(), "generation": GenerationKind()}  # all others have a class or a number each


class Images(Samples):
    """Images of one number of dimensions and channels, of any sizes.

    All are read once, so that a bad file is found before anything is trained, and kept while there is memory.

    Args:
        names: Of the files, for messages; they may name patients, so they are never stored.
        readers: Each gives an :class:`Image`, and raises ``UserError`` if it can't.
        channels: Their names.
        **about: As :class:`Samples` takes them; ``target_names`` are the classes of the masks, the background first,
            where ``task`` is ``segmentation``.
        y: The targets; None where ``task`` is ``segmentation`` or ``generation``.
        empty_masks: Whether a mask of nothing but background is taken (``keep``) or is a mistake (``refuse``).

    Raises:
        UserError: no images, sizes of image and mask that differ, other numbers of channels or dimensions than the
            first, values that are no finite numbers, a mask with a number that no class has, or an empty one.
    """

    def __init__(
        self,
        *,
        names: Sequence[str],
        readers: Sequence[Callable[[], Image]],
        channels: Sequence[str],
        y: np.ndarray | None = None,
        empty_masks: Literal["refuse", "keep"] = "refuse",
        **about: Any,
    ) -> None:
        if not readers:
            raise UserError("dataset: there are no images")
        super().__init__(y=np.zeros((len(readers), 0), dtype=np.float32) if y is None else y, **about)
        self.kind = KINDS.get(self.task, ImageKind())
        self.channels, self.file_names, self._readers = list(channels), list(names), list(readers)
        self._kept: dict[int, Image] = {}
        self._empty_masks = empty_masks
        self._check(self._read_all())

    @property
    def num_dimensions(self) -> int:
        """2 or 3."""
        return self.image(0).x.ndim - 1

    def image(self, index: int) -> Image:
        """Returns an image as it was read."""
        kept = self._kept.get(index)
        return self._readers[index]() if kept is None else kept

    def __getitem__(self, index: int) -> tuple[Image, np.ndarray]:
        return self.image(index), self.y[index]

    def features(self) -> list[dict[str, str]]:
        """Returns the channels' names."""
        return [{"name": channel, "kind": "image"} for channel in self.channels]

    def contents(self) -> Iterator[bytes]:
        """Yields shapes, types, spacings and values of images and masks."""
        for index in range(len(self)):
            image = self.image(index)
            for array in (image.x, image.mask):
                if array is not None:
                    yield f"{array.shape} {array.dtype} {image.spacing_mm}".encode()
                    yield np.ascontiguousarray(array).tobytes()

    def _read_all(self) -> Iterator[Image]:
        import psutil  # late: a quick start

        room = RESIDENT_SHARE * psutil.virtual_memory().available
        for index, read in enumerate(self._readers):
            image = read()
            room -= image.num_bytes
            if room > 0:
                self._kept[index] = image
            yield image

    def _check(self, images: Iterator[Image]) -> None:
        num_axes, marked = None, self.task != "segmentation"
        for name, image in zip(self.file_names, images, strict=True):
            num_axes = num_axes or image.x.ndim
            self._check_image(name, image.x, num_axes)
            if self.task == "segmentation":
                marked |= self._check_mask(name, image)
        if not marked:
            raise UserError("dataset: every mask is empty; there is nothing to learn")

    def _check_image(self, name: str, x: np.ndarray, num_axes: int) -> None:
        if (len(x), x.ndim) != (len(self.channels), num_axes) or x.ndim not in (3, 4) or 0 in x.shape:
            raise UserError(
                f"{name}: {len(x)} channels of {_size(x.shape[1:])} pixels do not fit the other images, of "
                f"{len(self.channels)} channels in {num_axes - 1} dimensions"
            )
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise UserError(f"{name}: holds values that are no finite numbers")

    def _check_mask(self, name: str, image: Image) -> bool:
        """Returns whether anything is marked."""
        mask, size = image.mask, image.x.shape[1:]
        if mask is None or mask.shape != size:
            its = "none" if mask is None else _size(mask.shape)
            raise UserError(f"{name}: the image has {_size(size)} pixels, its mask {its}")
        if (largest := int(mask.max())) >= (known := len(self.target_names)):
            hint = "; black and white masks take dataset.layout=binary" if (largest, known) == (255, 2) else ""
            raise UserError(f"{name}: its mask holds the number {largest}; the classes have 0 to {known - 1}{hint}")
        if not largest and self._empty_masks == "refuse":
            raise UserError(
                f"{name}: its mask is empty; dataset.empty_masks=keep takes it as an image without findings"
            )
        return bool(largest)


_CONTRACT: type[ImageDataset] = Images  # checked by mypy


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
