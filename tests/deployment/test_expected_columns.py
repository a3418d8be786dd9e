import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfit.deployment.expected_columns import Column, as_known, expected, lines, oddities

TRAINING = pd.DataFrame({"age": np.arange(101.0), "sex": ["f", "m"] * 50 + [np.nan], "smoker": [0.0, 1.0] * 50 + [1.0]})
KINDS = {"age": "numeric", "sex": "categorical", "smoker": "boolean"}


@pytest.fixture
def columns():
    return [Column(**values) for values in expected(TRAINING, KINDS, {"age": "years"})]


def found(columns, **cells):
    x = pd.DataFrame({"age": [50.0] * 12, "sex": ["f"] * 12, "smoker": [0.0] * 12} | cells)
    return {(one.column, one.what): one.rows.nonzero()[0].tolist() for one in oddities(x, columns)}


def test_what_is_kept_of_training_rows_is_of_no_single_row(columns):
    age, sex, smoker = columns
    assert (age.low, age.high) == pytest.approx((1 - 49, 99 + 49))  # percentiles 1 and 99, and half of what is between
    assert (age.unit, age.missing, age.levels) == ("years", 0, [])
    assert sex.levels == ["f", "m"] and sex.missing == pytest.approx(1 / 101) and sex.low is None
    assert (smoker.low, smoker.high) == (0, 1)


def test_ordinary_rows_are_not_odd(columns):
    assert found(columns) == {}
    assert found(columns, sex=["m"] * 11 + [np.nan]) == {}  # it was missing in training, too


def test_odd_cells_are_told_by_column_and_row(columns):
    ages, sexes = [50.0] * 10 + [149.0, np.nan], ["f"] * 11 + ["d"]
    assert found(columns, age=ages, sex=sexes) == {
        ("age", "beyond the training range"): [10],
        ("age", "missing, which it never was in training"): [11],
        ("sex", "a level that no training row had"): [11],
    }
    assert found(columns, sex=[np.nan] * 12) == {("sex", "all missing, and filled as in training"): list(range(12))}


def test_rows_whose_middle_is_out_of_range_may_be_in_another_unit(columns):
    ((what, rows),) = found(columns, age=[600.0] * 12).items()
    assert what[1].endswith("the middle one too; is it in another unit than years?") and len(rows) == 12
    assert list(found(columns, age=[600.0] * 5 + [50.0] * 7)) == [("age", "beyond the training range")]


def test_lines_count_rows_and_show_no_value(columns):
    x = pd.DataFrame({"age": [777.0, 50.0], "sex": ["queen", "f"], "smoker": [0.0, np.nan]})
    told = list(lines(list(oddities(x, columns))))
    assert told[0] == "of 2 rows, beyond the training range: 'age' (1)"
    assert len(told) == 3 and not any("777" in line or "queen" in line for line in told)


@pytest.mark.parametrize(
    ("cells", "levels", "known"),
    [
        ([1, 2], ["1", "2"], ["1", "2"]),
        ([1.0, np.nan], ["1", "2"], ["1", np.nan]),
        ([1, 2], ["1.0", "2.0"], ["1.0", "2.0"]),
        ([" f", "F"], ["f"], ["f", "F"]),
        ([1.5, -1.0], ["-1", "1.5"], ["1.5", "-1"]),
        (["1", "1.0", "x"], ["1", "1.0", "x"], ["1", "1.0", "x"]),
    ],
)
def test_levels_are_known_however_the_file_spells_their_numbers(cells, levels, known):
    column = Column("a", "categorical", levels=levels)
    again = as_known(pd.Series(cells), column, False)
    assert again.dropna().tolist() == [cell for cell in known if cell is not np.nan]
    assert again.isna().tolist() == [cell is np.nan for cell in known]


def test_case_is_folded_where_training_folded_it():
    column = Column("a", "categorical", levels=["Yes"])
    assert as_known(pd.Series(["yes", "YES"]), column, True).tolist() == ["Yes", "Yes"]


@given(st.lists(st.integers(-5, 5) | st.text(max_size=3), min_size=1, max_size=5))
def test_a_level_of_training_is_known_again(levels):
    words = sorted({str(level).strip() for level in levels})
    column = Column("a", "categorical", levels=words)
    again = as_known(pd.Series(words, dtype=object), column, False).tolist()
    assert again == words
