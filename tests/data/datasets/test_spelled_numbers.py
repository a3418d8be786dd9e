import numpy as np
import pandas as pd
import pytest

from medfit.data.datasets.spelled_numbers import parsed, refuse, spelling
from medfit.errors import UserError


def words(cells):
    return pd.Series(cells, name="lab", dtype=object)


@pytest.mark.parametrize(
    "cells, way_out",
    [
        (["<0.1", 0.2, "0.3"], "dataset.parse={lab:censored}"),
        (["0.2", "> 100", "≥ 100", "lost", "lost", "lost"], None),
        (["0.2", "0.4", "> 100"], "dataset.parse={lab:censored}"),
        (["4,2", "3", "1,25"], "dataset.decimal=','"),
        (["120/80", "135/90"], "dataset.parse={lab:pair}"),
        (["95%", "90 %"], "dataset.parse={lab:number}"),
        (["70 kg", "65kg", "80"], "dataset.parse={lab:number}"),
        (["2019-03", "2020-12"], "dataset.parse={lab:date}"),
        (["2019-03-01", "2020-12-24 10:00"], "dataset.parse={lab:date}"),
        (["24.12.2020", "1.2.2020"], "dataset.parse={lab:date}"),
        (["1,234,567", "12"], "dataset.thousands"),
        (["<=20", "20-50", ">50"], None),
        (["1A", "2B"], None),
        (["1st", "2nd"], None),
        (["0-9", "10-19"], None),
        (["f", "m", "<1"], None),
        (["stage 1", "stage 2"], None),
        (["1/2", "2/2"], None),
        ([None, None], None),
        ([1.5, 2], None),
    ],
)
def test_a_spelling_is_recognised(cells, way_out):
    found = spelling(words(cells))
    assert (found and found.way_out) == way_out


def test_spelled_numbers_are_refused_by_name_without_a_cell():
    with pytest.raises(UserError) as error:
        refuse(words([3, "<0.47", 4]), "dataset", "set dataset.kinds.'lab'=categorical")
    assert str(error.value) == (
        "dataset: column 'lab' holds values beyond a limit, as <0.1, in 1 cells (first in data row 2); read them with "
        "dataset.parse={lab:censored}, leave the column out, or set dataset.kinds.'lab'=categorical"
    )


def made(cells, way, decimal=".", thousands=None):
    table, units = parsed(pd.DataFrame({"a": 1, "lab": words(cells), "z": 2}), {"lab": way}, decimal, thousands)
    assert (table.columns[0], table.columns[-1]) == ("a", "z")
    return table.drop(columns=["a", "z"]), units


def test_values_beyond_a_limit_become_the_limit_and_a_mark():
    table, _ = made(["<0.1", 0.5, None, "> 100", "≥100", "7"], "censored")
    np.testing.assert_array_equal(table["lab"], [0.1, 0.5, np.nan, 100, 100, 7])
    np.testing.assert_array_equal(table["lab below"], [1, 0, np.nan, 0, 0, 0])
    np.testing.assert_array_equal(table["lab above"], [0, 0, np.nan, 1, 1, 0])
    assert list(made(["<0.1", "2"], "censored")[0]) == ["lab", "lab below"]


def test_the_decimal_mark_holds_beyond_a_limit():
    assert made(["<0,1", "1.234,5"], "censored", ",", ".")[0]["lab"].tolist() == [0.1, 1234.5]


def test_a_unit_is_left_out_and_kept_as_the_columns():
    table, units = made(["70 kg", "65.5kg", None, "80"], "number")
    np.testing.assert_array_equal(table["lab"], [70, 65.5, np.nan, 80])
    assert units == {"lab": "kg"}
    assert made(["95%", "5 %"], "number")[1] == {"lab": "%"}


def test_two_units_are_refused():
    with pytest.raises(UserError, match="^dataset.parse: column 'lab' holds numbers in 2 units; bring them to one"):
        made(["70 kg", "150 lb"], "number")


def test_a_pair_becomes_two_columns():
    table, _ = made(["120/80", None, "135 / 90"], "pair")
    assert list(table) == ["lab 1", "lab 2"]
    np.testing.assert_array_equal(table, [[120, 80], [np.nan, np.nan], [135, 90]])


def test_a_date_becomes_days_since_2000():
    table, _ = made(["2000-01-02", "2000-02", None, "31.12.1999", "2000-01-01 12:00"], "date")
    np.testing.assert_array_equal(table["lab"], [1, 31, np.nan, -1, 0.5])
    dates = pd.DataFrame({"lab": pd.to_datetime(["2000-01-11", None])})
    np.testing.assert_array_equal(parsed(dates, {"lab": "date"}, ".", None)[0]["lab"], [10, np.nan])


@pytest.mark.parametrize("way", ["number", "censored", "pair", "date"])
def test_a_cell_of_another_kind_is_refused_with_its_row(way):
    good = {"number": "7", "censored": "<7", "pair": "120/80", "date": "2020-01-01"}[way]
    with pytest.raises(UserError) as error:
        made([good, "Zebedee"], way)
    assert str(error.value) == f"dataset.parse: 1 cells of column 'lab' can't be read as {way} (first in data row 2)"


def test_a_date_whose_order_is_not_known_is_refused():
    with pytest.raises(UserError, match="1 cells of column 'lab' can't be read as date"):
        made(["2020-01-01", "01/02/2020"], "date")


def test_a_name_that_is_taken_is_refused():
    table = pd.DataFrame({"lab": ["<1", 2], "lab below": [1, 2]})
    with pytest.raises(UserError, match="^dataset.parse: there is a column 'lab below' already"):
        parsed(table, {"lab": "censored"}, ".", None)
