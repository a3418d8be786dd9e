"""What one process does for a study: takes its next trial, and runs it."""

from collections.abc import Callable

import optuna
from omegaconf import DictConfig
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial

from medfit.config.instantiate import build
from medfit.errors import StoreError, disk_full, interruption, out_of_memory
from medfit.search import trials
from medfit.search.sampler import Resumable
from medfit.study import repair, storage
from medfit.study.repair import Reason
from medfit.study.trial_plan import Report, TrialPlan
from medfit.tracking import process
from medfit.tracking.store import Store

INTERRUPTED = "it was interrupted"


def make_sampler(cfg: DictConfig) -> Resumable:
    """Returns the sampler that the config asks for."""
    return Resumable(build(cfg.sweep.sampler), cfg.seed)


def open_study(plan: TrialPlan, name: str) -> optuna.Study:
    """Returns the study, with its sampler."""
    return storage.load(plan.cfg, name, sampler=make_sampler(plan.cfg))


def run_next(
    study: optuna.Study, plan: TrialPlan, report: Report, on_start: Callable[[int], None] = lambda number: None
) -> FrozenTrial | None:
    """Runs the study's next trial, and returns it ended; None if the study needs no more.

    Raises:
        StoreError: the study or the tracking can't be written to; the trial is handed back if possible.
        KeyboardInterrupt: the trial is handed back.
    """
    address = storage.url(plan.cfg)
    Store(plan.cfg)  # raises where a tracking server is away: before a trial is taken
    with storage.guarded(address):
        trial = _take(study, plan.cfg)
        if trial is None:
            return None
        on_start(trial.number)
        with storage.beating(study, trial):
            return _run(study, trial, plan, report)


def _take(study: optuna.Study, cfg: DictConfig) -> optuna.Trial | None:
    """Returns a new trial, or one that waited; None if the study has as many as it needs."""
    with storage.lock(storage.url(cfg)), storage.quiet():
        trial = study.ask()
        trial.set_user_attr("worker", process.identity())
        if _is_needed(study, trial, cfg.sweep.num_trials):
            return trial
        trial.set_user_attr("surplus", True)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return None


def _is_needed(study: optuna.Study, trial: optuna.Trial, num_trials: int) -> bool:
    """Tells whether a trial's place is one of the study's; for sure if its number is, which is no smaller."""
    return trial.number < num_trials or trials.place(trial, study.get_trials(deepcopy=False)) < num_trials


def _run(study: optuna.Study, trial: optuna.Trial, plan: TrialPlan, report: Report) -> FrozenTrial:
    from medfit.study.trial import run_trial  # late: a quick start

    try:
        run_trial(trial, plan, report)
    except UpdateFinishedTrialError:
        return _let_go(study, trial, plan.cfg)
    except (Exception, KeyboardInterrupt) as error:
        if interruption(error):
            _fail(study, trial, plan.cfg, Reason(INTERRUPTED, "again"))
            raise KeyboardInterrupt from error
        why = f"{type(error).__name__}: {error}"
        if isinstance(error, StoreError) or disk_full(error):
            _fail(study, trial, plan.cfg, Reason(why, "again"))
            raise StoreError(str(error)) from error
        _fail(study, trial, plan.cfg, Reason(why, "half" if out_of_memory(error) else "never"))
        return _frozen(study, trial)
    return _tell(study, trial, plan.cfg)


def _fail(study: optuna.Study, trial: optuna.Trial, cfg: DictConfig, why: Reason) -> None:
    with storage.lock(storage.url(cfg)):
        repair.give_up(study, _frozen(study, trial), why, cfg)


def _tell(study: optuna.Study, trial: optuna.Trial, cfg: DictConfig) -> FrozenTrial:
    """Ends a trial that has its scores."""
    try:
        return repair.finish(study, trial.number, trial.user_attrs, cfg)
    except UpdateFinishedTrialError:
        return _let_go(study, trial, cfg)


def _let_go(study: optuna.Study, trial: optuna.Trial, cfg: DictConfig) -> FrozenTrial:
    """Returns a trial that was taken for dead meanwhile: another worker repeats it, and this run does not count."""
    if run_id := trial.user_attrs.get("run_id"):
        Store(cfg).close(run_id, "KILLED", "its trial was given to another worker")
    return _frozen(study, trial)


def _frozen(study: optuna.Study, trial: optuna.Trial) -> FrozenTrial:
    """Returns a trial as the study has it."""
    return study.get_trials(deepcopy=False)[trial.number]
