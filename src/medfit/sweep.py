"""``medfit sweep``: Optuna searches the space, each trial a training like any other."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import lightning as L
import optuna
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field

from medfit import config, space, tracking
from medfit.errors import UserError, suggest
from medfit.progress import TrialBar
from medfit.train import Parts, prepare, train

FEWEST_FAILURES = 3  # that end a sweep of which nothing has worked yet
DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A search.

    Args:
        sampler: Optuna's, proposes values.
        pruner: Optuna's, stops bad trials early.
        own_values_first: Whether the first trial has the config's own values, so that nothing worse is found.
        name: Of the study; None for the experiment's name and a hash of the config and the data.
        num_trials: Of the study, all told: the same command goes on where it was stopped.
        objective: A validation score that the task logs.
        direction: ``min`` or ``max``.
        space: Laid out like the config, with distributions for values.
    """

    sampler: Any
    pruner: Any
    num_trials: Annotated[int, Field(ge=1)]
    objective: str
    direction: Literal["min", "max"]
    space: dict[str, Any]
    own_values_first: bool = False
    name: str | None = None


def sweep(cfg: DictConfig, bar: TrialBar | None = None) -> optuna.Study:
    """Runs a study to its number of trials and returns it.

    Args:
        cfg: As :func:`medfit.config.compose` gives it.
        bar: Shows progress.

    Raises:
        UserError: a mistake in the config, or nothing but failed trials.
        KeyboardInterrupt: the user stopped it; finished trials stay, the parent run is KILLED.
    """
    distributions = space.read_space(cfg)
    parts = prepare(cfg)
    _check_objective(cfg, parts)
    study = open_study(cfg, parts)
    resume = study.user_attrs.get("run_id")
    tags = {"kind": "sweep", "study": study.study_name, "mlflow.runName": f"sweep {study.study_name}"}
    with tracking.start_run(cfg, parts.datamodule.dataset, parts.datamodule.proof, tags, resume) as run:
        study.set_user_attr("run_id", run.id)
        missing = cfg.sweep.num_trials - len(done(study))
        if bar:
            bar.start(len(done(study)))
        if cfg.sweep.own_values_first and not study.trials:
            study.enqueue_trial(space.own_values(cfg, distributions))
        if missing > 0:
            study.optimize(
                lambda trial: run_trial(trial, cfg, distributions, run.id),
                n_trials=missing,
                catch=(Exception,),
                callbacks=[_stop_if_nothing_works, *([bar.on_trial] if bar else [])],
            )
        if not study.get_trials(states=[TrialState.COMPLETE]):
            raise UserError(f"sweep: no trial finished; the last one failed with: {_failure(study)}")
        _log_study(study, cfg, run)
    return study


def run_trial(trial: optuna.Trial, cfg: DictConfig, distributions: dict[str, Any], parent: str) -> float:
    """Trains with a trial's values and returns its score."""
    values = space.suggest_values(trial, distributions)
    tags = {
        "kind": "trial",
        "trial": str(trial.number),
        "study": trial.study.study_name,
        "mlflow.parentRunId": parent,
        "mlflow.runName": f"trial {trial.number}",
    }
    watcher = _Pruning(trial, cfg.sweep.objective)
    try:
        scores = train(space.set_values(cfg, values), callbacks=[watcher], tags=tags)
    except KeyboardInterrupt:
        trial.set_user_attr("interrupted", True)
        raise
    except Exception as error:
        trial.set_user_attr("failure", f"{type(error).__name__}: {error}"[:500])
        raise
    trial.set_user_attr("scores", scores)
    if watcher.pruned:
        raise optuna.TrialPruned
    return scores[cfg.sweep.objective]


