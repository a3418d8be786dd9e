import numpy as np
import pytest
from scipy import stats

from medfit.evidence import intervals
from medfit.evidence.intervals import of_patients, resample, strata_of
from medfit.evidence.predictions import Predictions
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


def test_what_resampling_itself_moves_is_moved_back():
    # the share of patients that are drawn: no resample has them all
    statistics = {"distinct": lambda weights: (weights > 0).mean(axis=1)}
    found = resample(statistics, 50).bca()["distinct"]
    assert found.method == "centred bootstrap"
    assert found.low < found.estimate == 1 < found.high


def test_calibration_errors_lie_in_their_intervals():
    rng = np.random.default_rng(0)
    preds = rng.random(80)
    target = (rng.random(80) < preds).astype(float)
    unit = Predictions(named("binary"), ["y"], np.arange(80).astype(str), target[:, None], preds[:, None])
    statistics, patients, strata, _ = of_patients([unit])
    found = resample({"e": statistics["calibration_error"]}, len(patients), strata).bca()["e"]
    assert 0 <= found.low < found.estimate < found.high


def test_a_moved_statistic_has_the_p_of_its_spread():
    statistics = {"gap": lambda weights: (weights > 0).mean(axis=1) - 1}
    assert resample(statistics, 50).p_value("gap") > 0.5


def test_the_same_patients_are_drawn_whatever_the_order_of_the_folds():
    rng = np.random.default_rng(0)
    folds = [regression([f"{k}{i}" for i in range(12)], rng.normal(0, 1, 12)) for k in "bac"]
    orders = ([0, 1, 2], [2, 0, 1], [0, 0, 2, 1, 1, 2])  # the last with two seeds
    one, *others = (resample(*arguments(*(folds[i] for i in order)), num_resamples=50) for order in orders)
    for other in others:
        np.testing.assert_allclose((one - other).values, 0, atol=1e-12)
