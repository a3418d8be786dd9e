"""The fast loop: an epoch at a time, where Lightning's own loop adds to the cost of each batch.

An epoch is one step of Lightning's. The loop calls the task's own ``training_step`` and ``validation_step`` and gives
the same losses and weights; hooks of single batches do not fire, so it is taken only where nothing needs them.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from medfit.data.batches import Batches
from medfit.data.datamodule import DataModule
from medfit.data.inputs import each
from medfit.tasks.base import Task
from medfit.tasks.regime import Training
from medfit.training.checkpoints import Checkpoints
from medfit.training.optimizer_steps import OptimizerSteps
from medfit.training.state import random_states


def suits(regime: Training, callbacks: Iterable[Callback]) -> bool:
    """Tells whether nothing needs a step of Lightning's own; the fast loop is then quicker, for large models too.

    Args:
        regime: How; arguments for the trainer and callbacks of the user's need Lightning's own steps.
        callbacks: The others, which may need hooks of single batches.
    """
    if regime.speed != "auto" or regime.trainer or regime.callbacks:
        return False
    return not any(map(_follows_batches, callbacks))


class FastTrainer(L.Trainer):
    """Lightning's trainer, with the fast loop in place of its own.

    Args:
        accumulate: Batches whose gradients are averaged for a step.
        clip: Largest norm of the gradient; None for no limit.
        checkpoints: Asks for the training's state within an epoch, too; one of the callbacks.
        **kwargs: Lightning's.
    """

    def __init__(
        self, accumulate: int = 1, clip: float | None = None, checkpoints: Checkpoints | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.accumulate, self.clip, self.checkpoints = accumulate, clip, checkpoints
        self._num_batches = 0

    def fit(self, model: Task, datamodule: DataModule) -> None:  # type: ignore[override]
        """Trains a task."""
        self._num_batches = len(datamodule.train_batches)
        checkpoints = self.checkpoints or Checkpoints(datamodule.order, every_min=0)
        checkpoints.within_epochs = True
        super().fit(_Epochs(model, datamodule, self.accumulate, self.clip, checkpoints), range(1))

    @property
    def estimated_stepping_batches(self) -> int:
        """The steps that the optimiser takes in the whole training."""
        return -(-self._num_batches // self.accumulate) * (self.max_epochs or 0)


class _Epochs(L.LightningModule):
    """A task, trained for an epoch by what Lightning takes for a step, whose own costs are paid once."""

    def __init__(
        self, task: Task, data: DataModule, accumulate: int, clip: float | None, checkpoints: Checkpoints
    ) -> None:
        super().__init__()
        self.task, self.data, self.accumulate, self.clip = task, data, accumulate, clip
        self.checkpoints = checkpoints
        self.automatic_optimization = False
        self._done = 0  # batches of this epoch that have made their steps

    def __getattr__(self, name: str) -> Any:
        """Lets callbacks, which are given this module, ask it what they would ask the task."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "task":  # it is not there yet
                raise
            return getattr(self.task, name)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Returns the task's state."""
        return self.task.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Gives the task a state."""
        return self.task.load_state_dict(*args, **kwargs)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the schedule, and what an epoch has logged so far, to what the task keeps."""
        self.task.on_save_checkpoint(checkpoint)
        schedule = self._schedule["scheduler"].state_dict() if self._schedule else None
        checkpoint["fast"] = {"schedule": schedule, "logged": self._logged.state_dict(), "done": self._done}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes up what was kept."""
        self.task.on_load_checkpoint(checkpoint)
        kept = checkpoint["fast"]
        if self._schedule:
            self._schedule["scheduler"].load_state_dict(kept["schedule"])
        self._logged.load_state_dict(kept["logged"], self.device)
        self._done = kept["done"]

    def configure_optimizers(self) -> Any:
        """Returns the task's optimisers; this loop itself moves on their schedule."""
        made: Any = self.task.configure_optimizers()
        self._schedule: Any = made["lr_scheduler"] if isinstance(made, dict) else None
        return made["optimizer"] if isinstance(made, dict) else made

    def on_fit_start(self) -> None:
        """Brings the data to the device, and makes ready for the steps."""
        self.data.data.place(self.device)
        self.task.on_fit_start()
        self._logged = _Means()
        self.task.log = self._logged.log  # type: ignore[method-assign, assignment]
        self._steps = self._optimizer_steps() if self.task.automatic_optimization else None

    def on_fit_end(self) -> None:
        """Leaves the task as it was."""
        del self.task.log
        self.task.on_fit_end()

    def training_step(self, _: Any, number: int) -> None:
        """Trains for an epoch, validates, and hands the scores to the callbacks and the logger."""
        self._train()
        random = random_states() if self.checkpoints.active else None
        if self.data.validates:
            self.task.eval()
            with torch.inference_mode():
                self._validate(random)
            self.task.train()
        self._done = 0
        scores = self._logged.collect()
        values = torch.tensor(list(scores.values()), dtype=torch.float32).unbind()
        self.trainer.callback_metrics.update(zip(scores, values, strict=True))
        if self.trainer.logger is not None:
            self.trainer.logger.log_metrics(scores, self.current_epoch)

    def on_train_epoch_end(self) -> None:
        """Moves a schedule on that goes by epochs; one may follow the monitored score."""
        self.task.on_train_epoch_end()
        if self._schedule and self._schedule["interval"] == "epoch":
            scheduler = self._schedule["scheduler"]
            follows = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
            scheduler.step(*[self.trainer.callback_metrics[self._schedule["monitor"]]] if follows else [])

    def _train(self) -> None:
        """Trains with the batches that are left of an epoch: all, unless it was interrupted."""
        steps, task = self._steps, self.task
        made = self._on_device(self.data.train_batches, self.data.data.augment)
        for number, batch in enumerate(made, start=self._done):
            loss: Any = task.training_step(batch, number)
            if steps is not None:
                steps.take(loss)
            if self.checkpoints.due and not (steps and steps.waiting):
                self._done = number + 1
                self.checkpoints.write(self.trainer, self._done)
        if steps is not None:
            steps.end()
        self._done = len(self.data.train_batches)

    def _validate(self, random: Any) -> None:
        """Validates.

        Args:
            random: Where generators were before; None where an interruption need not wait for the training's state.
        """
        self.task.on_validation_epoch_start()
        for number, batch in enumerate(self._on_device(self.data.batches("val"))):
            if self.checkpoints.stopping and random is not None:
                self.checkpoints.write(self.trainer, self._done, random)
            self.task.validation_step(batch, number)
        self.task.on_validation_epoch_end()

    def _optimizer_steps(self) -> OptimizerSteps:
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        stepwise = self._schedule is not None and self._schedule["interval"] == "step"
        return OptimizerSteps(
            optimizer,
            getattr(self.trainer.precision_plugin, "scaler", None),
            schedule=self._schedule["scheduler"] if self._schedule and stepwise else None,
            accumulate=self.accumulate,
            clip=self.clip,
            before=self.task.on_before_optimizer_step,
        )

    def _on_device(
        self, batches: Batches, augment: Callable[..., Any] = lambda *batch: batch
    ) -> Iterator[tuple[Any, ...]]:
        """Yields batches on the model's device and in the training's precision, augmented."""
        device, convert = self.device, self.trainer.precision_plugin.convert_input
        lowered = torch.is_autocast_enabled(device.type) or torch.get_default_dtype() is not torch.float32
        made = iter(batches)
        while True:
            with _own_precision(device) if lowered else nullcontext():
                if (batch := next(made, None)) is None:
                    return
                ready = augment(*(each(lambda tensor: _moved(tensor, device), part) for part in convert(batch)))
            yield ready


