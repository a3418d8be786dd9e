import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from medfit.evidence import intervals
from medfit.evidence.intervals import of_patients, resample, strata_of
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.summary import Unit, draws, summarise
from medfit.evidence.targets.known import named

RNG = np.random.default_rng(0)


def regression(patient, errors):
    size = len(errors)
    return Predictions(
        named("regression"), ["y"], np.asarray(patient).astype(str), np.zeros((size, 1)), np.reshape(errors, (size, 1))
    )


def mean_of(values):
    return {"mean": lambda weights: weights @ values / weights.sum(axis=1)}


@pytest.fixture
def no_expansion(monkeypatch):
    quantiles = stats.norm.ppf([0.025, 0.975])
    monkeypatch.setattr(intervals.Resamples, "_quantiles", lambda self: quantiles)


@pytest.mark.parametrize(("ours", "scipys"), [("percentile", "percentile"), ("bca", "BCa")])
def test_without_the_widening_for_few_patients_they_are_scipys(no_expansion, ours, scipys):
    values = RNG.exponential(2.0, 80)  # skewed, so that the two kinds differ
    found = getattr(resample(mean_of(values), 80, num_resamples=20_000), ours)()["mean"]
    expected = stats.bootstrap((values,), np.mean, method=scipys, n_resamples=20_000, rng=1).confidence_interval
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.03 * width)
    assert found.high == pytest.approx(expected.high, abs=0.03 * width)


def test_few_patients_widen_the_interval_to_students():
    values = RNG.normal(0, 1, 8)
    found = resample(mean_of(values), 8, num_resamples=50_000).percentile()["mean"]
    half = stats.t.ppf(0.975, 7) * values.std(ddof=1) / np.sqrt(8)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)


def test_patients_are_drawn_not_rows():
    patient, errors = np.repeat(np.arange(30), 10), np.repeat(RNG.normal(0, 1, 30), 10)
    once = regression(np.arange(30), errors[::10])
    for_rows, for_patients = (
        resample(*arguments(unit), num_resamples=4000).percentile()["mae"]
        for unit in (regression(patient, errors), once)
    )
    assert for_rows.low == pytest.approx(for_patients.low)
    assert for_rows.high == pytest.approx(for_patients.high)


def arguments(*units):
    statistics, patients, strata, _ = of_patients(units)
    return {"mae": statistics["mae"]}, len(patients), strata


def test_a_second_seed_that_says_the_same_makes_nothing_surer():
    unit = regression(np.arange(40), RNG.normal(0, 1, 40))
    one, two = (resample(*arguments(*[unit] * n), num_resamples=500).bca()["mae"] for n in (1, 2))
    assert one == two


def test_folds_keep_their_sizes():
    folds = [regression(range(20), np.zeros(20)), regression(range(20, 50), np.ones(30))]
    found = resample(*arguments(*folds), num_resamples=200)
    np.testing.assert_allclose(found.values, 0.5)  # each fold's mean never changes, nor does their number


def test_patients_of_one_test_split_are_a_stratum():
    patients, strata = strata_of([regression(list("abc"), np.zeros(3)), regression(list("de"), np.zeros(2))])
    assert patients.tolist() == list("abcde")
    assert len(set(strata[:3])) == len(set(strata[3:])) == 1
    assert strata[0] != strata[3]


