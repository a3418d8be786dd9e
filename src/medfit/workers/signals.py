"""Ctrl-C, once or twice, and other reasons to end."""

import signal
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medfit.study.budget import Budget
    from medfit.study.repair import Reason

ENDS = 2  # signals after which nothing is waited for
WEIGHTS = {signal.SIGINT: 1, signal.SIGTERM: ENDS}


class Stop:
    """Counts Ctrl-C while it is entered, unless this process ignores it, as a script's background job; SIGTERM is two.

    Args:
        weights: What each signal counts.
    """

    def __init__(self, weights: Mapping[signal.Signals, int] = WEIGHTS) -> None:
        self.count, self.heard = 0, set[int]()
        self._weights, self._before = weights, dict[int, Any]()

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for number in self._weights:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def now(self) -> bool:
        """Whether nothing is to be waited for."""
        return self.count >= ENDS

    @property
    def why(self) -> "Reason | None":
        """Why trials are cut off that still run; None: they were interrupted."""
        return None

    def look(self, budget: "Budget") -> None:
        """Looks for further reasons to end, each time that workers are looked at; here there are none."""

    def _hear(self, number: int, _: Any) -> None:
        self.heard.add(number)
        self.count += self._weights[signal.Signals(number)]
