"""A sampler that proposes the same whether a study was interrupted or not."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, QMCSampler
from optuna.trial import FrozenTrial, TrialState

from medfit.search import trials

EXHAUSTED = "exhausted"  # the study's attribute once every combination was tried


class Resumable(BaseSampler):
    """Asks a sampler that is made anew for each trial, seeded by the trial's place in the study.

    What is proposed then follows from the seed, the place and the trials before it alone; not from what a process
    proposed earlier.

    Args:
        make: Optuna's sampler; called with ``seed``, unless it has one of its own.
        seed: Of the study.
    """

    def __init__(self, make: Callable[..., BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._has_seed = "seed" in getattr(make, "keywords", {})
        self._made: tuple[int, BaseSampler, int] | None = None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Returns the inner sampler's."""
        return self._of(study, trial)[0].infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns the inner sampler's proposal."""
        if not search_space:
            return {}
        sampler, place = self._of(study, trial)
        if isinstance(sampler, CmaEsSampler):  # draws by the trial's number, which shifts with each repeated trial
            trial = copy(trial)
            trial.number = place
        return sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Returns the inner sampler's proposal."""
        return self._of(study, trial)[0].sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Lets the inner sampler prepare; for a repeated trial, it takes the notes that it took of the first."""
        sampler, _ = self._of(study, trial)
        sampler.before_trial(study, trial)
        if trial.user_attrs.get("given") and not isinstance(sampler, QMCSampler):  # which would use up a point
            self.sample_relative(study, trial, self.infer_relative_search_space(study, trial))

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Lets the inner sampler learn; notes when it has nothing more to propose."""
        try:
            self._of(study, trial)[0].after_trial(study, trial, state, values)
        except RuntimeError as error:  # Optuna's way to end a study, made for its own loop
            if "Study.stop" not in str(error):
                raise
            study.set_user_attr(EXHAUSTED, True)

    def _of(self, study: optuna.Study, trial: FrozenTrial) -> tuple[BaseSampler, int]:
        if self._made is None or self._made[0] != trial.number:
            place = trials.place(trial, study.get_trials(deepcopy=False))
            own = int(np.random.SeedSequence([self._seed, place]).generate_state(1)[0])  # seeds' studies share none
            sampler = self._make() if self._has_seed else self._make(seed=own)
            self._made = trial.number, sampler, place
        return self._made[1], self._made[2]
