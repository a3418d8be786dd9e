"""Live progress on the terminal."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from medfit.console import console, say


def bar(unit: str) -> Progress:
    """Returns a bar that shows how many units are done, a word on the best, and the time left."""
    return Progress(
        TextColumn(unit),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=False,
    )


class EpochBar(Callback):
    """Shows the epochs of one training and the monitored score."""

    def __init__(self, num_epochs: int, monitor: str) -> None:
        self.monitor, self.run_id = monitor, ""
        self._bar = bar("epochs")
        self._task = self._bar.add_task("", total=num_epochs, note="")

    def __enter__(self) -> "EpochBar":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar.live.is_started:
            self._bar.stop()

    def on_fit_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Shows the bar: what could be wrong with the config has been found by now."""
        self._bar.start()

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Moves on by an epoch."""
        if trainer.logger is not None:
            self.run_id = str(trainer.logger.version)
        score = trainer.callback_metrics.get(self.monitor)
        note = "" if score is None else f"{self.monitor} {float(score):.4f}"
        self._bar.update(self._task, completed=trainer.current_epoch + 1, note=note)


class TrialBar:
    """Shows the trials of a sweep, the best score and the time left; plain lines where there is no terminal."""

    def __init__(self, num_trials: int, objective: str) -> None:
        self.num_trials, self.objective = num_trials, objective
        self._bar = bar("trials")
        self._task = self._bar.add_task("", total=num_trials, note="")

    def __enter__(self) -> "TrialBar":
        return self

    def start(self, num_done: int) -> None:
        """Shows the bar, with the trials of earlier commands."""
        if console.is_terminal:
            self._bar.update(self._task, completed=num_done)
            self._bar.start()
        elif num_done:
            say(f"{num_done} of {self.num_trials} trials were done before")

    def __exit__(self, *_: Any) -> None:
        if self._bar.live.is_started:
            self._bar.stop()

    def on_trial(self, study: Any, trial: Any) -> None:
        """Moves on by a trial."""
        from medfit.sweep import done

        count = len(done(study))
        best = (
            f"best {self.objective} {study.best_value:.4f}"
            if any(t.state.name == "COMPLETE" for t in done(study))
            else ""
        )
        if console.is_terminal:
            self._bar.update(self._task, completed=count, note=best)
        else:
            score = "" if trial.value is None else f" {self.objective} {trial.value:.4f},"
            seconds = trial.duration.total_seconds() if trial.duration else 0.0
            say(f"trial {count}/{self.num_trials} {trial.state.name.lower()}:{score} {best} ({seconds:.1f} s)")
