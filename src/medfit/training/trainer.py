"""Lightning's trainer as a regime describes it, and what a training keeps and stops at."""

import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from lightning.pytorch.loggers import Logger
from torch import Tensor

from medfit.errors import UserError
from medfit.tasks.base import Task
from medfit.tasks.regime import Training
from medfit.tracking import recording
from medfit.tracking.run import Run
from medfit.training import ddp, fast, unvalidated
from medfit.training.checkpoints import Checkpoints
from medfit.training.hardware import Acceleration, suiting_threads
from medfit.training.parts import Parts
from medfit.training.recomputed import recomputing

ELSEWHERE = {  # arguments of the trainer that have a place of their own in the config
    "max_epochs": "regime.epochs",
    "accelerator": "regime.accelerator",
    "precision": "regime.precision",
    "deterministic": "regime.deterministic",
    "gradient_clip_val": "regime.gradient_clip",
    "accumulate_grad_batches": "regime.accumulate",
    "callbacks": "regime.callbacks",
    "logger": "tracking.uri",
}
OF_GPUS = {"16-mixed", "16-true"}  # on a CPU, Lightning trains the former in bf16; the latter diverges, and takes hours


class DivergedError(UserError):
    """The loss is no longer a number."""


def make_trainer(
    parts: Parts,
    callbacks: Sequence[Callback] = (),
    logger: Logger | None = None,
    checkpoints: Checkpoints | None = None,
) -> L.Trainer:
    """Returns Lightning's trainer, or the one with the fast loop where nothing needs a step.

    Args:
        parts: What is trained.
        callbacks: More than the regime's and medfit's own.
        logger: Takes what the task logs; None for none.
        checkpoints: Writes the training's state; None for none.

    Raises:
        UserError: the regime has an argument that the trainer refuses, or asks for several devices where they can't
            train together, or for what needs a validation split where there is none.
    """
    regime, task, validates = parts.regime, parts.task, parts.datamodule.validates
    if not validates:
        unvalidated.check(regime)
    own: list[Callback] = [Acceleration(task), _StopIfDivergedError()]
    if checkpoints is not None:  # first: the others begin with what was kept of them
        own.insert(0, checkpoints)
    if regime.patience and validates:
        own.append(EarlyStopping(task.monitor, mode=task.mode, patience=regime.patience, check_finite=False))
    arguments = _arguments(regime) | {"strategy": ddp.strategy(regime, task)}
    arguments |= {"callbacks": [*own, *regime.callbacks.values(), *callbacks], "logger": logger or False}
    if not validates:
        arguments["limit_val_batches"] = 0
    trainer: L.Trainer
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You passed `Trainer.accelerator='cpu', precision=")  # refused below
            if fast.suits(regime, callbacks):
                trainer = fast.FastTrainer(regime.accumulate, regime.gradient_clip, checkpoints, **arguments)
            else:
                clip, steps = regime.gradient_clip, regime.accumulate
                trainer = L.Trainer(gradient_clip_val=clip, accumulate_grad_batches=steps, **arguments)
            ddp.check(trainer, regime, task)
    except (MisconfigurationException, RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"regime: {str(error).splitlines()[0]}") from error
    if regime.precision in OF_GPUS and trainer.strategy.root_device.type == "cpu":
        raise UserError(f"regime.precision={regime.precision}: needs a GPU; a CPU has 32-true, 64-true and bf16-mixed")
    return trainer


def check_alone(parts: Parts) -> None:
    """Makes sure that one of many trainings, as a sweep's and an evaluation's are, is on one device.

    Raises:
        UserError: it is on several.
    """
    if ddp.asked(parts.regime.trainer) and make_trainer(parts).world_size > 1:
        raise UserError(
            "regime.trainer: several devices train together in medfit train alone; each training of a sweep or an "
            "evaluation takes one (regime.trainer.devices=1), and sweep.workers=4 trains four trials at a time"
        )


def fit(trainer: L.Trainer, parts: Parts) -> None:
    """Trains the task, in as many threads as suit it."""
    data, task, regime = parts.datamodule, parts.task, parts.regime
    with suiting_threads(regime, task, data.batch_size, data.input_shape), recomputing(task, regime):
        trainer.fit(parts.task, datamodule=parts.datamodule)


def predictions(parts: Parts, trainer: L.Trainer, splits: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Returns what the task predicts for some splits, by split, as its ``scores`` takes it."""
    made = {split: trainer.predict(parts.task, parts.datamodule.batches(split)) for split in splits}
    return {split: tuple(map(in_full, parts.task.join(batches or []))) for split, batches in made.items()}


def in_full(output: Any) -> Any:
    """Returns numbers of half precision, which statistics and plots can't read, in single precision."""
    return output.float() if torch.is_tensor(output) and output.dtype in (torch.bfloat16, torch.float16) else output


def prediction_files(run: Run, parts: Parts, outputs: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Returns a training's predictions as the files that its run keeps, by their names."""
    data, tables = parts.datamodule, {split: parts.task.table(*output) for split, output in outputs.items()}
    return recording.prediction_files(run, data.dataset.name, tables, data.groups)


class BestWeights(Callback):
    """Keeps the best epoch's weights in memory; they are stored once, after training.

    Args:
        task: Whose they are; its ``monitor`` and ``mode`` tell which epoch is the best.
        validates: Whether there is a validation split; without one, the last epoch's weights are kept.

    Attributes:
        weights: Of the task, copied: on the CPU.
    """

    def __init__(self, task: Task, validates: bool = True) -> None:
        self.task, self.validates, self.sign = task, validates, 1 if task.mode == "max" else -1
        self.weights: dict[str, Any] = {}
        self._score = -math.inf

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Keeps the weights if they are better than all before; the first ones in any case.

        Raises:
            UserError: the trainer's arguments leave the task without its score.
        """
        if not self.validates:
            return
        if self.task.monitor not in trainer.callback_metrics:
            raise UserError(f"regime.trainer: with these arguments there is no {self.task.monitor} after each epoch")
        score = self.sign * float(trainer.callback_metrics[self.task.monitor])
        if score > self._score or not self.weights:  # never where it is no number
            self._score = -math.inf if math.isnan(score) else score
            self._keep()

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Keeps the last weights where nothing tells which were the best."""
        if not self.validates:
            self._keep()

    def state_dict(self) -> dict[str, Any]:
        """Returns what a training that is interrupted has reached."""
        return {"weights": self.weights, "score": self._score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there."""
        self.weights, self._score = state_dict["weights"], state_dict["score"]

    def _keep(self) -> None:
        self.weights = {
            name: value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value
            for name, value in self.task.state_dict().items()
        }


class _StopIfDivergedError(Callback):
    """Ends a training whose loss is no longer finite."""

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Checks the epoch's mean loss."""
        loss = trainer.callback_metrics.get("train/loss")
        if loss is not None and not torch.isfinite(loss):
            raise DivergedError(
                f"the training loss became {float(loss)} in epoch {trainer.current_epoch}; a lower learning rate or "
                "regime.gradient_clip=1 may help"
            )


def _arguments(regime: Training) -> dict[str, Any]:
    """Returns the trainer's arguments; the user's replace medfit's.

    Raises:
        UserError: the user gives one that has another place in the config.
    """
    for name in regime.trainer:
        if name in ELSEWHERE:
            raise UserError(f"regime.trainer.{name}: give {ELSEWHERE[name]}")
    return {
        "max_epochs": regime.epochs,
        "accelerator": regime.accelerator,
        "devices": 1,
        "precision": regime.precision,
        "deterministic": regime.deterministic,
        "default_root_dir": tempfile.gettempdir(),
        "log_every_n_steps": 1,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,  # batches are divided as they are drawn
        "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in regime.callbacks.values()),
        "enable_progress_bar": False,
        "enable_model_summary": False,
        **regime.trainer,
    }
