"""Prepared samples: what a preprocessing gives the data module."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medfit.data.inputs import Input, Shape, each, parts_of

MOST_SAMPLES = 512
MOST_VALUES = 2**22
MOST_GATHERED = 2**20  # values
DEVICE_SHARE = 0.25  # of a GPU's free memory that data may take


class Arrays:
    """Samples of one shape, all in memory, or in a file that is mapped there.

    Another kind of data (volumes of many sizes, say) offers the same to the data module: ``input_shape``,
    ``training(rows)``, ``evaluation(rows)`` with ``in_order()``, ``augment(x, y)``, ``place(device)``,
    ``nbytes``.

    Args:
        x: In the shape (samples, *input_shape); or several such tensors by name, as an image and a record.
        y: In the shape (samples, ...).
        augment: Changes the ``x`` of a training batch at random.
        on_disk: Whether ``x`` lies in a file, so that batches take time to read.

    Raises:
        ValueError: parts of ``x`` and ``y`` have not as many samples.
    """

    def __init__(self, x: Input, y: Tensor, augment: Callable[[Any], Any] | None = None, on_disk: bool = False) -> None:
        for part in parts_of(x):
            if len(part) != len(y):
                raise ValueError(f"{len(part)} samples, but {len(y)} targets")
        self.tensors: tuple[Any, Tensor] = (x, y)
        self.placed = self.tensors
        self._augment, self.on_disk = augment, on_disk

    def __len__(self) -> int:
        return len(self.tensors[1])

    def __getitem__(self, rows: Any) -> tuple[Any, ...]:
        """Returns samples by their numbers."""
        rows = rows if isinstance(rows, slice | int) else torch.as_tensor(rows)
        return tuple(each(lambda tensor: tensor[rows], part) for part in self.tensors)

    @property
    def nbytes(self) -> int:
        """What the samples take of the memory."""
        return sum(tensor.nbytes for part in self.tensors for tensor in parts_of(part))

    @property
    def input_shape(self) -> Shape:
        """Of one sample's ``x``."""
        return each(lambda tensor: tuple(tensor.shape[1:]), self.tensors[0])

    @property
    def num_values(self) -> int:
        """Of one sample's ``x``."""
        return sum(tensor[0].numel() for tensor in parts_of(self.tensors[0]))

    @property
    def evaluation_batch(self) -> int:
        """Samples that are evaluated at once: fewer of large ones, whose activations take memory."""
        return max(1, min(MOST_SAMPLES, MOST_VALUES // max(1, self.num_values)))

    def place(self, device: torch.device) -> None:
        """Takes batches from a device's own memory from now on, if the samples have room there."""
        if device == self.placed[1].device:
            return
        fits = device.type == "cuda" and self.nbytes <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]
        x, y = self.tensors
        self.placed = (each(lambda tensor: tensor.to(device), x), y.to(device)) if fits else self.tensors

    def training(self, rows: Sequence[int]) -> "Rows":
        """Returns what a training learns from."""
        return Rows(self, rows)

    def evaluation(self, rows: Sequence[int]) -> "Rows":
        """Returns what is scored."""
        return Rows(self, rows)

    def augment(self, x: Any, y: Tensor) -> tuple[Any, Tensor]:
        """Returns a training batch, changed at random."""
        return (x if self._augment is None else self._augment(x)), y


class Gathered(Sequence[Any]):
    """``x`` and ``y`` of some samples; each is gathered when it is asked for, as those who want ``y`` alone do."""

    def __init__(self, arrays: Arrays, rows: Sequence[int] | np.ndarray) -> None:
        self._parts, self._rows = arrays.tensors, torch.as_tensor(rows)

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, place: Any) -> Any:
        return each(lambda tensor: tensor[self._rows], self._parts[place])


class Rows:
    """Some of the samples in memory.

    Args:
        arrays: All samples.
        rows: Numbers of those meant.
    """

    def __init__(self, arrays: Arrays, rows: Sequence[int]) -> None:
        self.arrays, self.rows = arrays, torch.as_tensor(rows)

    @property
    def resident(self) -> bool:
        """Whether the samples lie in memory, so that taking them takes no time to speak of."""
        return not self.arrays.on_disk

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, places: Tensor, seed: int = 0) -> tuple[Any, ...]:
        """Returns the samples ``(x, y)`` at some places; there is nothing random in them."""
        rows = self.rows[places]
        return tuple(
            each(lambda tensor: tensor.index_select(0, rows.to(tensor.device)), part) for part in self.arrays.placed
        )

    def in_order(self) -> list[Tensor]:
        """Returns the places of each batch that is evaluated."""
        return list(torch.arange(len(self)).split(self.arrays.evaluation_batch))

    def batches(self, plan: Iterable[tuple[Tensor, int]]) -> Iterator[tuple[Any, ...]]:
        """Yields the samples of all batches; those of several small batches are gathered at once, and cut apart."""
        batches = [places for places, _ in plan]
        if not batches:  # all of an epoch's were done before it was interrupted
            return
        at_once = max(1, MOST_GATHERED // max(1, len(batches[0]) * self.arrays.num_values))
        for start in range(0, len(batches), at_once):
            block = batches[start : start + at_once]
            sizes = [len(places) for places in block]
            yield from zip(*(_split(part, sizes) for part in self.batch(torch.cat(block))), strict=True)


def _split(part: Any, sizes: list[int]) -> list[Any]:
    """Returns a part of several batches, cut into these."""
    if isinstance(part, Tensor):
        return list(part.split(sizes))
    cut = {name: tensor.split(sizes) for name, tensor in part.items()}
    return [{name: tensors[place] for name, tensors in cut.items()} for place in range(len(sizes))]
