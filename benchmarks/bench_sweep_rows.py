"""Rows of whole sweeps."""

import functools
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench_sweeps import SETTINGS, SHORT, Sweep, Trial, kept_to, sweep, warm_up
from bench_table import Result, ratio, single

# so that both sides run the same trainings: neither the sampler nor a pruner looks at other trials
ALIKE = ["sweep/sampler=random", "sweep/pruner=none"]
NUM_TRIALS, NUM_LONG, NUM_PARALLEL = 20, 100, 40
FIRST = 5  # trials, after which memory is to stand still


def against_hand(repeats: int, seed: int) -> list[Result]:
    """Returns the row of a sweep against the loops that its trials are made of, in one process that imports torch."""
    warm_up()
    sides: dict[str, list[float]] = {"sweep": [], "by hand": []}
    for _ in range(repeats):
        with TemporaryDirectory(prefix="bench-") as name:
            made = sweep(Path(name), [f"seed={seed}", f"sweep.num_trials={NUM_TRIALS}"])
            sides["sweep"].append(made.seconds)
            sides["by hand"].append(_by_hand(Path(name), made.trials, seed))
    what = f"sweep of {NUM_TRIALS} trials, whole process, over their loops by hand and one import of torch"
    epochs = sum(trial.epochs for trial in made.trials)
    return [ratio("sweep", what, 2.0, sides, note=f"{epochs} epochs")]


def _by_hand(folder: Path, trials: Sequence[Trial], seed: int) -> float:
    """Returns the seconds of a process that trains what trials trained, without its import of the metrics."""
    import torch

    torch.save(given(trials, seed), folder / "given.pt")
    command = [sys.executable, str(Path(__file__).with_name("bench_replay.py")), str(folder / "given.pt")]
    began = time.perf_counter()
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - began - float(told.split()[1])


def given(trials: Sequence[Trial], seed: int) -> dict[str, Any]:
    """Returns what :mod:`bench_replay` reads: prepared tensors, and what each trial trained with."""
    cfg, tensors = _prepared(seed)
    values = [
        {
            "lr": trial.values["regime.optimizer.lr"],
            "weight_decay": trial.values["regime.optimizer.weight_decay"],
            "l1": trial.values["regime.l1"],
            "batch_size": trial.values["regime.batch_size"],
            "dropout": trial.values["model.dropout"],
            "epochs": trial.epochs,
            "planned_epochs": cfg.regime.epochs,
        }
        for trial in trials
    ]
    widths, metrics = list(cfg.model.widths), list(cfg.task.metrics)
    return {"tensors": tensors, "trials": values, "widths": widths, "metrics": metrics, "seed": seed}


@functools.cache
def _prepared(seed: int) -> tuple[Any, list[Any]]:
    from medfit.config.compose import compose
    from medfit.training.parts import prepare

    cfg = compose([*SETTINGS, f"seed={seed}"])
    module = prepare(cfg).datamodule
    return cfg, [tensor for split in ("train", "val") for tensor in module.arrays(split)]


@functools.cache
def long_sweeps(repeats: int, seed: int) -> list[Sweep]:
    """Returns sweeps of 100 short trials, whose memory was watched."""
    warm_up()
    found = []
    for _ in range(repeats):
        with TemporaryDirectory(prefix="bench-") as name:
            settings = [f"seed={seed}", *SHORT, f"sweep.num_trials={NUM_LONG}"]
            found.append(sweep(Path(name), settings, watch=True))
    return found


def further_trial(repeats: int, seed: int) -> list[Result]:
    """Returns the row of what a trial adds, once a sweep runs."""
    made = long_sweeps(repeats, seed)
    each = [(one.trials[-1].ended - one.trials[NUM_TRIALS - 1].ended) / (len(one.trials) - NUM_TRIALS) for one in made]
    what = f"each further trial of 20 epochs, from the end of trial {NUM_TRIALS} to that of trial {NUM_LONG}"
    return [single("trial", what, 0.25, each)]


def memory(repeats: int, seed: int) -> list[Result]:
    """Returns the row of the memory that a sweep takes as it goes on."""
    made = long_sweeps(repeats, seed)
    sides = {f"until trial {count}": [one.peak(count) for one in made] for count in (NUM_LONG, FIRST)}
    what = f"most memory of a sweep until trial {NUM_LONG}, over that until trial {FIRST}"
    return [ratio("memory", what, 1.05, sides, "MiB")]


def parallel(repeats: int, seed: int) -> list[Result]:
    """Returns the rows of what a second worker brings: on the same cores, and with a second core."""
    warm_up()
    cores = sorted(os.sched_getaffinity(0))[:2]
    given = {"one worker": (1, cores), "two workers": (2, cores), "one worker, one core": (1, cores[:1])}
    phases: dict[str, list[float]] = {side: [] for side in given}
    for _ in range(repeats):
        values = []
        for side, (count, own) in given.items():
            with TemporaryDirectory(prefix="bench-") as name, kept_to(own):
                settings = [f"seed={seed}", *ALIKE, f"sweep.num_trials={NUM_PARALLEL}", f"sweep.workers={count}"]
                made = sweep(Path(name), settings)
            phases[side].append(made.phase)
            values.append(sorted((trial.values["regime.optimizer.lr"], trial.epochs) for trial in made.trials))
        if not values[0] == values[1] == values[2]:
            raise RuntimeError("one and two workers did not run the same trainings")
    return [_over(phases, side) for side in ("one worker", "one worker, one core")]


def _over(phases: Mapping[str, Sequence[float]], side: str) -> Result:
    what = f"throughput of two workers on two cores over {side}, {NUM_PARALLEL} trials, from first start to last end"
    return ratio("workers", what, 1.8, {side: phases[side], "two workers": phases["two workers"]}, at_least=True)
