"""A callback that shows what a training reached, epoch by epoch."""

from lightning.pytorch.callbacks import Callback


class Curves(Callback):
    """Keeps the losses and scores of each epoch in ``found``."""

    def __init__(self):
        self.found = []

    def on_train_epoch_end(self, trainer, module):
        self.found.append({name: float(value) for name, value in trainer.callback_metrics.items()})
