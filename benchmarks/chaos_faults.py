"""The kinds of faults: each is a function that plays one round."""

import contextlib
import os
import signal
import time
from collections.abc import Callable

import psutil
from chaos_places import Places, fill, small_disk
from chaos_round import NUM_TRIALS, Round, kill_all, tree, workers
from chaos_trainings import TRAININGS

PATIENCE_S = 15  # for a sweep to end whose store is away
INTERRUPTED = (0, 130, -signal.SIGINT)  # the last: Python itself had not started yet
AWAY = (2, *INTERRUPTED, -signal.SIGKILL)  # what a command may end with that was without its store


def worker_killed(this: Round, places: Places) -> None:
    """Workers are killed, up to three times."""
    process = this.start()
    _kill_workers(this, process, this.random.randint(1, 3))
    this.end(process)


def sweep_killed(this: Round, places: Places) -> None:
    """The sweep is killed, with its workers or alone, once or twice."""
    for _ in range(this.random.randint(1, 2)):
        process = this.start()
        _kill_sweep(this, process)


def interrupted(this: Round, places: Places) -> None:
    """Ctrl-C once or twice, or SIGTERM."""
    _interrupt(this, this.start())


def trials_fail(this: Round, places: Places) -> None:
    """Trials raise, diverge, exit and kill their process."""
    this.faults = _mixed(this, "raise", "diverge", "exit", "kill")
    this.settings = ["sweep.num_retries=1"]
    this.end(this.start())


def memory(this: Round, places: Places) -> None:
    """Trials take more memory than they may, or than there is."""
    this.faults = _mixed(this, "memory", "large", "large")
    this.batch_sizes = [this.random.choice([16, 32, 128]) for _ in this.faults]
    this.settings = ["sweep.trial_memory_gib=1"]
    this.end(this.start())


def hang(this: Round, places: Places) -> None:
    """Trials hang."""
    this.faults = _mixed(this, *this.random.choice([["hang"], ["hang", "hang"]]))
    this.settings = ["sweep.trial_timeout_s=4"]
    this.end(this.start())


def server_away(this: Round, places: Places) -> None:
    """The tracking server is killed, and returns while the sweep waits, or after it ended or was killed, too."""
    server = places.server
    this.settings = [f"tracking.uri={server.uri}"]
    process = this.start()
    this.moment(process)
    server.stop()
    _without(this, process)
    server.start()
    this.end(process, *AWAY)


def disk_fills(this: Round, places: Places) -> None:
    """The disk fills up, and is freed while the sweep waits, or after it ended or was killed."""
    disk = this.stack.enter_context(small_disk(this.folder / "disk"))
    this.output = disk / "runs"
    if this.random.random() < 0.5:
        this.scratch = disk / "tmp"
    process = this.start()
    this.moment(process)
    filler = fill(disk)
    _without(this, process)
    filler.unlink()
    this.end(process, *AWAY)


def two_sweeps(this: Round, places: Places) -> None:
    """A second sweep joins, and one of the two is killed or interrupted."""
    this.faults = ["slow"] * NUM_TRIALS
    this.batch_sizes = [64] * NUM_TRIALS
    both = [this.start()]
    time.sleep(this.random.choice([0, this.random.uniform(0, 3)]))
    both.append(this.start())
    this.random.shuffle(both)
    victim, other = both
    if this.random.random() < 0.5:
        _kill_sweep(this, victim)
    else:
        _interrupt(this, victim)
    this.end(other)


def everything(this: Round, places: Places) -> None:
    """Trials fail, workers are killed, then the sweep is, then Ctrl-C."""
    this.faults = _mixed(this, "raise", "kill", "large")
    this.settings = ["sweep.num_retries=1"]
    process = this.start()
    _kill_workers(this, process, 1)
    _kill_sweep(this, process)
    _interrupt(this, this.start())


KINDS: dict[str, Callable[[Round, Places], None]] = {
    "worker-killed": worker_killed,
    "sweep-killed": sweep_killed,
    "interrupted": interrupted,
    "trials-fail": trials_fail,
    "memory": memory,
    "hang": hang,
    "server-away": server_away,
    "disk-fills": disk_fills,
    "two-sweeps": two_sweeps,
    **TRAININGS,
    "everything": everything,
}
MOUNTED = "disk-fills"


def kind_of(number: int) -> str:
    """Returns the kind of a round, which is its number's alone."""
    return list(KINDS)[number % len(KINDS)]


def _mixed(this: Round, *faults: str) -> list[str]:
    """Returns the trials' faults in a random order, a good one first."""
    rest = [*faults, *[this.good] * (NUM_TRIALS - 1 - len(faults))]
    this.random.shuffle(rest)
    return [this.good, *rest]


def _kill_workers(this: Round, process: psutil.Popen, times: int) -> None:
    for after in sorted(this.random.choices(range(NUM_TRIALS - 1), k=times)):
        this.moment(process, [after])
        which = this.random.random()
        if found := workers(process):
            kill_all([found[int(which * len(found))]])


def _kill_sweep(this: Round, process: psutil.Popen) -> None:
    """Kills a sweep with all its processes, or alone: those then have to notice."""
    alone = this.random.random() < 0.5
    this.moment(process)
    kill_all(tree(process)[: 1 if alone else None])
    this.end(process, 0, -signal.SIGKILL)


def _interrupt(this: Round, process: psutil.Popen) -> None:
    """Interrupts a sweep: with a word to all its processes, as a terminal does, or to it alone."""
    to_all, term = this.random.random() < 0.5, this.random.random() < 0.25
    pauses = this.random.choice([[], [0.0], [this.random.uniform(0, 1)]])
    left = this.running()  # by a sweep that was killed: one interrupted at its start has not looked yet
    this.moment(process)
    for pause in [0.0, *pauses]:
        time.sleep(pause)
        _send(process, signal.SIGTERM if term else signal.SIGINT, to_all)
    this.end(process, *INTERRUPTED, -signal.SIGTERM)
    if this.status == 130 and this.running() - left and not this.alive():
        this.problems.append("an interrupted sweep left a trial running")


def _without(this: Round, process: psutil.Popen) -> None:
    """Lets a sweep be without its store for a while; or kills it then; or interrupts it if it goes on waiting."""
    how, twice = this.random.choice(["for a while", "killed", "until it ends"]), this.random.random() < 0.5
    pause = PATIENCE_S if how == "until it ends" else this.random.uniform(0, 5)
    with contextlib.suppress(psutil.TimeoutExpired):
        process.wait(pause)
    if how == "killed":
        kill_all(tree(process))
    elif how == "until it ends":
        for _ in range(1 + twice):
            _send(process, signal.SIGINT)
        this.end(process, *AWAY)


def _send(process: psutil.Popen, number: int, to_all: bool = False) -> None:
    if process.poll() is None:
        (os.killpg if to_all else os.kill)(process.pid, number)
