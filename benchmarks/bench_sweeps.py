"""Sweeps of the default experiment, each a process of its own with a fresh output folder; its trials and memory."""

import functools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# the default experiment's data set and model, named by themselves: no best.yaml is written
SETTINGS = ["experiment=", "dataset=breast_cancer", "model=mlp"]
SHORT = ["regime.epochs=20"]
SAMPLE_S = 1.0  # between two looks at memory, each of which stops the process for a moment
MIB = 2**20


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Args:
        values: By config path.
        epochs: That it ran.
        begun: Seconds since 1970.
        ended: Likewise.
    """

    values: dict[str, Any]
    epochs: int
    begun: float
    ended: float


@dataclass(frozen=True)
class Sweep:
    """A sweep that has ended.

    Args:
        seconds: Of the whole process.
        trials: In the order of their ends.
        memory: Seconds since 1970 and MiB of all its processes, at each look.
    """

    seconds: float
    trials: list[Trial]
    memory: list[tuple[float, float]]

    @property
    def phase(self) -> float:
        """Seconds from the first trial's start to the last one's end."""
        return self.trials[-1].ended - min(trial.begun for trial in self.trials)

    def peak(self, num_trials: int) -> float:
        """Returns the most MiB until so many trials had ended."""
        return max(mib for when, mib in self.memory if when <= self.trials[num_trials - 1].ended)


def sweep(folder: Path, overrides: Sequence[str], watch: bool = False) -> Sweep:
    """Runs a sweep.

    Args:
        folder: For its output.
        overrides: Beside :data:`SETTINGS`.
        watch: Whether to look at its memory.
    """
    command = [sys.executable, "-m", "medfit", "sweep", *SETTINGS, *overrides, f"output_dir={folder}"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    memory: list[tuple[float, float]] = []
    watcher = threading.Thread(target=_watch, args=(process, memory)) if watch else None
    if watcher:
        watcher.start()
    _, words = process.communicate()
    seconds = time.perf_counter() - began
    if watcher:
        watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {words[-2000:]}")
    return Sweep(seconds, read(folder), memory)


@contextmanager
def kept_to(cores: Sequence[int]) -> Iterator[None]:
    """Keeps this process, and those that it starts, to some cores for a while (Linux)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def read(folder: Path) -> list[Trial]:
    """Returns the trials of the one study in an output folder, in the order of their ends."""
    import optuna

    address = f"sqlite:///{folder / 'optuna.db'}"
    (name,) = optuna.get_all_study_names(address)
    made = [
        Trial(t.params, max(t.intermediate_values) + 1, t.datetime_start.timestamp(), t.datetime_complete.timestamp())
        for t in optuna.load_study(study_name=name, storage=address).trials
        if t.intermediate_values and t.datetime_start and t.datetime_complete
    ]
    return sorted(made, key=lambda trial: trial.ended)


def _watch(process: Any, memory: list[tuple[float, float]]) -> None:
    """Notes the memory of a process and all below it until it ends."""
    import psutil

    root = psutil.Process(process.pid)
    while process.poll() is None:
        when, mib = time.time(), 0.0
        try:
            family = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for one in family:
            mib += _own_mib(one)
        memory.append((when, mib))
        time.sleep(max(0.0, SAMPLE_S - (time.time() - when)))


def _own_mib(process: Any) -> float:
    """Returns a process's memory; what it shares with others counts as its share (PSS), or not at all (USS)."""
    import psutil

    try:
        info = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
    return getattr(info, "pss", info.uss) / MIB


@functools.cache
def warm_up() -> None:
    """Runs one short sweep that is not timed: Python's bytecode and medfit's caches are made by then."""
    with TemporaryDirectory(prefix="bench-") as name:
        sweep(Path(name), ["sweep.num_trials=1", "regime.epochs=1"])
