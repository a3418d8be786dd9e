import re
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mean_absolute_error, roc_auc_score

from medfit import evaluate
from medfit.config import folders
from medfit.errors import UserError
from medfit.evaluation import trainings
from medfit.training.parts import prepare

SMALL = ["regime=smoke", "evaluate.num_seeds=2", "evaluate.num_resamples=100"]


def seeds_of(client):
    return client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'seed'")


def test_the_test_split_is_scored_for_each_seed_beside_baselines(compose, client):
    table = evaluate.evaluate(compose(*SMALL)).trainings
    assert table.model.tolist() == ["mlp regime=smoke"] * 2 + ["prevalence", "logistic", "gradient boosting"]
    assert table.seed.tolist()[:2] == [0, 1]
    assert {run.data.params["seed"] for run in seeds_of(client)} == {"0", "1"}
    for run in seeds_of(client):
        row = table[table.seed == int(run.data.params["seed"])].iloc[0]
        assert run.data.metrics["test/auroc"] == pytest.approx(row.auroc)


@pytest.mark.slow
def test_the_parent_holds_means_and_standard_deviations(compose, client):
    table = evaluate.evaluate(compose(*SMALL)).trainings
    (parent,) = client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'evaluation'")
    values = table.auroc[:2]
    assert parent.data.metrics["test/auroc"] == pytest.approx(values.mean())
    assert parent.data.metrics["test_sd/auroc"] == pytest.approx(np.std(values, ddof=1))
    assert parent.data.tags["test_opening"] == "1"


@pytest.mark.slow
def test_every_opening_of_the_test_split_is_counted_and_said(compose, capsys):
    evaluate.evaluate(compose(*SMALL))
    assert "evaluation number" not in capsys.readouterr().out
    evaluate.evaluate(compose(*SMALL))
    assert "evaluation number 2 of breast_cancer" in capsys.readouterr().out


@pytest.mark.slow
def test_baselines_are_scikit_learns_on_the_same_rows(compose):
    cfg = compose(*SMALL)
    table = evaluate.evaluate(cfg).trainings
    module = prepare(cfg).datamodule
    (x, y), (test_x, test_y) = (tuple(part.numpy() for part in module.arrays(split)) for split in ("train", "test"))
    probability = LogisticRegression(max_iter=2000).fit(x, y[:, 0]).predict_proba(test_x)[:, 1]
    found = table[table.model == "logistic"].auroc.item()
    assert found == pytest.approx(roc_auc_score(test_y[:, 0], probability), abs=1e-6)


def test_the_mean_predictor_is_the_training_splits_mean(compose):
    cfg = compose("dataset=diabetes", *SMALL)
    table = evaluate.evaluate(cfg).trainings
    module = prepare(cfg).datamodule
    mean = module.arrays("train")[1].numpy().mean()
    target = module.arrays("test")[1].numpy()[:, 0]
    expected = mean_absolute_error(target, np.full_like(target, mean))
    assert table[table.model == "mean"].mae.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_each_fold_is_scored_once_and_together_they_are_everyone(compose, client):
    table = evaluate.evaluate(compose("regime=smoke", "evaluate.num_seeds=1", "evaluate.num_folds=3")).trainings
    trained = table[table.model.str.startswith("mlp")]
    assert trained.fold.tolist() == [0, 1, 2]
    patients = [prepare(run_config).datamodule.rows["test"] for run_config in folds(compose, 3)]
    assert sorted(np.concatenate(patients)) == list(range(569))
    assert {run.data.tags["fold"] for run in seeds_of(client)} == {"0", "1", "2"}


def test_validation_and_test_predictions_are_of_the_splits_patients(compose, monkeypatch):
    seen = {}
    summarise = evaluate.summary.summarise
    monkeypatch.setattr(
        evaluate.summary, "summarise", lambda units, *rest: summarise(seen.update(units) or units, *rest)
    )
    cfg = compose(*SMALL, "evaluate.num_seeds=1", "model=linear")
    evaluate.evaluate(cfg)
    module = prepare(cfg).datamodule
    for (unit,) in seen.values():
        for split, made in (("val", unit.val), ("test", unit.test)):
            np.testing.assert_array_equal(made.target[:, 0], module.dataset.y[module.rows[split]][:, 0])
        assert not set(unit.val.patient) & set(unit.test.patient)
    assert len(seen) == 4


def folds(compose, num):
    return [compose("regime=smoke", f"split.num_folds={num}", f"split.fold={fold}") for fold in range(num)]


