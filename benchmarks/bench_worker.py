"""Timers in a sweep's worker processes: imported by the process that these are copies of."""

import os
from contextlib import ExitStack
from pathlib import Path

from bench_timers import Waits, replaced
from bench_tracking import FILE, stores, timed

from medfit.workers import worker

kept = ExitStack()  # the timers stay on


def write(line: str) -> None:
    """Adds a line to the file."""
    with Path(os.environ[FILE]).open("a") as file:
        file.write(line)


def install() -> None:
    """Puts the timers on."""
    waits = Waits()
    kept.enter_context(replaced(list(stores()), waits.timed))
    kept.enter_context(replaced([(worker, "run_next")], lambda call, _: timed(waits, call, write)))


if FILE in os.environ:
    install()
