"""Live progress of what is read or predicted, sample by sample."""

import time
from typing import Any

from medfit.terminal.progress import bar


class SampleBar:
    """Shows how many samples are done, from the first batch on, unless that is all of them.

    Args:
        unit: What is counted.
        wait_s: That pass before anything is shown.
    """

    def __init__(self, unit: str = "samples", wait_s: float = 0.0) -> None:
        self._bar, self._starts_s = bar(unit), time.monotonic() + wait_s
        self._task = self._bar.add_task("", note="")

    def __enter__(self) -> "SampleBar":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar.live.is_started:
            self._bar.stop()

    def show(self, done: int, total: int) -> None:
        """Shows how many of how many samples are done."""
        if done < total and time.monotonic() >= self._starts_s:
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)
