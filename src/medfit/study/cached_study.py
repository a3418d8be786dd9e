"""A study that is read once in a while."""

import copy
import time
from collections.abc import Container

import optuna
from optuna.trial import FrozenTrial, TrialState

from medfit.study.reports import with_all_reports

RECENT_S = 1.0  # that what is known of other trials may be old


class CachedStudy(optuna.Study):
    """A study for pruners, which ask for all trials after every epoch: it reads them once a second at most.

    Trials that have ended have all their reports, however few of them are stored as Optuna stores them.

    Args:
        study: The study.
    """

    def __init__(self, study: optuna.Study) -> None:
        vars(self).update(vars(study))
        self._read: tuple[float, list[FrozenTrial]] | None = None
        self._ended: dict[int, FrozenTrial] = {}

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """Returns the study's trials, as they were within the last second."""
        if self._read is None or time.monotonic() - self._read[0] >= RECENT_S:
            self._read = time.monotonic(), [self._whole(trial) for trial in super().get_trials(deepcopy=False)]
        found = [trial for trial in self._read[1] if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def _whole(self, trial: FrozenTrial) -> FrozenTrial:
        if not trial.state.is_finished():
            return trial
        if trial.number not in self._ended:
            self._ended[trial.number] = with_all_reports(trial)
        return self._ended[trial.number]
