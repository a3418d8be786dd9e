"""A worker process, as its supervisor sees it, and what runs in it."""

import contextlib
import io
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil

from medfit import process
from medfit.console import console, say
from medfit.errors import StoreError, UserError
from medfit.progress import WorkerState
from medfit.study import server
from medfit.study.devices import Device
from medfit.study.plan import Plan
from medfit.study.repair import Reason

REPORT_S = 0.1  # between two reports of a worker
MIB = 2**20


class Slot:
    """A place for a worker process; another takes it when one ends.

    Args:
        plan: Of the study.
        study: Its name.
        device: What the worker may use.
        folder: For its temporary files.
    """

    def __init__(self, plan: Plan, study: str, device: Device, folder: str) -> None:
        self._arguments = plan, study, device, folder
        self.sweep = plan.cfg.sweep
        self.start()

    def start(self) -> None:
        """Starts a process, idle."""
        self._connection, other = server.context().Pipe()
        self._process = server.context().Process(  # type: ignore[attr-defined]
            target=_main, args=(other, *self._arguments), daemon=True
        )
        self._process.start()
        other.close()
        self.identity = ""  # of a process that has ended already, as will be noticed
        with contextlib.suppress(psutil.NoSuchProcess):
            self.identity = process.identity(self._process.pid)
        self.state, self.busy, self._since = WorkerState(), False, time.monotonic()

    def give(self) -> None:
        """Lets the worker take the study's next trial."""
        with contextlib.suppress(OSError):  # of a process that has just ended, as will be noticed
            self._connection.send("next")
        self.busy, self._since = True, time.monotonic()

    @property
    def sources(self) -> tuple[Any, ...]:
        """What becomes ready when there is something to hear."""
        return self._connection, self._process.sentinel

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def messages(self) -> Iterator[tuple[str, Any]]:
        """Yields what the worker has said; its epochs are kept here."""
        with contextlib.suppress(EOFError, OSError):
            while self._connection.poll():
                kind, content = self._connection.recv()
                if kind == "epoch":
                    self.state.unit, self.state.epoch, self.state.num_epochs, self.state.score = content
                    continue
                if kind == "said":
                    say(content)
                    continue
                if kind == "began":
                    self.state, self._since = WorkerState(trial=content), time.monotonic()
                else:
                    self.state, self.busy = WorkerState(), False
                yield kind, content

    def exceeds(self) -> Reason | None:
        """Returns the limit that the running trial exceeds, if any."""
        if not self.busy:
            return None
        limit = self.sweep.trial_timeout_s
        if limit and self.state.trial is not None and time.monotonic() - self._since > limit:
            return Reason(f"it took longer than sweep.trial_timeout_s={limit:g}", "never")
        limit = self.sweep.trial_memory_gib
        if limit and self._memory_gib() > limit:
            return Reason(f"out of memory: it took more than sweep.trial_memory_gib={limit:g}", "half")
        return None

    def end(self) -> Reason:
        """Returns why the process ended by itself."""
        self._process.join()
        code = self._process.exitcode or 0
        if code >= 0:
            return Reason(f"its process ended with status {code}", "attempt")
        name = signal.Signals(-code).name
        hint = "; perhaps the machine was short of memory" if name == "SIGKILL" else ""
        return Reason(f"its process was ended by {name}{hint}", "attempt")

    def kill(self) -> None:
        """Ends the process at once, and those that it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _memory_gib(self) -> float:
        try:
            return psutil.Process(self._process.pid).memory_info().rss / MIB / 1024
        except psutil.NoSuchProcess:
            return 0.0


def _main(connection: Connection, plan: Plan, name: str, device: Device, folder: str) -> None:
    """Runs a trial for each word from the supervisor, until there is no supervisor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides what Ctrl-C means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    _be_first_to_go()
    tempfile.tempdir = folder
    device.take()
    console.file = _Lines(connection)  # type: ignore[assignment]
    from medfit import store
    from medfit.study import worker

    store.leave_sending_to_others(plan.cfg)
    last = 0.0

    def report(unit: str, done: int, of: int, score: float) -> None:
        nonlocal last
        if time.monotonic() - last > REPORT_S or done == of:
            last = time.monotonic()
            connection.send(("epoch", (unit, done, of, score)))

    study = None
    while _word(connection):
        try:
            study = study or worker.open_study(plan, name)
            trial = worker.run_next(study, plan, report, lambda number: connection.send(("began", number)))
            connection.send(("ended", trial))
        except StoreError as error:
            connection.send(("away", str(error)))
        except UserError as error:
            connection.send(("refused", str(error)))


class _Lines(io.TextIOBase):
    """Hands what a worker says to the supervisor, which has the terminal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, text: str) -> int:
        """Sends a line."""
        if text.strip():
            self._connection.send(("said", text.strip()))
        return len(text)


def _word(connection: Connection) -> bool:
    try:
        return bool(connection.recv())
    except EOFError:
        return False


def end_with_parent() -> None:
    """Ends this process when its supervisor ends, however that comes about."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _be_first_to_go() -> None:
    """Makes a system that is short of memory end this process rather than its supervisor."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
