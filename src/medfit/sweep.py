"""``medfit sweep``: Optuna searches the space, each trial a training like any other."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.pruners import NopPruner, WilcoxonPruner
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field
from rich.console import Console

from medfit.config.instantiate import build
from medfit.deployment import best_trial, logged
from medfit.errors import StoreError, UserError
from medfit.plots.study import study_page
from medfit.search import objectives, starting_points, trials
from medfit.search.objectives import objective_names
from medfit.search.space import Entry, read_space
from medfit.search.values import set_values
from medfit.study import best, comparability, repair, storage
from medfit.study.budget import Budget
from medfit.study.precheck import PrecheckResult, check_trainings
from medfit.study.trial_plan import TrialPlan, of_fold
from medfit.terminal.console import say
from medfit.terminal.progress import SweepDisplay
from medfit.tracking import provenance, recording
from medfit.tracking.run import OWN, Run
from medfit.tracking.tracked_data import TrackedData
from medfit.workers import fork_server
from medfit.workers.pool import Local
from medfit.workers.rehearsal import rehearse

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Direction = Literal["min", "max"]
STORES = ("mlflow.store.tracking.sqlalchemy_store", "optuna.storages")  # slow to import, and needed soon
SILENT = Console(quiet=True, force_terminal=False)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A search.

    Args:
        sampler: Optuna's, proposes values.
        pruner: Optuna's, stops bad trials early.
        engine: Where the workers run; has ``check(cfg)`` and ``run(study, plan, display)``.
        name: Of the study; None for the experiment's name and what the command line changes in its trainings.
        storage: Of the studies, a database's address; None for a SQLite file in the output folder.
        num_trials: Of the study, all told: the same command goes on where it was stopped.
        max_hours: Of this command; the trials that run then end.
        patience: Trials without a better best, after which the study ends.
        objective: A validation score that the task logs, or several.
        direction: ``min`` or ``max`` for each objective.
        constraints: On validation scores, as ``val/balanced_accuracy >= 0.8``; a trial that misses one
            is never the best.
        start: What is tried first: ``own`` (the config's own values), ``<experiment>/best``, or a CSV with a column
            for each path.
        folds: Number of validation folds over which a trial is scored; None for the one validation split.
        space: Laid out like the config, with distributions for values and choices for groups.
        workers: Processes; 0 for none but this one.
        workers_per_gpu: Workers that share a GPU.
        threads: Of a worker; None for its share of the cores.
        trial_timeout_s: Seconds after which a trial fails.
        trial_memory_gib: Memory in GiB beyond which a trial fails.
        retry_oom: Whether a trial that lacked memory is tried once more with half the batch and accumulated gradients.
        num_retries: How often a trial is tried again whose process died.
        heartbeat_s: Seconds between two signs that a trial is worked on; after four without one, it is another's.
        accept_changes: Whether a study may go on with other settings, data or code than it was begun with.
        pick: Number of the trial that ``best.yaml`` is to hold; None for the best.
    """

    sampler: Any
    pruner: Any
    engine: Any
    space: dict[str, Any]
    objective: str | Annotated[list[str], Field(min_length=1)]
    direction: Direction | Annotated[list[Direction], Field(min_length=1)]
    num_trials: Count
    name: str | None = None
    storage: str | None = None
    max_hours: Positive | None = None
    patience: Count | None = None
    constraints: list[str] = field(default_factory=list)
    start: list[str] = field(default_factory=list)
    folds: Annotated[int, Field(ge=2)] | None = None
    workers: Annotated[int, Field(ge=0)] = 1
    workers_per_gpu: Count = 1
    threads: Count | None = None
    trial_timeout_s: Positive | None = None
    trial_memory_gib: Positive | None = None
    retry_oom: bool = True
    num_retries: Annotated[int, Field(ge=0)] = 3
    heartbeat_s: Count = 15
    accept_changes: bool = False
    pick: Annotated[int, Field(ge=0)] | None = None


