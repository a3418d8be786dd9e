"""Gradient checkpointing: blocks of a network keep their inputs alone, and compute the rest again for the gradient.

A network names the classes of its blocks in the class attribute ``checkpointed``.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from medfit.errors import UserError
from medfit.tasks.regime import Training

PATH = "regime.gradient_checkpointing"


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """Returns the blocks that a network, or a part of it, names; none within another."""
    return list(dict.fromkeys(_found(network, ())))


def _found(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[nn.Module]:
    kinds = getattr(module, "checkpointed", kinds)
    for part in module.children():
        if isinstance(part, kinds):
            yield part
        else:
            yield from _found(part, kinds)


def check(network: nn.Module, regime: Training) -> None:
    """Makes sure that a network's blocks may be computed again.

    Raises:
        UserError: it names none, or the result could be another.
    """
    if regime.compile:
        raise UserError(f"{PATH}: not together with regime.compile=true; set one of the two to false")
    if not (blocks := blocks_of(network)):
        raise UserError(
            f"{PATH}: this network names no blocks that may be computed again; those for images do (a network of your "
            "own: their classes in its class attribute checkpointed)"
        )
    kinds = {type(part).__name__ for block in blocks for part in block.modules() if _remembers(part)}
    if kinds:
        raise UserError(
            f"{PATH}: {sorted(kinds)[0]} keeps numbers of its own, which computing a block again would change; set it "
            "to false"
        )


def _remembers(part: nn.Module) -> bool:
    """Tells whether a module may give something else the second time; batch normalisation is held."""
    return not isinstance(part, _BatchNorm) and any(buffer is not None for buffer in part.buffers(recurse=False))


@contextmanager
def recomputing(network: nn.Module, regime: Training) -> Iterator[None]:
    """Lets a network's blocks compute again what the gradient needs, where that is asked for.

    Weights keep their names, and losses and gradients their values: dropout drops the same, and batch normalisation
    counts a batch once.
    """
    blocks = blocks_of(network) if regime.gradient_checkpointing else []
    for block in blocks:
        block.forward = partial(_forward, block)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def _forward(block: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Returns what a block puts out, of which nothing but its inputs is kept."""
    plain, names = type(block).forward, list(kwargs)
    if not torch.is_grad_enabled():
        return plain(block, *args, **kwargs)

    def compute(*values: Any) -> Any:
        return plain(block, *values[: len(args)], **dict(zip(names, values[len(args) :], strict=True)))

    held = _StatisticsHeld(block)
    inputs = *args, *kwargs.values()  # by position, as torch then refuses those that have changed since
    return checkpoint(compute, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), held))


class _StatisticsHeld:
    """Computes with copies of batch normalisation's running statistics, which a second pass would move again."""

    def __init__(self, block: nn.Module) -> None:
        self.norms = [part for part in block.modules() if isinstance(part, _BatchNorm)]

    def __enter__(self) -> None:
        self.own = [dict(norm.named_buffers(recurse=False)) for norm in self.norms]
        for norm, own in zip(self.norms, self.own, strict=True):
            for name, buffer in own.items():
                setattr(norm, name, buffer.clone())

    def __exit__(self, *_: Any) -> None:
        for norm, own in zip(self.norms, self.own, strict=True):
            for name, buffer in own.items():
                setattr(norm, name, buffer)
