"""One trial: a training, or one for each fold, with values that a study proposes."""

from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import mean, stdev

import lightning as L
import optuna
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig
from optuna.pruners import WilcoxonPruner

from medfit.errors import UserError
from medfit.search import objectives
from medfit.search.objectives import objective_names
from medfit.search.values import suggest_config
from medfit.study.cached_study import CachedStudy
from medfit.study.finished_folds import FinishedFolds
from medfit.study.reports import ReportBuffer
from medfit.study.trial_plan import Report, TrialPlan, halved, of_fold
from medfit.tracking import recording
from medfit.tracking.lightning_logger import RunLogger
from medfit.tracking.run import Run
from medfit.train import train
from medfit.training.origin import Origin
from medfit.training.parts import prepare

Scores = dict[str, float]


def run_trial(trial: optuna.Trial, plan: TrialPlan, report: Report) -> Scores:
    """Trains with a trial's values, and returns the scores; notes them and the run with the trial.

    Raises:
        TrialPruned: it was stopped early.
        Exception: whatever went wrong in it.
    """
    cfg = suggest_config(trial, plan.cfg, plan.space)
    trial.set_user_attr("given", True)
    if trial.user_attrs.get("halved"):
        cfg = halved(cfg)
    tags = plan.tags(trial.study.study_name, trial.number)
    callback = TrialCallback(trial, cfg.sweep, report)
    if cfg.sweep.folds:
        return _train_folds(cfg, callback, tags)
    # the sweep draws the best trial's plots and logs its model
    return train(cfg, callbacks=[callback], tags=tags, on_scores=callback.finish, whole=False)


class TrialCallback(Callback):
    """Follows a trial's training: reports each epoch, stops it when it is to be pruned, notes what it reached."""

    def __init__(self, trial: optuna.Trial, sweep: DictConfig, report: Report) -> None:
        self.trial, self.sweep, self.report = trial, sweep, report
        self.trial.study = CachedStudy(trial.study)  # whom pruners ask
        if not sweep.folds:  # whose few reports are stored at once
            self.trial.storage = ReportBuffer(trial.storage)  # type: ignore[assignment]
        self.names, self.unit, self.pruned = objective_names(sweep), "epoch", False
        self.run_of_fold = ""  # the id of the latest

    def start(self, run: Run) -> None:
        """Notes the run, so that trial and run can be matched."""
        self.run = run
        self.trial.set_user_attr("run_id", run.id)

    def on_fit_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Notes the training's run; of a trial that is one training, also what it reached before it was interrupted."""
        assert isinstance(trainer.logger, RunLogger)
        if self.sweep.folds:
            self.run_of_fold = trainer.logger.run.id
        else:
            self.start(trainer.logger.run)
            if len(self.names) == 1:
                for epoch, score in self.run.points(self.names[0]):
                    self.trial.report(score, epoch)

    def on_train_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Reports the epoch's score."""
        epoch, score = trainer.current_epoch, float(trainer.callback_metrics[self.names[0]])
        self.report(self.unit, epoch + 1, trainer.max_epochs or 0, score)
        if len(self.names) == 1 and not self.sweep.folds:
            self.trial.report(score, epoch)
            if self.trial.should_prune():
                self.pruned = trainer.should_stop = True

    def finish(self, scores: Scores) -> None:
        """Notes what the trial reached, while its run is open: the two agree whatever happens between.

        Raises:
            UserError: an objective is no number.
        """
        if wrong := [name for name in self.names if not scores[name] == scores[name]]:
            raise UserError(f"{wrong[0]} became nan")
        objectives.set_constraints(self.trial, scores, self.sweep.constraints)
        if isinstance(self.trial.storage, ReportBuffer):
            self.trial.storage.flush()
        if self.pruned:
            self.trial.set_user_attr("pruned", True)
        self.trial.set_user_attr("scores", scores)  # the last, which tells that the trial is done
        self.run.set_tag("pruned", str(self.pruned).lower())


def _train_folds(cfg: DictConfig, callback: TrialCallback, tags: Mapping[str, str]) -> Scores:
    """Returns the mean scores over validation folds; the trial may be pruned after each fold."""
    parts, num_folds = prepare(cfg), cfg.sweep.folds
    dataset, proof = parts.datamodule.dataset, parts.datamodule.proof
    found: list[Scores] = []
    with recording.start_run(cfg, dataset, proof, tags) as run:
        callback.start(run)
        finished = FinishedFolds(callback.trial, run, f"{Origin(cfg, parts).key} of {num_folds}")
        for fold in range(num_folds):
            callback.unit = f"fold {fold + 1}/{num_folds} epoch"
            if (scores := finished.take(fold)) is None:
                scores = _train_fold(cfg, fold, callback, {**tags, "mlflow.parentRunId": run.id})
                finished.note(fold, callback.run_of_fold, scores)
            found.append(scores)
            if _ends_early(callback, found):
                break
        by_name = {name: [one[name] for one in found] for name in found[0]}
        scores = {name: mean(values) for name, values in by_name.items()}
        run.log_metrics(scores, 0)
        known = {name: values for name, values in by_name.items() if len(values) > 1 and all(map(isfinite, values))}
        run.log_metrics({name.replace("val/", "val_sd/", 1): stdev(values) for name, values in known.items()}, 0)
        callback.finish(scores)
    return scores


def _train_fold(cfg: DictConfig, fold: int, callback: TrialCallback, tags: Mapping[str, str]) -> Scores:
    own = {"kind": "fold", "fold": str(fold), "mlflow.runName": f"{tags['mlflow.runName']} fold {fold}"}
    return train(of_fold(cfg, fold), callbacks=[callback], tags={**tags, **own}, whole=False)


def _ends_early(callback: TrialCallback, found: Sequence[Scores]) -> bool:
    """Reports the latest fold, and tells whether it shall be the last.

    Wilcoxon's test compares single folds with the best trial's, and a trial that it ends counts with its mean, as
    Optuna asks; the other pruners compare means, and prune.
    """
    if len(callback.names) > 1:
        return False
    trial, values = callback.trial, [scores[callback.names[0]] for scores in found]
    paired = isinstance(trial.study.pruner, WilcoxonPruner)
    trial.report(values[-1] if paired else mean(values), len(values) - 1)
    ends = trial.should_prune()
    callback.pruned = ends and not paired
    return ends
