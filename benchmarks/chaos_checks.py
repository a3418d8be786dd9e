"""What must hold once a round is over."""

import contextlib
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import optuna
from chaos_round import NUM_TRIALS, Round
from chaos_table import Outcome
from omegaconf import DictConfig
from optuna.trial import FrozenTrial, TrialState

from medfit.config.compose import compose
from medfit.search import trials
from medfit.study import repair, storage
from medfit.tracking.store import Store

GONE_S = 10  # in which a round's processes must have ended


def examine(this: Round, outcome: Outcome) -> None:
    """Notes what is wrong after a round, and how many trials it took."""
    outcome.problems += [*this.problems, *_left_alive(this), *_unsent(this), *_broken(this)]
    this.problems.clear()
    this.look()
    outcome.problems += this.problems
    cfg = compose(this.overrides)
    with _opened(this, cfg) as (study, store):
        outcome.problems += [*_of_study(this, study), *_of_runs(this, study, store, cfg)]
        taken = [trial for trial in study.get_trials(deepcopy=False) if "surplus" not in trial.user_attrs]
    outcome.num_trials, outcome.repeated = len(taken), sum("repeats" in trial.user_attrs for trial in taken)


@contextlib.contextmanager
def _opened(this: Round, cfg: DictConfig) -> Iterator[tuple[optuna.Study, Store]]:
    """Opens a round's stores, and closes their files: there are many rounds."""
    studies, store = storage.open_storage(cfg), Store(cfg)
    try:
        yield storage.load(cfg, this.name, studies), store
    finally:
        studies.engine.dispose()
        if store.local:
            store.client._tracking_client.store.engine.dispose()


def _unsent(this: Round) -> Iterator[str]:
    for path in this.kept():
        yield f"{path.relative_to(this.output)} still waits for the server"


def _left_alive(this: Round) -> Iterator[str]:
    deadline = time.monotonic() + GONE_S
    while (left := this.alive()) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in left:
        with contextlib.suppress(Exception):
            yield f"process {process.pid} is left: {' '.join(process.cmdline())[:100]}"
            process.kill()


def _broken(this: Round) -> Iterator[str]:
    for path in this.output.glob("*.db"):
        with contextlib.closing(sqlite3.connect(path)) as database:
            ((answer, *_), *_) = database.execute("PRAGMA integrity_check").fetchall()
        if answer != "ok":
            yield f"{path.name} is broken: {answer}"


def _of_study(this: Round, study: optuna.Study) -> Iterator[str]:
    everyone = study.get_trials(deepcopy=False)
    for trial in everyone:
        if not trial.state.is_finished():
            yield f"trial {trial.number} is {trial.state.name}"
    done = trials.done(study)
    taken = Counter(trials.place(trial, everyone) for trial in done)
    if taken != Counter(range(NUM_TRIALS)):
        yield f"the places done are {sorted(taken.elements())}"
    for trial in done:
        yield from _of_trial(trial, this, trials.place(trial, everyone))


def _of_trial(trial: FrozenTrial, this: Round, place: int) -> Iterator[str]:
    given = {"model.fault": this.faults[place], "regime.batch_size": this.batch_sizes[place]}
    found = {name: trial.params.get(name) for name in given}
    if found != given and trial.params:  # none, if it was killed each time before it had any
        yield f"trial {trial.number} in place {place} has {found} instead of {given}"


def _of_runs(this: Round, study: optuna.Study, store: Store, cfg: DictConfig) -> Iterator[str]:
    for run in store.running():
        if store.local or run.data.tags.get("study") == this.name:  # a server is shared with other rounds
            yield f"run {run.info.run_id} ({run.info.run_name}) is RUNNING"
    yield from repair.disagreements(study, store)
    parent = store.client.get_run(study.user_attrs["run_id"])
    if parent.info.status != "FINISHED":
        yield f"the sweep's run is {parent.info.status}"
    runs = store.runs_of(parent.info.experiment_id, {"study": this.name, "kind": "trial"})
    by_number = {run.data.tags["trial"]: run for run in runs}
    for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
        yield from _of_run(trial, by_number.get(str(trial.number)), store, cfg)


def _of_run(trial: FrozenTrial, run: Any, store: Store, cfg: DictConfig) -> Iterator[str]:
    """Yields what a finished trial's run lacks: its score, its params, its weights."""
    if run is None:
        return
    score = run.data.metrics.get(cfg.sweep.objective)
    if score is None or not math.isclose(score, trial.value or 0, rel_tol=1e-9):
        yield f"trial {trial.number} has the score {trial.value}, its run {score}"
    if missing := trial.params.keys() - run.data.params.keys():
        yield f"the run of trial {trial.number} lacks {', '.join(sorted(missing))}"
    if not store.client.list_artifacts(run.info.run_id, "checkpoint"):
        yield f"the run of trial {trial.number} has no checkpoint"