@pytest.mark.slow
def test_nested_cross_validation_searches_in_each_fold_without_its_test_patients(compose, client):
    cfg = compose("regime=smoke", "evaluate.num_seeds=1", "evaluate.num_folds=2", "evaluate.nested=true", "sweep=smoke")
    table = evaluate.evaluate(cfg).trainings
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


@pytest.mark.slow
def test_results_are_written_and_other_configurations_rows_are_kept(compose, experiments, capsys):
    path = experiments / "diabetes_progression" / "results.csv"
    path.unlink(missing_ok=True)
    for model in ("mlp", "linear"):
        fixed = ["evaluate.num_folds=null", "evaluate.nested=false", f"model={model}"]
        evaluate.main(compose(*SMALL, *fixed, experiment="diabetes_progression"))
    table = pd.read_csv(path)
    assert set(table.patients_of) == {"test split"}
    models = list(dict.fromkeys(table.model))
    assert models == ["linear regime=smoke", "mean", "ridge", "gradient boosting", "mlp regime=smoke"]
    assert ((table.low <= table.estimate) & (table.estimate <= table.high)).all()
    assert "make report EXPERIMENT=diabetes_progression" in capsys.readouterr().out


@pytest.mark.slow
def test_scores_of_folds_and_of_the_test_split_stand_beside_each_other(compose, experiments):
    path = experiments / "diabetes_progression" / "results.csv"
    path.unlink(missing_ok=True)
    for folds in ("null", "2"):
        scheme = [f"evaluate.num_folds={folds}", "evaluate.nested=false", "evaluate.num_seeds=1", "model=linear"]
        evaluate.main(compose("regime=smoke", "evaluate.num_resamples=100", *scheme, experiment="diabetes_progression"))
    table = pd.read_csv(path)
    assert set(table.patients_of) == {"2 folds", "test split"}
    mae = table[(table.metric == "mae") & table.model.str.startswith("linear")].set_index("patients_of")
    assert mae.patients.to_dict() == {"2 folds": 442, "test split": 89}
    assert mae.trainings.to_dict() == {"2 folds": 2, "test split": 1}


@pytest.mark.slow
def test_scores_come_from_the_predictions_that_are_stored(compose, client):
    found = evaluate.evaluate(compose(*SMALL))
    own = found.tables["scores"].set_index(["model", "metric"]).estimate
    means = found.trainings.groupby("model")[["auroc", "brier", "mcc"]].mean()
    for model in means.index:
        for metric in means:
            assert own[(model, metric)] == pytest.approx(means.loc[model, metric], abs=1e-5)


