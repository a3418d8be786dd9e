"""What all supervised tasks share; each kind of target adds a dozen lines."""

import inspect
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from medfit.errors import UserError, blame, suggest
from medfit.regime import Regime
from medfit.tasks import metrics as m
from medfit.tasks.base import Task

Batch = list[Tensor] | tuple[Tensor, Tensor]


class Supervised(Task):
    """Learns ``y`` from ``x`` with one optimiser; a kind gives the loss, the prediction and the metrics.

    Args:
        model: Takes the input's shape and the number of outputs.
        regime: How to train.
        input_shape: Of one sample's ``x``.
        target_names: Of the outputs.
        train_arrays: Gives ``x`` and ``y`` of the training split; class weights or target scales come from ``y``.
        monitor: See :class:`Task`.
        mode: See :class:`Task`.
        metrics: Names from the kind's ``available``.
    """

    available: ClassVar[dict[str, m.Metric]]
    has_baselines = True

    def __init__(
        self,
        *,
        model: Callable[..., nn.Module],
        regime: Regime,
        input_shape: tuple[int, ...],
        target_names: list[str],
        train_arrays: Callable[[], tuple[Tensor, Tensor]],
        monitor: str,
        mode: Literal["min", "max"],
        metrics: list[str],
    ) -> None:
        for name in metrics:
            if name not in self.available:
                known = ", ".join(self.available)
                raise UserError(f"task.metrics: there is no '{name}'{suggest(name, self.available)} (known: {known})")
        self.metrics, self.target_names = metrics, target_names
        super().__init__(monitor, mode)
        self.regime = regime
        self.prepare_targets(lambda: train_arrays()[1])
        with blame("model", TypeError, ValueError, RuntimeError):
            self.model = model(input_shape, self.output_size)
            self._check_output(input_shape)
        with blame("regime.optimizer"):
            regime.optimizer(self.model.parameters())
        self._outputs: list[tuple[Tensor, Tensor]] = []

    @property
    def output_size(self) -> int:
        """Numbers that the model puts out."""
        return len(self.target_names)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of what the model puts out for one sample."""
        return (self.output_size,)

    def _check_output(self, input_shape: tuple[int, ...]) -> None:
        with torch.no_grad():
            found = tuple(self.model.eval()(torch.zeros(1, *input_shape)).shape[1:])
        self.model.train()
        if found != (expected := self.output_shape(input_shape)):
            raise ValueError(f"it puts out {found} for each sample, but this task needs {expected}")

    def prepare_targets(self, targets: Callable[[], Tensor]) -> None:
        """Takes from the training targets what the loss needs; nothing by default."""

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Returns the mean loss of a batch; a pure function of tensors and buffers."""

    @abstractmethod
    def predict(self, output: Tensor) -> Tensor:
        """Returns predictions in the target's terms: probabilities, or numbers in its unit."""

    def logged(self) -> list[str]:
        """Returns the names of the validation scores that it logs."""
        return ["val/loss", *(f"val/{name}" for name in self.metrics)]

    def forward(self, x: Tensor) -> Tensor:
        """Returns predictions."""
        return self.predict(self.model(x))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Returns the loss with its penalties; logs it without."""
        x, y = batch
        loss = self.loss(self.model(x), y)
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(x))
        return loss + self.penalty()

    def penalty(self) -> Tensor | float:
        """Returns the L1 and L2 penalties on the weights; biases and normalisation are free."""
        weights = [p for p in self.model.parameters() if p.ndim > 1]
        l1 = self.regime.l1 * sum(w.abs().sum() for w in weights) if self.regime.l1 else 0.0
        l2 = self.regime.l2 * sum(w.square().sum() for w in weights) if self.regime.l2 else 0.0
        return l1 + l2

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Keeps the model's output, to be scored at the epoch's end."""
        x, y = batch
        self._outputs.append((self.model(x), y))

    def on_validation_epoch_end(self) -> None:
        """Logs the validation scores."""
        output, target = (torch.cat(parts) for parts in zip(*self._outputs, strict=True))
        self._outputs.clear()
        scores = {"loss": self.loss(output, target), **self.scores(self.predict(output), target)}
        self.log_dict({f"val/{name}": torch.as_tensor(score, dtype=torch.float32) for name, score in scores.items()})

    def predict_step(self, batch: Batch, batch_index: int) -> Any:
        """Returns predictions and targets."""
        x, y = batch
        return self.predict(self.model(x)).float(), y

    def configure_optimizers(self) -> Any:
        """Returns the optimiser and its schedule."""
        optimizer = self.regime.optimizer(self.model.parameters())
        if self.regime.scheduler is None:
            return optimizer
        per_step = "total_steps" in inspect.signature(self.regime.scheduler).parameters
        arguments = {"total_steps": int(self.trainer.estimated_stepping_batches)} if per_step else {}
        scheduler = self.regime.scheduler(optimizer, **arguments)
        interval = "step" if per_step else "epoch"
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": interval, "monitor": self.monitor},
        }
