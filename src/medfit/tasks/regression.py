"""Regression: one number or several."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from medfit.evidence.targets import quantities
from medfit.plots import predictions as figures
from medfit.tasks import metrics as m
from medfit.tasks.per_output import Columns

LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


class Regression(Columns):
    """One number or several, scaled on the training split for the loss; predicted and scored in their units.

    Args:
        loss: ``mse``, ``mae`` or ``huber`` (of scaled errors, bending at 1).
    """

    fits = frozenset({quantities.Regression()})
    available = m.REGRESSION
    mean: Tensor
    std: Tensor

    def __init__(self, *, loss: Literal["mse", "mae", "huber"] = "mse", **kwargs: Any) -> None:
        self.loss_name = loss
        super().__init__(**kwargs)

    def prepare_targets(self, targets: Callable[[], Tensor]) -> None:
        """Keeps the targets' means and standard deviations; one that does not vary keeps its scale."""
        target = targets()
        std = target.std(dim=0, correction=min(1, len(target) - 1))  # a single sample has one too: 0
        self.register_buffer("mean", target.mean(dim=0))
        self.register_buffer("std", torch.where(std > 0, std, 1.0))

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Returns the mean loss of scaled targets."""
        return LOSSES[self.loss_name](output, (target - self.mean) / self.std)

    def predict(self, output: Tensor) -> Tensor:
        """Returns the targets in their units."""
        return output * self.std + self.mean

    def figures(self, preds: Tensor, target: Tensor) -> dict[str, Figure]:
        """Returns predicted against true, and residuals."""
        return figures.regression(np.asarray(preds), np.asarray(target), self.target_names)
