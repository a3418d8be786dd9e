import numpy as np
import pandas as pd
import pytest
from scipy import stats

from medfit.evidence import agreement
from medfit.evidence.agreement import Width, bland_altman, conformal, conformal_width, deciles
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
    found = bland_altman([unit(errors, np.zeros(2000))]).set_index("measure")
    sd = errors.std(ddof=1)
    for measure, error in (("bias", sd / np.sqrt(2000)), ("upper limit", sd * np.sqrt(3 / 2000))):
        half = (found.loc[measure, "high"] - found.loc[measure, "low"]) / 2
        assert half == pytest.approx(1.96 * error, rel=0.05)


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
    assert conformal_width(errors, np.arange(19), 0.9) == Width(18, 0.9, 19)
    assert conformal_width(-errors, np.arange(19), 0.95) == Width(19, 0.95, 19)
    assert conformal_width(errors, np.arange(19), 0.91) == Width(19, 0.95, 19)


def test_too_few_patients_have_no_width():
    found = conformal_width(np.ones(9), np.arange(9), 0.95)
    assert found.half == np.inf and np.isnan(found.share)
    (row,) = conformal([unit(np.ones(9), np.zeros(9))], 0.95).itertuples()
    assert row.half_width == np.inf and np.isnan([row.coverage, row.low, row.high]).all()
    assert conformal_width(np.ones(19), np.arange(19), 0.95).half == 1  # as many as it takes


def test_each_patient_counts_once():
    errors, patient = np.r_[np.full(50, 9.0), np.arange(1.0, 19)], np.r_[np.zeros(50), np.arange(1, 19)]
    assert conformal_width(errors, patient, 0.5).half == 9  # half of 20: the patient of 9 is one of ten
    assert conformal_width(errors[49:], patient[49:], 0.5).half == 9


def test_a_patient_measured_often_weighs_as_much_as_one_measured_once():
    errors, patient = np.r_[np.full(50, 0.5), np.arange(1.0, 19)], np.r_[np.zeros(50), np.arange(1, 19)]
    found = conformal_width(errors, patient, 0.5)  # 19 patients: half of 20 are that of 0.5 and those of 1 to 9
    assert (found.half, found.num_patients) == (9, 19) and found.share == pytest.approx(0.5)


def test_the_table_gives_the_width_and_the_range_of_shares_that_it_holds():
    (row,) = conformal([unit(np.arange(1.0, 20), np.zeros(19))], 0.9).itertuples()
    assert (row.half_width, row.asked, row.coverage, row.patients) == (18, 0.9, 0.9, 19)
    assert (row.low, row.high) == pytest.approx(tuple(stats.beta.ppf([0.025, 0.975], 18, 2)))
    assert conformal([unit(np.arange(1.0, 20), np.zeros(19))]).half_width[0] == 18


def test_the_width_is_the_mean_over_trainings_and_as_sure_as_the_smallest_fold():
    one, other = unit(np.arange(1.0, 20), np.zeros(19)), unit(np.arange(1.0, 10), np.zeros(9), range(30, 39))
    (row,) = conformal([one, other], 0.9).itertuples()
    assert (row.half_width, row.coverage, row.patients) == (13.5, 0.9, 28)
    assert (row.low, row.high) == pytest.approx(tuple(stats.beta.ppf([0.025, 0.975], 9, 1)))


def test_new_patients_are_held_as_often_as_asked_and_as_the_range_says():
    rng, held, said = np.random.default_rng(0), [], []
    for _ in range(400):
        (row,) = conformal([unit(rng.standard_t(3, 30), np.zeros(30))], 0.9).itertuples()
        share = 1 - 2 * stats.t.sf(row.half_width, 3)
        held, said = [*held, share], [*said, row.low <= share <= row.high]
    assert np.mean(held) == pytest.approx(28 / 31, abs=0.01)
    assert np.mean(said) == pytest.approx(0.95, abs=0.025)


