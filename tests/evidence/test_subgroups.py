import numpy as np
import pandas as pd
import pytest

from medfit.errors import UserError
from medfit.evidence.subgroups import levels


def test_words_are_groups_and_what_is_missing_is_one():
    assert levels(pd.Series(["f", None, "m"]), "sex", None).tolist() == ["f", "missing", "m"]


def test_whole_numbers_are_spelled_without_a_point():
    assert levels(pd.Series([1.0, 2.0, np.nan]), "site", None).tolist() == ["1", "2", "missing"]


def test_bands_begin_at_their_edge():
    found = levels(pd.Series([39.9, 40, 59, 60, np.nan]), "age", [40, 60])
    assert found.tolist() == ["below 40", "40 to 60", "40 to 60", "60 and above", "missing"]


def test_one_edge_makes_two_bands():
    assert set(levels(pd.Series([1.0, 9.0]), "age", [5])) == {"below 5", "5 and above"}


@pytest.mark.parametrize(
    ("column", "edges", "told"),
    [
        (pd.Series(range(300)), None, "subgroups.x: the column has 300 values, more than 12; give the edges of bands"),
        (pd.Series([f"w{i}" for i in range(300)]), None, "the column has 300 values, more than 12$"),
        (pd.Series(["a", "b"]), [1.0], "only numbers have bands"),
        (pd.Series([1.0, 2.0]), [2.0, 1.0], "give the edges in rising order"),
        (pd.Series([1.0, 2.0]), [1.0, 1.0, 2.0], "give the edges in rising order"),
        (pd.Series([1.0, 2.0]), [], "give the edges in rising order"),
    ],
)
def test_what_makes_no_groups_is_refused(column, edges, told):
    with pytest.raises(UserError, match=told):
        levels(column, "x", edges)