@pytest.mark.slow
def test_baselines_are_runs_with_predictions_of_their_own(compose, client):
    evaluate.evaluate(compose(*SMALL))
    baselines = client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'baseline'")
    assert {run.data.tags["baseline"] for run in baselines} == {"prevalence", "logistic", "gradient boosting"}
    for run in baselines:
        assert {file.path for file in client.list_artifacts(run.info.run_id, "predictions")} == {
            "predictions/val.csv",
            "predictions/test.csv",
        }


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on_where_it_stopped(compose, client, monkeypatch, capsys):
    cfg, trained = compose(*SMALL), []

    def interrupted(own, **kwargs):
        if own.seed == 1 and len(trained) == 1:
            trained.append("interrupted")
            raise KeyboardInterrupt
        trained.append(own.seed)
        return real(own, **kwargs)

    real = trainings.train
    monkeypatch.setattr(trainings, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate.evaluate(cfg)
    found = evaluate.evaluate(cfg)
    assert trained == [0, "interrupted", 1]
    assert "Going on with the evaluation" in capsys.readouterr().out
    assert found.opening == 1
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'evaluation'")
    assert run.info.status == "FINISHED"
    again = evaluate.evaluate(cfg)
    assert again.opening == 2
    pd.testing.assert_frame_equal(found.trainings, again.trainings)


@pytest.mark.slow
def test_another_configuration_does_not_go_on_with_it(compose, client, monkeypatch):
    def interrupted(own, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainings, "train", interrupted)
        evaluate.evaluate(compose(*SMALL))
    assert evaluate.evaluate(compose(*SMALL, "model=linear")).opening == 2


@pytest.mark.slow
def test_nested_cross_validation_tells_its_optimism(compose):
    cfg = compose(*SMALL, "evaluate.num_seeds=1", "evaluate.num_folds=2", "evaluate.nested=true", "sweep=smoke")
    found = evaluate.evaluate(cfg)
    table = found.tables["optimism"]
    assert table.fold.tolist() == [0, 1]
    np.testing.assert_allclose(table.optimism, table.outer - table.inner)
    trained = found.trainings[found.trainings.model.str.startswith("mlp")].cross_entropy
    np.testing.assert_allclose(table.outer, trained)


@pytest.fixture
def sites(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(0, 1, (150, 3)), columns=["a", "b", "c"])
    table["ill"] = (table.a + rng.normal(0, 0.5, 150) > 0).astype(int)
    table["site"] = np.repeat(["north", "south", "west"], 50)
    table.loc[table.site == "west", "ill"] = 1
    table["name"] = [f"code {i}" for i in range(150)]
    table.to_csv(tmp_path / "sites.csv", index=False)
    return [
        "dataset=table",
        f"dataset.path={tmp_path / 'sites.csv'}",
        "dataset.target=ill",
        "dataset.exclude=[site,name]",
    ]


@pytest.mark.slow
def test_each_site_is_left_out_once_and_one_with_a_single_class_is_a_gap(compose, sites, capsys):
    found = evaluate.evaluate(compose(*sites, *SMALL, "evaluate.num_seeds=1", "evaluate.site=site"))
    own = found.trainings[found.trainings.model.str.startswith("mlp")].set_index("fold")
    assert np.isfinite(own.auroc[[0, 1]]).all()
    assert np.isnan(own.auroc[2])
    assert np.isfinite(own.brier).all()
    assert set(found.trainings.patients) == {"each site"}
    assert own.site.tolist() == ["north", "south", "west"]
    of_sites = found.tables["subgroups"].query("column == 'site'")
    south = of_sites.query("level == 'south' and metric == 'brier'").iloc[0]
    assert south.estimate == pytest.approx(own.brier[1], abs=1e-6) and south.patients == 50
    assert bool(of_sites.query("level == 'west'").small.all())  # everyone there is ill
    assert any("in 1 of 3 test splits: its AUROC is undefined" in line for line in found.warnings)
    assert "fold 2 of 3: site 'south'" in capsys.readouterr().out
    row = found.tables["scores"].query("metric == 'auroc' and model == 'logistic'").iloc[0]
    assert row.estimate == pytest.approx(found.trainings.query("model == 'logistic'").auroc.mean())
    assert row.patients == 150


@pytest.mark.slow
def test_subgroups_are_columns_that_need_not_be_features(compose, sites, client):
    found = evaluate.evaluate(
        compose(*sites, *SMALL, "evaluate.num_seeds=1", "evaluate.subgroups={site: null, a: [0]}")
    )
    table = found.tables["subgroups"]
    assert set(table.column) == {"site", "a"}
    assert set(table[table.column == "a"].level) == {"below 0", "0 and above"}
    north = table.query("level == 'north' and metric == 'brier'").iloc[0]
    assert north.patients <= 50


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (["evaluate.subgroups={name: null}"], "the column has 150 values"),
        (["evaluate.subgroups={sight: null}"], "has no column 'sight'; did you mean 'site'"),
        (["evaluate.site=sight"], "split.site: the data set has no column 'sight'"),
        (["evaluate.site=name"], "'name' has 150 values, more than sites can be"),
        (["evaluate.site=site", "evaluate.num_folds=2"], "give num_folds or site, not both"),
        (["evaluate.num_folds=151"], "patients can't be divided|patients are too few"),
    ],
)
def test_what_can_not_be_had_is_told_before_any_training(compose, sites, changed, told, client):
    with pytest.raises(UserError, match=told):
        evaluate.evaluate(compose(*sites, *SMALL, *changed))
    assert client.search_runs([e.experiment_id for e in client.search_experiments()]) == []


@pytest.fixture
def wines(tmp_path):
    load_wine(as_frame=True).frame.to_csv(tmp_path / "wine.csv", index=False)
    return ["dataset=table", f"dataset.path={tmp_path / 'wine.csv'}", "dataset.target=target"]


@pytest.mark.slow
def test_classes_have_intervals_and_a_read_out_each(compose, wines):
    found = evaluate.evaluate(compose(*SMALL, *wines, "evaluate.num_seeds=1"))
    row = found.tables["scores"].query("metric == 'cross_entropy'").iloc[0]
    assert row.low < row.estimate < row.high
    assert set(found.tables["thresholds"].column) == {"0", "1", "2"}


