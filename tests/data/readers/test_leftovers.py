import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfit.data.datasets.table import Table
from medfit.data.readers.files import read_table
from medfit.data.readers.leftovers import check_totals
from medfit.errors import UserError

ROWS = "a,30,1.5\nb,41,2.5\nc,55,3.0\nd,62,0.5\n"


def read(tmp_path, text, name="t.csv", **options):
    (tmp_path / name).write_text(text, encoding=options.get("encoding", "utf-8"))
    return read_table(tmp_path / name, **options)


def test_empty_columns_behind_the_last_separator_are_left_out(tmp_path, capsys):
    table = read(tmp_path, "age;crp;;\n30;1.5;;\n41;2.5;;\n")
    assert list(table) == ["age", "crp"] and capsys.readouterr().out == ""


def test_an_empty_column_with_a_name_stays(tmp_path):
    assert list(read(tmp_path, "age;crp\n30;\n41;\n")) == ["age", "crp"]


def test_columns_with_cells_and_no_name_are_told(tmp_path, capsys):
    table = read(tmp_path, "who,,\n" + ROWS)
    assert list(table) == ["who", "Unnamed: 1", "Unnamed: 2"]
    shown = capsys.readouterr().out
    assert "Warning: t.csv: 2 columns have no name, and are called 'Unnamed: 1', 'Unnamed: 2'; " in shown
    assert "dataset.skip_rows" in shown


def test_names_below_merged_cells_are_read_with_skip_rows(tmp_path, capsys):
    pd.DataFrame([["who", "age", "crp"], ["a", 30, 1.5], ["b", 41, 2.5]]).to_excel(
        tmp_path / "t.xlsx", index=False, header=["Study", None, None]
    )
    read_table(tmp_path / "t.xlsx")
    assert "2 columns have no name" in capsys.readouterr().out
    table = read_table(tmp_path / "t.xlsx", skip_rows=1)
    assert list(table) == ["who", "age", "crp"] and table.age.tolist() == [30, 41]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "last", ["Total,188,7.5", "sum:,188,7.5", "Mean,47,1.875", "average,47,1.87", ",188,7.5", "Total,188,"]
)
def test_a_row_of_totals_is_refused(tmp_path, last):
    with pytest.raises(UserError, match="the last row is no row of data: it holds sums or means of the others in"):
        read(tmp_path, f"who,age,crp\n{ROWS}{last}\n")


@pytest.mark.parametrize("last", ["e,47,1.875", "e,188,2.0", "total,33,9.5", "e,44,"])
def test_a_last_row_of_data_stays(tmp_path, last):
    assert len(read(tmp_path, f"who,age,crp\n{ROWS}{last}\n")) == 5


def test_few_rows_and_constant_columns_tell_nothing(tmp_path):
    assert len(read(tmp_path, "a,b\n1,2\n2,3\n3,5\n")) == 3
    assert len(read(tmp_path, "a,b,c\n0,0,1\n0,0,2\n0,0,1\n0,0,2\n")) == 4


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 60), st.integers(2, 5))
def test_tables_of_measurements_stay(seed, rows, columns):
    values = np.random.default_rng(seed).gamma(2, 10, (rows, columns)).round(1)
    check_totals("t.csv", pd.DataFrame(values))
    whole = np.vstack([values, values.sum(axis=0)])
    with pytest.raises(UserError):
        check_totals("t.csv", pd.DataFrame(whole))


def test_unicode_text_of_a_spreadsheet_is_told_by_its_encoding(tmp_path):
    text = "age\tcity\n30\tKöln\n41\tUlm\n"
    (tmp_path / "t.txt").write_text(text, encoding="utf-16")
    with pytest.raises(UserError, match="try dataset.encoding=utf-16"):
        read_table(tmp_path / "t.txt")
    assert read_table(tmp_path / "t.txt", encoding="utf-16").city.tolist() == ["Köln", "Ulm"]
    (tmp_path / "t.txt").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match="try dataset.encoding=latin-1"):
        read_table(tmp_path / "t.txt")


def test_a_table_with_empty_columns_and_a_count_of_rows_is_trained_on(tmp_path):
    rows = "".join(f"{n},{30 + n % 7},{n % 2},\n" for n in range(40))
    (tmp_path / "t.csv").write_text(",age,ill,\n" + rows)
    assert Table(str(tmp_path / "t.csv"), "ill").features() == [{"name": "age", "kind": "numeric"}]
