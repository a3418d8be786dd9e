import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medfit.evidence import delong
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.summary import Unit, summarise, warnings
from medfit.evidence.targets.known import named

FEW = Settings(num_resamples=200)
NAMES = ["auroc", "brier", "accuracy"]


def binary(seed=0, size=60, noise=1.0, prefix="p"):
    truth, rng = np.random.default_rng(7), np.random.default_rng(seed)
    target = (truth.random(size) < 0.5).astype(float)
    preds = 1 / (1 + np.exp(-(2 * (target - 0.5) + noise * rng.normal(0, 1, size))))
    return Predictions(
        named("binary"), ["ill"], np.char.add(prefix, np.arange(size).astype(str)), target[:, None], preds[:, None]
    )


def unit(seed=0, fold=0, groups=None, **kind):
    return Unit(fold, seed, binary(seed + 100, prefix="v", **kind), binary(seed, **kind), pd.DataFrame(groups or {}))


def row(table, **keys):
    for name, value in keys.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_the_tables_of_a_diagnosis():
    tables = summarise({"mlp": [unit()], "logistic": [unit(5)]}, NAMES, FEW)
    assert set(tables) == {"scores", "against", "thresholds", "calibration", "calibration_curve", "decision_curve"}
    assert set(tables["scores"].model) == {"mlp", "logistic"}
    assert set(tables["against"].baseline) == {"logistic"}


def test_scores_are_means_over_trainings_with_their_spread():
    trained = [unit(seed) for seed in (1, 2, 3)]
    found = row(summarise({"mlp": trained}, NAMES, FEW)["scores"], metric="auroc")
    each = [roc_auc_score(u.test.target[:, 0], u.test.preds[:, 0]) for u in trained]
    assert found.estimate == pytest.approx(np.mean(each))
    assert found.sd == pytest.approx(np.std(each, ddof=1))
    assert (found.trainings, found.patients, found.events) == (3, 60, trained[0].test.target.sum())


def test_the_auroc_has_delongs_interval_and_all_else_bca():
    trained = [unit(1)]
    table = summarise({"mlp": trained}, NAMES, FEW)["scores"]
    expected = delong.interval([trained[0].test])
    assert (row(table, metric="auroc").low, row(table, metric="auroc").method) == (expected.low, "DeLong")
    assert row(table, metric="brier").method == "BCa bootstrap"
    assert (table.percentile_low <= table.estimate).all()


def test_a_gain_over_a_baseline_is_positive_whatever_the_metric():
    table = summarise({"mlp": [unit(1, noise=0.5)], "poor": [unit(2, noise=4)]}, NAMES, FEW)["against"]
    assert (table.gain > 0).all()
    assert (row(table, metric="brier").low > 0) & (row(table, metric="brier").p < 0.05)


def test_a_baseline_that_is_not_beaten_is_told():
    models = {"mlp": [unit(1)], "logistic": [unit(1)], "poor": [unit(2, noise=9)]}
    told = warnings(summarise(models, NAMES, FEW), named("binary"))
    assert any("does not beat the baseline 'logistic' in auroc" in line for line in told)
    assert not any("'poor'" in line for line in told)


def test_few_events_are_told_with_the_width_to_expect():
    told = warnings(summarise({"mlp": [unit()]}, NAMES, FEW), named("binary"))
    assert told[0].startswith("few patients: with ")
    enough = Unit(0, 0, binary(1, size=400), binary(2, size=400))
    assert warnings(summarise({"mlp": [enough]}, NAMES, FEW), named("binary")) == []


def test_subgroups_are_scored_alone_and_small_ones_marked():
    sex = np.where(np.arange(60) < 50, "f", "m")
    trained = [unit(seed, groups={"sex": sex}) for seed in (1, 2)]
    table = summarise({"mlp": trained}, NAMES, FEW)["subgroups"]
    women = row(table, level="f", metric="auroc")
    each = [roc_auc_score(u.test.target[:50, 0], u.test.preds[:50, 0]) for u in trained]
    assert women.estimate == pytest.approx(np.mean(each))
    assert (women.patients, row(table, level="m", metric="auroc").patients) == (50, 10)
    assert (bool(women.small), bool(row(table, level="m", metric="auroc").small)) == (False, True)


def test_a_subgroup_with_one_class_is_a_gap():
    one = unit(1)
    groups = {"site": np.where(one.test.target[:, 0] > 0.5, "a", "b")}
    table = summarise({"mlp": [Unit(0, 1, one.val, one.test, pd.DataFrame(groups))]}, NAMES, FEW)["subgroups"]
    found = row(table, level="a", metric="auroc")
    assert np.isnan(found[["estimate", "low", "high"]].astype(float)).all()
    assert np.isfinite(row(table, level="a", metric="brier").estimate)


def test_the_tables_of_numbers():
    rng = np.random.default_rng(0)
    target, preds = rng.normal(0, 1, (2, 50, 1))
    found = Predictions(named("regression"), ["y"], np.arange(50).astype(str), target, preds)
    tables = summarise({"mlp": [Unit(0, 0, found, found)]}, ["mae", "r2"], FEW)
    assert set(tables) == {"scores", "agreement", "calibration_curve", "prediction_intervals"}


def test_the_tables_of_segmentations_show_the_worst_patient_first():
    counts = np.array([[[9], [10], [10]], [[2], [10], [10]], [[6], [10], [10]]], dtype=float)
    found = Predictions(named("segmentation"), ["a"], np.array(["p", "q", "r"]), counts, np.full((3, 2, 1), np.nan))
    tables = summarise({"unet": [Unit(0, 0, found, found)]}, ["dice"], FEW)
    assert set(tables) == {"scores", "patients"}
    assert tables["patients"].patient.tolist() == ["q", "r", "p"]
    np.testing.assert_allclose(tables["patients"].dice, [0.2, 0.6, 0.9])


def test_the_metric_that_decides_depends_on_the_kind():
    assert [named(kind).headline for kind in ("binary", "multiclass", "regression", "segmentation")] == [
        "auroc", "auroc", "mae", "dice",
    ]  # fmt: skip
