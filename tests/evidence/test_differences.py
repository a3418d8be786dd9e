import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfit.evidence import differences
from medfit.evidence.differences import Distribution, outcomes, standardised, table
from medfit.evidence.predictions import Predictions
from medfit.evidence.targets.known import named


def test_numbers_are_summarised_without_missing_ones():
    found = Distribution.of(pd.Series([1.0, 2.0, 6.0, np.nan]), of_words=False)
    assert (found.mean, found.sd, found.missing) == (3.0, pytest.approx(np.sqrt(7)), 0.25)  # (4 + 1 + 9) / 2


def test_words_are_shares_of_those_known():
    found = Distribution.of(pd.Series(["b", "a", "b", None]), of_words=True)
    assert found.shares == {"a": pytest.approx(1 / 3), "b": pytest.approx(2 / 3)} and found.missing == 0.25


def test_a_column_without_values_has_no_mean():
    assert Distribution.of(pd.Series([np.nan, np.nan]), of_words=False) == Distribution(missing=1.0)


def test_the_difference_of_numbers_is_in_mean_standard_deviations():
    assert standardised(Distribution(10, 3.0), Distribution(15, 4.0)) == pytest.approx(5 / np.sqrt((9 + 16) / 2))
    assert standardised(Distribution(15, 4.0), Distribution(10, 3.0)) < 0
    assert standardised(Distribution(1, 0.0), Distribution(2, 0.0)) == np.inf
    assert standardised(Distribution(1, 0.0), Distribution(1, 0.0)) == 0
    assert np.isnan(standardised(Distribution(), Distribution(2, 1.0)))


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_the_difference_of_two_levels_is_that_of_one_share(p, q):
    found = standardised(Distribution(shares={"a": p, "b": 1 - p}), Distribution(shares={"a": q, "b": 1 - q}))
    assert found == pytest.approx(abs(p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2), abs=1e-9)


def test_the_difference_of_levels_is_yangs_and_daltons():
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    levels = ["low", "mid", "top"]
    found = standardised(*(Distribution(shares=dict(zip(levels, shares, strict=True))) for shares in (p, q)))
    gap = (q - p)[1:]  # without the first level, as they define it
    spread = [[(p[i] * ((i == j) - p[j]) + q[i] * ((i == j) - q[j])) / 2 for j in (1, 2)] for i in (1, 2)]
    assert found == pytest.approx(np.sqrt(gap @ np.linalg.inv(spread) @ gap))


def test_groups_that_share_no_level_differ_without_end():
    assert standardised(Distribution(shares={"a": 1.0}), Distribution(shares={"b": 1.0})) == np.inf


def test_the_table_has_a_row_for_each_number_and_each_level():
    then = {"age": Distribution(50.0, 10.0, missing=0.0), "sex": Distribution(shares={"f": 0.5, "m": 0.5}, missing=0.1)}
    now = {"age": Distribution(55.0, 10.0, missing=0.2), "sex": Distribution(shares={"f": 0.3, "x": 0.7}, missing=0.0)}
    found = table(then, now)
    assert found.column.tolist() == ["age", "sex", "sex", "sex"]
    assert found.level[1:].tolist() == ["f", "m", "x"]
    assert found.development.tolist() == [50, 0.5, 0.5, 0] and found.new.tolist() == [55, 0.3, 0, 0.7]
    assert found.standardised_difference[0] == 0.5 and found.missing_new[0] == 0.2
    assert found.unseen[1] == 0.7 and found.standardised_difference[2:].isna().all()


def test_what_the_development_did_not_store_is_unknown():
    found = table({"sex": Distribution(missing=0.1)}, {"sex": Distribution(shares={"f": 1.0}, missing=0.0)})
    assert found.development.isna().all() and found.unseen.isna().all() and found.new.tolist() == [1.0]


def test_outcomes_are_shares_of_classes_or_means_of_numbers():
    found = outcomes(np.array([0, 1, 1, 2]), ["a", "b", "c"], classes=True)
    assert [one.mean for one in found.values()] == [0.25, 0.5, 0.25]
    assert found["b"].sd == 0.5
    found = outcomes(np.array([[1.0], [3.0]]), ["weight"], classes=False)
    assert found["weight"] == Distribution(2.0, pytest.approx(np.sqrt(2)), missing=0.0)
    assert outcomes(np.empty((4, 0)), ["background", "tumour"], classes=False) == {}


def test_the_case_mix_is_of_log_odds():
    preds = np.array([[0.5], [1 / (1 + np.exp(-2.0))]])
    made = Predictions(named("binary"), ["ill"], np.array(["a", "b"]), np.array([[0.0], [1.0]]), preds)
    (name, found), *_ = differences.predicted(made).items()
    assert name == "predicted log odds of ill" and (found.mean, found.sd) == pytest.approx((1, np.sqrt(2)))
