import numpy as np
import pandas as pd
import pytest

from medfit.data.datasets.suspects import case_variants, folded, lines, missing_codes


@pytest.mark.parametrize(
    "cells, codes",
    [
        ([20, 35, 50, 90, 999], {999: 1}),
        ([20, 35, 50, 90, 999, 999, 888], {888: 1, 999: 2}),
        ([0.5, 2, 3, -1, -1], {-1: 2}),
        ([0.5, 2, 3, -1], {}),
        ([0.5, 2, 3, -9], {-9: 1}),
        ([1, 2, 3, 4, 9], {9: 1}),
        ([-2, 0, 3, -1, -1], {}),
        ([-2.5, 0, 1.5, -99], {-99: 1}),
        ([70, 80, 90, 99, 99], {}),
        ([-1, 0, 1, -1, 0], {}),
        ([0, 1, 9], {}),
        ([100, 300, 999, 1200], {}),
        ([1.5, 2.5, 3.5], {}),
    ],
)
def test_numbers_that_may_mark_missing_cells_lie_apart(cells, codes):
    assert missing_codes(pd.Series(cells)) == codes


@pytest.mark.parametrize("seed", range(10))
def test_measurements_hold_none(seed):
    random = np.random.default_rng(seed)
    for values in (
        random.normal(size=300),
        random.gamma(2, 100, 300),
        random.integers(0, 100, 300),
        random.poisson(2, 300),
    ):
        assert missing_codes(pd.Series(np.round(values, 2))) == {}


def test_words_that_differ_by_case_and_spaces_are_counted_and_made_one():
    column = pd.Series(["Yes", "yes", "YES", "No", None, "yes", "not  known", "Not known"])
    assert case_variants(column) == 3
    assert folded(column).nunique() == 3
    assert folded(column)[[0, 1, 2, 5]].tolist() == ["yes"] * 4 and folded(column).isna().tolist()[4]


def test_numbers_are_not_folded():
    column = pd.Series([1.5, 2, None])
    assert folded(column) is column


def test_lines_name_columns_and_no_word():
    x = pd.DataFrame(
        {"age": [20, 35, 50, 90, 999], "site": ["Ulm", "ulm", "Bonn", "Ulm", "Bonn"], "code": list("12999")}
    )
    told = list(
        lines(
            x,
            {"age": "numeric", "site": "categorical", "code": "categorical"},
            pd.DataFrame({"y": ["Ill", "ill", "well"] + ["ill"] * 2}),
        )
    )
    assert told == [
        "column 'y': 1 of its 3 values differ from another by case or spaces alone; dataset.fold_case=true makes them one",
        "column 'age' holds 999 in 1 cells, far from all else, as marks for missing do; if so, set "
        "dataset.missing_in={age:[999]}",
        "column 'site': 1 of its 3 values differ from another by case or spaces alone; dataset.fold_case=true makes them one",
    ]
