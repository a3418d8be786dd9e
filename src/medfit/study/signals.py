"""Ctrl-C, once or twice."""

import signal
import threading
from typing import Any

ENDS = 2  # signals after which nothing is waited for


class Stop:
    """Counts Ctrl-C while it is entered; SIGTERM counts as two."""

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for number, weight in ((signal.SIGINT, 1), (signal.SIGTERM, ENDS)):
                self._before[number] = signal.signal(number, lambda *_, weight=weight: self._add(weight))
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def now(self) -> bool:
        """Whether nothing is to be waited for."""
        return self.count >= ENDS

    def _add(self, weight: int) -> None:
        self.count += weight
