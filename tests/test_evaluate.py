import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mean_absolute_error, roc_auc_score

from medfit import evaluate
from medfit.train import prepare

SMALL = ["regime=smoke", "evaluate.num_seeds=2"]


def seeds_of(client):
    return client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'seed'")


def test_the_test_split_is_scored_for_each_seed_beside_baselines(compose, client):
    table = evaluate.evaluate(compose(*SMALL))
    assert table.model.tolist() == ["mlp regime=smoke"] * 2 + ["prevalence", "logistic"]
    assert table.seed.tolist()[:2] == [0, 1]
    assert {run.data.params["seed"] for run in seeds_of(client)} == {"0", "1"}
    for run in seeds_of(client):
        row = table[table.seed == int(run.data.params["seed"])].iloc[0]
        assert run.data.metrics["test/auroc"] == pytest.approx(row.auroc)


def test_the_parent_holds_means_and_standard_deviations(compose, client):
    table = evaluate.evaluate(compose(*SMALL))
    (parent,) = client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'evaluation'")
    values = table.auroc[:2]
    assert parent.data.metrics["test/auroc"] == pytest.approx(values.mean())
    assert parent.data.metrics["test_sd/auroc"] == pytest.approx(np.std(values, ddof=1))
    assert parent.data.tags["test_opening"] == "1"


def test_every_opening_of_the_test_split_is_counted_and_said(compose, capsys):
    evaluate.evaluate(compose(*SMALL))
    assert "evaluation number" not in capsys.readouterr().out
    evaluate.evaluate(compose(*SMALL))
    assert "evaluation number 2 of breast_cancer" in capsys.readouterr().out


def test_baselines_are_scikit_learns_on_the_same_rows(compose):
    cfg = compose(*SMALL)
    table = evaluate.evaluate(cfg)
    module = prepare(cfg).datamodule
    (x, y), (test_x, test_y) = (tuple(part.numpy() for part in module.arrays(split)) for split in ("train", "test"))
    probability = LogisticRegression(max_iter=2000).fit(x, y[:, 0]).predict_proba(test_x)[:, 1]
    found = table[table.model == "logistic"].auroc.item()
    assert found == pytest.approx(roc_auc_score(test_y[:, 0], probability), abs=1e-6)


def test_the_mean_predictor_is_the_training_splits_mean(compose):
    cfg = compose("dataset=diabetes", *SMALL)
    table = evaluate.evaluate(cfg)
    module = prepare(cfg).datamodule
    mean = module.arrays("train")[1].numpy().mean()
    target = module.arrays("test")[1].numpy()[:, 0]
    expected = mean_absolute_error(target, np.full_like(target, mean))
    assert table[table.model == "mean"].mae.item() == pytest.approx(expected, rel=1e-5)


def test_each_fold_is_scored_once_and_together_they_are_everyone(compose, client):
    table = evaluate.evaluate(compose("regime=smoke", "evaluate.num_seeds=1", "evaluate.num_folds=3"))
    trained = table[table.model.str.startswith("mlp")]
    assert trained.fold.tolist() == [0, 1, 2]
    patients = [prepare(run_config).datamodule.rows["test"] for run_config in folds(compose, 3)]
    assert sorted(np.concatenate(patients)) == list(range(569))
    assert {run.data.tags["fold"] for run in seeds_of(client)} == {"0", "1", "2"}


def folds(compose, num):
    return [compose("regime=smoke", f"split.num_folds={num}", f"split.fold={fold}") for fold in range(num)]


def test_nested_cross_validation_searches_in_each_fold_without_its_test_patients(compose, client):
    cfg = compose("regime=smoke", "evaluate.num_seeds=1", "evaluate.num_folds=2", "evaluate.nested=true", "sweep=smoke")
    table = evaluate.evaluate(cfg)
    ids = [e.experiment_id for e in client.search_experiments()]
    sweeps = client.search_runs(ids, "tags.kind = 'sweep'")
    assert {run.data.params["split.fold"] for run in sweeps} == {"0", "1"}
    trials = client.search_runs(ids, "tags.kind = 'trial'")
    assert len(trials) == 6
    assert not [name for run in trials for name in run.data.metrics if name.startswith("test")]
    best = {run.data.params["split.fold"]: run.data.metrics["val/cross_entropy"] for run in sweeps}
    for run in seeds_of(client):
        assert run.data.metrics["val/cross_entropy"] == pytest.approx(best[run.data.tags["fold"]])
    assert table.model[0].startswith("mlp tuned")


def test_results_are_written_and_other_configurations_rows_are_kept(compose, experiments, capsys):
    path = experiments / "diabetes_progression" / "results.csv"
    path.unlink(missing_ok=True)
    for model in ("mlp", "linear"):
        fixed = ["evaluate.num_folds=null", "evaluate.nested=false", f"model={model}"]
        evaluate.main(compose(*SMALL, *fixed, experiment="diabetes_progression"))
    table = pd.read_csv(path)
    assert set(table.patients) == {"test split"}
    assert table.model.tolist() == ["linear regime=smoke"] * 2 + ["mean", "ridge"] + ["mlp regime=smoke"] * 2
    assert "make report EXPERIMENT=diabetes_progression" in capsys.readouterr().out


def test_scores_of_folds_and_of_the_test_split_stand_beside_each_other(compose, experiments):
    path = experiments / "diabetes_progression" / "results.csv"
    path.unlink(missing_ok=True)
    for folds in ("null", "2"):
        scheme = [f"evaluate.num_folds={folds}", "evaluate.nested=false", "evaluate.num_seeds=1", "model=linear"]
        evaluate.main(compose("regime=smoke", *scheme, experiment="diabetes_progression"))
    table = pd.read_csv(path)
    assert table.groupby("patients").model.count().to_dict() == {"2 folds": 6, "test split": 3}


def test_without_an_experiment_a_model_is_not_named_by_its_data(compose):
    assert evaluate.label(compose("dataset=breast_cancer", "model=linear", "split.seed=3")).split() == [
        "linear",
        "split.seed=3",
    ]