def sweep(cfg: DictConfig, display: SweepDisplay | None = None) -> optuna.Study:
    """Runs a study to its number of trials and returns it.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.
        display: Shows progress.

    Raises:
        UserError: a mistake in the config, or nothing but failed trials.
        StoreError: a store can't be used any more; what was done is kept.
        KeyboardInterrupt: the user stopped it; finished trials stay, the parent run is KILLED.
    """
    space = read_space(cfg)
    prechecked = check(cfg, space)
    dataset = prechecked.dataset
    study = open_study(cfg, space, dataset)
    tags = {"kind": "sweep", "study": study.study_name, "mlflow.runName": f"sweep {study.study_name}"}
    with ExitStack() as stack:
        stack.callback(fork_server.dismiss)
        with storage.guarded(storage.url(cfg)), storage.lock(storage.url(cfg)):  # commands of one study share a run
            resume = study.user_attrs.get("run_id")
            run = stack.enter_context(recording.start_run(cfg, dataset, prechecked.proof, tags, resume))
            study.set_user_attr("run_id", run.id)
        repair.repair(study, cfg)
        repair.end_stale_runs(study, run.store)
        try:
            with _ready_to_finish(cfg):
                build(cfg.sweep.engine).run(study, TrialPlan(cfg, space, run.id), display or SweepDisplay(SILENT))
        except (KeyboardInterrupt, StoreError):
            run.others_go_on = _others_run(study)
            if run.store.local:  # where a trial may have been given back before its run was in use
                with suppress(UserError), storage.guarded(storage.url(cfg)):
                    repair.end_stale_runs(study, run.store)
            raise
        if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            raise UserError(f"sweep: no trial finished; the last one failed with: {trials.failure(study.trials)}")
        with suppress(StoreError):  # a server that is away; the next start does it
            repair.end_stale_runs(study, run.store)  # of other commands that were killed meanwhile
        _log_study(study, cfg, run)
    return study


def check(cfg: DictConfig, space: Mapping[str, Entry]) -> PrecheckResult:
    """Finds every mistake that shows before the first trial; returns what there is to know of the data.

    Raises:
        UserError: a mistake.
    """
    for part in ("sampler", "pruner", "engine"):
        if cfg.sweep[part] is None:
            raise UserError(f"sweep.{part}: is needed; choose one by sweep/{part}=...")
    engine = build(cfg.sweep.engine)
    engine.check(cfg)
    names = objective_names(cfg.sweep)
    if len(names) != len(objectives.directions(cfg.sweep)):
        raise UserError(f"sweep.direction: needs min or max for each of {len(names)} objectives")
    with storage.quiet():
        pruner = build(cfg.sweep.pruner)
    if len(names) > 1 and not isinstance(pruner, NopPruner):
        raise UserError(
            "sweep.pruner: with several objectives no trial is plainly worse than another before its end, so none "
            "can be pruned; add sweep/pruner=none"
        )
    if isinstance(pruner, WilcoxonPruner) and not cfg.sweep.folds:
        raise UserError("sweep.pruner: Wilcoxon's test compares folds; add sweep.folds=5")
    if cfg.sweep.workers == 0:
        prechecked = check_trainings(cfg, space)
    else:
        with fork_server.helping(keep=isinstance(engine, Local)) as helper:  # who becomes a worker
            helper.begin(check_trainings, cfg, space)
            for name in STORES:
                import_module(name)
            prechecked = helper.result()
        provenance.remember(prechecked.environment)
    if OmegaConf.is_interpolation(cfg.sweep, "direction") and names[0] != cfg.task.monitor:
        raise UserError(f"sweep.direction: give min or max for '{names[0]}'; task.mode is for '{cfg.task.monitor}'")
    rehearse(cfg, space)
    return prechecked


