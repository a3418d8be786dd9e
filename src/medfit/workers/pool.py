"""The workers of one machine, as processes: started, given trials, watched, replaced."""

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property, partial
from multiprocessing.connection import wait
from tempfile import TemporaryDirectory
from typing import Any

import optuna
from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from medfit.errors import StoreError, UserError
from medfit.study import repair, storage
from medfit.study.budget import Budget
from medfit.study.repair import Reason
from medfit.study.trial_plan import TrialPlan
from medfit.terminal.progress import SweepDisplay, WorkerState
from medfit.tracking.store import Store
from medfit.workers import devices, fork_server, worker
from medfit.workers.signals import Stop
from medfit.workers.worker_handle import WorkerHandle

TICK_S = 0.2  # between two looks at the workers
REFRESH_S = 2.0  # between two looks at the study
WRITE_S = 5.0  # for a training's state to be written, once its worker is to end
WRITE_TICK_S = 0.02  # between two looks at workers that are to end
PAUSE_S = 5.0  # before a store that is away is tried again
HANDED_BACK = Reason("its end could not be written at once", "again")
MOST_IDLE_DEATHS = 3  # of workers that had no trial, before something else must be wrong


class Local:
    """Runs a study on this machine, with ``sweep.workers`` processes (0: in this one, for a debugger)."""

    def check(self, cfg: DictConfig) -> None:
        """Finds nothing wrong: one machine needs nothing."""

    def run(self, study: optuna.Study, plan: TrialPlan, display: SweepDisplay, stop: Stop | None = None) -> None:
        """Runs trials until the study has enough.

        Args:
            study: The study.
            plan: Of its trials.
            display: Shows progress.
            stop: Ends it before; None for Ctrl-C alone.

        Raises:
            KeyboardInterrupt: it was stopped; nothing is left running.
            StoreError: a store has been away for too long.
        """
        budget = Budget(study, plan.cfg)
        if plan.cfg.sweep.workers == 0:
            _run_here(study, plan, display, budget)
        else:
            with storage.guarded(storage.url(plan.cfg)), Pool(study, plan, display, budget, stop or Stop()) as pool:
                pool.run()


