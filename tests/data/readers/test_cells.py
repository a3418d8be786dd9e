import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfit.data.datasets.table import Table
from medfit.data.readers.cells import cleaned, numbers_in
from medfit.errors import UserError


def column(cells, **options):
    made = cleaned(pd.DataFrame({"c": pd.Series(cells, dtype=object)}), **options)["c"]
    return [None if pd.isna(cell) else cell for cell in made]


@pytest.mark.parametrize(
    "cell, decimal, thousands, number",
    [
        ("1.5", ".", None, 1.5),
        ("1,5", ",", None, 1.5),
        ("7.589", ",", ".", 7589),
        ("533", ",", ".", 533),
        ("1.234.567,5", ",", ".", 1234567.5),
        ("-1,234.5", ".", ",", -1234.5),
        ("1 234", ".", " ", 1234),
        ("1'234", ".", "'", 1234),
        ("7.5", ",", ".", None),
        ("7.589", ",", None, None),
        ("1,23", ".", ",", None),
        ("12345,678", ".", ",", None),
        ("1e3", ".", None, 1000),
        ("x", ".", None, None),
        (True, ".", None, None),
        (2, ",", ".", 2),
    ],
)
def test_a_number_is_read_by_its_marks(cell, decimal, thousands, number):
    [found] = numbers_in(pd.Series([cell], dtype=object), decimal, thousands)
    assert found == number or (number is None and np.isnan(found))


@given(st.integers(-(10**9), 10**9), st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'")]))
def test_grouped_numbers_are_read_whole(number, marks):
    decimal, thousands = marks
    written = f"{number:,}".replace(",", thousands) + decimal + "25"
    [found] = numbers_in(pd.Series([written], dtype=object), decimal, thousands)
    assert found == float(f"{number}.25")


@pytest.mark.parametrize(
    "cells", [["7.589", "533"], ["289.000", "215.000"], ["3.14", "2,5"], ["1.2.3", "4"], ["1.234,5", "2,5"]]
)
def test_points_beside_a_decimal_comma_are_refused(cells):
    message = (
        r"^dataset.decimal: column 'c' holds \d numbers with points, though the decimal mark is ',' \(first in data"
    )
    with pytest.raises(UserError, match=message) as error:
        column(cells, decimal=",")
    assert cells[0] not in str(error.value).replace("7.589 for", "")


def test_german_dates_are_no_numbers_with_points():
    for cells in (["01.02.2020", "3.4.21"], ["01.02.2020 x", "03.04.2021"]):
        assert column(cells, decimal=",") == cells


def test_a_german_table_of_decimal_commas_and_dates_is_read(tmp_path):
    rows = "".join(f"{n % 7},5;0{1 + n % 9}.03.2019;{n % 2}\n" for n in range(20))
    (tmp_path / "t.csv").write_text("crp;seen;ill\n" + rows)
    data = Table(str(tmp_path / "t.csv"), "ill", decimal=",", parse={"seen": "date"})
    assert data.x.crp[:2].tolist() == [0.5, 1.5] and data.x.seen[:2].tolist() == [6999, 7000]


@pytest.mark.parametrize("marks", [[999, -1], ["999", "-1"], [999.0, "-1.0"]])
@pytest.mark.parametrize("cells", [[999, -1, 5, 7], ["999", "-1", "5", "7"], [999.0, -1.0, 5.0, 7.0]])
def test_numbers_mean_missing(cells, marks):
    assert column(cells, missing_values=marks) == [None, None, 5, 7]


def test_numbers_mean_missing_among_words():
    assert column(["f", "9", "m"], missing_values=[9]) == ["f", None, "m"]


def test_marks_of_one_column_leave_the_others_alone():
    table = pd.DataFrame({"age": [999, 40], "crp": [999, -1], "sex": ["?", "f"]})
    made = cleaned(table, ["?"], {"age": [999], "crp": [-1]})
    assert made.isna().to_numpy().tolist() == [[True, False, True], [False, True, False]]


def test_none_is_a_value_among_words_and_said(capsys):
    assert column(["None", "Insomnia", "Apnea", "None"]) == ["None", "Insomnia", "Apnea", "None"]
    assert capsys.readouterr().out == "Column 'c': 2 cells say 'None'; among words that is a value, not missing.\n"


@pytest.mark.parametrize("cells, rest", [(["None", "1", "2"], [1, 2]), (["None", "True", "False"], ["True", "False"])])
def test_none_is_missing_among_numbers_and_truths(cells, rest):
    assert column(cells) == [None, *rest]


def test_na_is_missing_unless_it_is_a_value_and_said(capsys):
    assert column(["NA", "EU", "AS"]) == [None, "EU", "AS"]
    assert "Column 'c': 1 cells 'NA' are missing (dataset.missing_words=false: a value)." in capsys.readouterr().out
    assert column(["NA", "EU", "null", " "], missing_words=False) == ["NA", "EU", "null", None]
    assert capsys.readouterr().out == ""


def test_a_word_among_numbers_is_no_value_said(capsys):
    assert column(["NA", "1", "2"]) == [None, 1, 2]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("space", [" ", "\t", "\xa0", "\n"])
def test_spaces_around_words_are_no_part_of_them(space):
    assert column([f"ckd{space}", "ckd", f"{space}notckd", space]) == ["ckd", "ckd", "notckd", None]


def test_long_numbers_of_patients_stay_apart():
    cells = ["90071992547409921", "90071992547409922 ", None]
    assert column(cells) == ["90071992547409921", "90071992547409922", None]


def test_truths_dates_and_lists_are_left_alone():
    assert column([True, None, False], missing_values=[1]) == [True, None, False]
    lists = pd.DataFrame({"c": [[1, 2], [3]]})
    assert cleaned(lists, [1])["c"].tolist() == [[1, 2], [3]]
    dates = pd.Series(pd.date_range("2020-01-01", periods=2))
    assert cleaned(pd.DataFrame({"c": dates}))["c"].equals(dates)


@given(
    st.lists(
        st.one_of(st.none(), st.floats(allow_nan=False), st.integers(), st.text(max_size=5), st.booleans()), min_size=1
    )
)
def test_any_cells_are_cleaned_into_as_many(cells):
    assert len(column(cells)) == len(cells)
