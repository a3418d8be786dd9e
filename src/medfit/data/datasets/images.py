"""Data sets of images, in two or three dimensions, with masks where they are to be segmented."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from medfit.data.dataset import ImageDataset
from medfit.data.datasets.faults import Faults
from medfit.data.datasets.image_checks import Wanted, read_all
from medfit.data.datasets.samples import Samples
from medfit.data.image import Image
from medfit.data.kinds.images import GenerationKind, ImageKind, MaskKind
from medfit.data.readers.image_files import channel_names
from medfit.errors import UserError
from medfit.evidence.targets.known import named
from medfit.terminal.console import say

KINDS = {"segmentation": MaskKind(), "generation": GenerationKind()}  # all others have a class or a number each


class Images(Samples):
    """Images of one number of dimensions and channels, of any sizes.

    All are read once, so that a bad file is found before anything is trained, and kept while there is memory.

    Args:
        names: Of the files, below the data set's folder, for messages; they may name patients, so they are never
            stored.
        readers: Each gives an :class:`Image`, and raises ``UserError`` if it can't.
        channels: Their names; None to name them from the images.
        **about: As :class:`Samples` takes them; ``target_names`` are the classes of the masks, the background first,
            where ``task`` is ``segmentation``.
        y: The targets; None where ``task`` is ``segmentation`` or ``generation``.
        empty_masks: Whether a mask of nothing but background is taken (``keep``) or is a mistake (``refuse``).
        faults: Of files that were looked at before; says whether the first bad image ends the reading (as None does),
            or all are left out, told and counted.

    Raises:
        UserError: no images, sizes of image and mask that differ, other numbers of channels or dimensions than the
            first, values that are no finite numbers, a mask with a number that no class has, or an empty one; where
            these are left out, none that is good, or a class without any.
    """

    def __init__(
        self,
        *,
        names: Sequence[str],
        readers: Sequence[Callable[[], Image]],
        channels: Sequence[str] | None,
        y: np.ndarray | None = None,
        empty_masks: Literal["refuse", "keep"] = "refuse",
        faults: Faults | None = None,
        **about: Any,
    ) -> None:
        if not readers:
            raise UserError("dataset: there are no images")
        y = np.zeros((len(readers), 0), dtype=np.float32) if y is None else y
        faults, task = faults or Faults("stop"), about["task"]
        wanted = Wanted(task, len(about["target_names"]), empty_masks, len(channels) if channels else None)
        found, (num_channels, num_axes) = read_all(names, readers, wanted, faults)
        rows = list(found.shapes)
        _check_classes(task, about["target_names"], y, rows)
        super().__init__(y=y[rows], **_of_rows(about, rows, len(names), len(faults.reasons.keys() - {*names})))
        faults.tell("images")
        if not channels and num_axes == 4 and num_channels > 1:
            say(f"{self.name}: volumes have a fourth axis, which is taken for {num_channels} channels")
        self.kind = KINDS.get(task, ImageKind())
        self.channels = list(channels or channel_names(num_channels, flat=num_axes == 3))
        self.file_names, self._readers = [names[row] for row in rows], [readers[row] for row in rows]
        self._kept = {place: found.resident[row] for place, row in enumerate(rows) if row in found.resident}

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


_CONTRACT: type[ImageDataset] = Images  # checked by mypy


def _check_classes(task: str, names: Sequence[str], y: np.ndarray, rows: Sequence[int]) -> None:
    """Refuses a class of which no image is left."""
    if (strata := named(task).strata(y)) is not None and len(lost := np.setdiff1d(strata, strata[rows])):
        name = named(task).class_names(names)[str(lost[0])]
        raise UserError(f"dataset.on_error=skip: none of the images of class '{name}' can be read")


def _of_rows(about: dict[str, Any], rows: Sequence[int], num: int, num_more: int) -> dict[str, Any]:
    """Returns what is said of some of all samples, and how many were left out, files of no known sample among them."""
    parts: dict[str, Any] = {key: about.get(key) for key in ("groups", "given_split")}
    parts = {key: None if part is None else np.asarray(part)[rows] for key, part in parts.items()}
    facts = about.get("facts")
    excluded = {**about.get("excluded", {}), "image skipped": num - len(rows) + num_more}
    return {**about, **parts, "facts": None if facts is None else facts.iloc[rows], "excluded": excluded}