def test_the_same_seed_draws_the_same():
    values = RNG.normal(0, 1, 20)
    one, two, other = (resample(mean_of(values), 20, num_resamples=100, seed=seed).values for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_draws_in_parts_are_as_many(monkeypatch):
    monkeypatch.setattr(intervals, "MOST_CELLS", 100)
    found = resample(mean_of(np.arange(30.0)), 30, num_resamples=101)
    assert found.values.shape == (101, 1)
    np.testing.assert_allclose(found.without[:, 0], (np.arange(30).sum() - np.arange(30)) / 29)


def test_a_statistic_that_is_often_undefined_has_no_interval():
    unit = Predictions(
        named("binary"), ["y"], np.arange(6).astype(str), np.array([[1.0]] + [[0.0]] * 5), np.linspace(0, 1, 6)[:, None]
    )
    statistics, patients, strata, _ = of_patients([unit])
    found = resample({"auroc": statistics["auroc"]}, len(patients), strata).bca()["auroc"]
    assert found.estimate == 0
    assert np.isnan([found.low, found.high]).all()


def test_one_patient_has_no_interval():
    found = resample(mean_of(np.ones(1)), 1).percentile()["mean"]
    assert found.estimate == 1
    assert np.isnan(found.low)


def test_p_is_small_where_zero_is_far_and_large_where_it_is_not():
    far, near = (resample(mean_of(RNG.normal(center, 1, 50)), 50) for center in (2.0, 0.0))
    assert far.p_value("mean") == pytest.approx(2 / 2001)
    assert near.p_value("mean") > 0.05
    assert resample(mean_of(np.zeros(5)), 5).p_value("mean") == 1


def test_what_resampling_itself_moves_has_neither_interval_nor_p():
    # the share of patients that are drawn: no resample has them all
    drawn = resample({"distinct": lambda weights: (weights > 0).mean(axis=1) - 0.9}, 50)
    found = drawn.bca()["distinct"]
    assert found.estimate == pytest.approx(0.1) and found.method == "no interval"
    assert np.isnan([found.low, found.high, drawn.p_value("distinct")]).all()


def test_calibration_errors_have_no_interval_as_chance_alone_makes_them_large():
    rng = np.random.default_rng(0)
    preds = rng.random(80)
    target = (rng.random(80) < preds).astype(float)  # calibrated: the truth is 0
    unit = Predictions(named("binary"), ["y"], np.arange(80).astype(str), target[:, None], preds[:, None])
    drawn = draws([unit], ["calibration_error", "brier"], Settings(num_resamples=200))
    for found in (drawn.bca(), drawn.percentile(), (drawn - drawn).bca()):
        assert np.isfinite(found["brier"].low)
        assert np.isnan([found["calibration_error"].low, found["calibration_error"].high]).all()
        assert found["calibration_error"].method == "no interval"
    assert np.isnan(drawn.p_value("calibration_error")) and drawn.bca()["calibration_error"].estimate > 0.05


def test_means_over_trainings_are_over_those_that_all_patients_define():
    target = np.array([[1.0], [0.0], [0.0], [0.0]])
    one = Predictions(named("binary"), ["y"], np.array(list("abcd")), target, np.array([[0.5], [0.1], [0.6], [0.2]]))
    single = replace(one, patient=np.array(list("efgh")), target=np.ones_like(target))
    statistics, *_ = of_patients([one, single])
    weights = np.array([np.ones(8), [0, 2, 1, 1, 1, 1, 1, 1]])
    np.testing.assert_allclose(statistics["auroc"](weights), [2 / 3, np.nan])


def renamed(unit, key):
    """The same rows, with other pseudonyms for the patients: what another machine's salt makes of them."""
    names = np.array([hashlib.sha256(f"{key}/{name}".encode()).hexdigest()[:16] for name in unit.patient])
    return replace(unit, patient=names)


@pytest.mark.parametrize("kind", ["regression", "segmentation"])
def test_the_same_data_have_the_same_intervals_on_every_machine(kind):
    rng = np.random.default_rng(0)
    patient = rng.permutation(np.repeat(np.arange(15), 2))
    made = regression(patient, rng.exponential(1, 30))
    if kind == "segmentation":
        found, missed, false = rng.integers(1, 50, (3, 30))
        counts = np.stack([found, found + false, found + missed], axis=1)[:, :, None].astype(float)
        made = Predictions(named(kind), ["tumour"], patient.astype(str), counts, np.full((30, 2, 1), np.nan))
    folds = [made, replace(made, patient=np.char.add("f", made.patient))]
    metric = {"regression": "mae", "segmentation": "dice"}[kind]
    tables = []
    for key in range(4):
        trained = [Unit(fold, 0, test, test) for fold, test in enumerate(renamed(unit, key) for unit in folds)]
        trained = trained[::-1] if key % 2 else trained
        tables.append(summarise({"net": trained}, [metric], Settings(num_resamples=200))["scores"])
    for other in tables[1:]:
        pd.testing.assert_frame_equal(other, tables[0], rtol=1e-12)


def test_models_with_other_patients_or_another_order_of_them_are_not_paired():
    rng = np.random.default_rng(0)
    one, other = (regression(order, rng.normal(0, 1, 3)) for order in (["a", "b", "c"], ["b", "a", "c"]))
    drawn = [draws([unit], ["mae"], Settings(num_resamples=100)) for unit in (one, other)]
    assert np.isfinite((drawn[0] - drawn[0]).values).all()
    with pytest.raises(ValueError, match="the same patients in the same order"):
        drawn[0] - drawn[1]


def test_rows_may_come_in_any_order_within_a_later_seed():
    rng = np.random.default_rng(0)
    unit = regression(list("dacb"), rng.normal(0, 1, 4))
    statistics, patients, *_ = of_patients([unit, unit.rows(np.array([2, 0, 3, 1]))])
    weights = rng.integers(0, 3, (5, 4)) + 1.0
    assert patients.tolist() == list("dacb")
    np.testing.assert_allclose(statistics["mae"](weights), (weights @ np.abs(unit.preds[:, 0])) / weights.sum(axis=1))


def test_the_bias_and_the_acceleration_are_efrons(no_expansion):
    values = np.random.default_rng(3).exponential(2.0, 40)
    drawn = resample(mean_of(values), 40, num_resamples=999)
    found, of_draws = drawn.bca()["mean"], drawn.values[:, 0]
    bias = stats.norm.ppf(np.mean(of_draws < values.mean()))
    acceleration = stats.skew(values) / (6 * np.sqrt(40))  # of a mean (Efron & Tibshirani 1993, equation 14.15)
    z = bias + stats.norm.ppf([0.025, 0.975])
    expected = np.quantile(of_draws, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-9)


def test_resamples_that_tie_with_the_estimate_lie_half_below_it(no_expansion):
    values = np.repeat([0.1, 0.3], 10)  # the mean of half of the resamples' weights ties in one of six draws
    drawn = resample(mean_of(values), 20, num_resamples=4000)
    ties = np.isclose(drawn.values[:, 0], 0.2, atol=1e-9, rtol=0)
    below = np.mean((drawn.values[:, 0] < 0.2) & ~ties) + ties.mean() / 2
    assert ties.mean() > 0.1
    z = 2 * stats.norm.ppf(below) + stats.norm.ppf([0.025, 0.975])
    expected = np.quantile(drawn.values[:, 0], stats.norm.cdf(z))
    found = drawn.bca()["mean"]
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize(("undefined", "given"), [(10, True), (11, False)])
def test_up_to_a_tenth_of_the_resamples_may_be_undefined(undefined, given):
    values = np.r_[np.full(undefined, np.nan), np.linspace(0, 1, 100 - undefined)][:, None]
    found = intervals.Resamples(["m"], np.array([0.5]), values, np.zeros((0, 1)), 20).percentile()["m"]
    assert np.isfinite([found.low, found.high]).all() == given


@pytest.mark.parametrize(("moved", "given"), [(0.158, False), (0.17, True), (0.83, True), (0.842, False)])
def test_what_resampling_moves_by_more_than_a_standard_deviation_has_none(moved, given):
    values = np.r_[np.full(round(1000 * moved), 0.0), np.full(1000 - round(1000 * moved), 1.0)][:, None]
    drawn = intervals.Resamples(["m"], np.array([0.5]), values, np.zeros((0, 1)), 20)  # Phi(-1) = .1587
    assert np.isfinite(drawn.bca()["m"].low) == given and np.isfinite(drawn.p_value("m")) == given


def test_the_ends_of_few_patients_are_students_widened_by_their_number():
    drawn = intervals.Resamples(["m"], np.zeros(1), np.zeros((1, 1)), np.zeros((0, 1)), 8)
    expected = stats.t.ppf([0.025, 0.975], 7) * np.sqrt(8 / 7)  # Hesterberg 2015, section 5.2
    np.testing.assert_allclose(drawn._quantiles(), expected)


def test_many_patients_are_left_out_in_groups_of_like_size(monkeypatch):
    monkeypatch.setattr(intervals, "MOST_LEFT_OUT", 10)
    drawn = resample({"left": lambda weights: weights.sum(axis=1)}, 25, num_resamples=10)
    assert sorted(drawn.without[:, 0]) == [22] * 5 + [23] * 5
    few = resample({"left": lambda weights: weights.sum(axis=1)}, 10, num_resamples=10)
    assert few.without[:, 0].tolist() == [9] * 10


def test_differences_are_of_the_statistics_that_both_have():
    one = intervals.Resamples(["a", "b"], np.array([1.0, 2.0]), np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), 5)
    other = intervals.Resamples(["b", "c"], np.array([0.5, 9.0]), np.array([[7.0, 9.0]]), np.array([[1.5, 9.0]]), 5)
    gap = one - other
    assert (gap.names, gap.estimate.tolist(), gap.num_patients) == (["b"], [1.5], 5)
    assert (gap.values.tolist(), gap.without.tolist()) == ([[-5.0]], [[2.5]])
