"""How far a study has come, and when it is over."""

import functools
import time
from collections.abc import Sequence

import optuna
from omegaconf import DictConfig
from optuna.trial import FrozenTrial, TrialState

from medfit.search import trials
from medfit.search.objectives import objective_names
from medfit.search.sampler import EXHAUSTED
from medfit.terminal.progress import SweepState, WorkerState, seconds_left

WAIT_S = 60.0  # for a store that is away, before the sweep ends


class Budget:
    """What this command still wants of a study.

    Args:
        study: The study.
        cfg: The sweep's config.
    """

    def __init__(self, study: optuna.Study, cfg: DictConfig) -> None:
        self.study, self.sweep = study, cfg.sweep
        self.started = time.monotonic()
        self.durations: list[float] = []
        self.trouble, self.trouble_since = "", 0.0
        self.refresh()
        self.before = len(self.done)

    @functools.cached_property
    def objective(self) -> str:
        """The objectives' names."""
        return ", ".join(objective_names(self.sweep))

    def refresh(self) -> None:
        """Reads the trials, and what is noted with the study."""
        self.trials, self.attrs = self.study.get_trials(deepcopy=False), self.study.user_attrs
        self.done = [trial for trial in trials.counted(self.trials) if trial.state.is_finished()]
        waiting = [trial for trial in self.trials if trial.state is TrialState.WAITING]
        self.waiting = sum(trials.place(trial, self.trials) < self.sweep.num_trials for trial in waiting)
        self.running = sum(trial.state is TrialState.RUNNING for trial in self.trials)
        self.still = self.stands_still() if self.sweep.patience else 0
        self.best = self._best()

    def wants(self, granted: int = 0) -> bool:
        """Tells whether one more trial can begin, beside those that were granted and have not begun."""
        free = self.sweep.num_trials - trials.places(self.trials)
        return self.over() == "" and granted < self.waiting + max(0, free)

    def over(self) -> str:
        """Returns why no further trial begins; nothing while some are needed."""
        hours = (time.monotonic() - self.started) / 3600
        if len(self.done) >= self.sweep.num_trials:
            return "the number of trials is reached"
        if self.sweep.max_hours and hours >= self.sweep.max_hours:
            return f"sweep.max_hours={self.sweep.max_hours:g} are over"
        if self.sweep.patience and self.still >= self.sweep.patience:
            return f"the best has stood for sweep.patience={self.sweep.patience} trials"
        if self.attrs.get(EXHAUSTED):
            return "every combination has been tried"
        if trials.hopeless(self.trials):
            return "nothing works"
        if self.trouble and time.monotonic() - self.trouble_since > WAIT_S:
            return "a store can't be used"
        return ""

    def stands_still(self) -> int:
        """Returns how many trials have ended since the best did, or the latest on a Pareto front."""
        try:
            best = self.study.best_trials if len(self.study.directions) > 1 else [self.study.best_trial]
        except ValueError:  # none finished, or none meets the constraints
            return 0
        since = [trial.datetime_complete for trial in best if trial.datetime_complete]
        ended = [trial.datetime_complete for trial in self.done if trial.datetime_complete]
        return sum(when > max(since) for when in ended) if since else 0

    def ended(self, trial: FrozenTrial) -> None:
        """Notes a trial of this command."""
        self.trouble = ""
        if trial.duration:
            self.durations.append(trial.duration.total_seconds())
        self.refresh()

    def stopped_by(self, trouble: str) -> None:
        """Notes that a store is away; trials wait for it a while."""
        self.trouble_since = self.trouble_since if self.trouble else time.monotonic()
        self.trouble = trouble

    def mended(self, trouble: str) -> None:
        """Notes that what failed with this trouble works again; another store may still be away."""
        if self.trouble == trouble:
            self.trouble = ""

    def state(self, workers: Sequence[WorkerState] = (), note: str = "") -> SweepState:
        """Returns what is to be shown."""
        missing = self.sweep.num_trials - len(self.done)
        states = [trial.state for trial in self.done]
        return SweepState(
            num_trials=self.sweep.num_trials,
            objective=self.objective,
            done=len(self.done),
            finished=states.count(TrialState.COMPLETE),
            pruned=states.count(TrialState.PRUNED),
            failed=states.count(TrialState.FAIL),
            running=self.running,
            best=self.best,
            before=self.before,
            workers=list(workers),
            note=note,
            seconds_left=seconds_left(self.durations, missing, max(1, len(workers))),
        )

    def _best(self) -> str:
        try:
            if len(self.study.directions) > 1:
                return f"{len(self.study.best_trials)} on the Pareto front"
            best = self.study.best_trial
        except ValueError:
            return ""
        return f"{best.value:.4f} (trial {best.number})"
