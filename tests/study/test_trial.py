import math
from pathlib import Path
from statistics import mean, stdev
from types import SimpleNamespace

import optuna
import pandas as pd
import pytest
import yaml
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from medfit import sweep
from medfit.errors import UserError
from medfit.search import trials
from medfit.search.space import read_space
from medfit.study import best, repair, trial
from medfit.study.trial import TrialCallback, run_trial
from medfit.study.trial_plan import TrialPlan, halved
from medfit.tasks.classification import Binary
from medfit.tracking import recording
from medfit.tracking.lightning_logger import RunLogger
from medfit.tracking.run import create_run
from medfit.tracking.store import Store
from medfit.train import train
from medfit.training.parts import prepare

SMALL = ["regime=smoke", "regime.epochs=1", "sweep/sampler=random", "sweep/pruner=none"]
FOLDS = [*SMALL, "dataset=heart_disease", "sweep.folds=3", "sweep.num_trials=1"]
LARGE = [*SMALL, "dataset=breast_cancer", "model._target_=faulty.Faulty", "+model.fault=large", "sweep.num_trials=1"]


@pytest.fixture(autouse=True)
def faulty(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))


@pytest.fixture
def runs(client):
    """Reads the runs of a kind, in the order of their folds or trials."""

    def of_kind(kind):
        ids = [e.experiment_id for e in client.search_experiments()]
        found = client.search_runs(ids, f"tags.kind = '{kind}'")
        return sorted(found, key=lambda run: int(run.data.tags.get("fold", run.data.tags.get("trial", 0))))

    return of_kind


@pytest.fixture
def scored(monkeypatch):
    """Replaces trainings by scores of a trial's folds; returns the trainings asked for, as (trial, fold)."""

    def by(score):
        asked = []

        def pretended(cfg, callbacks, tags, **_):
            asked.append((int(tags["trial"]), int(tags["fold"])))
            return {"val/cross_entropy": score(*asked[-1])}

        monkeypatch.setattr(trial, "train", pretended)
        return asked

    return by


def reports_of(cfg):
    """Returns a trial's scores, and what it reported."""
    told = []
    study = optuna.create_study()
    scores = run_trial(study.ask(), TrialPlan(cfg, read_space(cfg), "0" * 32), lambda *report: told.append(report))
    return scores, told


def test_a_trial_reports_each_epoch(compose):
    scores, told = reports_of(compose(*SMALL, "regime.epochs=3"))
    assert [report[:3] for report in told] == [("epoch", 1, 3), ("epoch", 2, 3), ("epoch", 3, 3)]
    assert scores["val/cross_entropy"] == pytest.approx(min(report[3] for report in told))


def test_a_trial_that_goes_on_in_another_ones_place_has_all_of_its_reports(compose, runs, output_dir):
    cfg = compose(*SMALL, "regime.epochs=4", "regime.checkpoint_every_min=1e-4")
    plan, reports = TrialPlan(cfg, read_space(cfg), "none"), []

    def fault(unit, done, of, score):
        reports.append(done)
        if len(reports) == 3:
            raise RuntimeError("CUDA error")

    study = optuna.create_study()
    with pytest.raises(RuntimeError, match="CUDA error"):
        run_trial(study.ask(), plan, fault)
    study.enqueue_trial(study.trials[0].params)
    run_trial(study.ask(), plan, fault)
    assert len(study.trials[1].user_attrs["curve"]) == 4
    assert reports[3:] == [3, 4]
    assert [run.info.status for run in runs("trial")] == ["FAILED", "FINISHED"]
    assert not (output_dir / "states").exists()


@pytest.mark.slow
def test_a_trial_that_goes_on_has_its_reports_of_before_by_any_name_of_its_objective(compose):
    logger, name = RunLogger(), "val/dice/liver (left)"
    logger.run = create_run(Store(compose()), "any", "one", {"kind": "trial"})
    for epoch, score in enumerate([0.25, 0.5]):
        logger.run.log_metrics({"val/dice/liver [left]": 1.0, name: score}, epoch)
    own = optuna.create_study().ask()
    callback = TrialCallback(own, OmegaConf.create({"objective": name, "folds": None}), lambda *_: None)
    callback.on_fit_start(SimpleNamespace(logger=logger), None)
    own.storage.flush()
    assert own.study.get_trials()[0].intermediate_values == {0: 0.25, 1: 0.5}


