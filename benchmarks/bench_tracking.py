"""Rows of what keeping track costs: the share of a trial in which it waits for MLflow and Optuna."""

import atexit
import functools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

from bench_sweeps import SETTINGS, SHORT
from bench_table import Result
from bench_timers import Place, Waits

MOST_SHORT, MOST_LONG = 10.0, 1.0  # per cent
NUM_SHORT, NUM_WARM = 20, 1  # trials of a sweep; the first one still imports, and is not counted
LONG_S = 60.0
PROBE_S, FIRST_EPOCHS, MORE = 5.0, 4, 4  # trials get MORE times longer until one tells how many epochs take a minute
FILE = "MEDFIT_BENCH_TRIALS"  # the environment's, with the path of the file that workers write to
PRELOADED = "medfit.workers.preload"  # what worker processes come from has imported
FULL = ["regime.patience=null", "sweep/pruner=none"]  # a trial that runs to its end
LONG = {
    "mlp": SETTINGS,  # whose epochs are many, each with a write
    "unet": ["experiment=", "dataset=mni_tissue", "model=unet"],
}


@dataclass(frozen=True)
class Tracked:
    """A trial, and its tracking.

    Args:
        seconds: Of the trial, from taking it to telling its end.
        waited: Seconds in which it waited for a store.
        elsewhere: Processor seconds of stores in other threads.
        epochs: That it ran.
    """

    seconds: float
    waited: float
    elsewhere: float
    epochs: int


def short(repeats: int, seed: int) -> list[Result]:
    """Returns the row of trials of 20 epochs of the smallest network."""
    own = [*SETTINGS, *SHORT, f"seed={seed}"]
    means = [_mean(run(own, NUM_SHORT)[NUM_WARM:]) for _ in range(repeats)]
    what = f"waiting for MLflow and Optuna, share of the trials of a sweep of {NUM_SHORT}, each 20 epochs of the MLP"
    return [_row("tracking", what, MOST_SHORT, means)]


def _mean(trials: Sequence[Tracked]) -> Tracked:
    return Tracked(*(fmean(values) for values in zip(*map(astuple, trials), strict=True)))


def long(repeats: int, seed: int) -> list[Result]:
    """Returns the rows of trials of a minute, each the first of a sweep."""
    return [_long(family, lines, repeats, seed) for family, lines in LONG.items()]


def _long(family: str, lines: Sequence[str], repeats: int, seed: int) -> Result:
    own = [*lines, f"seed={seed}", "sweep.start=[own]"]
    epochs = FIRST_EPOCHS
    while (probe := run([*own, f"regime.epochs={epochs}"], 1)[0]).seconds < PROBE_S:
        epochs *= MORE
    epochs = max(1, round(LONG_S / probe.seconds * epochs))
    trials = [run([*own, f"regime.epochs={epochs}"], 1)[0] for _ in range(repeats)]
    what = f"the same, of a trial of a minute: {family}, {trials[0].epochs} epochs"
    return _row("tracking-long", what, MOST_LONG, trials)


def _row(name: str, what: str, limit: float, trials: Sequence[Tracked]) -> Result:
    shares = [100 * trial.waited / trial.seconds for trial in trials]
    sides = {"trial": [trial.seconds for trial in trials], "waited": [trial.waited for trial in trials]}
    sides["in other threads"] = [trial.elsewhere for trial in trials]
    return Result(name, what, median(shares), shares, limit, sides, unit_measured="%")


def run(overrides: Sequence[str], num_trials: int) -> list[Tracked]:
    """Returns a sweep's trials, run by a worker process with timers in it, as :mod:`bench_worker` puts them on."""
    from medfit.config.compose import compose
    from medfit.sweep import sweep
    from medfit.workers import fork_server

    told = _told()
    told.write_text("")
    fork_server.context().set_forkserver_preload([PRELOADED, "bench_worker"])  # type: ignore[attr-defined]
    with TemporaryDirectory(prefix="bench-") as name:
        cfg = compose([*overrides, *FULL, f"sweep.num_trials={num_trials}", f"output_dir={Path(name)}"])
        sweep(cfg)
    found = [Tracked(**json.loads(line)) for line in told.read_text().splitlines()]
    if len(found) != num_trials:
        raise RuntimeError(f"{len(found)} of {num_trials} trials were timed")
    return found


@functools.cache
def _told() -> Path:
    """Returns the file to which the workers of this process's sweeps write."""
    path = Path(tempfile.mkdtemp(prefix="bench-")) / "trials.jsonl"
    os.environ[FILE] = str(path)
    here = [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]  # where they find bench_worker
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, here))
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    return path


def timed(waits: Waits, call: Callable[..., Any], write: Callable[[str], Any]) -> Callable[..., Any]:
    """Returns a function that runs the next trial as ``call`` does, and writes its :class:`Tracked` as a line."""

    def run_next(*args: Any, **kwargs: Any) -> Any:
        began, waited, elsewhere = time.perf_counter(), waits.seconds, waits.elsewhere
        trial = call(*args, **kwargs)
        if trial is not None:
            taken = time.perf_counter() - began, waits.seconds - waited, waits.elsewhere - elsewhere
            write(json.dumps(asdict(Tracked(*taken, max(trial.intermediate_values) + 1))) + "\n")
        return trial

    return run_next


def stores() -> Iterator[Place]:
    """Yields the functions by which MLflow's and Optuna's stores are opened, read and written."""
    from optuna.storages import BaseStorage

    from medfit.tracking.store import Store

    yield Store, "__init__"
    yield from ((Store, name) for name, member in vars(Store).items() if _is_public(name, member))
    for kind in (BaseStorage, *_below(BaseStorage)):
        yield from ((kind, name) for name, member in vars(kind).items() if _is_public(name, member))


def _below(kind: type) -> Iterator[type]:
    for own in kind.__subclasses__():
        yield own
        yield from _below(own)


def _is_public(name: str, member: Any) -> bool:
    return not name.startswith("_") and callable(member) and not isinstance(member, classmethod | staticmethod | type)
