"""When the state of a training is written: at intervals, and before it is interrupted."""

import time
from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from medfit.data.batches import Shuffled
from medfit.terminal.console import say
from medfit.training import state, state_file
from medfit.training.state import State
from medfit.training.state_file import StateError
from medfit.training.stopping import Signals, grace_s

KEPT_S = 30.0  # from one state to the next that is kept in memory, where none can be taken within an epoch

Keep = Callable[[memoryview, int], None]  # a packed state, and the epoch that it is in


class Checkpoints(Callback):
    """Hands on the state of a training now and then, and takes up one that was kept.

    The fast loop's state is taken after any batch that made a step; that of Lightning's own loop, which keeps nothing
    of an epoch's means and batches, between two epochs.

    Args:
        order: Of the training batches.
        every_min: Minutes from one state to the next; 0 for none.
        keep: Writes a state; None for nothing to write, and nothing to go on from.
        clock: Seconds.

    Attributes:
        resumed: The state to go on from, if there is one.
        earlier_s: Seconds that it had trained for.
        curves: Returns what was logged, which belongs to the state.
        stopping: Whether the training is to end as soon as its state is written.
        within_epochs: Whether the loop asks for states within an epoch, as the fast one does.
    """

    def __init__(
        self, order: Shuffled, every_min: float, keep: Keep | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.order, self.every_s, self.keep, self._clock = order, 60 * every_min, keep, clock
        self.resumed: State | None = None
        self.earlier_s = 0.0
        self.curves: Callable[[], State] = dict
        self.stopping = self.within_epochs = False
        self._signals = Signals(self)
        self._started = self._next = float("inf")
        self._random: State | None = None  # where generators are to be when the first epoch begins
        self._in_memory: tuple[memoryview, int] | None = None
        self._next_in_memory = float("inf")

    @property
    def active(self) -> bool:
        """Whether the training has lasted long enough for an interruption to wait for its state."""
        return self.keep is not None and self._clock() >= self._started + self._grace

    @property
    def due(self) -> bool:
        """Whether a state is to be written at the next place where there is one."""
        return self.stopping or (self._clock() >= self._next and self.keep is not None)

    @property
    def _grace(self) -> float:
        return grace_s(self.every_s / 60)

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Takes up the state that was kept, which the first of several devices has, and looks at the clock."""
        if trainer.world_size > 1:
            self.resumed = trainer.strategy.broadcast(self.resumed)
        if self.resumed is not None:
            state.restore(trainer, self.order, self.resumed)
            alone = trainer.world_size == 1  # else each device draws its own numbers, anew in each epoch
            self._random, self.resumed = self.resumed["random"] if alone else None, None
        if self.keep is not None and self.every_s > 0:
            self._started = self._clock()
            self._next, self._next_in_memory = self._started + self.every_s, self._started + self._grace
            self._signals.listen()

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Writes the state between two epochs, if it is time."""
        if self._random is not None:
            state.draw_from(self._random)
            self._random = None  # this state is written, and may be one within the epoch
        elif self.due:
            self.write(trainer)
        elif not self.within_epochs and self.keep is not None and self._clock() >= self._next_in_memory:
            self._in_memory = self._packed(trainer)
            self._next_in_memory = self._clock() + KEPT_S

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        """Ends a training in Lightning's own loop that is to stop, with the state of its epoch's beginning."""
        if self.stopping and not self.within_epochs:
            self._hand_on(self._in_memory)
            raise KeyboardInterrupt

    def on_validation_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        """Does the same where a validation takes long."""
        self.on_train_batch_end(trainer, module)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Ends a training that was to stop when it was done."""
        self._signals.leave()
        self._in_memory = None
        if self.stopping:
            raise KeyboardInterrupt

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Lets signals mean what they meant before."""
        self._signals.leave()

    def write(self, trainer: L.Trainer, done: int = 0, random: State | None = None) -> None:
        """Writes the state, and ends the training if it is to stop.

        Args:
            trainer: That trains.
            done: Batches of this epoch that made their steps.
            random: Where generators were when the state was so, if they have moved since.

        Raises:
            KeyboardInterrupt: it is to stop.
        """
        self._in_memory = None
        self._hand_on(self._packed(trainer, done, random))
        if self.stopping:
            raise KeyboardInterrupt
        self._next = self._clock() + self.every_s
        self._next_in_memory = self._clock() + KEPT_S

    def _hand_on(self, packed: tuple[memoryview, int] | None) -> None:
        if self.keep is not None and packed is not None:
            self.keep(*packed)

    def _packed(self, trainer: L.Trainer, done: int = 0, random: State | None = None) -> tuple[memoryview, int] | None:
        """Returns the state and its epoch; None where it can't be stored, so that no other is tried."""
        captured = state.capture(trainer, self.order, done)
        captured["curves"], captured["seconds"] = self.curves(), self.earlier_s + self._clock() - self._started
        if random is not None:
            captured["random"] = random
        try:
            return state_file.packed(captured), trainer.current_epoch
        except StateError as error:
            say(f"The training's state can't be kept: {error}; it trains on, but could not go on after a kill")
            self.keep = None
            return None
