"""Live progress of predictions."""

from typing import Any

from medfit.terminal.progress import bar


class SampleBar:
    """Shows how many samples are predicted, from the first batch on, unless that is all of them."""

    def __init__(self) -> None:
        self._bar = bar("samples")
        self._task = self._bar.add_task("", note="")

    def __enter__(self) -> "SampleBar":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar.live.is_started:
            self._bar.stop()

    def show(self, done: int, total: int) -> None:
        """Shows how many of how many samples are done."""
        if done < total:
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)
