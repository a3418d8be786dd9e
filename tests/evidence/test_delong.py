from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.metrics import roc_auc_score

from medfit.evidence import delong
from medfit.evidence.predictions import Predictions
from medfit.evidence.targets.known import named


def study(size=40, seed=0, patient=None, digits=1):
    rng = np.random.default_rng(seed)
    target = np.r_[1.0, 0.0, (rng.random(size - 2) < 0.4)].astype(float)
    preds = (target * 0.3 + rng.random(size)).round(digits)
    patient = np.arange(size) if patient is None else patient
    return Predictions(named("binary"), ["y"], patient.astype(str), target[:, None], preds[:, None])


def structural_components(preds, target):
    """By the definition: each case against each other sample (DeLong et al., equation 4)."""
    cases, others = preds[target > 0.5], preds[target <= 0.5]
    won = (cases[:, None] > others[None]) + 0.5 * (cases[:, None] == others[None])
    return won.mean(axis=1), won.mean(axis=0)


def delongs_covariance(one, other, target):
    (v10, v01), (w10, w01) = (structural_components(preds, target) for preds in (one, other))
    return np.cov(v10, w10)[0, 1] / len(v10) + np.cov(v01, w01)[0, 1] / len(v01)


def obuchowskis_variance(preds, target, patient):
    """By the definition, cluster by cluster (Obuchowski 1997, section 3)."""
    v10, v01 = structural_components(preds, target)
    area, cases, others = v10.mean(), patient[target > 0.5], patient[target <= 0.5]
    clusters = np.unique(patient)
    x = np.array([v10[cases == c].sum() - (cases == c).sum() * area for c in clusters])
    y = np.array([v01[others == c].sum() - (others == c).sum() * area for c in clusters])
    m, n, total = len(cases), len(others), len(clusters)
    with_cases, with_others = len(np.unique(cases)), len(np.unique(others))
    s10 = with_cases / ((with_cases - 1) * m) * (x**2).sum()
    s01 = with_others / ((with_others - 1) * n) * (y**2).sum()
    s11 = total / (total - 1) * (x * y).sum()
    return s10 / m + s01 / n + 2 * s11 / (m * n)


def variance(unit):
    code = np.unique(unit.patient, return_inverse=True)[1]
    curve = delong.curve(unit.preds[:, 0], unit.target[:, 0], code, code.max() + 1)
    return delong.covariance(curve, curve, code.max() + 1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_with_a_row_each_it_is_delongs(seed):
    unit = study(seed=seed)
    preds, target = unit.preds[:, 0], unit.target[:, 0]
    assert delong.interval([unit]).estimate == pytest.approx(roc_auc_score(target, preds))
    assert variance(unit) == pytest.approx(delongs_covariance(preds, preds, target))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_with_repeated_measurements_it_is_obuchowskis(seed):
    unit = study(seed=seed, patient=np.random.default_rng(seed).integers(0, 15, 40))
    expected = obuchowskis_variance(unit.preds[:, 0], unit.target[:, 0], unit.patient)
    assert variance(unit) == pytest.approx(expected)


def test_a_second_seed_that_says_the_same_makes_nothing_surer():
    unit = study()
    one, two = delong.interval([unit]), delong.interval([unit, unit])
    assert (one.low, one.high) == pytest.approx((two.low, two.high))


def test_two_folds_make_it_surer():
    one = study()
    other = Predictions(named("binary"), ["y"], np.char.add("x", one.patient), one.target, one.preds)
    single, both = delong.interval([one]), delong.interval([one, other])
    widths = [np.diff([np.log(end / (1 - end)) for end in (i.low, i.high)])[0] for i in (single, both)]
    curves = [delong.curve(u.preds[:, 0], u.target[:, 0], np.arange(40), 40) for u in (one, other)]
    quantiles = [stats.t.ppf(0.975, delong.degrees_of_freedom(some)) for some in (curves[:1], curves)]
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(2) * quantiles[0] / quantiles[1])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_degrees_of_freedom_are_those_of_scipys_brunner_munzel_test(seed):
    unit = study(seed=seed)
    preds, target = unit.preds[:, 0], unit.target[:, 0]
    cases, others = preds[target > 0.5], preds[target <= 0.5]
    curve = delong.curve(preds, target, np.arange(40), 40)
    assume(curve.positive.any() and curve.negative.any() and min(len(cases), len(others)) > 1)
    found = stats.brunnermunzel(others, cases)
    error = np.sqrt(sum(delong._parts(curve, curve)))
    assert abs(found.statistic) == pytest.approx(abs(curve.area - 0.5) / error)
    expected = 2 * stats.t.sf(abs(found.statistic), delong.degrees_of_freedom([curve]))
    assert found.pvalue == pytest.approx(expected, rel=1e-6)


def test_a_perfect_area_has_newcombes_interval():
    target = np.repeat([1.0, 0.0], [10, 20])
    unit = Predictions(named("binary"), ["y"], np.arange(30).astype(str), target[:, None], target[:, None])
    found = delong.interval([unit])
    assert (found.estimate, found.high, found.method) == (1, 1, "Newcombe")
    assert 0.8 < found.low < 0.95


@pytest.mark.parametrize(("positive", "negative"), [(2, 3), (2, 2), (4, 2)])
def test_two_cases_have_a_degree_of_freedom(positive, negative):
    rng = np.random.default_rng(positive)
    target = np.repeat([1.0, 0.0], [positive, negative])
    preds = np.r_[np.linspace(0.3, 0.8, positive), np.linspace(0.2, 0.7, negative)] + 0.01 * rng.random(len(target))
    curve = delong.curve(preds, target, np.arange(len(target)), len(target))
    own = [np.var(part, ddof=1) / len(part) for part in structural_components(preds, target)]
    expected = sum(own) ** 2 / sum(v**2 / (n - 1) for v, n in zip(own, (positive, negative), strict=True))
    assert delong.degrees_of_freedom([curve]) == pytest.approx(expected)


