import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import precision_score, recall_score, roc_curve

from medfit.evidence.predictions import Predictions
from medfit.evidence.targets.known import named
from medfit.evidence.thresholds import Counted, _counted, _rates, choose, predictive_values, rates, readout, wilson


def study(seed=0, size=80, prefix=""):
    rng = np.random.default_rng(seed)
    target = np.r_[1.0, 0.0, rng.random(size - 2) < 0.4].astype(float)
    preds = (0.3 * target + 0.7 * rng.random(size)).round(2)
    return Predictions(
        named("binary"), ["ill"], np.char.add(prefix, np.arange(size).astype(str)), target[:, None], preds[:, None]
    )


def of(unit):
    return unit.preds[:, 0], unit.target[:, 0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_youdens_threshold_is_the_best_of_the_roc_curve(seed):
    preds, target = of(study(seed))
    false, true, _ = roc_curve(target, preds)
    found = {
        name: value[0]
        for name, value in rates(preds, target, choose(preds, target, "youden"), np.ones((1, 80))).items()
    }
    assert found["sensitivity"] + found["specificity"] - 1 == pytest.approx((true - false).max())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), at_least=st.floats(0.05, 0.99))
def test_a_fixed_sensitivity_is_reached_with_the_best_specificity(seed, at_least):
    preds, target = of(study(seed))
    chosen = choose(preds, target, "sensitivity", at_least)
    false, true, _ = roc_curve(target, preds, drop_intermediate=False)
    assert recall_score(target, preds >= chosen) >= at_least
    assert (preds[target == 0] >= chosen).mean() == pytest.approx(false[true >= at_least].min())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), at_least=st.floats(0.05, 0.99))
def test_a_fixed_specificity_is_reached_with_the_best_sensitivity(seed, at_least):
    preds, target = of(study(seed))
    chosen = choose(preds, target, "specificity", at_least)
    false, true, _ = roc_curve(target, preds, drop_intermediate=False)
    assert (preds[target == 0] < chosen).mean() >= at_least
    assert recall_score(target, preds >= chosen) == pytest.approx(true[1 - false >= at_least].max())


@pytest.mark.parametrize("ratio", [0.2, 1.0, 9.0])
def test_costs_are_the_least_there_are(ratio):
    preds, target = of(study())

    def cost(threshold):
        yes = preds >= threshold
        return ratio * (~yes & (target == 1)).sum() + (yes & (target == 0)).sum()

    chosen = choose(preds, target, "cost", cost_ratio=ratio)
    assert cost(chosen) == min(cost(t) for t in np.r_[np.unique(preds), 2])


def test_one_class_has_no_threshold():
    assert np.isnan(choose(np.array([0.1, 0.9]), np.ones(2), "youden"))


def test_rates_are_scikit_learns():
    preds, target = of(study())
    yes = preds >= 0.5
    found = rates(preds, target, 0.5, np.ones((1, 80)))
    assert found["sensitivity"][0] == pytest.approx(recall_score(target, yes))
    assert found["specificity"][0] == pytest.approx(recall_score(1 - target, ~yes))
    assert found["ppv"][0] == pytest.approx(precision_score(target, yes))
    assert found["npv"][0] == pytest.approx(precision_score(1 - target, ~yes))


@pytest.mark.parametrize(("hits", "number"), [(0, 10), (3, 20), (20, 20), (70, 90)])
def test_wilsons_interval_is_scipys(hits, number):
    expected = stats.binomtest(hits, number).proportion_ci(method="wilson")
    assert wilson(hits / number, number) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("rate", "number"), [(0.5, 0), (np.nan, 10), (0.5, np.nan)])
def test_of_nobody_there_is_no_interval(rate, number):
    assert np.isnan(wilson(rate, number)).all()


def test_predictive_values_follow_bayes_rule():
    # sensitivity .9 and specificity .8 at a prevalence of .1: of 1000, 90 true and 180 false alarms, 720 well, 10 missed
    assert predictive_values(0.9, 0.8, 0.1) == pytest.approx((90 / 270, 720 / 730))


def rows_of(table, rate):
    return table[table.rate == rate].iloc[0]


def test_the_threshold_comes_from_validation_data_alone():
    test, val = study(1), study(2, prefix="v")
    table = readout([test], [val])
    assert set(table.threshold) == {choose(*of(val), "youden")}
    flipped = Predictions(named("binary"), test.names, test.patient, 1 - test.target, test.preds)
    assert set(readout([flipped], [val]).threshold) == set(table.threshold)


def test_with_a_row_each_intervals_are_about_wilsons():
    test, val = study(1, size=200), study(2, prefix="v")
    table = readout([test], [val], num_resamples=4000)
    found = rows_of(table, "sensitivity")
    expected = wilson(found.estimate, test.target.sum())
    assert (found.low, found.high) == pytest.approx(expected, abs=0.012)


