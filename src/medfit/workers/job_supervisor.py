"""A command that lets jobs work elsewhere: it submits them, shows what they do, replaces them, and ends them."""

import contextlib
import importlib.util
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

import optuna
from omegaconf import DictConfig
from optuna.trial import FrozenTrial, TrialState

from medfit.errors import StoreError, UserError
from medfit.study import repair, storage
from medfit.study.budget import Budget
from medfit.study.trial_plan import TrialPlan
from medfit.terminal.progress import SweepDisplay, SweepState, WorkerState
from medfit.tracking.store import Store
from medfit.workers.job import STOP, JobOutcome
from medfit.workers.pool import of_trial
from medfit.workers.signals import ENDS, Stop

TICK_S = 0.2  # between two looks at Ctrl-C
REFRESH_S = 2.0  # between two looks at the study and the jobs
GRACE_S = 15.0  # for jobs to end by themselves once they are told
PAUSE_S = 60.0  # before a scheduler that refused a job is asked again
FEWEST_DEATHS = 3  # of jobs, with no trial ended between, before something else must be wrong


class Jobs(Protocol):
    """What runs jobs."""

    def submit(self, count: int) -> list[Any]:
        """Submits jobs.

        Raises:
            UserError: they were refused.
        """

    def state(self, job: Any) -> Literal["waits", "runs", "ended"]:
        """Returns whether a job has begun, and ended."""

    def outcome(self, job: Any) -> JobOutcome:
        """Returns how a job ended."""

    def cancel(self, job: Any) -> None:
        """Ends a job that does not end by itself."""


class JobSupervisor:
    """A command's view of its jobs and the study.

    Args:
        study: The study.
        plan: Of its trials.
        display: Shows progress.
        jobs: What runs jobs.
        command: A name that the jobs know this command by.
        num_jobs: At most, at a time.
    """

    def __init__(
        self, study: optuna.Study, plan: TrialPlan, display: SweepDisplay, jobs: Jobs, command: str, num_jobs: int
    ) -> None:
        self.study, self.plan, self.display, self.jobs = study, plan, display, jobs
        self.command, self.num_jobs = command, num_jobs
        self.stop, self.budget, self.live = Stop(), Budget(study, plan.cfg), list[Any]()
        self.shown = {trial.number for trial in self.budget.trials if trial.state.is_finished()}
        self.told, self.deaths, self.paused_until = 0, 0, 0.0

    def run(self) -> None:
        """Keeps jobs at work until the study is over.

        Raises:
            KeyboardInterrupt: the user stopped it.
            StoreError: a store has been away for too long.
            UserError: jobs can't be submitted, or can't work.
        """
        with self.stop:
            try:
                while not self._over():
                    self._fill()
                    self._look()
                    self._sleep()
            finally:
                self._end()
        if self.stop.count:
            raise KeyboardInterrupt
        if self.budget.trouble:
            raise StoreError(f"{self.budget.trouble}; the same command goes on from here")

    def _over(self) -> bool:
        """Tells whether nothing is left to do; lets jobs end once no further trial begins."""
        ends = self.stop.count > 0 or self.budget.over() != ""
        if ends and self.live:
            self._tell(1)
        return self.stop.now or (ends and not self.live)

    def _fill(self) -> None:
        """Submits as many jobs as are of use."""
        missing = self.plan.cfg.sweep.num_trials - len(self.budget.done)
        lack = min(self.num_jobs, math.ceil(missing / self.plan.cfg.sweep.workers)) - len(self.live)
        if self.stop.count or lack <= 0 or time.monotonic() < self.paused_until or not self.budget.wants():
            return
        try:
            self.live += self.jobs.submit(lack)
        except UserError:
            if not self.live:
                raise
            self.paused_until = time.monotonic() + PAUSE_S

    def _look(self) -> None:
        """Sees what has become of trials and jobs."""
        try:
            self._repair()
        except StoreError as error:
            self.budget.stopped_by(str(error))
        else:
            self.budget.trouble = ""
            for trial in self.budget.trials:
                if trial.state.is_finished() and trial.number not in self.shown:
                    self._show(trial)
        for outcome in self._ended():
            self._consider(outcome)
        self.display.update(self._state())

    def _repair(self) -> None:
        """Ends trials of jobs that are gone, for whom nobody else may be there to do it."""
        if repair.repair(self.study, self.plan.cfg):
            with contextlib.suppress(StoreError):  # the next start tells the runs
                repair.end_stale_runs(self.study, Store(self.plan.cfg))
        with storage.guarded(storage.url(self.plan.cfg)):
            self.budget.refresh()

    def _show(self, trial: FrozenTrial) -> None:
        self.shown.add(trial.number)
        if "surplus" in trial.user_attrs:
            return
        self.deaths = 0
        if trial.duration:
            self.budget.durations.append(trial.duration.total_seconds())
        done = sum(one.number in self.shown for one in self.budget.done)  # as if it were told at once
        self.display.ended(*of_trial(trial), replace(self._state(), done=done))

    def _ended(self) -> list[JobOutcome]:
        """Returns how those jobs ended that have since the last time."""
        ended = [job for job in self.live if self.jobs.state(job) == "ended"]
        self.live = [job for job in self.live if job not in ended]
        return [self.jobs.outcome(job) for job in ended]

    def _consider(self, outcome: JobOutcome) -> None:
        self.deaths += bool(outcome.trouble)
        if outcome.final:
            raise UserError(outcome.trouble)
        if self.deaths > max(FEWEST_DEATHS, 2 * self.num_jobs):
            raise UserError(f"sweep.engine: the jobs end before they have run a trial; the last one: {outcome.trouble}")

    def _tell(self, count: int) -> None:
        """Lets the jobs end after their trials, or now (2); those that have not begun are not needed any more."""
        if count <= self.told:
            return
        self.told = count
        with contextlib.suppress(StoreError), storage.guarded(storage.url(self.plan.cfg)):
            self.study.set_user_attr(STOP, (self.command, count))
        for job in self.live:
            if self.jobs.state(job) == "waits":
                self.jobs.cancel(job)

    def _end(self) -> None:
        """Ends all jobs, and leaves no trial running."""
        if self.live:
            self._tell(ENDS)
            self._await()
        for job in self.live:
            self.jobs.cancel(job)
        self._await()
        with contextlib.suppress(StoreError):  # what can't be written now is repaired at the next start
            self._repair()

    def _await(self) -> None:
        until = time.monotonic() + GRACE_S
        while self._ended() or (self.live and time.monotonic() < until):
            time.sleep(TICK_S)

    def _sleep(self) -> None:
        before, until = self.stop.count, time.monotonic() + REFRESH_S
        while self.stop.count == before and time.monotonic() < until:
            time.sleep(TICK_S)

    def _state(self) -> SweepState:
        running = [trial for trial in self.budget.trials if trial.state is TrialState.RUNNING]
        return self.budget.state(_as_workers(running, self.plan.cfg), self._note())

    def _note(self) -> str:
        if self.stop.count:
            return "stopping after the running trials (Ctrl-C again: now)"
        if self.budget.trouble:
            return f"waiting: {self.budget.trouble}"
        if why := self.budget.over():
            return f"{why}; the running trials end" if self.budget.running else ""
        waiting = sum(self.jobs.state(job) == "waits" for job in self.live)
        return f"{waiting} of {len(self.live)} jobs wait for their turn" if waiting else ""


