from pathlib import Path

import pytest

from medfit.data.readers.column_names import check_names
from medfit.data.readers.files import read_table
from medfit.errors import UserError

PATH = Path("own.csv")
NO_HEADER = "^dataset.path: 'own.csv' has no header: its first row holds numbers, not the columns' names; write"


@pytest.mark.parametrize(
    "row",
    [
        *("63,1,145.5,233,yes", "1,63,145.5,M", "63,1", "1,63", "1,1", "0,2", "-1.5,2e-3,x,y", "5,4,3,2", "1,2,3,5,4"),
        *("4711,1,4711,2", ",4711,1,", " 63 ;1,5;145,25;no"),
    ],
)
def test_a_row_of_a_patient_is_no_header_and_is_not_repeated(row):
    with pytest.raises(UserError, match=NO_HEADER) as caught:
        check_names(PATH, row.split(";" if ";" in row else ","))
    assert "47" not in str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        *("0,1,2,3", "5,6", "age,sex,2020,2021", "400.5,402,404,410,420", "4000,3990,3980,3970,3960,y", "age,1,b", "7"),
        *("0,1,2,who", "1st,2nd,3rd", "I_1,I_2,I_3", "a,b,63", ",,a,"),
    ],
)
def test_names_may_be_numbers_in_order_or_few(row):
    check_names(PATH, row.split(","))


@pytest.mark.parametrize(
    "row", ["a,b,c,{0},{0}", "a,b,c,-{0}, -{0} ", "a,b,d,{0}-01-02,{0}-01-02", "a,b,c,'{0}','{0}'"]
)
def test_a_name_that_may_be_a_cell_is_not_repeated(row):
    with pytest.raises(UserError) as caught:
        check_names(PATH, row.format(4711).split(","))
    assert str(caught.value) == "dataset.path: 'own.csv' has one name for its columns 4 and 5; no header?"


def test_no_name_is_repeated_to_others():
    with pytest.raises(UserError, match="^dataset.path: 'own.csv' has two columns named 'age'$"):
        check_names(PATH, ["b", "age", "age"])
    with pytest.raises(UserError, match="^dataset.path: 'own.csv' has one name for its columns 2 and 3; no header.$"):
        check_names(PATH, ["b", "age", "age"], own=False)


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_a_file_without_a_header_loses_no_patient(tmp_path, table_file, ending):
    path = table_file(tmp_path / f"own.{ending}", [[63, 1, 145.5, "yes"], [41, 0, 130.25, "no"]])
    with pytest.raises(UserError, match="own.* has no header: ") as caught:
        read_table(path)
    assert "145" not in str(caught.value)
    if ending == "csv":
        assert read_table(path, header=False).shape == (2, 4)


@pytest.fixture
def table_file():
    def written(path, rows):
        import pandas as pd

        table = pd.DataFrame(rows)
        if path.suffix == ".csv":
            table.to_csv(path, index=False, header=False)
        else:
            table.to_excel(path, index=False, header=False)
        return path

    return written
