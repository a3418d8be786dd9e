"""Captum's methods, one question at a time, with batches that fit in memory."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

NUM_STEPS = 32  # of the path, by Gauss and Legendre's rule: exact where the output is a polynomial up to degree 63
MOST_VALUES = 2**16  # of the inputs that are computed at once: a network's activations take hundreds of times as many


def integrated_gradients(net: nn.Module, x: Tensor, baseline: Tensor, target: int) -> tuple[Tensor, float]:
    """Returns integrated gradients (Sundararajan et al., ICML 2017), and how far their sum is from the change.

    Padding (NaN) is attributed nothing.

    Args:
        net: Gives (samples, outputs).
        x: In the shape (1, *input_shape).
        baseline: In the same shape.
        target: The output's number.
    """
    from captum.attr import IntegratedGradients  # late: a quick start

    padding = x.isnan()
    baseline = baseline.masked_fill(padding, torch.nan)
    made = IntegratedGradients(net).attribute(
        x.clone().requires_grad_(),
        baseline,
        target=target,
        n_steps=NUM_STEPS,
        method="gausslegendre",
        internal_batch_size=at_once(x),
    )
    made = cast(Tensor, made).detach().masked_fill(padding, 0.0)
    with torch.no_grad():
        change = (net(x) - net(baseline))[0, target]
    return made[0], float(made.sum() - change)


def occlusion(
    net: nn.Module, x: Tensor, baseline: Tensor, target: int, window: Sequence[int], stride: Sequence[int]
) -> Tensor:
    """Returns how much the output falls when a window is laid over the input (Zeiler & Fergus, ECCV 2014).

    Args:
        net: Gives (samples, outputs).
        x: In the shape (1, *input_shape).
        baseline: What the window shows, in the same shape.
        target: The output's number.
        window: Its size along each axis of an input.
        stride: From one place to the next; what several windows cover has their mean.
    """
    from captum.attr import Occlusion  # late: a quick start

    with torch.no_grad():
        made = Occlusion(net).attribute(
            x, tuple(window), tuple(stride), baseline, target=target, perturbations_per_eval=at_once(x)
        )
    return cast(Tensor, made)[0].masked_fill(x[0].isnan(), 0.0)


def at_once(x: Tensor) -> int:
    """Returns how many inputs of this size are computed at once."""
    return max(1, MOST_VALUES // x[0].numel())
