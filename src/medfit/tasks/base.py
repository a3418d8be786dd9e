"""The task: how a model is trained on a kind of target, and how it is scored."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import lightning as L
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from medfit.data.inputs import Shape
from medfit.errors import UserError, suggest
from medfit.evidence.predictions import TargetKind
from medfit.tasks.layers import hold_statistics
from medfit.tasks.one_device import OneDevice


def one_input(input_shape: Shape, task: str) -> tuple[int, ...]:
    """Returns the shape of the only input of a sample.

    Raises:
        UserError: samples have several inputs.
    """
    if isinstance(input_shape, Mapping):
        raise UserError(f"task={task} takes one input a sample, not several ({', '.join(input_shape)})")
    return input_shape


class Task(L.LightningModule):
    """A LightningModule that knows the score it is judged by.

    Its ``predict_step`` returns a tuple of what is needed of each batch; ``join`` puts the batches together, and
    ``scores``, ``table`` and ``figures`` take the result. Its ``validation_step`` keeps what ``epoch_scores`` takes.

    Args:
        monitor: The validation score that early stopping, the checkpoint, pruning and the sweep read.
        mode: Whether it is to be small (``min``) or large (``max``).

    Attributes:
        fits: The kinds of target that it can learn.
        regime: How it is trained.
        no_model: Why no finished model is kept of it, and nothing evaluated or explained; None for most.
        has_baselines: Whether it scores predictions of a number or a class, as scikit-learn's estimators give them.
        validates_in_parts: Whether what is kept of a validation batch is the same whichever came before it, so that
            several devices can share the validation.
        whole_batch: What of the loss is of a whole batch, in words, so that the mean over its parts is another; None
            where a batch's loss is the mean over its samples.
        devices: The other devices that train it, if there are any.
    """

    regime: Any
    fits: frozenset[TargetKind] = frozenset()
    no_model: str | None = None
    has_baselines = False
    validates_in_parts = True
    whole_batch: str | None = None

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
        self.devices = OneDevice()
        self._validated: list[Any] = []  # what the validation batches of this epoch gave

    def train(self, mode: bool = True) -> Self:
        """Switches training on or off; frozen batch normalisation stays as it is in evaluation."""
        super().train(mode)
        hold_statistics(self)
        return self

    @abstractmethod
    def logged(self) -> list[str]:
        """Returns the names of the validation scores that it logs."""

    @abstractmethod
    def epoch_scores(self, outputs: list[Any]) -> dict[str, float]:
        """Returns the scores of an epoch, by metric, from what ``validation_step`` kept of each batch."""

    def log_mean(self, name: str, value: Tensor, num_samples: int) -> None:
        """Logs the mean over an epoch's samples of what is a mean over each batch.

        Args:
            name: As ``train/loss``.
            value: Of a batch, or of this device's part of it.
            num_samples: Of these.
        """
        self.log(
            name,
            self.devices.weighed(value.detach()),
            on_step=False,
            on_epoch=True,
            sync_dist=self.devices.several,
            batch_size=self.devices.num_samples(num_samples),
        )

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Adds a batch's gradients to those that wait for a step; devices' parts of it count by their samples."""
        super().backward(self.devices.weighed(loss), *args, **kwargs)

    def on_validation_epoch_start(self) -> None:
        """Forgets the batches of an epoch that was cut short."""
        self._validated.clear()

    def on_validation_epoch_end(self) -> None:
        """Logs the scores of the validation split."""
        scores = self.devices.once(lambda: self.epoch_scores(self._validated))
        self.log_dict({f"val/{name}": score for name, score in scores.items()})
        self._validated.clear()

    def join(self, batches: Sequence[Any]) -> tuple[Any, ...]:
        """Returns what ``predict_step`` gave of each batch as one: tensors of all samples, on the CPU."""
        return tuple(torch.cat(parts).cpu() for parts in zip(*batches, strict=True))

    @abstractmethod
    def scores(self, *outputs: Any) -> dict[str, float]:
        """Returns a split's scores, by metric."""

    def table(self, *outputs: Any) -> pd.DataFrame | None:
        """Returns predictions beside the truth, a row each sample; None where a prediction fits in no row."""
        return None

    def figures(self, *outputs: Any) -> dict[str, Figure]:
        """Returns the plots of a split's predictions, by name."""
        return {}
