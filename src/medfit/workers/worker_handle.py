"""A worker process, as its supervisor sees it."""

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import Any

import psutil

from medfit.study.repair import Reason
from medfit.study.trial_plan import TrialPlan
from medfit.terminal.console import say
from medfit.terminal.progress import WorkerState
from medfit.tracking import process
from medfit.training.stopping import grace_s
from medfit.workers import fork_server, worker_process
from medfit.workers.devices import Device

MIB = 2**20


class WorkerHandle:
    """Starts a worker process, talks to it, and starts another when it ends.

    Args:
        plan: Of the study.
        study: Its name.
        device: What the worker may use.
        folder: For its temporary files.
    """

    def __init__(self, plan: TrialPlan, study: str, device: Device, folder: str) -> None:
        self._arguments = plan, study, device, folder
        self.sweep, self._grace_s = plan.cfg.sweep, grace_s(plan.cfg.regime.checkpoint_every_min)
        self.start()

    def start(self) -> None:
        """Starts a process, idle."""
        self._helper = fork_server.helper()
        self._connection, self._process = self._helper.connection, self._helper.process
        self._helper.begin(worker_process.main, *self._arguments, talks=True)
        self.identity = ""  # of a process that has ended already, as will be noticed
        with contextlib.suppress(psutil.NoSuchProcess):
            self.identity = process.identity(self._process.pid)
        self.state, self.busy, self._since = WorkerState(), False, time.monotonic()

    def start_trial(self) -> None:
        """Lets the worker take the study's next trial."""
        self._tell(worker_process.NEXT)
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

    def why_ended(self) -> Reason:
        """Returns why the process ended by itself."""
        self._process.join()
        code = self._process.exitcode or 0
        if code >= 0:
            return Reason(f"its process ended with status {code}", "attempt")
        name = signal.Signals(-code).name
        hint = "; perhaps the machine was short of memory" if name == "SIGKILL" else ""
        return Reason(f"its process was ended by {name}{hint}", "attempt")

    def interrupt(self) -> bool:
        """Asks the process to end once its training's state is written; tells whether that is worth waiting for."""
        trained_s = time.monotonic() - self._since if self.busy and self.state.trial is not None else 0.0
        if trained_s < self._grace_s:
            return False
        self._process.terminate()
        return True

    def kill(self) -> None:
        """Ends the process at once, and those that it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self._helper.end()

    def _tell(self, word: Any) -> None:
        with contextlib.suppress(OSError):  # of a process that has just ended, as will be noticed
            self._connection.send(word)

    def _memory_gib(self) -> float:
        try:
            return psutil.Process(self._process.pid).memory_info().rss / MIB / 1024
        except psutil.NoSuchProcess:
            return 0.0
