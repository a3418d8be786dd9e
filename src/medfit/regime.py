"""How to train: optimiser, schedule, length, batches and penalties."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, kw_only=True)
class Regime:
    """How one model is trained.

    Args:
        optimizer: Takes the parameters.
        scheduler: Takes the optimiser, and ``total_steps`` if it has such an argument (it then steps per
            optimiser step, else per epoch).
        epochs: Passes over the training split, at most.
        batch_size: Samples; None for the whole training split.
        l1: Penalty on the sum of absolute weights (not biases).
        l2: Penalty on the sum of squared weights (not biases).
        gradient_clip: Largest norm of the gradient; None for no limit.
        patience: Epochs without a better monitored score before training stops; None for never.
        precision: Lightning's name of it.
        accelerator: Lightning's name of it.
        deterministic: Whether only algorithms with repeatable results may be used.
    """

    optimizer: Callable[..., Optimizer]
    scheduler: Callable[..., Any] | None
    epochs: Count
    batch_size: Count | None
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    gradient_clip: Positive | None = None
    patience: Count | None = None
    precision: Literal["32-true", "64-true", "16-mixed", "bf16-mixed", "bf16-true", "16-true"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    deterministic: bool = True


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

    return LambdaLR(optimizer, factor)
