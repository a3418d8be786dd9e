"""The task: how a model is trained on a kind of target, and how it is scored."""

from abc import abstractmethod
from typing import Literal

import lightning as L
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from medfit.errors import UserError, suggest


class Task(L.LightningModule):
    """A LightningModule that knows the score it is judged by.

    Args:
        monitor: The validation score that early stopping, the checkpoint, pruning and the sweep read.
        mode: Whether it is to be small (``min``) or large (``max``).

    Attributes:
        fits: The kinds of target (a data set's ``task``) that it can learn.
    """

    fits: frozenset[str] = frozenset()

    def __init__(self, monitor: str, mode: Literal["min", "max"]) -> None:
        super().__init__()
        if not monitor.startswith("val/"):
            raise UserError(
                f"task.monitor: '{monitor}' is no validation metric; only those (val/...) may steer a training"
            )
        if monitor not in self.logged():
            known = ", ".join(self.logged())
            raise UserError(
                f"task.monitor: '{monitor}' is not logged{suggest(monitor, self.logged())} (logged: {known})"
            )
        self.monitor, self.mode = monitor, mode

    @abstractmethod
    def logged(self) -> list[str]:
        """Returns the names of the validation scores that it logs."""

    @abstractmethod
    def scores(self, preds: Tensor, target: Tensor) -> dict[str, float]:
        """Returns a split's scores, by metric."""

    @abstractmethod
    def table(self, preds: np.ndarray, target: np.ndarray) -> pd.DataFrame:
        """Returns predictions beside the truth, a row each sample."""

    @abstractmethod
    def figures(self, preds: np.ndarray, target: np.ndarray) -> dict[str, Figure]:
        """Returns the plots of a split's predictions, by name."""