def test_a_trial_of_folds_reports_each_epoch_with_its_fold(compose):
    _, told = reports_of(compose(*FOLDS, "regime.epochs=2"))
    folds = [f"fold {fold}/3 epoch" for fold in (1, 2, 3)]
    assert [report[:3] for report in told] == [(fold, epoch, 2) for fold in folds for epoch in (1, 2)]


def test_a_trial_of_folds_has_their_mean_score(compose, runs):
    study = sweep.sweep(compose(*FOLDS))
    (whole,), folds = runs("trial"), runs("fold")
    scores = [run.data.metrics["val/auroc"] for run in folds]
    losses = [run.data.metrics["val/cross_entropy"] for run in folds]
    assert len(folds) == 3
    assert study.best_value == pytest.approx(mean(losses))
    assert whole.data.metrics["val/cross_entropy"] == pytest.approx(mean(losses))
    assert whole.data.metrics["val/auroc"] == pytest.approx(mean(scores))
    assert whole.data.metrics["val_sd/auroc"] == pytest.approx(stdev(scores))


@pytest.mark.slow
def test_the_folds_of_a_trial_are_its_children(compose, runs):
    sweep.sweep(compose(*FOLDS))
    (parent,), (whole,), folds = runs("sweep"), runs("trial"), runs("fold")
    assert whole.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in folds} == {whole.info.run_id}
    assert [run.info.run_name for run in folds] == ["trial 0 fold 0", "trial 0 fold 1", "trial 0 fold 2"]
    assert {run.info.status for run in [parent, whole, *folds]} == {"FINISHED"}
    for fold, run in enumerate(folds):
        assert (run.data.params["split.val_folds"], run.data.params["split.val_fold"]) == ("3", str(fold))


@pytest.mark.slow
def test_folds_share_out_the_patients_that_are_not_in_the_test_split(compose, runs, client, output_dir):
    cfg = compose(*FOLDS)
    sweep.sweep(cfg)
    datamodule = prepare(cfg).datamodule
    apart = {
        split: set(recording.pseudonyms(output_dir, datamodule.dataset.name, datamodule.groups(split)))
        for split in ("train", "val", "test")
    }
    validated = [
        set(pd.read_csv(client.download_artifacts(run.info.run_id, "predictions/val.csv")).patient)
        for run in runs("fold")
    ]
    assert sum(map(len, validated)) == len(set.union(*validated))
    assert set.union(*validated) == apart["train"] | apart["val"]
    assert not set.union(*validated) & apart["test"]


@pytest.mark.slow
def test_a_trial_of_folds_is_composed_again_without_them(compose, experiments):
    cfg = compose(*FOLDS, experiment="heart_disease_diagnosis")
    assert "val_folds" not in best.as_yaml(cfg, sweep.sweep(cfg))


def test_a_bad_trial_is_pruned_after_a_fold_by_the_means(compose, scored, runs):
    asked = scored(lambda number, fold: (1.0 if number < 2 else 2.0) + fold / 10)
    lines = ["sweep/pruner=median", "sweep.pruner.n_startup_trials=2", "sweep.pruner.n_warmup_steps=0"]
    study = sweep.sweep(compose(*FOLDS, *lines, "sweep.num_trials=3"))
    assert [one.state for one in study.trials] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED]
    assert asked == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]
    assert study.trials[0].intermediate_values == pytest.approx({0: 1.0, 1: 1.05, 2: 1.1})
    assert [run.data.tags["pruned"] for run in runs("trial")] == ["false", "false", "true"]
    assert [run.info.status for run in runs("trial")] == ["FINISHED"] * 3


