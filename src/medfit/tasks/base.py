"""The task: how a model is trained on a kind of target, and how it is scored."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import lightning as L
import pandas as pd
import torch
from matplotlib.figure import Figure

from medfit.data.batches import Batches
from medfit.errors import UserError, suggest
from medfit.tasks.steps import Steps


class Task(L.LightningModule):
    """A LightningModule that knows the score it is judged by.

    Its ``training_step`` is a whole epoch, validation included, since a step of Lightning's costs more than a small
    model's own. Its ``predict_step`` gives a tuple of what is needed of each batch; ``join`` puts the
    batches together, and ``scores``, ``table`` and ``figures`` take the result.

    Args:
        monitor: The validation score that early stopping, the checkpoint, pruning and the sweep read.
        mode: Whether it is to be small (``min``) or large (``max``).

    Attributes:
        fits: The kinds of target (a data set's ``task``) that it can learn.
        regime: How it is trained.
        has_baselines: Whether it scores predictions of a number or a class, as scikit-learn's estimators give them.
    """

    regime: Any
    fits: frozenset[str] = frozenset()
    has_baselines = False

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
        self.automatic_optimization = False

    @abstractmethod
    def logged(self) -> list[str]:
        """Returns the names of the validation scores that it logs."""

    @abstractmethod
    def train_epoch(self, batches: Batches) -> dict[str, float]:
        """Takes an epoch's steps, and returns mean losses, by name."""

    @abstractmethod
    def score_epoch(self, batches: Batches) -> dict[str, float]:
        """Returns the scores of every epoch, by metric, of a split's batches."""

    def training_step(self, batches: Batches, number: int) -> None:
        """Trains for an epoch, and publishes its losses and the validation scores."""
        losses = self.train_epoch(batches)
        self.eval()
        with torch.inference_mode():
            scores = self.score_epoch(self.trainer.datamodule.batches("val"))  # type: ignore[attr-defined]
        self.train()
        self.publish(
            {f"train/{name}": loss for name, loss in losses.items()}
            | {f"val/{name}": score for name, score in scores.items()}
        )

    def publish(self, scores: Mapping[str, float]) -> None:
        """Hands an epoch's scores to the callbacks and the logger, as Lightning's ``log`` would, without its cost."""
        values = torch.tensor(list(scores.values()), dtype=torch.float32).unbind()
        self.trainer.callback_metrics.update(zip(scores, values, strict=True))
        if self.trainer.logger is not None:
            self.trainer.logger.log_metrics(dict(scores), self.current_epoch)

    @property
    def train_batches(self) -> Batches:
        """An epoch's batches, as the trainer's data module has them."""
        return self.trainer.datamodule.train_batches  # type: ignore[attr-defined]

    def on_device(self, batches: Batches) -> Iterator[Any]:
        """Yields batches on the model's device and in the training's precision, augmented if they are to be."""
        return batches.on(self.device, self.trainer.precision_plugin.convert_input)

    def steps(self, optimizer: Any, **options: Any) -> Steps:
        """Returns what takes an optimiser's steps; see :class:`medfit.tasks.steps.Steps` for the options."""
        return Steps(optimizer, getattr(self.trainer.precision_plugin, "scaler", None), **options)

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
