"""``split.val=0``: training on all patients but those of the test split."""

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping

from medfit import compare, evaluate, report, sweep, train
from medfit.errors import UserError
from medfit.explain import explain
from medfit.reporting import collect, statements
from medfit.tracking.store import Store
from medfit.training import unvalidated
from medfit.training.parts import prepare
from medfit.training.trainer import BestWeights, fit, make_trainer

NO_VAL = ("split.val=0", "regime=smoke")
SMALL = (*NO_VAL, "evaluate.num_seeds=1", "evaluate.num_resamples=100")


def only(client, kind):
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()], f"tags.kind = '{kind}'")
    return run


def ucr(tmp_path, name, seed):
    """Writes a file as those of the UCR archive: a class and 24 points a row, without a header."""
    rng, label = np.random.default_rng(seed), np.arange(30) % 2 + 1
    points = rng.normal(size=(30, 24)) + label[:, None] * np.sin(np.arange(24) / 3)
    pd.DataFrame(np.column_stack([label, points])).to_csv(tmp_path / name, sep="\t", header=False, index=False)
    return tmp_path / name


@pytest.mark.parametrize("speed", ["auto", "plain"])
def test_the_last_epochs_weights_are_kept_and_nothing_stops_early(compose, speed):
    cfg = compose("split.val=0", "regime.epochs=4", "regime.patience=1", f"regime.speed={speed}")
    parts = prepare(cfg)
    assert not parts.datamodule.validates
    best = BestWeights(parts.task, validates=False)
    trainer = make_trainer(parts, [best])
    assert not any(isinstance(callback, EarlyStopping) for callback in trainer.callbacks)
    fit(trainer, parts)
    assert trainer.current_epoch == 4 and not any(name.startswith("val/") for name in trainer.callback_metrics)
    last = parts.task.state_dict()
    assert best.weights.keys() == last.keys()
    assert all(torch.equal(best.weights[name], last[name].cpu()) for name in last)


def test_a_training_says_that_there_was_no_validation_split(compose, client, capsys):
    train.main(compose(*NO_VAL, "tracking.plots=true"))
    told = " ".join(capsys.readouterr().out.split())
    assert f"Note: {unvalidated.TOLD}; medfit evaluate scores the test split." in told
    assert "Scores of the best epoch" not in told
    run = only(client, "run")
    assert not any(name.startswith("val/") for name in run.data.metrics) and "train/loss" in run.data.metrics
    assert [file.path for file in client.list_artifacts(run.info.run_id, "predictions")] == []


def test_an_evaluation_leaves_out_what_validation_patients_would_choose(compose, client):
    found = evaluate.evaluate(compose(*SMALL, "tracking.plots=true"))
    assert found.warnings[0] == unvalidated.SCORED
    assert not {"thresholds", "prediction_intervals"} & found.tables.keys()
    assert {"scores", "against", "calibration", "decision_curve"} <= found.tables.keys()
    assert set(found.tables["calibration"].recalibration) == {"none"}
    usual = evaluate.evaluate(compose("regime=smoke", *SMALL[2:]))
    assert usual.warnings[:1] != [unvalidated.SCORED] and "thresholds" in usual.tables
    ours, theirs = (made.tables["scores"] for made in (found, usual))
    assert set(ours.metric) == set(theirs.metric) and set(ours.patients) == set(theirs.patients)


def test_prediction_intervals_need_no_validation_patients(compose):
    found = evaluate.evaluate(compose(*SMALL, "dataset=diabetes", "task=regression"))
    assert {"prediction_intervals", "agreement", "scores"} <= found.tables.keys()


def test_a_published_division_is_trained_on_whole(compose, tmp_path, client):
    data = [
        f"dataset.path={ucr(tmp_path, 'Own_TRAIN.tsv', 0)}",
        f"dataset.test_path={ucr(tmp_path, 'Own_TEST.tsv', 1)}",
    ]
    cfg = compose(
        *SMALL, "dataset=series_table", *data, "dataset.target='0'", "dataset.header=false", "preprocessing=series",
        "model=cnn1d", "task=inferred", "model.widths=[8,8,8]",
    )  # fmt: skip
    rows = prepare(cfg).datamodule.rows
    assert rows["train"].tolist() == list(range(30)) and rows["test"].tolist() == list(range(30, 60))
    assert evaluate.evaluate(cfg).warnings[0] == unvalidated.SCORED


def test_a_report_tells_that_the_last_epoch_was_taken(compose, experiments):
    cfg = compose(*SMALL, "evaluate.num_folds=null", "evaluate.nested=false", experiment="heart_disease_diagnosis")
    evaluate.evaluate(cfg)
    shown = report.report(cfg).page
    run = Store(cfg).client.get_experiment_by_name(cfg.experiment)
    facts = collect.collect(Store(cfg), run.experiment_id, cfg.experiment, experiments / cfg.experiment)
    told = statements.told(facts, "", {})
    assert told["epoch"] == ("model", "the last one: there was no validation split")
    assert not {"thresholds", "recalibration"} & told.keys()
    assert "There was no validation split to choose thresholds on" in shown and "by the rule" not in shown
    assert "to learn a recalibration from" in shown and "learnt from validation patients" not in shown


def test_what_follows_a_validation_score_is_refused_in_a_line(compose):
    with pytest.raises(UserError, match=r"^regime.scheduler: ReduceLROnPlateau follows a validation score, which"):
        train.train(compose(*NO_VAL, "regime/scheduler=plateau"))
    stop = "{_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val/auroc}"
    with pytest.raises(UserError, match=r"^regime.callbacks.stop: it follows val/auroc, which split.val=0 leaves none"):
        train.train(compose(*NO_VAL, f"+regime.callbacks.stop={stop}"))


def test_a_sweep_needs_folds(compose):
    with pytest.raises(UserError, match=r"^sweep.objective: val/cross_entropy is a validation score, .* sweep.folds=5"):
        sweep.sweep(compose(*NO_VAL, "sweep=smoke"))
    study = sweep.sweep(compose(*NO_VAL, "sweep=smoke", "sweep.folds=2", "sweep.num_trials=1"))
    assert "val/cross_entropy" in study.best_trial.user_attrs["scores"]


def test_an_empty_split_is_not_explained(compose, client):
    train.train(compose(*NO_VAL, "model=linear"))
    run = only(client, "run").info.run_id
    with pytest.raises(UserError, match=rf"^explain.split=val: run {run} had no such split \(split.val=0\); give"):
        explain(compose(f"explain.run={run}", "explain.methods=[feature_ablation]"))


def test_runs_are_compared_on_what_they_have(compose, client):
    for model in ("mlp", "linear"):
        evaluate.evaluate(compose(*SMALL, f"model={model}"))
    seeds = client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'seed'")
    asked = ["compare.num_resamples=100", f"compare.runs=[{','.join(run.info.run_id for run in seeds)}]"]
    assert len(compare.compare(compose(*asked)))
    train.train(compose("regime=smoke"))
    asked[1] = f"compare.runs=[{seeds[0].info.run_id},{only(client, 'run').info.run_id}]"
    with pytest.raises(UserError, match=r"^compare.runs: some of these runs have no validation split \(split.val=0\)"):
        compare.compare(compose(*asked))