class _Means:
    """What a task logs in an epoch: means over the batches, weighted by their samples."""

    def __init__(self) -> None:
        self._values: dict[str, list[Any]] = {}
        self._sizes: dict[str, list[int]] = {}

    def log(self, name: str, value: Any, batch_size: int | None = None, **_: Any) -> None:
        """Keeps a value, as Lightning's ``log`` does with ``on_epoch``."""
        self._values.setdefault(name, []).append(value)
        self._sizes.setdefault(name, []).append(batch_size or 1)

    def collect(self) -> dict[str, float]:
        """Returns the means, and forgets the values; waits for the device once for each name."""
        means = {}
        for name, values in self._values.items():
            numbers = torch.stack(values).tolist() if isinstance(values[0], Tensor) else values
            sizes = self._sizes[name]
            means[name] = sum(number * size for number, size in zip(numbers, sizes, strict=True)) / sum(sizes)
        self._values, self._sizes = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """Returns the values, by name, and the samples that each is of."""
        values = {
            name: torch.stack(kept) if isinstance(kept[0], Tensor) else kept for name, kept in self._values.items()
        }
        return {"values": values, "sizes": self._sizes}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Goes on with the values of an epoch that was interrupted."""
        kept = state["values"].items()
        self._values = {name: list(v.to(device).unbind()) if isinstance(v, Tensor) else v for name, v in kept}
        self._sizes = state["sizes"]


def _follows_batches(callback: Callback) -> bool:
    """Tells whether a callback has hooks that this loop does not call."""
    silent = [name for name in vars(Callback) if "batch" in name or "validation" in name or "backward" in name]
    silent += ["on_before_zero_grad", "on_before_optimizer_step", "on_sanity_check_start", "on_sanity_check_end"]
    return any(getattr(type(callback), name) is not getattr(Callback, name) for name in silent)


def _moved(part: Any, device: torch.device) -> Any:
    return part.to(device, non_blocking=True) if isinstance(part, Tensor) and part.device != device else part


@contextmanager
def _own_precision(device: torch.device) -> Iterator[None]:
    """Leaves the precision that a training computes in, as data have their own."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_default_dtype(before)