def test_the_bias_of_single_measurements_has_students_interval():
    errors = np.random.default_rng(0).normal(1, 5, 12)
    found = bland_altman([unit(errors, np.zeros(12))]).set_index("measure").loc["bias"]
    expected = stats.ttest_1samp(errors, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_lower_limit_is_the_upper_one_of_the_errors_turned_around():
    errors = np.random.default_rng(0).exponential(1, 30)
    one, other = (bland_altman([unit(sign * errors, np.zeros(30))]).set_index("measure") for sign in (1, -1))
    lower, upper = one.loc["lower limit"], other.loc["upper limit"]
    assert (lower.low, lower.estimate, lower.high) == pytest.approx((-upper.high, -upper.estimate, -upper.low))
    assert one.loc["upper limit"].high - one.loc["upper limit"].estimate > lower.high - lower.estimate  # skewed


def test_a_second_seed_that_says_the_same_and_folds_are_told_apart():
    errors = np.random.default_rng(0).normal(0, 5, 40)
    one = unit(errors, np.zeros(40))
    single, twice = (bland_altman([one] * number) for number in (1, 2))
    pd.testing.assert_frame_equal(single, twice)
    folds = bland_altman([one, unit(errors, np.zeros(40), np.arange(40, 80))])
    widths = [(table.high - table.low)[0] for table in (single, folds)]
    quantiles = [stats.t.ppf(0.975, number - 1) * np.sqrt(number / (number - 1)) for number in (40, 80)]
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(0.5) * quantiles[1] / quantiles[0])
    assert folds.patients.tolist() == [80] * 3


@pytest.mark.parametrize("errors", [np.zeros(5), np.full(5, 2.0)])
def test_errors_that_are_all_alike_have_limits_at_the_bias(errors):
    found = bland_altman([unit(errors, np.zeros(5))])
    assert (found.low == errors[0]).all() and (found.high == errors[0]).all()


def test_one_patient_has_limits_without_intervals():
    found = bland_altman([unit([1.0, 2.0], [0.0, 0.0], ["p", "p"])])
    assert np.isfinite(found.estimate).all() and found[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        (np.arange(40), 1 / 80),  # the variance of log SD of so many normal errors: 1 / 2n
        (np.repeat(np.arange(20), 2), 1 / 80),  # patients whose two errors cancel have nothing in common
        (np.tile(np.arange(20), 2), 1 / 40),  # and those whose two are the same count once
    ],
)
def test_errors_that_never_vary_in_size_leave_the_least_error_of_their_sd(patient, expected):
    gap = np.tile([1.0, -1.0], 20)
    assert agreement._least_error(gap, patient) ** 2 == pytest.approx(expected)


def test_repeats_that_are_alike_in_part_count_between_once_and_each():
    gap, patient = np.array([1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 2.0, -2.0]), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    alike = (2 * 1 + 2 * 1 - 2 * 1 - 2 * 4) / 8 / (14 / 8)  # the mean product of a patient's two, over the mean square
    assert alike < 0
    assert agreement._least_error(gap, patient) == pytest.approx(np.sqrt(8 / 2) / 8)
    gap[6:] = [2.0, 1.0]
    alike = (2 * 1 + 2 * 1 - 2 * 1 + 2 * 2) / 8 / (11 / 8)
    assert agreement._least_error(gap, patient) == pytest.approx(np.sqrt((8 + 8 * alike**2) / 2) / 8)


def test_folds_tell_the_least_error_together_and_seeds_do_not():
    size = 20
    one, other = (unit(np.tile([1.0, -1.0], 10), np.zeros(size), range(start, start + size)) for start in (0, size))
    for units, number in (([one], size), ([one, other], 2 * size), ([one, one], size)):
        found = agreement._moments(units, [each.preds[:, 0] for each in units])
        assert found.log_sd_error == pytest.approx(np.sqrt(1 / (2 * number)))
        assert found.num_patients == number
