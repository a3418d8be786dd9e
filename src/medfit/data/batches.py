"""Batches: which samples, in which order, and how they come to the model."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

AHEAD = 2  # batches that are made while the model works on another


class Plan:
    """Which samples make up each batch of an epoch, drawn anew each time it is iterated.

    Batches are drawn by a generator of their own, and so is the seed of what is random in them: the batches are the
    same whatever else draws random numbers, and whoever makes them.

    Args:
        num_samples: Of an epoch.
        batch_size: Of them.
        seed: Of the order; None for batches in order, the last one whatever is left.
    """

    def __init__(self, num_samples: int, batch_size: int, seed: int | None = None) -> None:
        self.num_samples, self.batch_size = num_samples, max(1, min(batch_size, num_samples))
        self.random = seed is not None
        if seed is not None:
            self._orders, self._seeds = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + self._keeps(rest)

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        """Returns the places of each batch, and a seed."""
        if not self.random:
            return ((places, 0) for places in torch.arange(self.num_samples).split(self.batch_size))
        order, _ = (torch.randperm(self.num_samples, generator=self._orders) for _ in range(2))  # as RandomSampler does
        seeds = torch.randint(2**62, (len(self),), generator=self._seeds).tolist()
        return zip(order.split(self.batch_size), seeds, strict=False)  # a last, single sample is left out

    def _keeps(self, rest: int) -> bool:
        """Tells whether a last, smaller batch is one: a single sample has no variance to normalise."""
        return rest > 1 or (rest == 1 and not self.random)


class Batches:
    """Batches of samples that lie in memory, or that are made while the model works on others.

    Args:
        data: Has ``batch(places, seed)``; ``resident``, whether that takes no time to speak of; and ``batches(plan)``,
            all batches then.
        plan: Which samples make up a batch.
        plain: Whether PyTorch's loader is used in any case.
        augment: Changes a batch at random, on the device.
    """

    def __init__(
        self, data: Any, plan: Plan, plain: bool = False, augment: Callable[..., Any] = lambda *batch: batch
    ) -> None:
        self.data, self.plan, self.plain, self.augment = data, plan, plain, augment

    @property
    def num_samples(self) -> int:
        """Of an epoch."""
        return self.plan.num_samples

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[Any]:
        """Returns an epoch's batches."""
        if self.plain:
            # a generator of its own: it would draw from the one that dropout draws from
            return iter(DataLoader(_Made(self.data), None, sampler=self.plan, generator=torch.Generator()))
        if self.data.resident:
            return self.data.batches(self.plan)
        return self._ahead()

    def on(self, device: torch.device, convert: Callable[[Any], Any]) -> Iterator[Any]:
        """Yields an epoch's batches on a device, augmented.

        Args:
            device: Where the model is.
            convert: Gives a batch the precision of the training.
        """
        lowered = torch.is_autocast_enabled(device.type) or torch.get_default_dtype() is not torch.float32
        batches = iter(self)
        while True:
            with _own_precision(device) if lowered else nullcontext():
                if (batch := next(batches, None)) is None:
                    return
                made = self.augment(*(_on(device, part) for part in convert(batch)))
            yield made

    def _ahead(self) -> Iterator[Any]:
        """Yields batches that threads have made meanwhile; what they draw at random follows from their seeds."""
        waiting = deque[Future[Any]]()
        with ThreadPoolExecutor(AHEAD) as threads:
            for places, seed in self.plan:
                waiting.append(threads.submit(self.data.batch, places, seed))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


class Once:
    """A loader of one item: an epoch's batches.

    Args:
        batches: Of an epoch.
    """

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Batches]:
        yield self.batches


def _on(device: torch.device, part: Any) -> Any:
    return part.to(device, non_blocking=True) if isinstance(part, Tensor) and part.device != device else part


@contextmanager
def _own_precision(device: torch.device) -> Iterator[None]:
    """Leaves the precision that a training computes in, as data have their own."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_default_dtype(before)


class _Made(Dataset):
    """Whole batches, as PyTorch's loader asks for samples."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __getitem__(self, wanted: tuple[Tensor, int]) -> Any:
        return self.data.batch(*wanted)
