"""``medfit train``: a run is one function."""

import logging
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning as L
import torch
from hydra.utils import get_object
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from medfit.config.instantiate import build, load_dataset
from medfit.config.node_key import Contents
from medfit.data import leaks
from medfit.data.datamodule import DataModule, Prepared
from medfit.data.dataset import Dataset
from medfit.errors import UserError, in_memory
from medfit.tasks.base import Task
from medfit.tasks.regime import Training
from medfit.tracking import recording
from medfit.tracking.lightning_logger import RunLogger
from medfit.training import run_plots
from medfit.training.hardware import suiting_threads


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
    plots: bool = True,
) -> dict[str, float]:
    """Trains one model, tracks it, and returns its best epoch's scores by name, as ``val/auroc``.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.
        callbacks: More callbacks, such as a sweep's.
        tags: Of the run.
        splits: What is scored afterwards; ``test`` belongs to :mod:`medfit.evaluate` alone.
        on_scores: Is given the scores when all else is stored and the run still open; what it raises fails the run.
        plots: Whether plots are drawn if the config asks for them.

    Raises:
        UserError: the config's parts don't fit together (nothing is stored then), or the loss diverged.
        KeyboardInterrupt: the user stopped it; the run is KILLED.
    """
    parts = prepare(cfg)
    dataset, proof = parts.datamodule.dataset, parts.datamodule.proof
    logger = RunLogger()
    best = BestWeights(parts.task.monitor, parts.task.mode)
    trainer = make_trainer(parts, [best, *callbacks], logger)
    with recording.start_run(cfg, dataset, proof, {"kind": "run", **(tags or {})}) as run:
        logger.run = run
        started = time.perf_counter()
        _fit(cfg, trainer, parts)
        seconds = time.perf_counter() - started
        parts.task.load_state_dict(best.weights)
        outputs = predictions(parts, trainer, splits)
        scores = {
            f"{split}/{name}": value for split in splits for name, value in parts.task.scores(*outputs[split]).items()
        }
        last = {name: value for name, value in scores.items() if name.startswith("val/")}
        run.log_metrics(last, trainer.current_epoch)  # the best weights', after the curve
        once = {name: value for name, value in scores.items() if name not in last}
        run.log_metrics({**once, "fit_duration_s": seconds, "num_epochs": trainer.current_epoch}, 0)
        shapes = {"input_shape": parts.datamodule.input_shape, "target_names": dataset.target_names}
        drawn = run_plots.plots(parts.task, outputs, run.history) if cfg.tracking.plots and plots else {}
        run.log_files(
            {
                **recording.prediction_files(run, parts, outputs),
                **drawn,
                run_plots.CHECKPOINT: {"state_dict": best.weights},
                "checkpoint/shapes.json": shapes,
            }
        )
        if on_scores:
            run.flush()
            on_scores(scores)
    return scores


def prepare(cfg: DictConfig) -> Parts:
    """Builds everything, and so finds every mistake that shows before training."""
    _quiet()
    dataset = load_dataset(cfg)
    fits = get_object(cfg.task._target_).fits
    if dataset.task not in fits:
        raise UserError(
            f"task={cfg.choices.task} learns {' or '.join(sorted(fits))} targets, but the data set's are {dataset.task}"
        )
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    with in_memory(lambda: f"what this asks for does not fit in memory; lower {_sizes(cfg, 'the size of the model')}"):
        prepared = _prepared(dataset, *(Contents(key, _values(cfg[key])) for key in ("preprocessing", "split")))
        datamodule = DataModule(prepared, cfg.regime.batch_size, cfg.seed, plain=cfg.regime.speed == "plain")
        task = make_task(cfg, datamodule.input_shape, dataset.target_names, partial(datamodule.arrays, "train"))
    proof = datamodule.proof
    found = leaks.check(dataset, datamodule.rows, proof["assignment_sha256"], cfg.dataset.get("strict", False))
    proof["leaks"], proof["leak_scan"] = list(found.findings), {"not_looked_at": list(found.notes)}
    return Parts(datamodule, task, task.regime, found.findings)


_PREPARED: dict[tuple[Any, ...], Prepared] = {}
MOST_KEPT, MOST_KEPT_BYTES = 16, 2**28


