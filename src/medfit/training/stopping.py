"""Interruptions that wait until a training's state is written."""

import math
import signal
import threading
from types import FrameType
from typing import Any, Protocol

GRACE_S = 60.0  # of a training, in which an interruption loses so little that nothing is written
HEARD = ("SIGINT", "SIGTERM", "SIGUSR1")  # Ctrl-C, a system's end, and a scheduler's word that the time is nearly up


def grace_s(every_min: float) -> float:
    """Returns after how many seconds of a training an interruption waits for its state.

    Args:
        every_min: Minutes from one state to the next; 0 for none, for which nothing waits.
    """
    return min(GRACE_S, 60 * every_min) if every_min > 0 else math.inf


class Waiting(Protocol):
    """What an interruption waits for: ``active`` tells whether it may, ``stopping`` is set for it."""

    @property
    def active(self) -> bool:
        """Whether there is something worth waiting for."""
        ...

    stopping: bool


class Signals:
    """Lets the first signal of a training end it once its state is written; a second one ends it at once.

    In a training's first minute, where there is nothing to write, each means what it meant before; so does one that is
    ignored, as Ctrl-C by a script's background job.

    Args:
        waiting: The training.
    """

    def __init__(self, waiting: Waiting) -> None:
        self._waiting, self._before = waiting, dict[int, Any]()

    def listen(self) -> None:
        """Begins; after Lightning has begun, which would end an epoch too early."""
        if threading.current_thread() is not threading.main_thread():  # which alone hears of signals
            return
        for number in (getattr(signal, name) for name in HEARD if hasattr(signal, name)):
            if (before := signal.getsignal(number)) not in (signal.SIG_IGN, None):
                self._before[number] = before
                signal.signal(number, self._hear)

    def leave(self) -> None:
        """Ends; Lightning may have ended it for Ctrl-C, so that none disturbs the end of a run."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._hear:
                signal.signal(number, before)
        self._before.clear()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._waiting.active and not self._waiting.stopping:
            self._waiting.stopping = True
        elif callable(before := self._before.get(number)):
            before(number, frame)
        else:
            raise KeyboardInterrupt
