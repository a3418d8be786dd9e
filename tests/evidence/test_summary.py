import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score, roc_curve

from medfit.evidence import delong
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.summary import Unit, left_out, summarise, warnings
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


def test_a_gain_is_the_difference_of_scores():
    tables = summarise({"mlp": [unit(1)], "poor": [unit(2, noise=4)]}, NAMES, FEW)
    for metric, sign in (("auroc", 1), ("brier", -1)):
        own, poor = (row(tables["scores"], metric=metric, model=model).estimate for model in ("mlp", "poor"))
        assert row(tables["against"], metric=metric).gain == pytest.approx(sign * (own - poor))


def test_a_baseline_that_is_not_beaten_is_told():
    models = {"mlp": [unit(1)], "logistic": [unit(1)], "poor": [unit(2, noise=9)]}
    told = warnings(summarise(models, NAMES, FEW), named("binary"))
    assert any("does not beat the baseline 'logistic' in auroc" in line for line in told)
    assert not any("'poor'" in line for line in told)


def test_few_events_are_told_with_the_width_to_expect():
    told = warnings(summarise({"mlp": [unit()]}, NAMES, FEW), named("binary"))
    one = row(summarise({"mlp": [unit()]}, NAMES, FEW)["scores"], metric="auroc")
    assert told[0].startswith(
        f"few patients: with {int(min(one.events, 60 - one.events))} patients in the smaller class"
    )
    assert told[0].endswith(f"auroc is known to about ± {(one.high - one.low) / 2:.3g}")
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


def with_events(number, size, prefix="p"):
    """A diagnosis that so many patients have."""
    made = binary(3, size=size, prefix=prefix)
    target = (np.arange(size) < number).astype(float)[:, None]
    return Predictions(made.kind, made.names, made.patient, target, made.preds)


@pytest.mark.parametrize(
    ("events", "size", "small"),
    [(10, 20, False), (9, 100, True), (10, 19, True), (91, 100, True), (90, 100, False), (5, 10, True)],
)
def test_a_subgroup_is_small_with_few_patients_or_few_in_its_smaller_class(events, size, small):
    made = with_events(events, size)
    groups = pd.DataFrame({"sex": ["f"] * size})
    table = summarise({"mlp": [Unit(0, 0, made, made, groups)]}, ["brier"], FEW)["subgroups"]
    assert bool(row(table, metric="brier").small) is small


@pytest.mark.parametrize(
    ("events", "size", "told"),
    [
        (49, 400, "with 49 patients in the smaller class"),
        (351, 400, "with 49 patients in the smaller class"),
        (45, 90, "with 45 patients in the smaller class"),
        (50, 100, None),
    ],
)
def test_few_patients_are_told_by_the_smaller_class_or_by_all(events, size, told):
    made = with_events(events, size)
    lines = warnings(summarise({"mlp": [Unit(0, 0, made, made)]}, NAMES, FEW), named("binary"))
    assert [told in line for line in lines] == ([True] if told else [])


@pytest.mark.parametrize(("size", "few"), [(99, True), (100, False)])
def test_few_patients_with_numbers_are_told_too(size, few):
    rng = np.random.default_rng(0)
    made = Predictions(named("regression"), ["y"], np.arange(size).astype(str), *rng.normal(0, 1, (2, size, 1)))
    lines = warnings(summarise({"mlp": [Unit(0, 0, made, made)]}, ["mae"], FEW), named("regression"))
    assert [f"with {size} patients" in line for line in lines] == ([True] if few else [])


def test_thresholds_and_recalibration_come_of_validation_patients_and_scores_of_test_patients():
    val, test = binary(1, prefix="v"), binary(2)
    tables = summarise({"mlp": [Unit(0, 0, val, test)]}, NAMES, FEW)
    chosen = tables["thresholds"].threshold.iloc[0]
    best = [
        max(true - false for false, true, _ in zip(*roc_curve(u.target[:, 0], u.preds[:, 0]), strict=True))
        for u in (val, test)
    ]
    youden = [
        (u.preds[u.target > 0.5] >= chosen).mean() + (u.preds[u.target < 0.5] < chosen).mean() - 1 for u in (val, test)
    ]
    assert youden[0] == pytest.approx(best[0]) and youden[1] < best[1]
    found = row(tables["thresholds"], rate="sensitivity").estimate
    assert found == pytest.approx((test.preds[test.target > 0.5] >= chosen).mean())
    assert row(tables["scores"], metric="auroc").estimate == pytest.approx(roc_auc_score(test.target, test.preds))
    curves = tables["calibration_curve"]
    raised = curves[curves.recalibration == "isotonic"].predicted.to_numpy()
    expected = IsotonicRegression(out_of_bounds="clip").fit(val.preds[:, 0], val.target[:, 0]).predict(test.preds[:, 0])
    assert np.average(raised, weights=curves[curves.recalibration == "isotonic"].patients) == pytest.approx(
        expected.mean()
    )


def test_prediction_intervals_come_of_test_patients_as_validation_patients_chose_the_model():
    patient, nought = np.arange(19).astype(str), np.zeros((19, 1))
    val, test = (
        Predictions(named("regression"), ["y"], patient, nought, np.arange(1.0, 20)[:, None] * scale)
        for scale in (0.5, 1)
    )
    table = summarise({"mlp": [Unit(0, 0, val, test)]}, ["mae"], FEW)["prediction_intervals"]
    assert (table.half_width[0], table.coverage[0]) == (18, 0.9)


def test_classes_that_no_score_can_be_of_are_told():
    rng = np.random.default_rng(0)
    preds = rng.dirichlet(np.ones(3), 6)
    found = [
        Predictions(named("multiclass"), ["a", "b", "c"], np.arange(6).astype(str), np.eye(3)[classes], preds)
        for classes in ([0, 1, 0, 1, 0, 1], [0, 1, 2, 0, 1, 2])
    ]
    one = [Unit(0, seed, found[0], found[0]) for seed in (0, 1)]
    (line,) = left_out(one)
    assert line == "all or none of the samples are 'c' in the test split: its AUROC is undefined and in no mean"
    (line,) = left_out([*one, Unit(1, 0, found[1], found[1])])
    assert "'c' in 1 of 2 test splits" in line
    assert left_out([Unit(1, 0, found[1], found[1])]) == []