def open_study(cfg: DictConfig, space: Mapping[str, Entry], dataset: TrackedData) -> optuna.Study:
    """Returns the study, new or as an earlier command left it.

    Raises:
        StoreError: the storage can't be used.
        UserError: the study was begun with other settings, data or code.
    """
    wanted = objectives.directions(cfg.sweep)
    name = comparability.study_name(cfg, dataset)
    store = storage.open_storage(cfg)
    with storage.guarded(storage.url(cfg)), storage.lock(storage.url(cfg)), storage.quiet():
        optuna.create_study(storage=store, study_name=name, directions=wanted, load_if_exists=True)
        study = storage.load(cfg, name, store)
        comparability.check_unchanged(study, comparability.conditions(cfg, space, dataset), cfg, space)
        study.set_metric_names(objective_names(cfg.sweep))
        starting_points.enqueue(study, cfg, space)
    return study


def main(cfg: DictConfig) -> None:
    """Runs a sweep with live progress; shows the best trials, writes ``best.yaml`` and says what to do next."""
    with SweepDisplay() as display:
        study = sweep(cfg, display)
    if len(trials.done(study)) < cfg.sweep.num_trials:
        say(f"The sweep ended: {Budget(study, cfg).over()}.")
    best.show(cfg, study)


@contextmanager
def _ready_to_finish(cfg: DictConfig) -> Iterator[None]:
    """Lets a helper import meanwhile what the best trial's plots and model take, and be idle then."""
    if cfg.sweep.workers == 0 or not (cfg.tracking.plots or cfg.tracking.models):
        yield
        return
    with fork_server.helping(keep=True, new=True) as helper:
        helper.begin(best_trial.import_ahead)
        yield
        with suppress(UserError):  # of a helper that was ended: another one does without
            helper.result()


def _others_run(study: optuna.Study) -> bool:
    """Tells whether trials run; this command's own have ended."""
    try:
        return bool(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
    except Exception:  # the storage is what failed
        return False


def _log_study(study: optuna.Study, cfg: DictConfig, run: Run) -> None:
    """Logs the study's page and table, and the best trial's scores, to the parent run; finishes that trial."""
    chosen = best.choose(study, cfg)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        begin = partial(_begin, stack if cfg.sweep.workers else None)
        log_best = _finish(cfg, run, chosen, begin, Path(folder))  # first, as it takes longest
        page = begin(study_page, study)
        score: Any = "value" if len(study.directions) == 1 else "values"
        files: dict[str, Any] = {
            "trials.csv": study.trials_dataframe(attrs=("number", "state", score, "duration", "params"))
        }
        if chosen is not None:
            run.log_metrics(chosen.user_attrs["scores"], 0)
            files["best.yaml"] = best.as_yaml(cfg, study)
        run.log_files({**files, "study.html": page()})
        log_best()


def _finish(
    cfg: DictConfig,
    run: Run,
    chosen: FrozenTrial | None,
    begin: Callable[..., Callable[[], Any]],
    folder: Path,
) -> Callable[[], None]:
    """Begins to draw a trial's plots and to write its finished model, and returns what logs them to its run.

    A study does without them where its run's files are still kept for a server that is away, or nothing can draw.
    """
    if chosen is None:
        return lambda: None
    trial_cfg = set_values(cfg, best.tuned(cfg, chosen))
    own = Run(run.store, chosen.user_attrs["run_id"], run.experiment_id)
    to_finish = None
    with suppress(UserError):
        to_finish = best_trial.to_finish(
            trial_cfg, own, folder, partial(of_fold, trial_cfg) if cfg.sweep.folds else None
        )
    if to_finish is None:
        return lambda: None
    finished = begin(to_finish)

    def log() -> None:
        with suppress(UserError):
            made = finished()
            own.log_files(made.plots)
            if made.about is not None:
                scores = () if cfg.sweep.folds else OWN  # those of folds are means over trainings
                files = partial(shutil.copytree, folder / best_trial.MODEL)
                own.log_model(logged.NAME, made.about["task"], files, scores)
                logged.tell_held(made.about)
            elif made.withheld is not None:
                logged.tell_withheld(own, made.withheld)
            own.flush()

    return log


def _begin(stack: ExitStack | None, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Lets a helper call a function until the stack is left, and returns what gives the result; without one, later."""
    if stack is None:
        return partial(function, *arguments)
    helper = stack.enter_context(fork_server.helping())
    helper.begin(function, *arguments)
    return helper.result
