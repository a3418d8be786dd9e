"""What makes a training faster and leaves its results as they are: chosen where it pays."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.optim import Optimizer

from medfit.data.inputs import Shape, num_places
from medfit.tasks.regime import Training

SMALL = 2**25  # products of a batch's forward pass, at most, that one thread computes
COMPILED_STEPS = 10_000  # a minute of compiling, at the 5 to 7 ms that a step of a small U-Net on a GPU wins by it


def prepare_optimizer(optimizer: Optimizer, regime: Training) -> Optimizer:
    """Lets an optimiser that can update all weights by one kernel do so."""
    wanted = regime.fused if regime.fused is not None else regime.speed == "auto"
    able = {"cpu", "cuda", "mps"}
    for group in optimizer.param_groups:
        if (
            wanted
            and "fused" in group
            and all(p.device.type in able and p.is_floating_point() for p in group["params"])
        ):
            group["fused"], group["foreach"] = True, False
    return optimizer


def is_small(model: nn.Module, batch_size: int, input_shape: Shape) -> bool:
    """Tells whether a batch's arithmetic costs less than what surrounds it.

    Args:
        model: The model.
        batch_size: Of training.
        input_shape: Of a sample, its channels first.
    """
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    return num_parameters * batch_size * num_places(input_shape) < SMALL


@contextmanager
def suiting_threads(regime: Training, model: nn.Module, batch_size: int, input_shape: Shape) -> Iterator[None]:
    """Lets a small model compute in one thread: several would wait for each other longer than they work.

    Where another process keeps a core from one of them, that takes ten times as long.

    Args:
        regime: Its ``speed``.
        model: See :func:`is_small`, as for the rest.
        batch_size: See there.
        input_shape: See there.
    """
    before = torch.get_num_threads()
    if regime.speed == "auto" and is_small(model, batch_size, input_shape):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Acceleration(Callback):
    """Prepares the task's model and optimisers for the device and the length of the training.

    Args:
        task: The task, whose ``regime`` says what is wanted.
    """

    def __init__(self, task: Any) -> None:
        self.task = task

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Prepares them, once they are on the device."""
        regime = self.task.regime
        steps = 0 if trainer.world_size > 1 else int(trainer.estimated_stepping_batches)  # compiled if asked for alone
        prepare_model(self.task.model, regime, module.device, steps)
        for optimizer in trainer.optimizers:
            prepare_optimizer(optimizer, regime)


def prepare_model(model: nn.Module, regime: Training, device: torch.device, num_steps: int) -> None:
    """Gives a model the memory layout and the compiler that suit the device and the length of the training.

    Args:
        model: On the device.
        regime: Its ``channels_last`` and ``compile``; None chooses where ``speed`` is auto, 3D convolutions left alone.
        device: It runs on.
        num_steps: Of the whole training, at most.
    """
    auto, gpu = regime.speed == "auto", device.type == "cuda"
    if regime.channels_last if regime.channels_last is not None else auto and gpu:
        _by_pixel(model, torch.channels_last, nn.Conv2d, nn.ConvTranspose2d)
    if regime.channels_last:
        _by_pixel(model, torch.channels_last_3d, nn.Conv3d, nn.ConvTranspose3d)
    pays = auto and gpu and num_steps >= COMPILED_STEPS and not regime.gradient_checkpointing
    if regime.compile if regime.compile is not None else pays:
        model.compile(mode="reduce-overhead" if gpu else "default")  # on a GPU it replays graphs, too


def _by_pixel(model: nn.Module, layout: torch.memory_format, *kinds: type[nn.Module]) -> None:
    """Lets weights of some kinds of layers lie by pixel."""
    for module in model.modules():
        if isinstance(module, kinds):
            module.to(memory_format=layout)  # type: ignore[call-overload]
