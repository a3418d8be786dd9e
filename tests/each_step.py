"""Notes what there is to see at each step of an optimiser, of which Lightning's own step holds many."""

from lightning.pytorch.callbacks import Callback


class EachStep(Callback):
    """Calls ``note(trainer, task, optimizer)`` before each step."""

    def on_fit_start(self, trainer, task):
        for optimizer in trainer.optimizers:
            optimizer.register_step_pre_hook(lambda optimizer, *_: self.note(trainer, task, optimizer))
