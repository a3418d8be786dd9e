"""Batches: which samples, in which order, and how they come to the model."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

AHEAD = 2  # batches that are made while the model works on another


class Shuffled:
    """Which samples make up each batch of a training epoch, drawn anew each time it is iterated.

    Batches are drawn by a generator of their own, and so is the seed of what is random in them: the batches are the
    same whatever else draws random numbers, and whoever makes them.

    Args:
        num_samples: Of an epoch.
        batch_size: Of them.
        seed: Of the order.
    """

    def __init__(self, num_samples: int, batch_size: int, seed: int) -> None:
        self.num_samples, self.batch_size = num_samples, max(1, min(batch_size, num_samples))
        self._orders, self._seeds = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
        self._began = self._drawn()  # where the generators were before they drew the last epoch
        self._skip = 0  # batches of the next epoch that are done
        self.rank, self.num_ranks, self._whole = 0, 1, self.batch_size

    def divide(self, rank: int, num_ranks: int) -> None:
        """Gives this process its part of each batch, as several train together; a batch holds the samples of them all.

        Batches are those of one process with so many times the batch size. Each process takes a part of a batch; the
        sizes of the parts of an incomplete one differ by a sample at most, and are two at least, as batch normalisation
        needs: where there are fewer samples, the last processes take the batch's first two, which :meth:`num_own` does
        not count.

        Args:
            rank: Of this process, from 0.
            num_ranks: Processes.
        """
        self.rank, self.num_ranks = rank, num_ranks
        self._whole = self.batch_size * num_ranks
        self.batch_size = min(self._whole, self.num_samples)

    def num_together(self, number: int) -> int:
        """Returns the samples of an epoch's batch, on all processes."""
        return min(self.batch_size, self.num_samples - number * self.batch_size)

    def num_own(self, number: int) -> int:
        """Returns the samples of an epoch's batch that are this process's to learn from."""
        total = self.num_together(number)
        each, more = divmod(total, self._num_parts(total))
        return each + (self.rank < more) if self.rank < self._num_parts(total) else 0

    def _num_parts(self, total: int) -> int:
        """Returns how many processes share a batch of so many samples."""
        return self.num_ranks if total == self._whole else max(1, min(self.num_ranks, total // 2))

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + (rest > 1)  # a last batch of a single sample has no variance to normalise, and is left out

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        """Returns the places of each batch, and a seed."""
        self._began, skip, self._skip = self._drawn(), self._skip, 0
        order, _ = (torch.randperm(self.num_samples, generator=self._orders) for _ in range(2))  # as RandomSampler does
        seeds = torch.randint(2**62, (len(self),), generator=self._seeds).tolist()
        return islice(map(self._part, order.split(self.batch_size), seeds), skip, None)

    def _part(self, places: Tensor, seed: int) -> tuple[Tensor, int]:
        """Returns this process's part of a batch, and a seed that no other process has."""
        parts = places.tensor_split(self._num_parts(len(places)))
        return parts[self.rank] if self.rank < len(parts) else places[:2], (seed + self.rank) % 2**62

    def state_dict(self, done: int = 0) -> dict[str, Any]:
        """Returns where the order is: between two epochs, or after some batches of one."""
        orders, seeds = self._began if done else self._drawn()
        return {"orders": orders, "seeds": seeds, "done": done, "devices": self.num_ranks}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where an order was: the next epoch is the one of these generators, without the batches done."""
        self._orders.set_state(state["orders"])
        self._seeds.set_state(state["seeds"])
        self._skip = int(state["done"])

    def _drawn(self) -> tuple[Tensor, Tensor]:
        return self._orders.get_state(), self._seeds.get_state()


class InOrder:
    """Which samples make up each batch that is evaluated: all of them, in their order.

    Args:
        batches: The places of each batch.
    """

    def __init__(self, batches: Sequence[Tensor]) -> None:
        self._batches = batches
        self.num_samples = sum(map(len, batches))

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        """Returns the places of each batch, and a seed, which nothing is drawn with."""
        return ((places, 0) for places in self._batches)


class Batches:
    """Batches of samples that lie in memory, or that are made while the model works on others.

    Args:
        data: Has ``batch(places, seed)``; ``resident``, whether that takes no time to speak of; and ``batches(plan)``,
            all batches then.
        plan: Which samples make up a batch.
        plain: Whether PyTorch's loader is used in any case.
    """

    def __init__(self, data: Any, plan: Shuffled | InOrder, plain: bool = False) -> None:
        self.data, self.plan, self.plain = data, plan, plain

    @property
    def num_samples(self) -> int:
        """Of an epoch."""
        return self.plan.num_samples

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[Any]:
        """Yields an epoch's batches; the order is drawn with the first, so that an unused iterator draws nothing."""
        if self.plain:
            # a generator of its own: it would draw from the one that dropout draws from
            yield from DataLoader(_Made(self.data), None, sampler=self.plan, generator=torch.Generator())
        elif self.data.resident:
            yield from self.data.batches(self.plan)
        else:
            yield from self._ahead()

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


class _Made(Dataset[Any]):
    """Whole batches, as PyTorch's loader asks for samples."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __getitem__(self, wanted: tuple[Tensor, int]) -> Any:
        return self.data.batch(*wanted)
