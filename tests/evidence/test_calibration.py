import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, special, stats
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from medfit.evidence import calibration
from medfit.evidence.calibration import curve, intercept, recalibrated, slope, table
from medfit.evidence.odds import logit
from medfit.evidence.predictions import Predictions
from medfit.evidence.targets.known import named


def study(true_slope=1.0, shift=0.0, size=400, seed=0, prefix=""):
    """Predictions whose log odds are those of the truth, stretched and shifted."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, size)
    target = (rng.random(size) < special.expit(odds)).astype(float)
    patient = np.char.add(prefix, np.arange(size).astype(str))
    return Predictions(
        named("binary"), ["ill"], patient, target[:, None], special.expit((odds - shift) / true_slope)[:, None]
    )


def of(unit):
    return unit.preds[:, 0], unit.target[:, 0]


def test_slope_is_logistic_regressions():
    preds, target = of(study(true_slope=0.6))
    expected = sm.GLM(target, sm.add_constant(logit(preds)), family=sm.families.Binomial()).fit().params[1]
    assert slope(preds, target, np.ones((1, 400)))[0] == pytest.approx(expected, rel=1e-6)


def test_intercept_is_logistic_regressions_with_an_offset():
    preds, target = of(study(shift=0.7))
    model = sm.GLM(target, np.ones(400), family=sm.families.Binomial(), offset=logit(preds))
    assert intercept(preds, target, np.ones((1, 400)))[0] == pytest.approx(model.fit().params[0], rel=1e-6)


def test_a_weight_is_a_repeat():
    preds, target = of(study(true_slope=1.4))
    weights = np.random.default_rng(1).integers(0, 4, (2, 400)).astype(float)
    for of_weights in (slope, intercept):
        found = of_weights(preds, target, weights)
        for number, weight in zip(found, weights.astype(int), strict=True):
            again = of_weights(np.repeat(preds, weight), np.repeat(target, weight), np.ones((1, weight.sum())))
            assert number == pytest.approx(again[0], rel=1e-6)


def test_predictions_that_part_the_classes_have_no_slope():
    assert np.isnan(slope(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0, 1, 1]), np.ones((1, 4)))).all()


@pytest.mark.parametrize("true_slope", [0.5, 2.0])  # predictions that are too extreme, and too timid
def test_temperature_is_the_best_there_is(true_slope):
    val = study(true_slope=true_slope)
    odds, target = logit(val.preds[:, 0]), val.target[:, 0]

    def loss(temperature):
        return -np.log(
            np.where(target > 0.5, special.expit(odds / temperature), special.expit(-odds / temperature))
        ).mean()

    best = optimize.minimize_scalar(loss, bounds=(0.2, 9), method="bounded", options={"xatol": 1e-8}).x
    found = recalibrated("temperature", val, val).preds[:, 0]
    np.testing.assert_allclose(logit(found), odds / best, rtol=1e-3)


def test_platts_line_is_logistic_regression_on_his_targets():
    val = study(true_slope=0.5, shift=1.0)
    odds, target = logit(val.preds[:, 0]), val.target[:, 0]
    cases, others = target.sum(), (1 - target).sum()
    x = np.r_[odds, odds][:, None]
    y = np.r_[np.ones(400), np.zeros(400)]
    soft = np.where(target > 0.5, (cases + 1) / (cases + 2), 1 / (others + 2))
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(x, y, sample_weight=np.r_[soft, 1 - soft])
    np.testing.assert_allclose(
        recalibrated("platt", val, val).preds[:, 0], model.predict_proba(odds[:, None])[:, 1], rtol=1e-3
    )


def test_isotonic_is_scikit_learns():
    val, test = study(seed=1), study(seed=2, prefix="t")
    expected = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(*of(val)).predict(test.preds[:, 0])
    np.testing.assert_allclose(recalibrated("isotonic", val, test).preds[:, 0], expected)


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_recalibration_learns_nothing_from_what_it_is_applied_to(method):
    val, test = study(seed=1, true_slope=0.5), study(seed=2, prefix="t")
    other = Predictions(named("binary"), test.names, test.patient, 1 - test.target, test.preds)
    found, same = (recalibrated(method, val, unit).preds for unit in (test, other))
    np.testing.assert_array_equal(found, same)


@pytest.mark.mostly_slow
@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_what_is_too_extreme_is_put_right(method):
    val, test = (study(true_slope=0.4, seed=seed, size=4000, prefix=str(seed)) for seed in (1, 2))
    rows = table([test], [val], num_resamples=100).set_index(["recalibration", "measure"])
    assert rows.loc[("none", "slope"), "estimate"] == pytest.approx(0.4, abs=0.05)
    assert rows.loc[(method, "calibration_error"), "estimate"] < rows.loc[("none", "calibration_error"), "estimate"] / 2
    if method != "isotonic":
        assert rows.loc[(method, "slope"), "low"] < 1 < rows.loc[(method, "slope"), "high"]


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_classes_sum_to_one_afterwards(method):
    rng = np.random.default_rng(0)
    target, preds = np.eye(3)[rng.integers(0, 3, 90)], rng.dirichlet(np.ones(3), 90)
    unit = Predictions(named("multiclass"), ["a", "b", "c"], np.arange(90).astype(str), target, preds)
    found = recalibrated(method, unit, unit).preds
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()


def test_temperature_keeps_the_likeliest_class():
    rng = np.random.default_rng(0)
    target, preds = np.eye(3)[rng.integers(0, 3, 90)], rng.dirichlet(np.ones(3), 90)
    unit = Predictions(named("multiclass"), ["a", "b", "c"], np.arange(90).astype(str), target, preds)
    assert (recalibrated("temperature", unit, unit).preds.argmax(axis=1) == preds.argmax(axis=1)).all()


def test_a_constant_prediction_becomes_the_share_of_cases():
    val = study()
    constant = Predictions(named("binary"), val.names, val.patient, val.target, np.full_like(val.preds, 0.9))
    np.testing.assert_allclose(recalibrated("platt", constant, constant).preds, val.target.mean())


def test_the_curves_groups_hold_everyone_and_their_shares():
    unit = study(size=100)
    found = curve([unit])
    assert found.patients.sum() == 100
    assert len(found) == calibration.NUM_GROUPS
    order = np.argsort(unit.preds[:, 0])[:10]
    assert found.predicted[0] == pytest.approx(unit.preds[order].mean())
    assert found.observed[0] == pytest.approx(unit.target[order].mean())
    assert (found.low <= found.observed).all()


def line(unit):
    """Intercept and slope of the truth on the log odds, by statsmodels."""
    preds, target = of(unit)
    return sm.GLM(target, sm.add_constant(logit(preds)), family=sm.families.Binomial()).fit().params


def test_the_table_is_of_test_patients_put_right_by_validation_patients_alone():
    val, test = study(0.5, seed=1, size=4000, prefix="v"), study(0.8, seed=2, size=4000)
    rows = table([test], [val], num_resamples=100).set_index(["recalibration", "measure"]).estimate
    learnt = line(val)[1]  # Platt's targets are the truth itself but for 1 in 2000
    assert rows["none", "slope"] == pytest.approx(line(test)[1], rel=1e-4)
    assert rows["platt", "slope"] == pytest.approx(line(test)[1] / learnt, rel=5e-3)
    assert rows["platt", "slope"] == pytest.approx(0.8 / 0.5, rel=0.1)


def test_the_curve_of_repeated_measurements_is_as_wide_as_of_the_patients():
    unit = study(size=100)
    once, tenfold = curve([unit]), curve([unit.rows(np.repeat(np.arange(100), 10))])
    assert tenfold.patients.tolist() == once.patients.tolist() == [10] * 10
    for one, ten in zip(once.itertuples(), tenfold.itertuples(), strict=True):
        expected = stats.binomtest(round(one.observed * 10), 10).proportion_ci(method="wilson")
        assert (one.low, one.high) == pytest.approx(tuple(expected))
        assert (ten.low, ten.high) == pytest.approx(tuple(expected))
