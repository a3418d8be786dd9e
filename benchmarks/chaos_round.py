"""One round of the fault benchmark: a sweep of short trials as real processes, and what was seen of it."""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
NUM_TRIALS = 7
MOST_RESTARTS = 4
LONGEST_S = 180  # that a command may take
JITTER_S = 1.0  # a fault comes at any time in as long after a trial's end
START_UP_S = 5.0  # and a start-up is hit at any time in as long
IN_START_UP = 0.2  # share of faults that hit a start-up
FROM_NOTHING = 0.2  # share of rounds that make their tracking database
MARK = "MEDFIT_CHAOS"  # the environment variable by which a round's processes are found
BASE = ["experiment=", "dataset=breast_cancer", "regime=smoke", "sweep=smoke", "regime.accelerator=cpu"]
Seen = dict[int, tuple[Any, ...]]  # by a trial's number: state, value and params


class Round:
    """A sweep that something happens to.

    Args:
        number: Of the round; with the seed it determines every choice.
        seed: Of the benchmark.
        folder: For all that the round leaves; its path must be short, for sockets lie in it.
        template: An empty tracking database, which most rounds begin with.
    """

    def __init__(self, number: int, seed: int, folder: Path, template: Path) -> None:
        self.number, self.folder, self.name = number, folder, f"round-{number}"
        self.random = random.Random(f"{seed} {number}")
        self.template = template if self.random.random() >= FROM_NOTHING else None
        self.output, self.scratch = folder / "runs", folder / "tmp"
        # half the rounds have trials of a second, which are hit themselves; the others', which are short, between them
        self.good = self.random.choice(["none", "slow"])
        self.faults, self.batch_sizes = [self.good] * NUM_TRIALS, [64] * NUM_TRIALS
        self.settings: list[str] = []
        self.restarts = self.status = 0
        self.logs: dict[int, Path] = {}  # by a command's process
        self.seen: Seen = {}
        self.problems: list[str] = []
        self.stack = ExitStack()

    @property
    def overrides(self) -> list[str]:
        """What the command line says."""
        return [
            *BASE,
            *("tracking.plots=false", "sweep.workers=2", f"sweep.num_trials={NUM_TRIALS}", f"sweep.name={self.name}"),
            *("model._target_=faulty.Faulty", "+model.fault=none"),
            f"+sweep.space.model.fault.choices=[{','.join(sorted(set(self.faults)))}]",
            *(f"sweep.start=[{self.folder / 'points.csv'}]", f"output_dir={self.output}"),
            *self.settings,
        ]

    def start(self, *arguments: str) -> psutil.Popen:
        """Starts the sweep's command, or another one, beside those that run."""
        if not self.logs:
            self._furnish()
        paths = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
        own = {"PYTHONPATH": paths, "TMPDIR": str(self.scratch), "OMP_NUM_THREADS": "1", MARK: str(self.folder)}
        path = self.folder / f"{len(self.logs) + 1}.log"
        with path.open("w") as log:
            process = psutil.Popen(
                [sys.executable, "-m", "medfit", *(arguments or ("sweep", *self.overrides))],
                env={**os.environ, **own},
                cwd=HERE.parent,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.logs[process.pid] = path
        return process

    def moment(self, process: psutil.Popen, after: Sequence[int] = range(NUM_TRIALS - 1)) -> bool:
        """Waits for a random moment of a command's life, and looks at its study; tells whether it still runs.

        Args:
            process: The command.
            after: How many trials may have ended by then.
        """
        early, count = self.random.random() < IN_START_UP, self.random.choice(after)
        delay = self.random.uniform(0, START_UP_S if early else JITTER_S)
        while not early and process.is_running() and len(self._read()) < count and process.poll() is None:
            time.sleep(0.05)
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(delay)
        self.look()
        return process.poll() is None

    def end(self, process: psutil.Popen, *expected: int) -> None:
        """Waits for a command's end; its status should be among those expected, and it should end without a traceback.

        Args:
            process: The command.
            *expected: 0 if none is given.
        """
        log = self.logs[process.pid]
        try:
            self.status = int(process.wait(LONGEST_S))
        except psutil.TimeoutExpired:
            self.problems.append(f"{log.name}: the command did not end in {LONGEST_S} s")
            kill_all(tree(process))
            self.status = int(process.wait())
        else:
            if self.status not in (expected or (0,)):
                self.problems.append(f"{log.name}: the command ended with status {self.status}")
        if self.status != -signal.SIGINT and "Traceback (most recent call last)" in log.read_text():
            self.problems.append(f"{log.name} has a traceback")
        self.look()

    def finish(self) -> None:
        """Runs the same command until it ends well, unless it has."""
        while self.status != 0 or self.kept():
            if self.restarts == MOST_RESTARTS:
                self.problems.append(f"run again {MOST_RESTARTS} times, the command still ends with {self.status}")
                return
            self.restarts += 1
            self.end(self.start(), 0, 2)

    def look(self) -> None:
        """Reads the trials that have ended, and compares them with what was seen before."""
        now = self._read()
        for number, before in self.seen.items() if now else ():
            if now.get(number) != before:
                self.problems.append(f"trial {number} was {before}, and is {now.get(number)}")
        self.seen |= now

    def running(self) -> set[int]:
        """Returns the numbers of the trials that the study takes for running."""
        (rows,) = _ask(self.output / "optuna.db", "SELECT number FROM trials WHERE state = 'RUNNING'")
        return {number for (number,) in rows}

    def alive(self) -> list[psutil.Process]:
        """Returns the processes of this round, whoever their parent is by now."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def kept(self) -> list[Path]:
        """Returns the writes that wait for the tracking server."""
        return [path for path in (self.output / "outbox").glob("*/*.json") if path.parent.name != "refused"]

    def _furnish(self) -> None:
        self.scratch.mkdir(parents=True, exist_ok=True)
        if self.template:
            self.output.mkdir(parents=True)
            shutil.copy(self.template, self.output / "mlflow.db")
        rows = [f"{fault},{size}\n" for fault, size in zip(self.faults, self.batch_sizes, strict=True)]
        (self.folder / "points.csv").write_text("model.fault,regime.batch_size\n" + "".join(rows))

    def _read(self) -> Seen:
        """Returns the trials that have ended; nothing where the database can't be read at the moment."""
        ended, values, params = _ask(
            self.output / "optuna.db",
            "SELECT trial_id, number, state FROM trials WHERE state IN ('COMPLETE', 'PRUNED', 'FAIL')",
            "SELECT trial_id, value FROM trial_values",
            "SELECT trial_id, param_name, param_value FROM trial_params ORDER BY param_name",
        )
        return {
            number: (state, *(tuple(row[1:]) for rows in (values, params) for row in rows if row[0] == trial_id))
            for trial_id, number, state in ended
        }


def tree(process: psutil.Process) -> list[psutil.Process]:
    """Returns a process and all that it started, itself first."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def workers(process: psutil.Process) -> list[psutil.Process]:
    """Returns a sweep's workers: they are copies of a child of the command."""
    try:
        return [worker for child in process.children() for worker in child.children()]
    except psutil.NoSuchProcess:
        return []


def kill_all(processes: Sequence[psutil.Process]) -> None:
    """Ends processes at once."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def _ask(path: Path, *queries: str) -> list[list[Any]]:
    """Asks a SQLite file several things of one moment; each answer is empty where it can't be read."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.execute("BEGIN")
            return [database.execute(query).fetchall() for query in queries]
    except sqlite3.Error:
        return [[] for _ in queries]