@pytest.mark.slow
def test_a_bad_trial_is_ended_by_wilcoxons_test_and_counts_with_its_mean(compose, scored, runs):
    asked = scored(lambda number, fold: 1.0 + number + fold / 10)
    study = sweep.sweep(compose(*FOLDS, "sweep/pruner=wilcoxon", "sweep.folds=8", "sweep.num_trials=2"))
    folds = sum(number == 1 for number, _ in asked)
    assert 2 < folds < 8
    assert [one.state for one in study.trials] == [TrialState.COMPLETE] * 2
    assert study.trials[1].value == pytest.approx(mean(2.0 + fold / 10 for fold in range(folds)))
    assert study.trials[1].intermediate_values == pytest.approx({fold: 2.0 + fold / 10 for fold in range(folds)})
    assert [run.info.status for run in runs("trial")] == ["FINISHED"] * 2


@pytest.mark.slow
def test_a_trial_of_one_fold_has_no_spread(compose, scored, runs):
    scored(lambda number, fold: float(number))
    lines = ["sweep/pruner=median", "sweep.pruner.n_startup_trials=1", "sweep.pruner.n_warmup_steps=0"]
    sweep.sweep(compose(*FOLDS, *lines, "sweep.num_trials=2"))
    assert ["val_sd/cross_entropy" in run.data.metrics for run in runs("trial")] == [True, False]


def test_wilcoxons_test_without_folds_is_refused(compose):
    with pytest.raises(UserError, match="Wilcoxon's test compares folds; add sweep.folds=5"):
        sweep.sweep(compose("regime=smoke", "sweep/pruner=wilcoxon"))


