"""What all supervised tasks share; each kind of target adds a dozen lines."""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medfit.data.inputs import Input, Shape, zeros
from medfit.errors import UserError, blame, suggest
from medfit.tasks import metrics as m
from medfit.tasks.base import Task
from medfit.tasks.layers import depending, shapes_of, trained
from medfit.tasks.regime import Regime, WithHeadRate

Batch = list[Any] | tuple[Input, Tensor]


class Supervised(Task):
    """Learns ``y`` from ``x`` with one optimiser; a kind gives the loss, the prediction and the metrics.

    Args:
        model: Takes the input's shape and the number of outputs.
        regime: How to train.
        input_shape: Of one sample's ``x``; of each of its parts by name, if it has several.
        target_names: Of the outputs.
        train_arrays: Gives ``x`` and ``y`` of the training split; class weights or target scales come from ``y``. None
            where weights are to be loaded, that hold these.
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
        input_shape: Shape,
        target_names: list[str],
        train_arrays: Callable[[], tuple[Tensor, Tensor]] | None,
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
        self.prepare_targets(self.blank_targets if train_arrays is None else lambda: train_arrays()[1])
        with blame("model", TypeError, ValueError, RuntimeError):
            _check_input(model, input_shape)
            self.model = model(input_shape, self.output_size)
            self._check_output(input_shape)
        self._last_layer = self._find_last_layer(model, input_shape)
        with blame("regime.optimizer"):
            self._optimizer()
        self._weights = [p for p in self.model.parameters() if p.ndim > 1 and p.requires_grad]
        self._waiting = 0  # batches whose gradients have made no step yet

    @property
    def output_size(self) -> int:
        """Numbers that the model puts out."""
        return len(self.target_names)

    def output_shape(self, input_shape: Any) -> tuple[int, ...]:
        """Returns the shape of what the model puts out for one sample."""
        return (self.output_size,)

    def _check_output(self, input_shape: Shape) -> None:
        with torch.no_grad():
            found = tuple(self.model.eval()(zeros(input_shape)).shape[1:])
        self.train()
        if found != (expected := self.output_shape(input_shape)):
            raise ValueError(f"it puts out {found} for each sample, but this task needs {expected}")

    def prepare_targets(self, targets: Callable[[], Tensor]) -> None:
        """Takes from the training targets what the loss needs; nothing by default."""

    def blank_targets(self) -> Tensor:
        """Returns targets of a sample that stands for those of the training split, until what they taught is loaded."""
        return torch.zeros(1, len(self.target_names))

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Returns the mean loss of a batch; a pure function of tensors and buffers."""

    @abstractmethod
    def predict(self, output: Tensor) -> Tensor:
        """Returns predictions in the target's terms: probabilities, or numbers in its unit."""

    def logged(self) -> list[str]:
        """Returns the names of the validation scores that it logs."""
        return ["val/loss", *(f"val/{name}" for name in self.metrics)]

    def forward(self, x: Input) -> Tensor:
        """Returns predictions."""
        return self.predict(self.model(x))

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """Returns the mean loss of a batch, without penalties."""
        x, y = batch
        loss = self.loss(self.model(x), y)
        self._waiting += 1
        self.log_mean("train/loss", loss, len(y))
        return loss

    def validation_step(self, batch: Batch, number: int) -> None:
        """Keeps the outputs and the targets."""
        x, y = batch
        self._validated.append((self.model(x), y))

    def epoch_scores(self, outputs: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """Returns the loss and the metrics."""
        output, target = outputs[0] if len(outputs) == 1 else (torch.cat(parts) for parts in zip(*outputs, strict=True))
        return {"loss": float(self.loss(output, target)), **self.scores(self.predict(output), target)}

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Adds the gradients of the penalties; of fewer batches than usual at the end of an epoch, their share."""
        if self.regime.l1 or self.regime.l2:
            self.penalise(self._waiting / self.regime.accumulate)
        self._waiting = 0

    @torch.no_grad()
    def penalise(self, share: float = 1.0) -> None:
        """Adds the gradients of the L1 and L2 penalties on the weights; biases and normalisation are free.

        Args:
            share: Of the penalties that is meant.
        """
        for weight in self._weights:
            if weight.grad is None:  # of a weight that no output depends on
                weight.grad = torch.zeros_like(weight)
            if self.regime.l1:
                weight.grad.add_(weight.sign(), alpha=share * self.regime.l1)
            if self.regime.l2:
                weight.grad.add_(weight, alpha=share * 2 * self.regime.l2)

    def predict_step(self, batch: Batch, batch_index: int) -> Any:
        """Returns predictions and targets."""
        x, y = batch
        return self.predict(self.model(x)).float(), y

    def _find_last_layer(self, model: Callable[..., nn.Module], input_shape: Shape) -> set[str]:
        """Returns the names of what depends on the number of outputs, if it has a learning rate of its own."""
        if not isinstance(self.regime.optimizer, WithHeadRate):
            return set()
        found = depending(self.model, shapes_of(model, input_shape, self.output_size + 1)) & trained(self.model).keys()
        if not found:
            raise UserError("regime.optimizer.head_lr: this network has no last layer of its own, or it is frozen")
        if found == trained(self.model).keys():
            raise UserError("regime.optimizer.head_lr: the last layer is all that is trained; give regime.optimizer.lr")
        return found

    def _optimizer(self) -> Optimizer:
        """Returns the optimiser of all that is trained; a last layer with a rate of its own is a group of its own."""
        parameters, optimizer = trained(self.model), self.regime.optimizer
        if not isinstance(optimizer, WithHeadRate):
            return optimizer(list(parameters.values()))
        last = [parameters.pop(name) for name in sorted(self._last_layer)]
        groups = [{"params": list(parameters.values())}, {"params": last, "lr": optimizer.head_lr}]
        return optimizer(groups)

    def configure_optimizers(self) -> Any:
        """Returns the optimiser, and its schedule, which goes by steps if it takes their number, else by epochs."""
        optimizer = self._optimizer()
        scheduler = self.regime.scheduler
        if scheduler is None:
            return optimizer
        if "total_steps" in inspect.signature(scheduler).parameters:
            total = int(self.trainer.estimated_stepping_batches)
            return _scheduled(optimizer, scheduler(optimizer, total_steps=total), interval="step")
        return _scheduled(optimizer, scheduler(optimizer), interval="epoch", monitor=self.monitor)


def _check_input(model: Callable[..., nn.Module], input_shape: Shape) -> None:
    """Refuses several inputs where a model's signature says that it takes one."""
    parameter = inspect.signature(model).parameters.get("input_shape")
    if isinstance(input_shape, Mapping) and parameter and parameter.annotation == tuple[int, ...]:
        raise ValueError(f"it takes one input a sample, not several ({', '.join(input_shape)})")


def _scheduled(optimizer: Optimizer, scheduler: Any, **when: str) -> dict[str, Any]:
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **when}}
