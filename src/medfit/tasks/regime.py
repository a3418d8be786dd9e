"""How to train: optimiser, schedule, length, batches and penalties."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from medfit.errors import UserError

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Momentum = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class Training:
    """What any training needs to be told, whatever is optimised.

    Args:
        epochs: Passes over the training split, at most.
        batch_size: Samples; None for the whole training split.
        accumulate: Batches whose gradients are averaged for one step of the optimiser, as if they were one batch; an
            epoch's last step takes what is left.
        gradient_clip: Largest norm of the gradient; None for no limit.
        patience: Epochs without a better monitored score before training stops; None for never.
        precision: Lightning's name of it.
        accelerator: Lightning's name of it.
        deterministic: Whether only algorithms with repeatable results may be used; ``warn`` takes others where a GPU
            has no repeatable one, and says so.
        speed: ``auto`` takes what makes a training faster and leaves its results as they are, where it pays; ``plain``
            takes none of it but what is asked for, and gets batches from PyTorch's loader.
        fused: Whether an optimiser updates all weights by one kernel; None leaves it to ``speed``.
        channels_last: Whether weights of 2D and 3D convolutions lie by pixel in memory; None leaves those of 2D to
            ``speed``.
        compile: Whether the model is compiled, which takes a minute or so at first; None leaves it to ``speed``.
        gradient_checkpointing: Whether a network's blocks keep their inputs alone, and compute the rest again for the
            gradient: less memory, more time, the same results.
        checkpoint_every_min: Minutes from one writing of a training's whole state to the next, so that it can go on
            after it was interrupted; 0 for none.
        trainer: Further arguments of :class:`lightning.Trainer`, as ``fast_dev_run``.
        callbacks: More of Lightning's callbacks, by names of one's own.
    """

    epochs: Count
    batch_size: Count | None
    accumulate: Count = 1
    gradient_clip: Positive | None = None
    patience: Count | None = None
    precision: Literal["32-true", "64-true", "16-mixed", "bf16-mixed", "bf16-true", "16-true"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    deterministic: bool | Literal["warn"] = True
    speed: Literal["auto", "plain"] = "auto"
    fused: bool | None = None
    channels_last: bool | None = None
    compile: bool | None = None
    gradient_checkpointing: bool = False
    checkpoint_every_min: NonNegative = 5.0
    trainer: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Regime(Training):
    """How one model is trained.

    Args:
        optimizer: Takes the parameters.
        scheduler: Takes the optimiser, and ``total_steps`` if it has such an argument (it then steps per
            optimiser step, else per epoch).
        l1: Penalty on the sum of absolute weights (not biases).
        l2: Penalty on the sum of squared weights (not biases).
        **others: Of :class:`Training`.
    """

    optimizer: Callable[..., Optimizer]
    scheduler: Callable[..., Any] | None
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0


@dataclass(frozen=True)
class WithHeadRate:
    """An optimiser that moves a network's last layer at a rate of its own.

    Args:
        optimizer: Takes the parameters, or groups of them.
        head_lr: Learning rate of the last layer; a schedule scales it as it does the other.
    """

    optimizer: Callable[..., Optimizer]
    head_lr: float

    def __call__(self, parameters: Any) -> Optimizer:
        """Returns the optimiser of parameters, or of groups of them."""
        return self.optimizer(parameters)


@dataclass(frozen=True, kw_only=True)
class AdversarialRegime(Training):
    """How two players are trained against each other, each with an optimiser of its own.

    Args:
        generator_optimizer: Takes the generator's parameters.
        discriminator_optimizer: Takes the discriminator's parameters.
        discriminator_steps: Of the discriminator, each on a new batch, for one of the generator.
        accumulate: 1: the two players' gradients are not accumulated.
        gradient_clip: None: nor are they clipped.
        **others: Of :class:`Training`.
    """

    generator_optimizer: Callable[..., Optimizer]
    discriminator_optimizer: Callable[..., Optimizer]
    discriminator_steps: Count = 1
    accumulate: Literal[1] = 1
    gradient_clip: None = None

    @property
    def optimizer(self) -> Callable[..., Optimizer]:
        """There is none: a task that asks for one is told by name, before it trains."""
        raise UserError(
            "regime=adversarial has no optimiser for a single model; take another regime, as regime=default"
        )


def adam(params: Any, lr: Positive, beta1: Momentum = 0.9, beta2: Momentum = 0.999) -> Adam:
    """Adam (Kingma & Ba, ICLR 2015) with each beta by itself, so that a sweep can search it.

    Args:
        params: To optimise.
        lr: Learning rate.
        beta1: Memory of the gradient; GANs take 0.5 or 0 (Radford et al., ICLR 2016).
        beta2: Memory of its square.
    """
    return Adam(params, lr=lr, betas=(beta1, beta2))


def cosine_with_warmup(
    optimizer: Optimizer, total_steps: int, warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
) -> LambdaLR:
    """Linear warm-up, then half a cosine down to zero (Loshchilov & Hutter, ICLR 2017, without restarts).

    Args:
        optimizer: Whose rates are scaled.
        total_steps: Optimiser steps of the whole training.
        warmup: Share of them that warms up.
    """
    rising = math.ceil(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total_steps - rising)))

    return _EachStep(optimizer, factor)


class _EachStep(LambdaLR):
    """A schedule by factors whose steps cost next to nothing: there is one for every step of a small model."""

    def step(self, epoch: int | None = None) -> None:
        """Moves on by a step, or to one."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for group, rate, factor in zip(self.optimizer.param_groups, self.base_lrs, self.lr_lambdas, strict=True):
            group["lr"] = rate * factor(self.last_epoch)