def _prepared(dataset: Dataset, preprocessing: Contents, split: Contents) -> Prepared:
    """Returns data as two configs divide and prepare them, once for all trainings that share these."""
    key = dataset, preprocessing, split
    if key not in _PREPARED:
        if len(_PREPARED) >= MOST_KEPT or sum(made.data.nbytes for made in _PREPARED.values()) > MOST_KEPT_BYTES:
            _PREPARED.clear()  # before others are made: there may be no room for both
        _PREPARED[key] = Prepared(dataset, build(preprocessing.node), build(split.node))
    return _PREPARED[key]


def _values(node: DictConfig) -> Any:
    return OmegaConf.to_container(node, resolve=True)


def make_task(
    cfg: DictConfig,
    input_shape: tuple[int, ...],
    target_names: Sequence[str],
    train_arrays: Callable[[], tuple[Tensor, Tensor]] | None = None,
) -> Task:
    """Returns the config's task with its model, untrained.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.
        input_shape: Of one sample's ``x``.
        target_names: The data set's.
        train_arrays: Gives ``x`` and ``y`` of the training split; None where weights are to be loaded, that hold what
            was learnt from them.
    """
    return build(cfg.task)(
        model=build(cfg.model),
        regime=build(cfg.regime),
        input_shape=input_shape,
        target_names=target_names,
        train_arrays=train_arrays,
    )


def make_trainer(parts: Parts, callbacks: Sequence[Callback] = (), logger: Logger | None = None) -> L.Trainer:
    """Returns Lightning's trainer; the task itself clips and accumulates gradients."""
    task, regime = parts.task, parts.regime
    own: list[Callback] = [_StopIfDivergedError()]
    if regime.patience:
        own.append(EarlyStopping(task.monitor, mode=task.mode, patience=regime.patience, check_finite=False))
    try:
        return L.Trainer(
            max_epochs=regime.epochs,
            accelerator=regime.accelerator,
            devices=1,
            precision=regime.precision,
            deterministic=regime.deterministic,
            callbacks=[*own, *callbacks],
            logger=logger or False,
            default_root_dir=tempfile.gettempdir(),
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise UserError(f"regime: {str(error).splitlines()[0]}") from error


def predictions(parts: Parts, trainer: L.Trainer, splits: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Returns what the task predicts for some splits, by split, as its ``scores`` takes it."""
    made = {split: trainer.predict(parts.task, parts.datamodule.batches(split)) for split in splits}
    return {split: parts.task.join(batches or []) for split, batches in made.items()}


def fit(trainer: L.Trainer, parts: Parts) -> None:
    """Trains the task, in as many threads as suit it."""
    data, num_parameters = parts.datamodule, sum(parameter.numel() for parameter in parts.task.parameters())
    with suiting_threads(parts.regime, num_parameters, data.batch_size, data.input_shape):
        trainer.fit(parts.task, data)


class BestWeights(Callback):
    """Keeps the best epoch's weights in memory; they are stored once, after training.

    Args:
        monitor: The score that tells.
        mode: Whether it is to be small (``min``) or large (``max``).

    Attributes:
        weights: Of the task, copied: on the CPU.
    """

    def __init__(self, monitor: str, mode: str) -> None:
        self.monitor, self.sign = monitor, 1 if mode == "max" else -1
        self.weights: dict[str, Any] = {}
        self._score = -math.inf

    def on_train_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Keeps the weights if they are better than all before; the first ones in any case."""
        score = self.sign * float(trainer.callback_metrics[self.monitor])
        if score > self._score or not self.weights:  # never where it is no number
            self._score = -math.inf if math.isnan(score) else score
            self.weights = {
                name: value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value
                for name, value in task.state_dict().items()
            }


def main(cfg: DictConfig) -> None:
    """Trains one model and says how it went and where the results lie."""
    from medfit.terminal.console import say, show_table
    from medfit.terminal.epoch_bar import EpochBar

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
            fit(trainer, parts)
    except SystemExit as stop:  # Lightning's way to tell of Ctrl-C and SIGTERM
        raise KeyboardInterrupt from stop
    if trainer.interrupted:
        raise KeyboardInterrupt


def _sizes(cfg: DictConfig, first: str) -> str:
    """Returns a config path, and those that set how large a sample becomes."""
    return " or ".join([first, *(f"preprocessing.{key}" for key in cfg.preprocessing if str(key).endswith("size"))])


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