def check(cfg: DictConfig, engine: str, package: str, several: bool) -> None:
    """Finds what an engine lacks.

    Args:
        cfg: The sweep's config.
        engine: As it is chosen.
        package: That it needs.
        several: Whether its jobs may run on several machines.

    Raises:
        UserError: it lacks something.
    """
    if importlib.util.find_spec(package) is None:
        raise UserError(f"sweep/engine={engine} needs the package {package}: pip install 'medfit[cluster]'")
    if cfg.sweep.workers == 0:
        raise UserError(f"sweep.workers=0 means this process; sweep/engine={engine} needs 1 or more in each job")
    servers = {"sweep.storage": "postgresql+psycopg://user@host/database", "tracking.uri": "http://host:5000"}
    addresses = {"sweep.storage": cfg.sweep.storage, "tracking.uri": cfg.tracking.uri}
    local = [path for path, address in addresses.items() if (address or "sqlite").startswith("sqlite")]
    if several and local:
        needed = " ".join(f"{path}={servers[path]}" for path in local)
        raise UserError(
            f"sweep/engine={engine}: its jobs run on several machines, and a SQLite file is safe on one alone; "
            f"give {needed} (docs/scaling.md)"
        )


def _as_workers(running: Sequence[FrozenTrial], cfg: DictConfig) -> list[WorkerState]:
    """Returns how far trials have come, by the scores that they have reported."""
    unit, of = ("fold", cfg.sweep.folds) if cfg.sweep.folds else ("epoch", cfg.regime.epochs)
    found = []
    for trial in running:
        last = trial.last_step
        done = {} if last is None else {"epoch": last + 1, "num_epochs": of, "score": trial.intermediate_values[last]}
        found.append(WorkerState(trial=trial.number, unit=unit, **done))
    return found
