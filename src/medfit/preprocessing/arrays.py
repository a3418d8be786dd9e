"""Prepared samples: what a preprocessing gives the data module."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

MOST_SAMPLES = 512
MOST_VALUES = 2**22


class Arrays(TensorDataset):
    """Samples of one shape, all in memory.

    Another kind of data (volumes of many sizes, say) offers the same to the data module: ``input_shape``,
    ``training(rows)``, ``evaluation(rows)`` with ``evaluation_batch``, and ``augment(x, y)``.

    Args:
        x: In the shape (samples, *input_shape).
        y: In the shape (samples, ...).
        augment: Changes the ``x`` of a training batch at random.
    """

    def __init__(self, x: Tensor, y: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__(x, y)
        self._augment = augment

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample's ``x``."""
        return tuple(self.tensors[0].shape[1:])

    @property
    def evaluation_batch(self) -> int:
        """Samples that are evaluated at once: fewer of large ones, whose activations take memory."""
        return max(1, min(MOST_SAMPLES, MOST_VALUES // max(1, self.tensors[0][0].numel())))

    def training(self, rows: Sequence[int]) -> Subset:
        """Returns what a training learns from; a list of places gives a batch ``(x, y)``."""
        return Subset(self, rows)

    def evaluation(self, rows: Sequence[int]) -> Subset:
        """Returns what is scored; a list of places gives a batch ``(x, y)``."""
        return Subset(self, rows)

    def augment(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Returns a training batch, changed at random."""
        return (x if self._augment is None else self._augment(x)), y

    def __getitem__(self, rows: int | Sequence[int] | Tensor) -> tuple[Tensor, ...]:
        return super().__getitem__(torch.as_tensor(rows) if not isinstance(rows, slice | int) else rows)
