"""Live progress of one training."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from medfit.terminal.progress import bar


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

    def on_train_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Moves on by an epoch."""
        if trainer.logger is not None:
            self.run_id = str(trainer.logger.version)
        score = trainer.callback_metrics.get(self.monitor)
        note = "" if score is None else f"{self.monitor} {float(score):.4f}"
        self._bar.update(self._task, completed=trainer.current_epoch + 1, note=note)
