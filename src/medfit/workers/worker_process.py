"""What runs in a worker process."""

import contextlib
import io
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from medfit.errors import StoreError, UserError
from medfit.study.trial_plan import TrialPlan
from medfit.terminal.console import console
from medfit.tracking import store
from medfit.tracking.store import Made, Store
from medfit.workers.devices import Device

NEXT = "next"  # the supervisor's word for: take a trial
REPORT_S = 0.1  # between two reports of a worker


def main(connection: Connection, plan: TrialPlan, name: str, device: Device, folder: str) -> None:
    """Runs a trial for each word from the supervisor, until there is no supervisor."""
    _be_first_to_go()
    tempfile.tempdir = folder
    device.take()
    console.file = _Lines(connection)  # type: ignore[assignment]
    from medfit.workers import worker

    runs = Runs(connection)
    store.leave_to_others(plan.cfg, runs.of)
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
            trial = worker.run_next(study, plan, report, runs.ask)
            runs.settle(plan.cfg, trial)
            connection.send(("ended", trial))
        except StoreError as error:
            connection.send(("away", str(error)))
        except UserError as error:
            connection.send(("refused", str(error)))


class Runs:
    """MLflow's runs of this worker's trials, which the supervisor makes while the worker prepares.

    Args:
        connection: To the supervisor.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._number = connection, -1

    def ask(self, number: int) -> None:
        """Tells the supervisor of a trial that begins; it answers with a run."""
        self._connection.send(("began", number))
        self._number = number

    def of(self, tags: Mapping[str, str]) -> Made | None:
        """Returns the run that was made for the trial that the tags tell; None if there is none, or it is in use."""
        if tags.get("kind") != "trial" or tags["trial"] != str(self._number):
            return None
        self._number = -1
        return self._connection.recv()

    def settle(self, cfg: DictConfig, trial: FrozenTrial | None) -> None:
        """Ends the run of a trial that failed before it was in use."""
        if trial and (made := self.of({"kind": "trial", "trial": str(trial.number)})):
            Store(cfg).close(made[0], "FAILED", trial.user_attrs.get("failure"))


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
    """Returns whether a trial is to be taken; not if there is no supervisor any more."""
    try:
        while connection.recv() != NEXT:  # a run of a trial that was given back
            pass
    except EOFError:
        return False
    return True


def _be_first_to_go() -> None:
    """Makes a system that is short of memory end this process rather than its supervisor."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
