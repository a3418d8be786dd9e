import string

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfit.data.inspection.columns import Column, describe, of_table, spread

NUM = 200


def column(cells, name="x"):
    return pd.Series(cells, name=name)


@pytest.mark.parametrize(
    "cells, kind",
    [
        ([1.5, 2, None, 4], "numeric"),
        (["yes", "no", "yes"], "binary"),
        ([0, 1, 1], "binary"),
        (["a", "b", "a"], "categorical"),
        (["2019-03", "2020-04", "2021-05"], "date"),
        (pd.to_datetime(["2019-03-01", "2020-04-01"]), "date"),
        (["70 kg", "81 kg", "65 kg"], "text"),
        ([f"w{n}" for n in range(30)], "text"),
        (["1.5", "2.5", "3.5", "high"], "mixed"),
        ([None, None], "empty"),
    ],
)
def test_kinds_are_told(cells, kind):
    assert describe(column(cells)).kind == kind


def test_what_is_missing_is_counted():
    made = describe(column([1.5, None, 2.5, None, 3.0, 4.0, 5.0, 6.0]))
    assert (made.missing, made.missing_percent, made.levels) == (2, 25.0, 6)


def test_where_most_numbers_lie_is_told_of_many_patients_alone():
    values = np.arange(NUM, dtype=float)
    assert spread(values, NUM) == "median 99.5, 90 % within 9.95 to 189"
    assert spread(values[:100], 100).startswith("median")
    assert spread(values[:99], 99) == "quartiles 24.5, 49, 73.5"
    assert spread(values[:20], 20).startswith("quartiles")
    assert spread(values[:19], 19) == "" == spread(values, 19)
    whose = np.arange(NUM) // 20
    assert describe(column(values / 7)).values and not describe(column(values / 7), patients=whose).values


def test_levels_of_fewer_than_five_cases_are_others():
    cells = ["a"] * 50 + ["b"] * 5 + ["c"] * 4 + ["d"]
    assert describe(column(cells)).values == "a 50, b 5, others 5"


def test_cases_are_patients_and_counts_are_rows():
    cells, whose = ["a"] * 50 + ["b"] * 50, np.repeat(np.arange(14), [10] * 5 + [6] * 8 + [2])
    assert describe(column(cells), patients=whose).values == "a 50, b 50"
    assert describe(column(cells), patients=np.repeat([0, 1, 2, 3, 4, 5], [10, 10, 10, 10, 10, 50])).values == (
        "a 50, others 50"
    )


def test_the_commonest_levels_are_named():
    cells = [letter for number, letter in enumerate("abcdef") for _ in range(20 - number)]
    assert describe(column(cells)).values == "a 20, b 19, c 18, d 17, others 31"


@pytest.mark.parametrize("name", ["patient_id", "Surname", "initials", "birth_year", "zip", "e-mail"])
def test_nothing_is_told_of_what_names_patients(name):
    assert describe(column(["Muster"] * 30 + ["Meier"] * 30, name)).values == ""
    assert describe(column([4711.0] * 60 + [815.0] * 60, name)).values == ""


def test_nothing_is_told_of_a_patients_column_or_of_one_that_leaks():
    cells = column(["Muster"] * 30 + ["Meier"] * 30)
    assert describe(cells, "patient").values == "" == describe(cells, leak="see below").values
    assert describe(cells, leak="see below").suspects == "see below"


@pytest.mark.parametrize(
    "cells, told",
    [
        ([20, 35.5, 50, 90, 999, 999], "999 in 2 cells: missing? dataset.missing_in={x:[999]}"),
        (["Ulm", "ulm", "Bonn"] * 9, "1 of 3 differ by case or spaces: dataset.fold_case=true"),
        (["2019-03", "2020-04"], "dates: read with dataset.parse={x:date}"),
        (["70 kg", "81 kg", "81 kg"], "numbers with a unit: read with dataset.parse={x:number}"),
        (pd.to_datetime(["2019-03-01", "2020-04-01"]), "dates: read with dataset.parse={x:date}"),
        (["1.5", "2.5", "3.5", "high"], "numbers, but for 1 cells"),
        ([f"w{n}" for n in range(30)], "hardly repeats, as a name does"),
        (list(range(100, 140)), "looks like an identifier, in row order"),
        ([3.0] * 8, "the same in all rows"),
        ([None] * 3, "no cell is filled"),
        ([1.5, 2.5, 3.5, 2.5], ""),
        (["a", "b", "a"], ""),
    ],
)
def test_what_looks_wrong_is_told_with_the_setting(cells, told):
    assert describe(column(cells)).suspects == told


def test_nothing_is_told_of_an_identifiers_numbers():
    assert describe(column(list(range(100, 140)))).values == ""


def test_an_unnamed_patient_is_suspected_and_a_named_one_is_not():
    assert "dataset.patient='subject'?" in describe(column([1, 2, 3] * 9, "subject")).suspects
    assert describe(column([1, 2, 3] * 9, "subject"), "patient").suspects == ""


def test_a_table_has_a_row_for_each_column_with_its_role():
    table = pd.DataFrame({"who": list("aabbcc"), "age": [1.5, 2, 3, 4, 5, 6], "sick": [0, 1] * 3})
    made = of_table(
        table, {"who": "patient", "sick": "target"}, {"age": "categorical"}, {"age": "years"}, ["column 'age' leaks"]
    )
    assert [(one.name, one.role, one.kind) for one in made] == [
        ("who", "patient", "categorical"), ("age", "feature", "categorical"), ("sick", "target", "binary"),
    ]  # fmt: skip
    assert made[1].unit == "years" and made[1].suspects == "see below"
    assert {one.role for one in of_table(table, {}, {}, {})} == {""}


words = st.text(string.ascii_lowercase, min_size=6, max_size=12).map("secret".__add__)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(words, min_size=3, max_size=40, unique=True),
    st.integers(1, 4),
    st.lists(st.sampled_from(["a", "b", "c", None]), min_size=30, max_size=60),
)
def test_words_of_fewer_than_five_patients_never_appear(secrets, times, others):
    cells = (secrets * times + others)[::-1]
    made: Column = describe(column(cells))
    assert "secret" not in " ".join(map(str, made))
    one_patient = describe(
        column([*secrets[:1] * 200, *others]), patients=np.r_[np.zeros(200), np.arange(1, len(others) + 1)]
    )
    assert "secret" not in " ".join(map(str, one_patient))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e5, 1e6, allow_nan=False), min_size=1, max_size=150, unique=True))
def test_the_ends_of_numbers_never_appear(numbers):
    told = " ".join(map(str, describe(column(numbers))))
    if len(numbers) < 20:
        assert describe(column(numbers)).values == ""
    assert repr(min(numbers)) not in told and repr(max(numbers)) not in told