@pytest.mark.slow
def test_an_error_in_a_fold_fails_the_trial_and_leaves_nothing_running(compose, monkeypatch, runs):
    def flaky(cfg, callbacks, tags, **_):
        if tags["fold"] == "1" and tags["trial"] == "0":
            cfg.model.fault = "raise"
        return train(cfg, callbacks, tags)

    monkeypatch.setattr(trial, "train", flaky)
    cfg = compose(*FOLDS, "model._target_=faulty.Faulty", "+model.fault=none", "sweep.num_trials=2")
    study = sweep.sweep(cfg)
    assert [one.state for one in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert study.trials[0].user_attrs["failure"] == "RuntimeError: a fault on purpose"
    assert [run.info.status for run in runs("trial")] == ["FAILED", "FINISHED"]
    of_first = [run.info.status for run in runs("fold") if run.data.tags["trial"] == "0"]
    assert of_first == ["FINISHED", "FAILED"]
    assert Store(cfg).running() == []


@pytest.mark.slow
def test_several_objectives_over_folds_are_all_means(compose, runs):
    lines = ["sweep.objective=[val/auroc,val/brier]", "sweep.direction=[max,min]"]
    study = sweep.sweep(compose(*FOLDS, *lines))
    for name, value in zip(("val/auroc", "val/brier"), study.trials[0].values, strict=True):
        assert value == pytest.approx(mean(run.data.metrics[name] for run in runs("fold")))


@pytest.mark.slow
def test_a_score_that_is_no_number_in_a_fold_and_no_objective_is_no_failure(compose, scored, runs, monkeypatch):
    scored(lambda number, fold: 1.0)
    pretended = trial.train
    odd = lambda *args: {**pretended(*args), "val/auroc": math.nan if args[2]["fold"] == "1" else 0.5}  # noqa: E731
    monkeypatch.setattr(trial, "train", lambda cfg, callbacks, tags, **_: odd(cfg, callbacks, tags))
    study = sweep.sweep(compose(*FOLDS))
    assert study.best_value == 1.0
    (run,) = runs("trial")
    assert "val_sd/cross_entropy" in run.data.metrics and "val_sd/auroc" not in run.data.metrics


@pytest.mark.parametrize("lines", [[], ["sweep.folds=2"]], ids=["one split", "folds"])
def test_a_score_that_is_no_number_fails_trial_and_run(compose, monkeypatch, runs, lines):
    score = Binary.scores

    def spoilt(task, *outputs):
        of_best_weights = task.trainer.state.fn == "predict"
        return {**score(task, *outputs), **({"cross_entropy": math.nan} if of_best_weights else {})}

    monkeypatch.setattr(Binary, "scores", spoilt)
    cfg = compose(*SMALL, *lines, "sweep.num_trials=1")
    with pytest.raises(UserError, match="no trial finished; .*val/cross_entropy became nan"):
        sweep.sweep(cfg)
    (run,) = runs("trial")
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == "UserError: val/cross_entropy became nan"
    (summary,) = optuna.get_all_study_summaries(f"sqlite:///{cfg.output_dir}/optuna.db")
    study = optuna.load_study(study_name=summary.study_name, storage=f"sqlite:///{cfg.output_dir}/optuna.db")
    assert [one.state for one in study.trials] == [TrialState.FAIL]


@pytest.mark.slow
def test_a_trial_that_lacked_memory_is_tried_with_half_the_batch_in_the_same_place(compose, runs):
    cfg = compose(*LARGE, "sweep.space.regime.batch_size=[32]")
    study = sweep.sweep(cfg)
    assert [one.state for one in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert [trials.place(one, study.trials) for one in study.trials] == [0, 0]
    assert study.trials[0].params == study.trials[1].params
    params = [(run.data.params["regime.batch_size"], run.data.params["regime.accumulate"]) for run in runs("trial")]
    assert params == [("32", "1"), ("16", "2")]
    assert [run.info.status for run in runs("trial")] == ["FAILED", "FINISHED"]
    assert "does not fit in memory" in study.trials[0].user_attrs["failure"]


@pytest.mark.slow
def test_the_best_of_a_study_that_lacked_memory_has_half_the_batch(compose):
    cfg = compose(*LARGE, "sweep.space.regime.batch_size=[32]")
    study = sweep.sweep(cfg)
    regime = yaml.safe_load(best.as_yaml(cfg, study))["regime"]
    assert (regime["batch_size"], regime["accumulate"]) == (16, 2)
    assert best.tuned(cfg, study.best_trial) == {**study.best_params, "regime.batch_size": 16, "regime.accumulate": 2}


@pytest.mark.slow
def test_a_trial_that_lacks_memory_with_half_the_batch_too_is_not_tried_again(compose):
    with pytest.raises(UserError, match="no trial finished; .* does not fit in memory"):
        sweep.sweep(cfg := compose(*LARGE, "sweep.space.regime.batch_size=[64]"))
    (summary,) = optuna.get_all_study_summaries(f"sqlite:///{cfg.output_dir}/optuna.db")
    assert summary.n_trials == 2


@pytest.mark.slow
def test_a_trial_that_lacked_memory_is_not_tried_again_where_that_is_not_wanted(compose):
    with pytest.raises(UserError, match="no trial finished"):
        sweep.sweep(cfg := compose(*LARGE, "sweep.space.regime.batch_size=[32]", "sweep.retry_oom=false"))
    (summary,) = optuna.get_all_study_summaries(f"sqlite:///{cfg.output_dir}/optuna.db")
    assert summary.n_trials == 1


def test_half_of_an_odd_batch_is_the_larger_half(compose):
    made = halved(compose("regime.batch_size=33", "regime.accumulate=3"))
    assert (made.regime.batch_size, made.regime.accumulate) == (17, 6)


def test_half_of_the_whole_training_split_is_half_its_samples(compose):
    cfg = compose("regime.batch_size=null")
    assert halved(cfg).regime.batch_size == math.ceil(prepare(cfg).datamodule.batch_size / 2)


@pytest.mark.parametrize(("model", "expected"), [("resnet", True), ("gan", False)])
def test_a_family_that_accumulates_no_gradients_is_not_tried_with_half_the_batch(compose, model, expected):
    cfg = compose("dataset=pneumonia_mnist", f"model={model}")
    ended = create_trial(
        value=1.0,
        params={"regime.batch_size": 32},
        distributions={"regime.batch_size": CategoricalDistribution([16, 32])},
    )
    assert repair._can_be_halved(ended, cfg) == expected
