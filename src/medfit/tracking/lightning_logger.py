"""Lightning's way to a run."""

from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from medfit.tracking.run import Run


class RunLogger(Logger):
    """Hands Lightning's metrics to a run, by epoch."""

    run: Run  # set when the run starts, which is after the trainer is made

    @property
    def name(self) -> str:
        """The experiment's id."""
        return self.run.experiment_id

    @property
    def version(self) -> str:
        """The run's id."""
        return self.run.id

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Logs at the epoch, which compares between batch sizes; the step does not."""
        epoch = int(metrics.get("epoch", step or 0))
        self.run.log_metrics({name: value for name, value in metrics.items() if name != "epoch"}, epoch)

    @rank_zero_only
    def log_image(self, name: str, image: np.ndarray, epoch: int) -> None:
        """Logs an image of an epoch, uint8 in the shape (height, width) or (height, width, 3)."""
        self.run.log_image(name, image, epoch)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: params are logged when the run starts."""


class NoRunLogger(Logger):
    """Stands where another process has the run: that of the first of several devices."""

    name, version = "", ""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Does nothing, as all the others do."""

    def log_image(self, name: str, image: np.ndarray, epoch: int) -> None:
        """Does nothing."""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing."""
