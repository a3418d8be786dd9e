"""Training on several devices by Lightning's ``ddp``: a process for each, of which this is one.

Each process learns from its part of each batch, weighted by its samples: a step follows the mean over the batch.
Each validates some of the batches; the first gathers what they gave in the order of the samples, scores it once, and
tells the others. It alone has a run, writes and speaks.
"""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, pairwise
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch.callbacks import Callback
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, distributed, nn

from medfit.errors import UserError
from medfit.tasks.base import Task
from medfit.tasks.one_device import OneDevice
from medfit.training import ddp
from medfit.training.parts import Parts
from medfit.training.stopping import HEARD

UNFINISHED = "find_unused_parameters=True"  # in the words where a weight got no gradient
_PLACE = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS")


class SeveralDevices(Callback, OneDevice):
    """This process's device, of several that train a task together.

    Args:
        trainer: Lightning's.
        parts: What is trained.
        seed: Of the run; what is drawn at random in training follows from it, the epoch and the device.
    """

    several = True

    def __init__(self, trainer: L.Trainer, parts: Parts, seed: int) -> None:
        self.rank, self.count, self.seed = ddp.rank(trainer), trainer.world_size, seed
        self.strategy, self.data = trainer.strategy, parts.datamodule
        self._number = 0  # of the batch in its epoch
        self._ends: list[int] = []  # of what each validation batch gave
        self.data.divide(self.rank, self.count, parts.task.validates_in_parts)

    def weighed(self, value: Tensor) -> Tensor:
        """Returns a mean over this device's part of a batch, weighted: the devices' mean is then that of the batch."""
        own, total = (count(self._number) for count in (self.data.order.num_own, self.data.order.num_together))
        return value if self.count * own == total else value * (self.count * own / total)

    def num_samples(self, own: int) -> int:
        """Returns the samples of a batch on all devices."""
        return self.data.order.num_together(self._number)

    def once(self, compute: Callable[[], Any]) -> Any:
        """Returns what the first device computes, on all of them."""
        return self.strategy.broadcast(compute() if self.rank == 0 else None)

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Makes sure that all devices learn from the same data, and that a signal to end does no more than that.

        Raises:
            UserError: they don't.
        """
        own = self.data.dataset.fingerprint(), str(self.data.proof["assignment_sha256"])
        found: list[Any] = [None] * self.count
        distributed.all_gather_object(found, own)
        if others := [number for number, facts in enumerate(found) if facts != found[0]]:
            raise UserError(f"dataset: device {others[0]} has other data, or another split of them, than device 0")
        if threading.current_thread() is threading.main_thread():
            self._listen()

    def _listen(self) -> None:
        """Lets a signal interrupt the first device, which ends the others; Lightning's handlers wait for them all."""
        numbers = [getattr(signal, name) for name in HEARD if hasattr(signal, name)]
        for number in numbers:
            if self.rank > 0:
                signal.signal(number, signal.SIG_IGN)
            elif number != signal.SIGINT and signal.getsignal(number) not in (signal.SIG_IGN, None):
                signal.signal(number, signal.default_int_handler)

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Lets each device draw its own random numbers; an epoch's are the same in a training that was interrupted."""
        words = np.random.SeedSequence([self.seed, trainer.current_epoch, self.rank]).generate_state(3)
        random.seed(int(words[0]))
        np.random.seed(int(words[1]))
        torch.manual_seed(int(words[2]))

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """Counts the batches."""
        self._number = batch_idx

    def on_validation_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Forgets the epoch before."""
        self._ends = [0]

    def on_validation_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        """Remembers what a batch gave."""
        assert isinstance(module, Task)
        self._ends.append(len(module._validated))

    def on_validation_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Gives the first device what all batches gave, in their order, each once."""
        assert isinstance(module, Task)
        if not module.validates_in_parts:
            return
        own = [module._validated[start:end] for start, end in pairwise(self._ends)]
        of_all: list[Any] | None = [None] * self.count if self.rank == 0 else None
        distributed.gather_object(apply_to_collection(own, Tensor, Tensor.cpu), of_all)
        if of_all is not None:
            batches = list(chain.from_iterable(zip(*of_all, strict=True)))[: self.data.num_val_batches]
            module._validated[:] = move_data_to_device(list(chain.from_iterable(batches)), module.device)


@contextmanager
def together(trainer: L.Trainer, parts: Parts, seed: int) -> Iterator[None]:
    """Lets a trainer of several devices train a task; afterwards the task is this process's alone.

    Args:
        trainer: Lightning's; its devices' processes are there, or are about to be.
        parts: What is trained.
        seed: Of the run.
    """
    if trainer.world_size == 1:
        yield
        return
    devices = SeveralDevices(trainer, parts, seed)
    trainer.callbacks.insert(0, devices)  # type: ignore[attr-defined]
    parts.task.devices = devices
    with environment_kept():
        try:
            yield
        except BaseException as error:
            if distributed.is_initialized() and distributed.get_backend() == "nccl":  # it would wait for those gone
                with suppress(Exception):
                    group: Any = distributed.group.WORLD
                    group.abort()
            if isinstance(error, RuntimeError) and UNFINISHED in str(error):
                raise UserError(
                    "regime.trainer.strategy: the loss does not depend on all weights of the network; give "
                    f"regime.trainer.strategy={ddp.UNUSED}, or leave the others out"
                ) from error
            raise
        finally:
            parts.task.devices = OneDevice()
            if distributed.is_initialized():
                distributed.destroy_process_group()


@contextmanager
def environment_kept() -> Iterator[None]:
    """Leaves what the environment says of this process's place among others, and of its threads, as it was."""
    before = {name: os.environ.get(name) for name in _PLACE}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def in_words(trainer: L.Trainer, parts: Parts) -> str:
    """Returns in a line how several devices train, and what is not as on one."""
    order, count = parts.datamodule.order, trainer.world_size
    own, total = order.num_own(0), order.num_together(0)
    lines = [f"{count} devices train together: regime.batch_size is {own} on each, {total} samples make a batch"]
    normalised = (module for module in parts.task.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm))
    if any(module.training for module in normalised) and not parts.regime.trainer.get("sync_batchnorm"):
        lines.append("batch normalisation sees each device's part alone")
    if parts.task.whole_batch:
        lines.append(parts.task.whole_batch)
    return "; ".join(lines)
