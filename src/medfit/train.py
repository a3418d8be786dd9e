"""``medfit train``: a run is one function."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, open_dict
from torch import Tensor

from medfit.deployment import logged
from medfit.errors import UserError, in_memory
from medfit.terminal.console import say
from medfit.tracking import patients, recording
from medfit.tracking.lightning_logger import RunLogger
from medfit.tracking.run import Run
from medfit.training import ddp, interrupted, rank_training, run_plots, several_devices, short_of_memory, unvalidated
from medfit.training.checkpoints import Checkpoints
from medfit.training.origin import Origin
from medfit.training.own_state import OwnState
from medfit.training.parts import Parts, prepare
from medfit.training.rank_processes import all_devices
from medfit.training.trainer import (
    BestWeights,
    DivergedError,
    check_alone,
    fit,
    make_trainer,
    prediction_files,
    predictions,
)


@dataclass(frozen=True)
class Train:
    """What ``medfit train`` begins with.

    Args:
        resume: The id of an interrupted training's run, which goes on; ``auto`` for the newest of the same config, data
            and code; None to begin anew.
    """

    resume: str | None = None


def train(
    cfg: DictConfig,
    callbacks: Sequence[Callback] = (),
    tags: Mapping[str, str] | None = None,
    splits: Sequence[str] = ("val",),
    on_scores: Callable[[dict[str, float]], None] | None = None,
    whole: bool = True,
    resume: str | None = None,
) -> dict[str, float]:
    """Trains one model, tracks it, and returns its best epoch's scores by name, as ``val/auroc``.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.
        callbacks: More callbacks, such as a sweep's.
        tags: Of the run.
        splits: What is scored afterwards, if it has samples; ``test`` belongs to :mod:`medfit.evaluate` alone.
        on_scores: Is given the scores when all else is stored and the run still open; what it raises fails the run.
        whole: Whether the finished model is logged and plots are drawn, as far as the config asks for them.
        resume: As :class:`Train` takes it; trials, folds and an evaluation's seeds go on by themselves.

    Raises:
        UserError: the config's parts don't fit together, or the training to go on with does not fit, or one of a
            sweep or an evaluation asks for several devices (nothing is stored then), or the loss diverged.
        KeyboardInterrupt: the user stopped it; the run is KILLED.
    """
    parts, tags = prepare(cfg), {"kind": "run", **(tags or {})}
    origin = Origin(cfg, parts)
    found = interrupted.find(origin, tags, resume)
    logger, checkpoints = RunLogger(), Checkpoints(parts.datamodule.order, parts.regime.checkpoint_every_min)
    best = BestWeights(parts.task, parts.datamodule.validates)
    splits = [split for split in splits if len(parts.datamodule.rows[split])]
    trainer = make_trainer(parts, [best, *callbacks], logger, checkpoints)
    if tags["kind"] in interrupted.PARTS:
        check_alone(parts)
    continued = found.run_id if found and found.continues else None
    data = parts.datamodule
    with recording.start_run(cfg, data.dataset, data.proof, tags, continued) as run:
        logger.run = run
        state = OwnState(run, origin)
        state.begin(checkpoints, found)
        del found  # it takes as much memory as the training
        with all_devices(cfg, trainer, parts, partial(_give_up, run)):
            if trainer.world_size > 1:
                say(f"Note: {several_devices.in_words(trainer, parts)}.")
                run.set_tag("devices", str(trainer.world_size))
            seconds = _fit(cfg, trainer, parts, checkpoints, state)
        parts.task.load_state_dict(best.weights)
        outputs = predictions(parts, _scoring_trainer(trainer, parts), splits)
        scores = _scored(parts, outputs, run, trainer.current_epoch, seconds)
        _keep(cfg, run, parts, outputs, best.weights, whole)
        if on_scores:
            run.flush()
            on_scores(scores)
    state.remove()
    return scores


def _scored(
    parts: Parts, outputs: Mapping[str, tuple[Any, ...]], run: Run, num_epochs: int, seconds: float
) -> dict[str, float]:
    """Returns the scores of a training's predictions, and logs them."""
    scores = {
        f"{split}/{name}": value for split in outputs for name, value in parts.task.scores(*outputs[split]).items()
    }
    last = {name: value for name, value in scores.items() if name.startswith("val/")}
    run.log_metrics(last, num_epochs)  # the best weights', after the curve
    once = {name: value for name, value in scores.items() if name not in last}
    run.log_metrics({**once, "fit_duration_s": seconds, "num_epochs": num_epochs}, 0)
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


def _scoring_trainer(trainer: L.Trainer, parts: Parts) -> L.Trainer:
    """Returns a trainer that predicts each sample once, on one device."""
    return trainer if trainer.world_size == 1 else make_trainer(ddp.one_device(parts, trainer))


def _give_up(run: Run, error: UserError) -> None:
    """Ends a run whose training can't end by itself."""
    recording.end_badly(run, error)
    print(f"medfit: {error}", file=sys.stderr)


def main(cfg: DictConfig) -> None:
    """Trains one model and says how it went and where the results lie."""
    from medfit.terminal.console import show_table  # late: a quick start
    from medfit.terminal.epoch_bar import EpochBar

    cfg, resume = _without_resume(cfg)
    if ddp.own_rank(cfg.regime.trainer):  # of processes that srun or torchrun started
        rank_training.train(cfg)
        return
    with EpochBar(cfg.regime.epochs, cfg.task.monitor) as bar:
        try:
            scores = train(cfg, callbacks=[bar], resume=resume)
        except KeyboardInterrupt:
            if interrupted.has_state(cfg, bar.run_id):
                say(f"Run {bar.run_id} is interrupted; {interrupted.how_to_go_on(cfg, bar.run_id)}")
            raise
    if scores:
        rows = [[name, f"{value:.4f}"] for name, value in scores.items()]
        show_table("Scores of the best epoch", ["metric", "value"], rows)
    else:
        say(f"Note: {unvalidated.TOLD}; medfit evaluate scores the test split.")
    say(f"{f'Run {bar.run_id}. ' if bar.run_id else ''}Compare runs with: medfit ui")


def _without_resume(cfg: DictConfig) -> tuple[DictConfig, str | None]:
    """Returns a config as it was before a training was interrupted, and what is to go on: the run keeps its config."""
    plain = cfg.copy()
    with open_dict(plain):
        plain.train.resume = None
        plain.overrides = [line for line in cfg.overrides if not line.lstrip("+").startswith("train.resume=")]
    return plain, cfg.train.resume


def _fit(cfg: DictConfig, trainer: L.Trainer, parts: Parts, checkpoints: Checkpoints, state: OwnState) -> float:
    """Trains, and returns the seconds that it took, those before it was interrupted included."""
    started = time.perf_counter()
    try:
        with in_memory(lambda: short_of_memory.told(cfg, parts, trainer.strategy.root_device)):
            fit(trainer, parts)
    except DivergedError:  # as it would again
        state.remove()
        raise
    except SystemExit as stop:  # Lightning's way to tell of Ctrl-C and SIGTERM
        raise KeyboardInterrupt from stop
    if trainer.interrupted:
        raise KeyboardInterrupt
    return checkpoints.earlier_s + time.perf_counter() - started
