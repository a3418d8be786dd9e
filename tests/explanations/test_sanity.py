import numpy as np
import pytest
from scipy.stats import kendalltau

from medfit.explanations.sanity import Check, compare, rank_correlation

RNG = np.random.default_rng(0)


def test_an_explanation_that_ignores_the_weights_fails():
    edges = [np.abs(np.diff(RNG.normal(size=(9, 9)), axis=0)) for _ in range(5)]
    check = compare(edges, [edges, edges], signed=False)
    assert check.sizes == pytest.approx(1)
    assert not check.passed


def test_a_signed_explanation_that_ignores_the_weights_fails():
    values = [RNG.normal(size=30) for _ in range(5)]
    assert not compare(values, [values], signed=True).passed


def test_explanations_that_have_nothing_in_common_pass():
    trained, other = ([RNG.normal(size=200) for _ in range(20)] for _ in range(2))
    check = compare(trained, [other], signed=True)
    assert abs(check.sizes) < 0.1
    assert check.passed


def test_linear_models_share_half_of_the_sizes_but_no_signs():
    x, first, second = (RNG.normal(size=(400, 50)) for _ in range(3))
    check = compare(list(first * x), [list(second * x)], signed=True)
    assert check.sizes == pytest.approx(0.5, abs=0.05)
    assert check.signed == pytest.approx(0, abs=0.05)
    assert check.passed


def test_signs_alone_do_not_save_a_method_without_signs():
    assert not Check(sizes=0.8, signed=None).passed
    assert Check(sizes=0.8, signed=-0.1).passed


def test_ranks_are_compared_whatever_the_scale():
    a = RNG.random(50)
    assert rank_correlation(a, np.exp(5 * a)) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    b = a + RNG.random(50)
    assert np.sign(rank_correlation(a, b)) == np.sign(kendalltau(a, b).statistic)


def test_an_explanation_that_says_nothing_is_like_no_other():
    assert rank_correlation(np.zeros(5), np.arange(5)) == 0
