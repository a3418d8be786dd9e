"""Trials that nobody works on any more, and runs that don't know it yet."""

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from omegaconf import DictConfig
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from medfit.config import schema
from medfit.errors import UserError
from medfit.search import trials
from medfit.search.objectives import objective_names
from medfit.search.values import set_values
from medfit.study import storage
from medfit.study.trial_plan import halved
from medfit.tracking import process
from medfit.tracking.store import PROCESS, Store

LONGEST = 500  # characters of a reason


@dataclass(frozen=True)
class Reason:
    """Why a worker ended, and whether its trial is tried again.

    Args:
        text: In words.
        retry: ``attempt``: up to ``sweep.num_retries`` times; ``half``: once, with half the batch; ``again``: as if it
            had not begun; ``never``.
    """

    text: str
    retry: Literal["attempt", "half", "again", "never"]


Reasons = Mapping[str, Reason]  # by worker
LOST = Reason("its process ended without a word", "attempt")


def repair(
    study: optuna.Study, cfg: DictConfig, reasons: Reasons | None = None, spared: Collection[str] = ()
) -> list[FrozenTrial]:
    """Ends the running trials that nobody works on, and returns them as they were.

    One that had its scores is finished; another fails, and is repeated as the reason says.

    Args:
        study: The study.
        cfg: The sweep's config.
        reasons: What is known of workers that ended; :data:`LOST` of others.
        spared: Workers that the caller watches itself.
    """
    reasons = reasons or {}
    address = storage.url(cfg)
    with storage.guarded(address):
        if not _left(study, reasons, spared):  # as nearly always, and many processes look every other second
            return []
        with storage.lock(address):
            left = _left(study, reasons, spared)
            for trial in left:
                if "scores" in trial.user_attrs:
                    finish(study, trial.number, trial.user_attrs, cfg)
                else:
                    give_up(study, trial, reasons.get(trial.user_attrs.get("worker", ""), LOST), cfg)
    return left


def give_up(study: optuna.Study, trial: FrozenTrial, why: Reason, cfg: DictConfig) -> None:
    """Fails a trial that has not ended, and puts it in the queue again if the reason says so.

    Whoever is interrupted in here leaves a trial that :func:`repair` finds.
    """
    store, trial_id = storage.of(study), storage.id_of(study, trial.number)
    with contextlib.suppress(UpdateFinishedTrialError):
        if (retry := _retry(trial, why, cfg)) is not None:
            trials.repeat(study, trial, study.get_trials(deepcopy=False), **retry)
        store.set_trial_user_attr(trial_id, "failure", why.text[:LONGEST])
        store.set_trial_user_attr(trial_id, "cut_off", why.retry == "again")
        store.set_trial_state_values(trial_id, TrialState.FAIL)


def finish(study: optuna.Study, number: int, attrs: Mapping[str, Any], cfg: DictConfig) -> FrozenTrial:
    """Ends a trial whose user attributes have its scores, and returns it.

    Raises:
        UpdateFinishedTrialError: it has failed meanwhile: it was taken for dead.
    """
    if attrs.get("pruned"):
        ended = study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
    else:
        values = [attrs["scores"][name] for name in objective_names(cfg.sweep)]
        ended = study.tell(number, values, skip_if_finished=True)
    if ended.state is TrialState.FAIL:
        raise UpdateFinishedTrialError(f"trial {number} has failed")
    return ended


def end_stale_runs(study: optuna.Study, store: Store) -> int:
    """Ends the runs of a study whose trials have ended, and of sweeps that were killed; returns how many."""
    by_number = {str(trial.number): trial for trial in study.get_trials(deepcopy=False)}
    open_runs = [run for run in store.running() if run.data.tags.get("study") == study.study_name]
    ended = 0
    for run in open_runs:
        trial = by_number.get(run.data.tags.get("trial", ""))
        if trial is not None and trial.state.is_finished():
            store.close(run.info.run_id, *_status(trial, run.data.tags))
            ended += 1
        elif run.data.tags.get("kind") == "sweep" and process_of(run) == "gone":
            store.close(run.info.run_id, "KILLED", LOST.text)  # which no study may know of
            ended += 1
    return ended


def process_of(run: Any) -> str:
    """Returns whether the process that works on a run ``runs``, is ``gone`` or ``elsewhere``, as of an unnamed one."""
    return process.state(run.data.tags[PROCESS]) if PROCESS in run.data.tags else "elsewhere"


def disagreements(study: optuna.Study, store: Store) -> list[str]:
    """Returns what trials and runs do not agree on; nothing, where all is well."""
    runs: dict[str, list[str]] = {}
    for run in _runs(study, store):
        runs.setdefault(run.data.tags["trial"], []).append(run.info.status)
    found = []
    for trial in study.get_trials(deepcopy=False):
        has = runs.pop(str(trial.number), [])
        if len(has) > 1 or (has[0] if has else None) not in _allowed(trial):
            found.append(f"trial {trial.number} is {trial.state.name}, its runs {has}")
    return found + [f"runs of trial {number}, which the study does not have" for number in runs]


def _runs(study: optuna.Study, store: Store) -> list[Any]:
    parent = study.user_attrs.get("run_id")
    if parent is None:
        return []
    experiment = store.client.get_run(parent).info.experiment_id
    return store.runs_of(experiment, {"study": study.study_name, "kind": "trial"})


def _allowed(trial: FrozenTrial) -> set[str | None]:
    match trial.state:
        case TrialState.COMPLETE | TrialState.PRUNED:
            return {"FINISHED"}
        case TrialState.FAIL:
            return {"FAILED", "KILLED", None}
        case TrialState.RUNNING:
            return {"RUNNING", None}
    return {None}


def _status(trial: FrozenTrial, tags: Mapping[str, str]) -> tuple[str, str | None]:
    if trial.state is not TrialState.FAIL:
        whole = tags.get("kind") == "trial" or trial.state is TrialState.COMPLETE
        return ("FINISHED", None) if whole else ("KILLED", None)
    return "KILLED" if trial.user_attrs.get("cut_off") else "FAILED", trial.user_attrs.get("failure", LOST.text)


def _retry(trial: FrozenTrial, why: Reason, cfg: DictConfig) -> dict[str, Any] | None:
    """Returns the further attributes of the trial that repeats one; None if there is to be none."""
    attempt = trial.user_attrs.get("attempt", 1)
    match why.retry:
        case "again":
            return {}
        case "attempt" if attempt <= cfg.sweep.num_retries:
            return {"attempt": attempt + 1}
        case "half" if cfg.sweep.retry_oom and "halved" not in trial.user_attrs and _can_be_halved(trial, cfg):
            return {"halved": True}
    return None


def _can_be_halved(trial: FrozenTrial, cfg: DictConfig) -> bool:
    """A family that steps its optimisers itself adds up no gradients."""
    try:
        schema.check(halved(set_values(cfg, trial.params)))
    except UserError:
        return False
    return True


def _left(study: optuna.Study, reasons: Reasons, spared: Collection[str]) -> list[FrozenTrial]:
    found = []
    for trial in _running(study):
        worker = trial.user_attrs.get("worker")
        if worker in reasons or (worker not in spared and _is_abandoned(trial, study)):
            found.append(trial)
    return found


def _running(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _is_abandoned(trial: FrozenTrial, study: optuna.Study) -> bool:
    worker = trial.user_attrs.get("worker")
    if worker is None:  # whoever takes a trial holds the lock until the worker is noted
        return True
    state = process.state(worker)
    return state == "gone" or (state == "elsewhere" and trial.number in storage.silent(study))
