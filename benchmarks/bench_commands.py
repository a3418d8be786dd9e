"""Rows of what a user waits for at the command line, each measurement a process of its own."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_sweeps import warm_up
from bench_table import Result, difference, single

MEDFIT = [sys.executable, "-m", "medfit"]
MISTAKES = {"unknown key": "regime.epoch=1", "wrong value": "model.dropout=2"}
IMPORTS = "import torch, lightning; from mlflow import MlflowClient"
BARE = [sys.executable, "-c", f"{IMPORTS}; import time; print('first step', time.time())"]
LAUNCH = [sys.executable, str(Path(__file__).with_name("bench_launch.py")), "train"]


def seconds(command: Sequence[str], status: int = 0) -> float:
    """Returns the seconds of a command.

    Raises:
        RuntimeError: it ends with another status.
    """
    began = time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True)
    taken = time.perf_counter() - began
    if ended.returncode != status:
        raise RuntimeError(f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return taken


def until_step(command: Sequence[str]) -> float:
    """Returns the seconds from a command's start to the time that it prints."""
    began = time.time()
    told = subprocess.run(command, capture_output=True, text=True)
    _, found, when = told.stdout.rpartition("first step ")
    if not found:
        raise RuntimeError(f"{' '.join(command)} took no step: {told.stderr[-2000:]}")
    return float(when.split()[0]) - began


def usage(repeats: int, seed: int) -> list[Result]:
    """Returns the row of ``medfit --help``."""
    command = [*MEDFIT, "--help"]
    seconds(command)
    return [single("help", "`medfit --help`, whole process", 0.3, [seconds(command) for _ in range(repeats)])]


def mistakes(repeats: int, seed: int) -> list[Result]:
    """Returns a row for each kind of mistake in a config."""
    found = []
    with TemporaryDirectory(prefix="bench-") as name:
        for kind, override in MISTAKES.items():
            command = [*MEDFIT, "train", override, f"output_dir={name}"]
            seconds(command, 2)
            what = f"`medfit train {override}` ({kind}), whole process"
            found.append(single("mistake", what, 2.0, [seconds(command, 2) for _ in range(repeats)]))
    return found


def starts(repeats: int, seed: int) -> list[Result]:
    """Returns the rows of the first run in an output folder and of a later one, up to their first steps."""
    warm_up()
    sides: dict[str, list[float]] = {"second run": [], "first run": [], "imports": []}
    for _ in range(repeats):
        with TemporaryDirectory(prefix="bench-") as name:
            command = [*LAUNCH, f"seed={seed}", f"output_dir={name}"]
            sides["first run"].append(until_step(command))
            sides["second run"].append(until_step(command))
        sides["imports"].append(until_step(BARE))
    what = "`medfit train` up to its first step, beyond the imports of torch, lightning and MLflow's client"
    where = {"second run": "its database is there", "first run": "its database has to be made"}
    return [
        difference("start", f"{what}; {about}", 0.5, {side: sides[side], "imports": sides["imports"]})
        for side, about in where.items()
    ]
