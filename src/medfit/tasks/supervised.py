"""Supervised tasks: each kind of target in a dozen lines."""

import inspect
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from medfit.errors import UserError, blame, suggest
from medfit.plots import predictions as figures
from medfit.regime import Regime
from medfit.tasks import metrics as m
from medfit.tasks.base import Task

LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}
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


class _Columns(Supervised):
    """A prediction per output; scores are means over outputs, and each output's own where there are several."""

    def logged(self) -> list[str]:
        """Returns the names of the validation scores that it logs, each output's own last."""
        own = self.target_names if len(self.target_names) > 1 else []
        return [*super().logged(), *(f"val/{metric}/{output}" for metric in self.metrics for output in own)]

    def scores(self, preds: Tensor, target: Tensor) -> dict[str, float]:
        """Returns ``metric`` and, where there are several outputs, ``metric/output``."""
        found: dict[str, float] = {}
        for name in self.metrics:
            values = m.by_column(self.available[name], preds.float(), target)
            found[name] = float(values.nanmean())
            if len(values) > 1:
                found |= {f"{name}/{column}": float(v) for column, v in zip(self.target_names, values, strict=True)}
        return found

    def table(self, preds: Tensor, target: Tensor) -> pd.DataFrame:
        """Returns ``target/<output>`` and ``pred/<output>`` columns."""
        truth, guess = np.asarray(target), np.asarray(preds)
        columns = {f"target/{name}": truth[:, i] for i, name in enumerate(self.target_names)}
        return pd.DataFrame(columns | {f"pred/{name}": guess[:, i] for i, name in enumerate(self.target_names)})


class MultiLabel(_Columns):
    """Several yes-or-no answers per sample: binary cross-entropy on a logit each.

    Args:
        class_weight: ``balanced`` weighs each label's classes by their rarity in the training split.
    """

    fits = frozenset({"multilabel"})
    available = m.BINARY
    weights: Tensor

    def __init__(self, *, class_weight: Literal["balanced"] | None = None, **kwargs: Any) -> None:
        self.class_weight = class_weight
        super().__init__(**kwargs)

    def prepare_targets(self, targets: Callable[[], Tensor]) -> None:
        """Sets the weights of no (row 0) and yes (row 1) for each label, 1 on average over samples."""
        target = targets()
        weights = torch.ones(2, target.shape[1])
        if self.class_weight == "balanced":
            share = target.mean(dim=0).clamp(1 / (2 * len(target)), 1 - 1 / (2 * len(target)))
            weights = 0.5 / torch.stack([1 - share, share])
        self.register_buffer("weights", weights)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Returns the mean binary cross-entropy."""
        weight = torch.where(target > 0.5, self.weights[1], self.weights[0])
        return F.binary_cross_entropy_with_logits(output, target, weight)

    def predict(self, output: Tensor) -> Tensor:
        """Returns the probability of yes for each label."""
        return output.sigmoid()

    def figures(self, preds: Tensor, target: Tensor) -> dict[str, Figure]:
        """Returns ROC, precision-recall, calibration and confusion."""
        return figures.classification(np.asarray(preds), np.asarray(target), self.target_names)


class Binary(MultiLabel):
    """Yes or no: multilabel with one label."""

    fits = frozenset({"binary"})


class MultiClass(Supervised):
    """One of several classes: softmax cross-entropy.

    Args:
        class_weight: ``balanced`` weighs the classes by their rarity in the training split.
    """

    fits = frozenset({"multiclass"})
    available = m.CLASSES
    weights: Tensor

    def __init__(self, *, class_weight: Literal["balanced"] | None = None, **kwargs: Any) -> None:
        self.class_weight = class_weight
        super().__init__(**kwargs)

    def prepare_targets(self, targets: Callable[[], Tensor]) -> None:
        """Sets the classes' weights, 1 on average over samples; a class without samples weighs 1."""
        target = targets()
        num_classes = len(self.target_names)
        weights = torch.ones(num_classes)
        if self.class_weight == "balanced":
            counts = target.bincount(minlength=num_classes)
            weights = torch.where(counts > 0, len(target) / ((counts > 0).sum() * counts.clamp(min=1)), 1.0)
        self.register_buffer("weights", weights)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Returns the mean cross-entropy, each sample weighted by its class."""
        return (F.cross_entropy(output, target, reduction="none") * self.weights[target]).mean()

    def predict(self, output: Tensor) -> Tensor:
        """Returns the classes' probabilities."""
        return output.softmax(dim=1)

    def scores(self, preds: Tensor, target: Tensor) -> dict[str, float]:
        """Returns the metrics over all classes."""
        return {name: float(self.available[name](preds.float(), target)) for name in self.metrics}

    def table(self, preds: Tensor, target: Tensor) -> pd.DataFrame:
        """Returns the true class and each class's probability."""
        names, guess = np.array(self.target_names), np.asarray(preds)
        columns = {"target": names[np.asarray(target)], "pred": names[guess.argmax(axis=1)]}
        return pd.DataFrame(columns | {f"pred/{name}": guess[:, k] for k, name in enumerate(names)})

    def figures(self, preds: Tensor, target: Tensor) -> dict[str, Figure]:
        """Returns ROC, precision-recall, calibration and confusion, each class against the others."""
        truth = np.eye(len(self.target_names))[np.asarray(target)]
        return figures.classification(np.asarray(preds), truth, self.target_names, exclusive=True)


class Regression(_Columns):
    """One number or several, scaled on the training split for the loss; predicted and scored in their units.

    Args:
        loss: ``mse``, ``mae`` or ``huber`` (of scaled errors, bending at 1).
    """

    fits = frozenset({"regression"})
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
