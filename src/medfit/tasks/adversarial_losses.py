"""What a generator and a discriminator are each trained to make small."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Discriminator = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Loss:
    """The two players' losses, of the discriminator's outputs (images,).

    Args:
        discriminator: Takes the outputs on real and on generated images.
        generator: Takes the outputs on generated images.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


LOSSES = {
    # Goodfellow et al., NeurIPS 2014, with the generator's loss that does not vanish
    "non_saturating": Loss(
        lambda real, fake: (F.softplus(-real) + F.softplus(fake)).mean(), lambda fake: F.softplus(-fake).mean()
    ),
    # Lim & Ye, arXiv 2017; Miyato et al., ICLR 2018
    "hinge": Loss(lambda real, fake: (F.relu(1 - real) + F.relu(1 + fake)).mean(), lambda fake: -fake.mean()),
    # Arjovsky et al., ICML 2017; needs the gradient penalty
    "wasserstein_gp": Loss(lambda real, fake: (fake - real).mean(), lambda fake: -fake.mean()),
}


def gradient_penalty(discriminator: Discriminator, real: Tensor, fake: Tensor, label: Tensor | None) -> Tensor:
    """Returns the mean squared difference from 1 of the gradient's norm, between real and generated images.

    Each point lies at random on the line from a real image to a generated one (Gulrajani et al., NeurIPS 2017).

    Args:
        discriminator: Takes images and labels.
        real: Images (images, channels, height, width).
        fake: As many generated ones.
        label: Class numbers (images,) of both, or None.
    """
    place = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    x = (place * real + (1 - place) * fake).detach().requires_grad_()
    return (_gradient(discriminator, x, label).norm(dim=1) - 1).square().mean()


def r1(discriminator: Discriminator, real: Tensor, label: Tensor | None) -> Tensor:
    """Returns the mean squared norm of the gradient at real images (Mescheder et al., ICML 2018)."""
    return _gradient(discriminator, real.detach().requires_grad_(), label).square().sum(dim=1).mean()


def average_with_warm_up(decay: float) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """Returns an averaging function for :class:`torch.optim.swa_utils.AveragedModel`.

    The decay rises as ``(1 + n) / (10 + n)`` with the number ``n`` of weights averaged until it is reached, so that the
    first weights, which are far off, are forgotten in short trainings too.
    """

    def average(averaged: Tensor, current: Tensor, count: Any) -> Tensor:
        now = min(decay, (1 + int(count)) / (10 + int(count)))
        return now * averaged + (1 - now) * current

    return average


def _gradient(discriminator: Discriminator, x: Tensor, label: Tensor | None) -> Tensor:
    """Returns the gradient of each image's own output, in the shape (images, values)."""
    (gradient,) = torch.autograd.grad(discriminator(x, label).sum(), x, create_graph=True)
    return gradient.flatten(1)