def open_study(cfg: DictConfig, parts: Parts) -> optuna.Study:
    """Returns the study, new or as an earlier command left it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = config.output_dir(cfg) / "optuna.db"
    name = cfg.sweep.name or study_name(cfg, parts)
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{path}",
            study_name=name,
            direction="minimize" if cfg.sweep.direction == "min" else "maximize",
            pruner=config.build(cfg.sweep.pruner),
            load_if_exists=True,
        )
    except Exception as error:  # Optuna wraps the database's own errors in several ways
        raise UserError(
            f"output_dir: the studies in '{path}' can't be opened ({str(error).splitlines()[0]})"
        ) from error
    sampler = cfg.sweep.sampler
    if study.trials and "seed" in sampler:  # else a study that goes on proposes its first trials again
        sampler = {**sampler, "seed": cfg.seed + len(study.trials)}
    study.sampler = config.build(sampler)
    return study


def study_name(cfg: DictConfig, parts: Parts) -> str:
    """Returns a name that is the same for the same question: all that bears on a trial's score is hashed."""
    asked = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(asked, dict)
    for key in ("overrides", "output_dir", "tracking", "evaluate", "sample"):
        asked.pop(key)
    for key in ("name", "num_trials"):
        asked["sweep"].pop(key)
    digest = hashlib.sha256((OmegaConf.to_yaml(asked) + parts.datamodule.dataset.fingerprint()).encode())
    return f"{tracking.experiment_name(cfg, parts.datamodule.dataset)}-{digest.hexdigest()[:8]}"


def done(study: optuna.Study) -> list[FrozenTrial]:
    """Returns the trials that count: finished, pruned or failed, but not interrupted."""
    return [trial for trial in study.get_trials(states=DONE) if not trial.user_attrs.get("interrupted")]


def main(cfg: DictConfig) -> None:
    """Runs a sweep with live progress; shows the best trials, writes ``best.yaml`` and says what to do next."""
    from medfit import best

    with TrialBar(cfg.sweep.num_trials, cfg.sweep.objective) as bar:
        study = sweep(cfg, bar)
    best.show(cfg, study)


class _Pruning(Callback):
    """Reports each epoch to Optuna, and stops the trainer when the trial is to be pruned."""

    def __init__(self, trial: optuna.Trial, objective: str) -> None:
        self.trial, self.objective, self.pruned = trial, objective, False

    def on_fit_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Notes the run, so that trial and run can be matched."""
        assert isinstance(trainer.logger, tracking.RunLogger)
        self.run = trainer.logger.run
        self.trial.set_user_attr("run_id", self.run.id)

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Reports the epoch's score."""
        if trainer.state.fn != "fit":
            return
        self.trial.report(float(trainer.callback_metrics[self.objective]), trainer.current_epoch)
        if self.trial.should_prune():
            self.pruned = trainer.should_stop = True

    def on_fit_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Marks the run."""
        self.run.set_tag("pruned", str(self.pruned).lower())


def _check_objective(cfg: DictConfig, parts: Parts) -> None:
    objective, logged = cfg.sweep.objective, parts.task.logged()
    if not objective.startswith("val/"):
        raise UserError(f"sweep.objective: '{objective}' is no validation metric; a sweep must not see other splits")
    if objective not in logged:
        raise UserError(
            f"sweep.objective: '{objective}' is not logged{suggest(objective, logged)} (logged: {', '.join(logged)})"
        )


def _stop_if_nothing_works(study: optuna.Study, trial: FrozenTrial) -> None:
    states = [t.state for t in done(study)]
    if len(states) >= FEWEST_FAILURES and set(states) == {TrialState.FAIL}:
        study.stop()


def _failure(study: optuna.Study) -> str:
    return next(
        (t.user_attrs["failure"] for t in reversed(study.trials) if "failure" in t.user_attrs),
        "no reason given",
    )


def _log_study(study: optuna.Study, cfg: DictConfig, run: tracking.Run) -> None:
    """Logs the study's plots and table, and the best trial's scores, to the parent run."""
    from medfit import best
    from medfit.plots.study import study_page

    run.log_metrics(study.best_trial.user_attrs["scores"], 0)
    table = study.trials_dataframe(attrs=("number", "state", "value", "duration", "params"))
    run.log_files({"study.html": study_page(study), "trials.csv": table, "best.yaml": best.as_yaml(cfg, study)})