def test_repeated_measurements_count_as_one_patient():
    single, val = study(1), study(2, prefix="v")
    tenfold = single.rows(np.repeat(np.arange(len(single)), 10))
    one, ten = (rows_of(readout([unit], [val]), "specificity") for unit in (single, tenfold))
    assert (one.low, one.high) == pytest.approx((ten.low, ten.high), rel=0.02)
    assert one.patients == ten.patients


def test_a_rate_of_one_has_an_interval():
    target = np.repeat([1.0, 0.0], 10)
    unit = Predictions(named("binary"), ["ill"], np.arange(20).astype(str), target[:, None], target[:, None])
    found = rows_of(readout([unit], [unit]), "sensitivity")
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(wilson(1.0, 10)[0])


def test_a_stated_prevalence_adds_predictive_values():
    table = readout([study(1)], [study(2, prefix="v")], prevalence=0.01)
    own, stated = rows_of(table, "ppv"), rows_of(table, "ppv at a prevalence of 0.01")
    assert stated.estimate < own.estimate / 5
    assert stated.low <= stated.estimate <= stated.high


def test_classes_have_a_read_out_each():
    rng = np.random.default_rng(0)
    target, preds = np.eye(3)[rng.integers(0, 3, 60)], rng.dirichlet(np.ones(3), 60)
    unit = Predictions(named("multiclass"), ["a", "b", "c"], np.arange(60).astype(str), target, preds)
    assert readout([unit], [unit]).groupby("column").rate.count().to_dict() == {"a": 4, "b": 4, "c": 4}


def test_a_class_that_validation_lacks_is_a_gap():
    test, val = study(1), study(2, prefix="v")
    nobody = Predictions(named("binary"), val.names, val.patient, np.zeros_like(val.target), val.preds)
    table = readout([test], [nobody])
    assert table[["threshold", "estimate", "low", "high"]].isna().all(axis=None)


def clusters(rng, number, rows, alike):
    """Patients whose answers are all alike in a share of them, and drawn one by one in the others."""
    patient = np.repeat(np.arange(number), rows)
    same = (rng.random(number) < alike)[patient]
    right = np.where(same, (rng.random(number) < 0.8)[patient], rng.random(number * rows) < 0.8).astype(float)
    return Predictions(named("binary"), ["ill"], patient.astype(str), np.ones((number * rows, 1)), right[:, None])


def sensitivity(unit):
    return next(rate for rate in _rates([unit], [0.5], 0, 4000) if rate["rate"] == "sensitivity")


@pytest.mark.parametrize("alike", [0.2, 0.5, 0.9])
def test_what_repeats_count_for_is_the_design_effect_of_surveys(alike):
    unit = clusters(np.random.default_rng(4), 100, 4, alike)
    right = (unit.preds[:, 0] > 0.5).reshape(100, 4)
    rate = right.mean()
    variance = (right.mean(axis=1) - rate).var(ddof=0) / 100  # of the mean of clusters of one size
    students = (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 99)) ** 2  # Korn & Graubard, for few clusters
    number = min(rate * (1 - rate) / variance * students, 400)
    assert 110 < number < 330
    expected = wilson(rate, number)
    found = sensitivity(unit)
    assert (found["low"], found["high"]) == pytest.approx(expected, abs=0.004)


@pytest.mark.parametrize(
    ("patients", "rows", "told", "effective", "number"),
    [
        (50, 50.0, 20, 60.0, 50),  # a row each
        (50, 50.0, 20, 40.0, 40),
        (50, 200.0, 4, 180.0, 50),  # four patients can't tell how alike their rows are
        (50, 200.0, 5, 1000.0, 200),
        (50, 200.0, 5, 100.0, 100 * (1.959964 / 2.009575) ** 2),  # Student's with 49 degrees of freedom
        (50, 200.0, 0, np.nan, 50),
    ],
)
def test_how_many_rows_count(patients, rows, told, effective, number):
    assert Counted(patients, rows, told).number(effective) == pytest.approx(number, rel=1e-5)


def test_a_second_seed_makes_no_more_rows():
    one = _counted([study(1)], [0.5], 0, "sensitivity")
    assert _counted([study(1), study(1)], [0.5, 0.5], 0, "sensitivity") == one
    target, preds = study(1).target[:, 0] > 0.5, study(1).preds[:, 0]
    assert (one.patients, one.rows) == (target.sum(), target.sum())
    assert one.told == min((preds[target] >= 0.5).sum(), (preds[target] < 0.5).sum())


def test_rows_are_those_of_all_patients_in_one_training():
    one = _counted([study(1)], [0.5], 0, "sensitivity")
    twice = study(1).rows(np.repeat(np.arange(80), 2))
    both = _counted([twice, study(1)], [0.5, 0.5], 0, "sensitivity")
    assert (both.patients, both.rows, both.told) == (one.patients, 1.5 * one.patients, one.told)