class Pool:
    """The worker processes of one command."""

    def __init__(self, study: optuna.Study, plan: TrialPlan, display: SweepDisplay, budget: Budget, stop: Stop) -> None:
        self.study, self.plan, self.display, self.budget, self.stop = study, plan, display, budget, stop
        self.handles: list[WorkerHandle] = []
        self.idle_deaths, self.paused_until, self.refreshed = 0, 0.0, time.monotonic()
        self.reasons: dict[str, Reason] = {}  # why workers are gone, whose trials may not have been ended
        self.failed = ""  # how a visit to the study failed last, if it has not been repaired since

    def __enter__(self) -> "Pool":
        assigned = devices.assign(self.plan.cfg)
        self.folder = TemporaryDirectory(prefix="medfit-")
        self.stop.__enter__()
        missing = self.plan.cfg.sweep.num_trials - len(self.budget.done)
        for device in assigned[: max(0, missing)]:
            self.handles.append(WorkerHandle(self.plan, self.study.study_name, device, self.folder.name))
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            self._let_write()
            for handle in self.handles:
                handle.kill()
            fork_server.dismiss()
            why = self.stop.why or Reason(worker.INTERRUPTED, "again")
            self.reasons.update((handle.identity, why) for handle in self.handles)
            self._repair()  # what can't be written now is repaired at the next start
        finally:
            self.folder.cleanup()
            self.stop.__exit__()

    def _let_write(self) -> None:
        """Waits a few seconds for the states of trainings that are cut off; a further signal ends that."""
        count, until = self.stop.count, time.monotonic() + WRITE_S
        asked = [handle for handle in self.handles if handle.interrupt()]
        while self.stop.count == count and time.monotonic() < until and any(handle.alive for handle in asked):
            time.sleep(WRITE_TICK_S)

    def run(self) -> None:
        """Gives trials to free workers until there are enough."""
        while not self._over():
            self._give()
            self._receive()
            for handle in self.handles:
                if why := handle.exceeds():
                    handle.kill()
                    self._replace(handle, why)
            self.display.update(self.budget.state([handle.state for handle in self.handles], self._note()))
        if self.stop.count:
            raise KeyboardInterrupt
        if self.budget.trouble:
            raise StoreError(f"{self.budget.trouble}; the same command goes on from here")

    def _over(self) -> bool:
        self.stop.look(self.budget)
        idle = not any(handle.busy for handle in self.handles)
        return self.stop.now or (idle and (self.stop.count > 0 or self.budget.over() != ""))

    def _give(self) -> None:
        """Lets each free worker take a trial, if the study needs one."""
        if self.stop.count or time.monotonic() < self.paused_until:
            return
        for handle in self.handles:
            granted = sum(other.busy and other.state.trial is None for other in self.handles)
            if not handle.busy and self.budget.wants(granted):
                handle.start_trial()

    def _receive(self) -> None:
        """Hears what workers say, and of their ends."""
        by_source = {source: handle for handle in self.handles for source in handle.sources}
        ready = [by_source[source] for source in wait(list(by_source), timeout=TICK_S)]
        heard = {id(handle): handle for handle in ready}
        for handle in heard.values():
            alive = handle.alive  # before its last words are read
            for kind, content in handle.messages():
                self._hear(handle, kind, content)
            if not alive and not self.stop.now:  # by SIGTERM, perhaps, that went to all processes of a job
                self._replace(handle, handle.why_ended())
        if time.monotonic() - self.refreshed > REFRESH_S:
            self._repair()

    def _hear(self, handle: WorkerHandle, kind: str, content: Any) -> None:
        if kind == "began":
            self._try(self.budget.refresh)
        elif kind == "ended":
            self._ended(content)
        elif kind == "away":
            self._wait(content)
        else:
            raise UserError(content)

    def _wait(self, trouble: str) -> None:
        self.budget.stopped_by(trouble)
        self.paused_until = time.monotonic() + PAUSE_S

    def _ended(self, trial: FrozenTrial | None) -> None:
        self.idle_deaths = 0
        if trial is None:
            self._try(self.budget.refresh)
        else:
            self._try(partial(self.budget.ended, trial))
            self.display.ended(*of_trial(trial), self.budget.state([handle.state for handle in self.handles]))

    @cached_property
    def store(self) -> Store:
        """Where the runs are."""
        return Store(self.plan.cfg)

    def _replace(self, handle: WorkerHandle, why: Reason) -> None:
        """Ends the trial of a worker that is gone, and starts another in its stead."""
        self.idle_deaths += handle.state.trial is None
        if self.idle_deaths > MOST_IDLE_DEATHS:
            raise UserError(f"sweep.workers: the worker processes can't work; of the last, {why.text}")
        self.reasons[handle.identity] = why
        self._repair()
        handle.start()

    def _repair(self) -> None:
        """Ends the trials that nobody works on; where that fails, no trial begins before it has been done."""
        self.refreshed = time.monotonic()
        idle = {one.identity: HANDED_BACK for one in self.handles if not one.busy}  # each could not end its last trial
        reasons = idle | self.reasons
        others = {one.identity for one in self.handles} - set(reasons)  # whose ends will be told, with their reasons
        left: list[FrozenTrial] = []

        def end() -> None:
            left.extend(repair.repair(self.study, self.plan.cfg, reasons, others))
            self.budget.refresh()

        if not self._try(end):
            return
        self.budget.mended(self.failed)
        self.reasons, self.failed = {}, ""
        if left:
            with contextlib.suppress(StoreError), self._guarded():  # the next start tells the runs
                repair.end_stale_runs(self.study, self.store)
        by_number = {trial.number: trial for trial in self.budget.trials}
        for trial in left:
            self._ended(by_number[trial.number])

    def _try(self, visit: Callable[[], None]) -> bool:
        """Visits the study, and tells whether that worked; if not, no trial begins for a while."""
        try:
            with self._guarded():
                visit()
        except StoreError as error:
            self.failed = str(error)
            self._wait(self.failed)
            return False
        return True

    def _guarded(self) -> AbstractContextManager[None]:
        return storage.guarded(storage.url(self.plan.cfg))

    def _note(self) -> str:
        if self.stop.count:
            return "stopping after the running trials (Ctrl-C again: now)"
        if self.budget.trouble:
            return f"waiting: {self.budget.trouble}"
        busy = sum(handle.busy for handle in self.handles)
        if why := self.budget.over():
            return f"{why}; the running trials end" if busy else ""
        others = self.budget.running - busy
        return f"waiting for {others} trials of other processes" if busy < len(self.handles) and others > 0 else ""


def of_trial(trial: FrozenTrial) -> tuple[int, str, float | None, float, str]:
    """Returns a trial's number, state, score, seconds and failure, for the display."""
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    score = trial.values[0] if trial.values else None
    return trial.number, trial.state.name, score, seconds, trial.user_attrs.get("failure", "")


def _run_here(study: optuna.Study, plan: TrialPlan, display: SweepDisplay, budget: Budget) -> None:
    """Runs trials in this process, one after the other."""
    study.sampler = worker.make_sampler(plan.cfg)
    current = WorkerState()

    def report(unit: str, done: int, of: int, score: float) -> None:
        current.unit, current.epoch, current.num_epochs, current.score = unit, done, of, score
        display.update(budget.state([current]))

    def begin(number: int) -> None:
        current.trial, current.epoch, current.score = number, 0, None

    while budget.wants():
        trial = worker.run_next(study, plan, report, begin)
        current.trial = None
        budget.refresh()
        if trial is None:
            time.sleep(REFRESH_S)  # another process has the last ones
            repair.repair(study, plan.cfg)
        else:
            budget.ended(trial)
            display.ended(*of_trial(trial), budget.state([current]))
