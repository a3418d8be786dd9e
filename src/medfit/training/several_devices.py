"""Training on several devices by Lightning's ``ddp``: a process for each, of which this is one.

Each process learns from its part of each batch, weighted by its samples: a step follows the mean over the batch.
Each validates some of the batches; the first gathers what they gave in the order of the samples, scores it once, and
tells the others. It alone has a run, writes and speaks.
"""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, distributed, nn

from medfit.errors import UserError
from medfit.tasks.base import Task
from medfit.tasks.devices import OneDevice
from medfit.tasks.regime import Training
from medfit.training.parts import Parts
from medfit.training.stopping import HEARD

ARGUMENTS = ("devices", "num_nodes", "strategy", "sync_batchnorm")  # of the trainer, that mean several devices
UNUSED = "ddp_find_unused_parameters_true"
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_false", UNUSED)
RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK")  # where torchrun, SLURM and medfit tell a process its number
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
        self.rank, self.count, self.seed = rank(trainer), trainer.world_size, seed
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


def strategy(regime: Training, task: Task) -> str:
    """Returns the trainer's strategy.

    Raises:
        UserError: several devices are asked for by one that medfit can't be sure of.
    """
    wanted = regime.trainer.get("strategy", "auto")
    if asked(regime.trainer) and wanted not in STRATEGIES:
        raise UserError(f"regime.trainer.strategy={wanted}: medfit trains on several devices by ddp alone")
    return UNUSED if wanted == "ddp" and _two_players(task) else wanted


def check(trainer: L.Trainer, regime: Training, task: Task) -> None:
    """Makes sure that a trainer of several devices can train.

    Raises:
        UserError: it can't.
    """
    if trainer.world_size == 1:
        return
    chosen: Any = trainer.strategy
    launcher: Any = chosen.launcher
    if type(chosen) is not DDPStrategy or launcher.is_interactive_compatible:
        raise UserError("regime.trainer: several devices need regime.trainer.strategy=ddp")
    if _two_players(task) and regime.trainer.get("strategy", "auto") == "auto":
        raise UserError("regime.trainer: a generator and a discriminator need regime.trainer.strategy=ddp")
    if chosen.num_nodes > 1 and not started_by_others(trainer):
        raise UserError(
            f"regime.trainer.num_nodes={chosen.num_nodes}: several machines need a process for each device, started "
            "by srun or torchrun"
        )
    chosen.cluster_environment.validate_settings(num_devices=chosen.num_processes, num_nodes=chosen.num_nodes)


def asked(arguments: Mapping[str, Any]) -> bool:
    """Tells whether the trainer's arguments may mean several devices."""
    return any(arguments.get(name) not in (1, None) for name in ("devices", "num_nodes"))


def started_by_others(trainer: L.Trainer) -> bool:
    """Tells whether something else, as srun or torchrun, starts a process for each device."""
    chosen: Any = trainer.strategy
    return bool(chosen.cluster_environment.creates_processes_externally)


def rank(trainer: L.Trainer) -> int:
    """Returns the number of this process among all, before Lightning has told it to its strategy."""
    chosen: Any = trainer.strategy
    if trainer.world_size == 1:
        return 0
    return int(chosen.node_rank * chosen.num_processes + chosen.local_rank)


def own_rank(arguments: Mapping[str, Any]) -> int:
    """Returns the number of this process among those that train together, as whoever started it says; else 0.

    Args:
        arguments: Of the trainer.
    """
    return int(next((os.environ[name] for name in RANKS if name in os.environ), 0)) if asked(arguments) else 0


def one_device(parts: Parts, trainer: L.Trainer | None = None) -> Parts:
    """Returns what is trained with a regime of one device, for predictions.

    Args:
        parts: What was trained.
        trainer: That trained on several devices, the first of which is taken.
    """
    place = trainer.strategy.root_device.index if trainer is not None else None
    arguments = {name: value for name, value in parts.regime.trainer.items() if name not in ARGUMENTS}
    arguments |= {"devices": 1 if place is None else [place], "plugins": [LightningEnvironment()]}
    return replace(parts, regime=replace(parts.regime, trainer=arguments))


def _two_players(task: Task) -> bool:
    """Tells whether a step leaves some of the weights alone: those of the other player."""
    return not task.automatic_optimization


def in_words(trainer: L.Trainer, parts: Parts) -> str:
    """Returns in a line how several devices train, and what is not as on one."""
    order, count = parts.datamodule.order, trainer.world_size
    own, total = order.num_own(0), order.num_together(0)
    lines = [f"{count} devices train together: regime.batch_size is {own} on each, {total} samples make a batch"]
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in parts.task.modules()):
        lines.append("batch normalisation sees each device's part alone")
    if parts.task.whole_batch:
        lines.append(parts.task.whole_batch)
    return "; ".join(lines)