@pytest.mark.slow
def test_numbers_have_intervals_and_limits_of_agreement(compose):
    found = evaluate.evaluate(compose(*SMALL, "dataset=diabetes", "evaluate.num_seeds=1"))
    row = found.tables["scores"].query("metric == 'mae'").iloc[0]
    assert row.low < row.estimate < row.high
    assert found.tables["agreement"].measure.tolist() == ["bias", "lower limit", "upper limit"]
    assert found.tables["prediction_intervals"].half_width[0] > row.estimate


@pytest.mark.slow
def test_segmentations_are_scored_by_patient_beside_otsu_and_the_mean_mask(compose):
    data = ["dataset=mni_tissue", "model=unet", "model.widths=[4,8]", "regime.epochs=1"]
    found = evaluate.evaluate(compose(*SMALL, *data, "regime.batch_size=8", "evaluate.num_seeds=1"))
    table = found.tables["scores"]
    assert set(table.model) >= {"Otsu", "mean mask"}
    own = found.trainings.set_index("model").dice
    for model in own.index:
        row = table.query("metric == 'dice' and model == @model").iloc[0]
        assert row.estimate == pytest.approx(own[model], abs=1e-5)
    assert found.tables["patients"].dice.is_monotonic_increasing


def test_without_an_experiment_a_model_is_not_named_by_its_data(compose):
    assert evaluate.label(compose("dataset=breast_cancer", "model=linear", "split.seed=3")).split() == [
        "linear",
        "split.seed=3",
    ]


KILLED = """
import os, signal, sys
from medfit import evaluate
from medfit.config.compose import compose
from medfit.evaluation import trainings
real = trainings.train

def train(cfg, **kwargs):
    if cfg.seed == 1:
        kwargs["callbacks"] = [Killer()]
    return real(cfg, **kwargs)

from lightning.pytorch.callbacks import Callback

class Killer(Callback):
    def on_train_start(self, trainer, task):
        os.kill(os.getpid(), signal.SIGKILL)

trainings.train = train
evaluate.evaluate(compose(sys.argv[1:]))
"""


@pytest.mark.slow
def test_an_evaluation_that_was_killed_goes_on_and_leaves_no_run_running(compose, output_dir, client):
    fixed = ["experiment=", f"output_dir={output_dir}", "tracking.plots=false", "sweep.workers=0"]
    died = subprocess.run([sys.executable, "-c", KILLED, *fixed, *SMALL], capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL
    ids = [e.experiment_id for e in client.search_experiments()]
    assert len(client.search_runs(ids, "attributes.status = 'RUNNING'")) == 2
    found = evaluate.evaluate(compose(*SMALL))
    assert found.opening == 1
    assert client.search_runs(ids, "attributes.status = 'RUNNING'") == []
    assert sorted(run.info.status for run in seeds_of(client)) == ["FINISHED", "FINISHED", "KILLED"]


@pytest.mark.parametrize("folds", ["evaluate.num_folds=5", "evaluate.site=sex"])
def test_what_a_sweep_chose_is_not_scored_on_the_patients_that_chose_it(compose, folds, client):
    cfg = compose(folds, "evaluate.nested=false", experiment="diabetes_progression/best")
    with pytest.raises(
        UserError, match=r"/best were chosen on patients that would be tested now.*evaluate.nested=true"
    ):
        evaluate.evaluate(cfg)
    assert not client.search_experiments(filter_string="name = 'diabetes_progression'")


@pytest.mark.slow
def test_subgroups_and_sites_are_shown(compose, sites, capsys):
    evaluate.main(compose(*sites, *SMALL, "evaluate.num_seeds=1", "evaluate.site=site", "model=linear"))
    shown = capsys.readouterr().out
    assert "Subgroups (95 % interval" in shown and "site: north" in shown
    assert "site: west (too small to say much)" in shown


@pytest.mark.parametrize("name", sorted(path.parent.name for path in folders.EXPERIMENTS.glob("*/config.yaml")))
def test_readme_of_an_experiment_has_the_configs_number_of_seeds(compose, name):
    best = (folders.EXPERIMENTS / name / "best.yaml").exists()
    cfg = compose(experiment=f"{name}/best" if best else name)
    words = {"two": 2, "three": 3, "five": 5}
    text = (folders.EXPERIMENTS / name / "README.md").read_text()
    told = {words[word.lower()] for word in re.findall(r"(?i)\b(two|three|five) seeds", text)}
    assert told <= {cfg.evaluate.num_seeds}
