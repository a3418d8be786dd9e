"""A study's trials and their places: a trial that was cut off or lacked memory is repeated in the same place.

Optuna never takes back the number of a trial. What counts to ``sweep.num_trials`` is therefore the place: a new trial
takes the next one, and a trial that repeats another takes that one's. A trial knows by its user attributes:

- ``repeats``: number of the trial that it repeats; ``place`` and ``attempt``: its own; ``halved``: with half the batch
- ``given``: that all its values are; ``point``: number of the starting point that it has
- ``worker``: the process that runs it, ``run_id``: its MLflow run
- ``failure``: why it failed; ``cut_off``: through no fault of its own
- ``folds``: those that are finished
- ``curve``: what it reported; ``pruned``: that it was stopped early; ``scores``: what it reached, the last to be noted
- ``surplus``: that it came too late to be needed, beside other processes
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

FEWEST_FAILURES = 3  # alike, of the first trials, that end a sweep
MOST_FAILURES = 10  # of any kind


def place(trial: FrozenTrial | Trial, trials: Sequence[FrozenTrial]) -> int:
    """Returns a trial's place, from 0, among the trials of its study."""
    if "place" in trial.user_attrs:
        return int(trial.user_attrs["place"])
    return sum(1 for other in trials if other.number < trial.number and _is_new(other))


def places(trials: Sequence[FrozenTrial]) -> int:
    """Returns how many places are taken: by trials that ended, run or wait."""
    return sum(map(_is_new, trials))


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Returns the last trial of each place."""
    repeated = {trial.user_attrs.get("repeats") for trial in trials}
    return [trial for trial in trials if trial.number not in repeated and "surplus" not in trial.user_attrs]


def done(study: optuna.Study) -> list[FrozenTrial]:
    """Returns the trials that count to the study's number: finished, pruned or failed, and not repeated."""
    return [trial for trial in counted(study.get_trials(deepcopy=False)) if trial.state.is_finished()]


def repeat(study: optuna.Study, trial: FrozenTrial, trials: Sequence[FrozenTrial], **attrs: Any) -> None:
    """Puts a trial of the same values and place in the queue, unless it is there."""
    if any(other.user_attrs.get("repeats") == trial.number for other in trials):
        return
    kept = {key: value for key, value in trial.user_attrs.items() if key in ("given", "halved", "attempt")}
    own = {"repeats": trial.number, "place": place(trial, trials)}
    given = trial.system_attrs.get("fixed_params", {})  # it may not have had the time to take them all
    values = {**given, **trial.params}
    study.enqueue_trial(values, user_attrs={**kept, **own, **attrs})


def failure(trials: Sequence[FrozenTrial]) -> str:
    """Returns why the last failed trial did."""
    reasons = [trial.user_attrs["failure"] for trial in reversed(trials) if "failure" in trial.user_attrs]
    return reasons[0] if reasons else "no reason was given"


def hopeless(trials: Sequence[FrozenTrial]) -> bool:
    """Tells whether nothing has worked yet, and enough has failed to expect nothing else."""
    ended = [trial for trial in trials if trial.state.is_finished() and "surplus" not in trial.user_attrs]
    if any(trial.state is not TrialState.FAIL for trial in ended):
        return False
    kinds = Counter(re.sub(r"[\d.e+-]+", "", t.user_attrs.get("failure", "")) for t in ended if not _was_cut_off(t))
    return max(kinds.values(), default=0) >= FEWEST_FAILURES or kinds.total() >= MOST_FAILURES


def _was_cut_off(trial: FrozenTrial) -> bool:
    return bool(trial.user_attrs.get("cut_off"))


def _is_new(trial: FrozenTrial) -> bool:
    return not {"repeats", "surplus"} & trial.user_attrs.keys()
