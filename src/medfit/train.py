"""``medfit train``: a run is one function."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig
from torch import Tensor

from medfit.data.inputs import in_words
from medfit.deployment import logged
from medfit.errors import in_memory
from medfit.tracking import patients, recording
from medfit.tracking.lightning_logger import RunLogger
from medfit.tracking.run import Run
from medfit.training import run_plots, unvalidated
from medfit.training.parts import Parts, prepare, sizes
from medfit.training.trainer import BestWeights, fit, make_trainer, prediction_files, predictions


def train(
    cfg: DictConfig,
    callbacks: Sequence[Callback] = (),
    tags: Mapping[str, str] | None = None,
    splits: Sequence[str] = ("val",),
    on_scores: Callable[[dict[str, float]], None] | None = None,
    whole: bool = True,
) -> dict[str, float]:
    """Trains one model, tracks it, and returns its best epoch's scores by name, as ``val/auroc``.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.
        callbacks: More callbacks, such as a sweep's.
        tags: Of the run.
        splits: What is scored afterwards, if it has samples; ``test`` belongs to :mod:`medfit.evaluate` alone.
        on_scores: Is given the scores when all else is stored and the run still open; what it raises fails the run.
        whole: Whether the finished model is logged and plots are drawn, as far as the config asks for them.

    Raises:
        UserError: the config's parts don't fit together (nothing is stored then), or the loss diverged.
        KeyboardInterrupt: the user stopped it; the run is KILLED.
    """
    parts = prepare(cfg)
    logger = RunLogger()
    best = BestWeights(parts.task, parts.datamodule.validates)
    splits = [split for split in splits if len(parts.datamodule.rows[split])]
    trainer = make_trainer(parts, [best, *callbacks], logger)
    with recording.start_run(
        cfg, parts.datamodule.dataset, parts.datamodule.proof, {"kind": "run", **(tags or {})}
    ) as run:
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
        _keep(cfg, run, parts, outputs, best.weights, whole)
        if on_scores:
            run.flush()
            on_scores(scores)
    return scores


def _keep(
    cfg: DictConfig,
    run: Run,
    parts: Parts,
    outputs: Mapping[str, tuple[Any, ...]],
    weights: Mapping[str, Tensor],
    whole: bool,
) -> None:
    """Logs predictions and weights of a training; and its plots and its finished model, if they are wanted."""
    data = parts.datamodule
    shapes = {"input_shape": data.input_shape, "target_names": data.dataset.target_names}
    drawn = run_plots.plots(parts.task, outputs, run.history) if cfg.tracking.plots and whole else {}
    files = prediction_files(run, parts, outputs)
    stored = {run_plots.CHECKPOINT: {"state_dict": weights}, "checkpoint/shapes.json": shapes}
    stored[patients.FILE] = _taught(run, parts).to_file()
    run.log_files({**files, **drawn, **stored})
    if cfg.tracking.get("models", True) and whole:  # a config of before has no such key
        tables = {split: files[name] for split in outputs if (name := f"predictions/{split}.csv") in files}
        logged.log_finished(cfg, parts, tables, run)


def _taught(run: Run, parts: Parts) -> patients.Taught:
    """Returns who taught a training, and what it started from: also the validation patients, who chose its epoch."""
    data, source = parts.datamodule, parts.source
    groups = data.dataset.groups[np.concatenate([data.rows["train"], data.rows["val"]])]
    before = source.taught if source else None
    return patients.taught(
        run.store.folder, data.dataset.fingerprint(), groups, before, not source or before is not None
    )


def main(cfg: DictConfig) -> None:
    """Trains one model and says how it went and where the results lie."""
    from medfit.terminal.console import say, show_table  # late: a quick start
    from medfit.terminal.epoch_bar import EpochBar

    with EpochBar(cfg.regime.epochs, cfg.task.monitor) as bar:
        scores = train(cfg, callbacks=[bar])
    if scores:
        rows = [[name, f"{value:.4f}"] for name, value in scores.items()]
        show_table("Scores of the best epoch", ["metric", "value"], rows)
    else:
        say(f"Note: {unvalidated.TOLD}; medfit evaluate scores the test split.")
    say(f"{f'Run {bar.run_id}. ' if bar.run_id else ''}Compare runs with: medfit ui")


def _fit(cfg: DictConfig, trainer: L.Trainer, parts: Parts) -> None:
    shape = in_words(parts.datamodule.input_shape)
    told = f"a batch of {parts.datamodule.batch_size} samples of {shape} values does not fit in memory; lower "
    try:
        with in_memory(lambda: told + sizes(cfg, "regime.batch_size")):
            fit(trainer, parts)
    except SystemExit as stop:  # Lightning's way to tell of Ctrl-C and SIGTERM
        raise KeyboardInterrupt from stop
    if trainer.interrupted:
        raise KeyboardInterrupt
