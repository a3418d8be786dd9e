"""``medfit train``: a run is one function."""

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from omegaconf import DictConfig
from torch import Tensor

from medfit import config, tracking
from medfit.datamodule import DataModule
from medfit.errors import UserError, in_memory
from medfit.evidence import leaks
from medfit.plots.predictions import learning_curves
from medfit.regime import Training
from medfit.tasks.base import Task


@dataclass(frozen=True)
class Parts:
    """What a config builds: all that a training needs.

    Args:
        datamodule: Batches of each split.
        task: With its model, untrained.
        regime: How to train.
        leaks: What the leak scan found, a line each.
    """

    datamodule: DataModule
    task: Task
    regime: Training
    leaks: Sequence[str] = ()


class DivergedError(UserError):
    """The loss is no longer a number."""


def train(
    cfg: DictConfig,
    callbacks: Sequence[Callback] = (),
    tags: Mapping[str, str] | None = None,
    splits: Sequence[str] = ("val",),
    on_scores: Callable[[dict[str, float]], None] | None = None,
) -> dict[str, float]:
    """Trains one model, tracks it, and returns its best epoch's scores by name, as ``val/auroc``.

    Args:
        cfg: As :func:`medfit.config.compose` gives it.
        callbacks: More callbacks, such as a sweep's.
        tags: Of the run.
        splits: What is scored afterwards; ``test`` belongs to :mod:`medfit.evaluate` alone.
        on_scores: Is given the scores when all else is stored and the run still open; what it raises fails the run.

    Raises:
        UserError: the config's parts don't fit together (nothing is stored then), or the loss diverged.
        KeyboardInterrupt: the user stopped it; the run is KILLED.
    """
    parts = prepare(cfg)
    dataset, proof = parts.datamodule.dataset, parts.datamodule.proof
    with TemporaryDirectory() as folder, ExitStack() as stack:
        logger = tracking.RunLogger()
        trainer, checkpoint = make_trainer(parts, logger, callbacks, Path(folder))
        run = logger.run = stack.enter_context(tracking.start_run(cfg, dataset, proof, {"kind": "run", **(tags or {})}))
        started = time.perf_counter()
        _fit(cfg, trainer, parts)
        seconds = time.perf_counter() - started
        parts.task.load_state_dict(torch.load(checkpoint.best_model_path, weights_only=True)["state_dict"])
        scores = {name: value for split in splits for name, value in _score(cfg, parts, trainer, run, split).items()}
        last = {name: value for name, value in scores.items() if name.startswith("val/")}
        run.log_metrics(last, trainer.current_epoch)  # the best weights', after the curve
        once = {name: value for name, value in scores.items() if name not in last}
        run.log_metrics({**once, "fit_duration_s": seconds, "num_epochs": trainer.current_epoch}, 0)
        shapes = {"input_shape": parts.datamodule.input_shape, "target_names": dataset.target_names}
        files: dict[str, Any] = {
            "checkpoint/best.ckpt": Path(checkpoint.best_model_path),
            "checkpoint/shapes.json": shapes,
        }
        if cfg.tracking.plots:
            files["plots/learning_curves.png"] = learning_curves(run.history)
        run.log_files(files)
        if on_scores:
            run.flush()
            on_scores(scores)
    return scores


def prepare(cfg: DictConfig) -> Parts:
    """Builds everything, and so finds every mistake that shows before training."""
    _quiet()
    dataset = config.load_dataset(cfg)
    fits = config.build(cfg.task).func.fits
    if dataset.task not in fits:
        raise UserError(
            f"task={cfg.choices.task} learns {' or '.join(sorted(fits))} targets, but the data set's are {dataset.task}"
        )
    regime: Training = config.build(cfg.regime)
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    with in_memory(lambda: f"what this asks for does not fit in memory; lower {_sizes(cfg, 'the size of the model')}"):
        datamodule = DataModule(
            dataset, config.build(cfg.preprocessing), config.build(cfg.split), regime.batch_size, cfg.seed
        )
        task = make_task(cfg, datamodule.input_shape, dataset.target_names, partial(datamodule.arrays, "train"))
    proof = datamodule.proof
    found = leaks.check(dataset, datamodule.rows, proof["assignment_sha256"], cfg.dataset.get("strict", False))
    proof["leaks"] = list(found)
    return Parts(datamodule, task, regime, found)


