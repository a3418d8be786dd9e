"""What runs in a worker process."""

import contextlib
import io
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from medfit.errors import StoreError, UserError
from medfit.study.trial_plan import TrialPlan
from medfit.terminal.console import console
from medfit.workers.devices import Device

NEXT = "next"  # the supervisor's word for: take a trial
ENDED = 128 + signal.SIGTERM  # the status of a process that ended as it was asked to
REPORT_S = 0.1  # between two reports of a worker


def main(connection: Connection, plan: TrialPlan, name: str, device: Device, folder: str) -> None:
    """Runs a trial for each word from the supervisor, until there is no supervisor."""
    _be_first_to_go()
    tempfile.tempdir = folder
    device.take()
    lock = threading.Lock()

    def send(kind: str, content: Any) -> None:
        with lock:  # the run's writer speaks, too
            connection.send((kind, content))

    console.file = _Lines(send)  # type: ignore[assignment]
    from medfit.workers import worker  # late: a quick start

    last = 0.0

    def begin(number: int) -> None:
        send("began", number)

    def report(unit: str, done: int, of: int, score: float) -> None:
        nonlocal last
        if time.monotonic() - last > REPORT_S or done == of:
            last = time.monotonic()
            send("epoch", (unit, done, of, score))

    study = None
    while _word(connection):
        try:
            study = study or worker.open_study(plan, name)
            trial = worker.run_next(study, plan, report, begin)
            send("ended", trial)
        except StoreError as error:
            send("away", str(error))
        except UserError as error:
            send("refused", str(error))
        except KeyboardInterrupt as interruption:  # SIGTERM while it trained, whose state is written by now
            raise SystemExit(ENDED) from interruption


class _Lines(io.TextIOBase):
    """Hands what a worker says to the supervisor, which has the terminal."""

    def __init__(self, send: Callable[[str, Any], None]) -> None:
        self._send = send

    def write(self, text: str) -> int:
        """Sends a line."""
        if text.strip():
            self._send("said", text.strip())
        return len(text)


def _word(connection: Connection) -> bool:
    """Returns whether a trial is to be taken; not if there is no supervisor any more."""
    try:
        return connection.recv() == NEXT
    except EOFError:
        return False


def _be_first_to_go() -> None:
    """Makes a system that is short of memory end this process rather than its supervisor."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
