import numpy as np
import pandas as pd
import pytest
from scipy import stats

from medfit.evidence.agreement import bland_altman, conformal, conformal_width, deciles
from medfit.evidence.predictions import Predictions
from medfit.evidence.targets.known import named

# peak expiratory flow in l/min by two meters, 17 people (Bland & Altman, Lancet 1986, table 1, first readings)
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def unit(preds, target, patient=None):
    patient = np.arange(len(preds)) if patient is None else np.asarray(patient)
    columns = [np.asarray(values, dtype=float)[:, None] for values in (target, preds)]
    return Predictions(named("regression"), ["y"], patient.astype(str), *columns)


def test_bias_and_limits_are_those_of_the_published_example():
    found = bland_altman([unit(WRIGHT, MINI)]).set_index("measure").estimate
    assert found["bias"] == pytest.approx(-2.1, abs=0.05)
    assert (found["upper limit"] - found["bias"]) / stats.norm.ppf(0.975) == pytest.approx(38.8, abs=0.05)


def test_their_intervals_are_near_the_published_formulas():
    rng = np.random.default_rng(0)
    errors = rng.normal(1, 5, 2000)
    found = bland_altman([unit(errors, np.zeros(2000))], 2000).set_index("measure")
    sd = errors.std(ddof=1)
    for measure, error in (("bias", sd / np.sqrt(2000)), ("upper limit", sd * np.sqrt(3 / 2000))):
        half = (found.loc[measure, "high"] - found.loc[measure, "low"]) / 2
        assert half == pytest.approx(1.96 * error, rel=0.1)


def test_repeated_measurements_make_nothing_surer():
    rng = np.random.default_rng(0)
    errors = rng.normal(0, 5, 40)
    once, often = unit(errors, np.zeros(40)), unit(np.tile(errors, 9), np.zeros(360), np.tile(np.arange(40), 9))
    widths = [(t.high - t.low)[0] for t in (bland_altman([once]), bland_altman([often]))]
    assert widths[1] == pytest.approx(widths[0], rel=0.02)


def test_tenths_hold_everyone_with_their_means():
    rng = np.random.default_rng(0)
    preds = rng.normal(0, 1, 100)
    target = preds + rng.normal(0, 1, 100)
    table, order = deciles([unit(preds, target)]), np.argsort(preds)
    assert table.patients.tolist() == [10] * 10
    np.testing.assert_allclose(table.observed, target[order].reshape(10, 10).mean(axis=1))
    expected = stats.t.interval(0.95, 9, target[order][:10].mean(), stats.sem(target[order][:10]))
    assert (table.low[0], table.high[0]) == pytest.approx(expected)


def test_the_conformal_width_is_the_quantile_with_one_patient_more():
    errors = np.arange(1.0, 20)  # 19 patients: the 90 % of 20 are 18
    assert conformal_width(errors, np.arange(19), 0.9) == 18
    assert conformal_width(-errors, np.arange(19), 0.95) == 19


def test_too_few_patients_have_no_width():
    assert conformal_width(np.ones(9), np.arange(9), 0.95) == np.inf


def test_each_patient_counts_once():
    errors, patient = np.r_[np.full(50, 9.0), np.arange(1.0, 19)], np.r_[np.zeros(50), np.arange(1, 19)]
    assert conformal_width(errors, patient, 0.5) == 9  # half of 20: the patient of 9 is one of ten
    assert conformal_width(errors[49:], patient[49:], 0.5) == 9


def test_new_patients_are_covered_as_often_as_asked():
    rng, held = np.random.default_rng(0), []
    for _ in range(300):
        val, test = (unit(rng.standard_t(3, 40), np.zeros(40)) for _ in range(2))
        held.append(conformal([test], [val], 0.9).coverage[0])
    assert np.mean(held) == pytest.approx(0.9, abs=0.015)


def test_the_table_gives_width_and_measured_coverage():
    val, test = unit(np.arange(1.0, 20), np.zeros(19)), unit([1.0, 30.0, 2.0, 3.0], np.zeros(4))
    (row,) = conformal([test], [val], 0.9).itertuples()
    assert (row.half_width, row.coverage, row.patients) == (18, 0.75, 4)
    assert isinstance(conformal([test], [val]), pd.DataFrame)