def make_task(
    cfg: DictConfig,
    input_shape: tuple[int, ...],
    target_names: Sequence[str],
    train_arrays: Callable[[], tuple[Tensor, Tensor]] | None = None,
) -> Task:
    """Returns the config's task with its model, untrained.

    Args:
        cfg: As :func:`medfit.config.compose` gives it.
        input_shape: Of one sample's ``x``.
        target_names: The data set's.
        train_arrays: Gives ``x`` and ``y`` of the training split; None where weights are to be loaded, that hold what
            was learnt from them.
    """
    return config.build(cfg.task)(
        model=config.build(cfg.model),
        regime=config.build(cfg.regime),
        input_shape=input_shape,
        target_names=target_names,
        train_arrays=train_arrays,
    )


def make_trainer(
    parts: Parts, logger: tracking.RunLogger, callbacks: Sequence[Callback], folder: Path
) -> tuple[L.Trainer, ModelCheckpoint]:
    """Returns Lightning's trainer, and the callback that keeps the best epoch's weights."""
    task, regime = parts.task, parts.regime
    checkpoint = ModelCheckpoint(folder, monitor=task.monitor, mode=task.mode, save_weights_only=True)
    own: list[Callback] = [_StopIfDivergedError(), checkpoint]
    if regime.patience:
        own.append(EarlyStopping(task.monitor, mode=task.mode, patience=regime.patience, check_finite=False))
    try:
        trainer = L.Trainer(
            max_epochs=regime.epochs,
            accelerator=regime.accelerator,
            devices=1,
            precision=regime.precision,
            deterministic=regime.deterministic,
            gradient_clip_val=regime.gradient_clip,
            accumulate_grad_batches=regime.accumulate,
            callbacks=[*own, *callbacks],
            logger=logger,
            default_root_dir=folder,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise UserError(f"regime: {str(error).splitlines()[0]}") from error
    return trainer, checkpoint


def main(cfg: DictConfig) -> None:
    """Trains one model and says how it went and where the results lie."""
    from medfit.console import say, show_table
    from medfit.progress import EpochBar

    with EpochBar(cfg.regime.epochs, cfg.task.monitor) as bar:
        scores = train(cfg, callbacks=[bar])
    show_table(
        "Scores of the best epoch",
        ["metric", "value"],
        [[name, f"{value:.4f}"] for name, value in scores.items()],
    )
    say(f"Run {bar.run_id}. Compare runs with: medfit ui")


class _StopIfDivergedError(Callback):
    """Ends a training whose loss is no longer finite."""

    def on_train_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Checks the epoch's mean loss."""
        loss = trainer.callback_metrics.get("train/loss")
        if loss is not None and not torch.isfinite(loss):
            raise DivergedError(
                f"the training loss became {float(loss)} in epoch {trainer.current_epoch}; a lower learning rate or "
                "regime.gradient_clip=1 may help"
            )


def _fit(cfg: DictConfig, trainer: L.Trainer, parts: Parts) -> None:
    shape = " x ".join(map(str, parts.datamodule.input_shape))
    told = f"a batch of {parts.datamodule.batch_size} samples of {shape} values does not fit in memory; lower "
    try:
        with in_memory(lambda: told + _sizes(cfg, "regime.batch_size")):
            trainer.fit(parts.task, parts.datamodule)
    except SystemExit as stop:  # Lightning's way to tell of Ctrl-C and SIGTERM
        raise KeyboardInterrupt from stop
    if trainer.interrupted:
        raise KeyboardInterrupt


def _sizes(cfg: DictConfig, first: str) -> str:
    """Returns a config path, and those that set how large a sample becomes."""
    return " or ".join([first, *(f"preprocessing.{key}" for key in cfg.preprocessing if str(key).endswith("size"))])


def _score(cfg: DictConfig, parts: Parts, trainer: L.Trainer, run: tracking.Run, split: str) -> dict[str, float]:
    """Returns a split's scores under the best weights; logs its predictions and plots."""
    task, datamodule = parts.task, parts.datamodule
    outputs = task.join(trainer.predict(task, datamodule.batches(split)) or [])
    tracking.log_predictions(run, parts, {split: outputs})
    if cfg.tracking.plots:
        run.log_files({f"plots/{split}_{name}.png": figure for name, figure in task.figures(*outputs).items()})
    return {f"{split}/{name}": value for name, value in task.scores(*outputs).items()}


def _quiet() -> None:
    """Keeps Lightning's advice, meant for developers, from the terminal."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory.*",
        ".*`isinstance.*LeafSpec.*",
        ".*GPU available.*",
    ):
        warnings.filterwarnings("ignore", message)