def test_an_area_of_none_mirrors_one_that_is_perfect():
    (low, high), (least, most) = delong.newcombe(0.0, 10, 20), delong.newcombe(1.0, 20, 10)
    assert (low, most) == (0, 1)
    assert high == pytest.approx(1 - least, abs=1e-6)


@pytest.mark.parametrize("numbers", [(0, 5), (5, 0), (0, 0)])
def test_without_one_of_the_classes_there_is_no_newcombes_interval(numbers):
    assert np.isnan(delong.newcombe(0.5, *numbers)).all()
    low, high = delong.newcombe(0.5, *(max(number, 1) for number in numbers))
    assert 0 <= low < 0.5 < high <= 1


def test_newcombes_ends_solve_his_equation():
    low, high = delong.newcombe(0.8, 30, 50)
    for end in (low, high):
        spread = 1 + 39 * (1 - end) / (2 - end) + 39 * end / (1 + end)
        assert (0.8 - end) ** 2 == pytest.approx(delong.Z**2 * end * (1 - end) * spread / 1500, rel=1e-4)
    assert low < 0.8 < high


def test_a_constant_prediction_is_a_half_for_sure():
    unit = study()
    constant = Predictions(named("binary"), ["y"], unit.patient, unit.target, np.full_like(unit.preds, 0.3))
    found = delong.interval([constant])
    assert (found.estimate, found.low, found.high) == (0.5, 0.5, 0.5)


def test_one_class_has_neither_area_nor_interval():
    unit = study()
    found = delong.interval([Predictions(named("binary"), ["y"], unit.patient, np.ones_like(unit.target), unit.preds)])
    assert np.isnan([found.estimate, found.low, found.high]).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_paired_test_is_delongs(seed):
    one = study(seed=seed)
    rng = np.random.default_rng(seed + 1)
    other = Predictions(
        named("binary"), ["y"], one.patient, one.target, (one.preds + rng.random(one.preds.shape)).round(1)
    )
    found, p = delong.compare([one], [other])
    target, (a, b) = one.target[:, 0], (unit.preds[:, 0] for unit in (one, other))
    spread = delongs_covariance(a, a, target) + delongs_covariance(b, b, target) - 2 * delongs_covariance(a, b, target)
    assert found.estimate == pytest.approx(roc_auc_score(target, a) - roc_auc_score(target, b))
    if spread > 1e-12:
        freedom = satterthwaite(of_the_difference(a, b, target))
        error = np.sqrt(spread)
        assert found.high - found.estimate == pytest.approx(stats.t.ppf(0.975, freedom) * error, rel=1e-5)
        assert found.estimate - found.low == pytest.approx(stats.t.ppf(0.975, freedom) * error, rel=1e-5)
        assert p == pytest.approx(2 * stats.t.sf(abs(found.estimate) / error, freedom), rel=1e-5)


def of_the_difference(one, other, target):
    """The variances that cases and others add to that of a difference, with their numbers."""
    gaps = [
        a - b for a, b in zip(structural_components(one, target), structural_components(other, target), strict=True)
    ]
    return [(gap.var(ddof=1) / len(gap), len(gap)) for gap in gaps]


def test_with_many_patients_the_paired_p_is_the_normals():
    one, noise = study(size=4000, digits=6), np.random.default_rng(1).random((4000, 1))
    other = replace(one, preds=one.preds + 0.3 * noise)
    found, p = delong.compare([one], [other])
    target, (a, b) = one.target[:, 0], (unit.preds[:, 0] for unit in (one, other))
    spread = sum(v for v, _ in of_the_difference(a, b, target))
    assert p == pytest.approx(2 * stats.norm.sf(abs(found.estimate) / np.sqrt(spread)), rel=0.05)


def test_a_model_is_no_better_than_itself():
    unit = study()
    found, p = delong.compare([unit], [unit])
    assert (found.estimate, found.low, found.high, p) == (0, 0, 0, 1)


def satterthwaite(parts):
    """Of variances with the number that each was estimated from."""
    return sum(v for v, _ in parts) ** 2 / sum(v**2 / (n - 1) for v, n in parts)


def test_the_interval_is_students_on_the_log_odds_of_the_area():
    unit = study(size=60, digits=6)
    preds, target = unit.preds[:, 0], unit.target[:, 0]
    v10, v01 = structural_components(preds, target)
    parts = [(v.var(ddof=1) / len(v), len(v)) for v in (v10, v01)]
    area, error = roc_auc_score(target, preds), np.sqrt(sum(v for v, _ in parts))
    half = stats.t.ppf(0.975, satterthwaite(parts)) * error / (area * (1 - area))
    ends = special.expit(special.logit(area) + np.array([-half, half]))
    found = delong.interval([unit])
    assert (found.low, found.high) == pytest.approx(tuple(ends))


def test_one_case_has_an_area_and_none_has_none():
    preds, patient = np.array([0.1, 0.4, 0.35, 0.8]), np.arange(4)
    for target in ([0, 0, 1, 0], [1, 1, 0, 1]):
        found = delong.curve(preds, np.array(target, dtype=float), patient, 4)
        assert found.area == pytest.approx(roc_auc_score(target, preds))
        assert {found.num_positive, found.num_negative} == {1, 3}
    for target in (np.zeros(4), np.ones(4)):
        found = delong.curve(preds, target, patient, 4)
        assert np.isnan(found.area) and (found.num_positive, found.num_negative) == (0, 0)
