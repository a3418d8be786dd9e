import gzip
import re
import zipfile
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medfit.data.readers.files import read_table
from medfit.errors import UserError

SECRET = "Zebedee-4711"
HELD = {"age": [30.5, 41.0, 52.25], "sex": ["f", "m", "f"], "ill": [0, 1, 1]}


@pytest.fixture
def file(tmp_path):
    """Writes a file of text or bytes."""

    def written(content, name="table.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return written


def read(path, encoding="utf-8", decimal=".", missing_values=("?",), **options):
    return read_table(path, encoding=encoding, decimal=decimal, missing_values=missing_values, **options)


def refusal(path, **options):
    with pytest.raises(UserError) as error:
        read(path, **options)
    return str(error.value)


def excel(path, rows):
    pd.DataFrame(rows).to_excel(path, header=False, index=False)
    return path


@pytest.mark.parametrize("name", ["table.csv", "table.tsv", "table.txt", "TABLE.CSV"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_text_is_read_whatever_its_separator(file, name, separator):
    text = "age,sex,ill\n30.5,f,0\n41.0,m,1\n52.25,f,1\n"
    assert read(file(text.replace(",", separator), name)).to_dict("list") == HELD


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n\n"])
def test_text_is_read_whatever_its_line_ends(file, newline, end):
    text = "age,sex,ill\n30.5,f,0\n41.0,m,1\n52.25,f,1" + end
    assert read(file(text.replace("\n", newline))).to_dict("list") == HELD


def test_blank_lines_above_the_header_do_not_hide_the_separator(file):
    assert read(file("\n\na;b\n1;2\n")).to_dict("list") == {"a": [1], "b": [2]}


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(file, encoding):
    assert list(read(file("\ufeffage,ill\n1,2\n"), encoding=encoding)) == ["age", "ill"]


def test_a_decimal_comma_is_read(file):
    assert read(file("a;b\n1,5;x\n2,25;y\n"), decimal=",")["a"].tolist() == [1.5, 2.25]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_other_encodings_are_read(file, encoding):
    path = file("größe,ort\n1,Köln\n", encoding=encoding)
    assert read(path, encoding=encoding).to_dict("list") == {"größe": [1], "ort": ["Köln"]}


@pytest.mark.parametrize("mark", ["\x85", "\x0b", "\x1c", "\u2028"])
def test_a_mark_that_only_unicode_takes_for_a_line_end_does_not_divide_a_row(file, mark):
    assert read(file(f"a,b\n1,x{mark}y\n")).shape == (1, 2)


def test_a_separator_in_quotes_does_not_divide_a_cell(file):
    assert read(file('a,b\n1,"x, y"\n2,"z"\n'))["b"].tolist() == ["x, y", "z"]


def test_a_space_before_a_quote_does_not_undo_it(file):
    assert read(file('a, b\n1, "x, y"\n2, "z"\n'))["b"].tolist() == ["x, y", "z"]


def test_a_line_end_in_quotes_does_not_divide_a_row(file):
    assert read(file('a,b\n1,"x\ny"\n2,z\n')).shape == (2, 2)


def test_names_lose_the_spaces_around_them(file):
    assert list(read(file("a , b\n1,2\n"))) == ["a", "b"]


def test_the_usual_words_and_those_given_mean_missing(file):
    column = read(file("a,b\n?,1\n,2\nNA,3\n-9,4\n5,5\n"), missing_values=["?", "-9"])["a"]
    assert column.isna().tolist() == [True, True, True, True, False]


def test_a_missing_file_is_told(tmp_path):
    assert refusal(tmp_path / "no.csv") == f"dataset.path: there is no file '{tmp_path / 'no.csv'}'"


def test_a_folder_is_no_file(tmp_path):
    assert refusal(tmp_path) == f"dataset.path: there is no file '{tmp_path}'"


@pytest.mark.parametrize("name", ["table.csv", "table.parquet", "table.xlsx"])
def test_an_empty_file_is_told(file, name):
    path = file(b"", name)
    assert refusal(path) == f"dataset.path: '{path}' is empty"


def test_an_unknown_ending_is_told_with_the_known_ones(file):
    path = file("a,b\n1,2\n", "table.doc")
    known = ".csv, .tsv, .txt, .csv.gz, .tsv.gz, .txt.gz, .parquet, .xlsx, .xlsm, .arff"
    assert refusal(path) == f"dataset.path: '{path}' has none of the endings {known}"


@pytest.mark.parametrize("text", ["a,b\n", "a,b", "\ufeffa,b\r\n"])
def test_a_header_alone_is_told(file, text):
    path = file(text)
    assert refusal(path) == f"dataset.path: '{path}' has a header but no rows"


@pytest.mark.parametrize("text", ["\n\n\n", "\ufeff"])
def test_blank_lines_alone_are_told(file, text):
    path = file(text)
    assert refusal(path) == f"dataset.path: '{path}' holds no rows"


@pytest.mark.parametrize("text, row, came", [("a,b\n1\n3,4\n", 2, 1), ("a,b\n\n1,2\n1,2,3\n3,4\n", 4, 3)])
def test_a_ragged_row_is_told_with_its_number(file, text, row, came):
    path = file(text)
    assert refusal(path) == f"dataset.path: '{path}', row {row}: 2 columns were expected, {came} came"


def test_a_row_cut_off_at_the_end_is_told(file):
    path = file("a,b\n1,2\n3")
    wanted = f"dataset.path: '{path}', row 3: 2 columns were expected, 1 came (the last row: is the file cut off?)"
    assert refusal(path) == wanted


def test_a_quote_cut_off_at_the_end_is_told(file):
    path = file(f'a,b\n1,x\n2,"{SECRET}')
    message = refusal(path)
    assert message.startswith(f"dataset.path: '{path}' is cut off or has a stray quote (") and SECRET not in message


def test_a_binary_file_is_told(file):
    path = file(b"a,b\n1,\x002\n")
    assert refusal(path) == f"dataset.path: '{path}' is a binary file, not a table in text"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "no-such-encoding"])
def test_a_wrong_encoding_is_told_with_another(file, encoding):
    path = file(f"a,b\n1,{SECRET}ä\n", encoding="latin-1")
    message = refusal(path, encoding=encoding)
    assert message.startswith(f"dataset.path: '{path}' is not {encoding} text (")
    assert message.endswith("try dataset.encoding=latin-1") and SECRET not in message


@pytest.mark.parametrize("header", ["a,b,a", "a,b, a", "a,b,a "])
def test_two_text_columns_of_one_name_are_told(file, header):
    path = file(f"{header}\n1,2,3\n")
    assert refusal(path) == f"dataset.path: '{path}' has two columns named 'a'"


def test_two_columns_without_a_name_are_not_of_one_name(file):
    assert read(file(",a,\n1.5,2,3\n")).shape == (1, 3)


def test_two_excel_columns_of_one_name_are_told(tmp_path):
    path = excel(tmp_path / "table.xlsx", [["a", "b", "a"], [1, 2, 3]])
    assert refusal(path) == f"dataset.path: '{path}' has two columns named 'a'"


def test_two_parquet_columns_of_one_name_are_told(tmp_path):
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    assert refusal(path) == f"dataset.path: '{path}' has two columns named 'a'"


@pytest.mark.parametrize("name", ["table.parquet", "table.xlsx", "table.xlsm"])
def test_a_binary_table_is_read(tmp_path, name):
    frame, path = pd.DataFrame(HELD), tmp_path / name
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_excel(path, index=False)
    assert read(path).to_dict("list") == HELD


@pytest.mark.parametrize("name, kind", [("table.parquet", "Parquet"), ("table.xlsx", "Excel")])
@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"PAR1junkPAR1", b"PK\x03\x04junk"])
def test_a_file_that_is_not_what_its_name_says_is_told(file, name, kind, content):
    path = file(content, name)
    assert refusal(path).startswith(f"dataset.path: '{path}' is not a whole {kind} file (")


def test_an_archive_that_is_no_workbook_is_told(tmp_path):
    path = tmp_path / "table.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("note.txt", SECRET)
    message = refusal(path)
    assert message.startswith(f"dataset.path: '{path}' is not a whole Excel file (") and SECRET not in message


@pytest.mark.parametrize("name, kind", [("table.parquet", "Parquet"), ("table.xlsx", "Excel")])
def test_a_binary_table_cut_off_is_told(tmp_path, name, kind):
    frame, path = pd.DataFrame({"a": [SECRET]}), tmp_path / name
    frame.to_parquet(path) if kind == "Parquet" else frame.to_excel(path, index=False)
    path.write_bytes(path.read_bytes()[:-100])
    message = refusal(path)
    assert message.startswith(f"dataset.path: '{path}' is not a whole {kind} file (") and SECRET not in message


@pytest.mark.parametrize("name", ["table.parquet", "table.xlsx"])
def test_a_binary_table_of_a_header_alone_is_told(tmp_path, name):
    frame, path = pd.DataFrame({"a": [], "b": []}), tmp_path / name
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_excel(path, index=False)
    assert refusal(path) == f"dataset.path: '{path}' has a header but no rows"


def test_a_named_index_of_a_parquet_file_is_a_column(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": [1, 2]}, index=pd.Index(["p", "q"], name="patient")).to_parquet(path)
    assert read(path).to_dict("list") == {"patient": ["p", "q"], "a": [1, 2]}


def test_an_index_without_a_name_only_numbers_the_rows(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": [1, 2]}, index=["p", "q"]).to_parquet(path)
    table = read(path)
    assert list(table) == ["a"] and table.index.tolist() == [0, 1]


@pytest.fixture
def workbook(tmp_path):
    path = tmp_path / "table.xlsx"
    with pd.ExcelWriter(path) as writer:
        pd.DataFrame({"first": [1]}).to_excel(writer, sheet_name="z", index=False)
        pd.DataFrame({"second": [2]}).to_excel(writer, sheet_name="a", index=False)
    return path


def test_an_excel_file_is_read_by_its_first_sheet_and_the_others_are_told(workbook, capsys):
    assert list(read(workbook)) == ["first"]
    told = "table.xlsx: of the sheets 'z', 'a' only 'z' is read; dataset.sheet=... takes another.\n"
    assert capsys.readouterr().out == told


@pytest.mark.parametrize("sheet, column", [("a", "second"), (2, "second"), ("z", "first"), (1, "first")])
def test_a_sheet_is_read_by_name_or_number(workbook, sheet, column, capsys):
    assert list(read(workbook, sheet=sheet)) == [column]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("sheet", ["b", 0, 3])
def test_a_sheet_that_is_not_there_is_refused_with_those_that_are(workbook, sheet):
    message = refusal(workbook, sheet=sheet)
    assert message == f"dataset.sheet: '{workbook}' has no sheet {sheet!r} (sheets: 'z', 'a')"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_rows_above_the_header_are_skipped(file, tmp_path, newline):
    text = "Export of 2020, made; by hand\n\nage,ill\n30,0\n41,1\n".replace("\n", newline)
    assert read(file(text), skip_rows=2).to_dict("list") == {"age": [30, 41], "ill": [0, 1]}
    path = excel(tmp_path / "table.xlsx", [["Export", None], ["age", "ill"], [30, 0], [41, 1]])
    assert read(path, skip_rows=1).to_dict("list") == {"age": [30, 41], "ill": [0, 1]}


@pytest.mark.parametrize("name", ["table.csv.gz", "table.tsv.gz", "TABLE.CSV.GZ"])
def test_compressed_text_is_read(file, name):
    text = "age,sex,ill\n30.5,f,0\n41.0,m,1\n52.25,f,1\n"
    assert read(file(gzip.compress(text.encode()), name)).to_dict("list") == HELD


@pytest.mark.parametrize("compress", [bytes, lambda text: gzip.compress(text)[:-12]], ids=["plain", "cut off"])
def test_compressed_text_cut_off_or_plain_is_told(file, compress):
    path = file(compress(b"age,ill\n1,0\n2,1\n"), "table.csv.gz")
    assert refusal(path).startswith(f"dataset.path: '{path}' is not a whole gzip file (")


def test_points_that_may_group_thousands_are_told(file, capsys):
    path = file("wbc;ph;dose\n7.589;7.35;1.5\n533;7.4;2.25\n12.100;7.2;0.125\n")
    assert read(path)["wbc"].tolist() == [7.589, 533, 12.1]
    said = capsys.readouterr().out
    assert (
        said.startswith("Warning: column 'wbc': all 2 numbers with a point have three digits")
        and said.count("column") == 1
    )
    assert read(file("wbc,ph\n7.589,7.35\n533,7.4\n12.100,7.2\n")).shape == (3, 2)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("suffix", ["csv", "parquet", "xlsx"])
def test_the_same_table_is_read_alike_from_every_format(tmp_path, suffix):
    words = pd.DataFrame({"n": ["1.5", "?", "-9", "2"], "w": ["x", "?", "z", "x"], "i": [1, -9, 3, 4]})
    path = tmp_path / f"table.{suffix}"
    {"csv": words.to_csv, "xlsx": words.to_excel}.get(suffix, lambda p, index: words.to_parquet(p))(path, index=False)
    table = read(path, missing_values=["?", "-9"])
    expected = pd.DataFrame({"n": [1.5, np.nan, np.nan, 2], "w": ["x", np.nan, "z", "x"], "i": [1, np.nan, 3, 4]})
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    assert pd.api.types.is_numeric_dtype(table["n"])


@pytest.mark.parametrize(
    "cells, expected",
    [
        (["1.5", 2, "3"], [1.5, 2, 3]),
        ([1.5, "?", 2.5], [1.5, np.nan, 2.5]),
        ([1, "n/a?", 2], [1, "n/a?", 2]),
        ([Decimal("1.5"), None, Decimal(2)], [1.5, np.nan, 2]),
        ([True, None, False], [True, None, False]),
        (["1", None, "?"], [1, np.nan, np.nan]),
    ],
)
def test_cells_of_mixed_types_become_numbers_only_where_all_are(tmp_path, cells, expected):
    path = tmp_path / "table.xlsx"
    pd.DataFrame({"a": pd.Series(cells, dtype=object), "b": 1}).to_excel(path, index=False)
    column = read(path)["a"]
    assert [None if pd.isna(cell) else cell for cell in column] == [None if pd.isna(e) else e for e in expected]


def test_a_parquet_column_of_lists_is_left_as_it_is(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": [[1, 2], [3]], "b": [1, 2]}).to_parquet(path)
    assert [list(cell) for cell in read(path)["a"]] == [[1, 2], [3]]


CELLS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=4),
    separator=st.sampled_from(",;\t|"),
)
def test_rows_of_any_words_are_read_whole_or_refused_as_ragged(tmp_path, rows, separator):
    quoted = [separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    path = tmp_path / "table.csv"
    path.write_text("\n".join([separator.join(["a", "b"]), *quoted]) + "\n", encoding="utf-8")
    if all(len(row) == 2 for row in rows):
        table = read_table(path, encoding="utf-8", decimal=".", missing_values=())
        assert table.shape == (len(rows), 2)
    else:
        first = next(number for number, row in enumerate(rows, 2) if len(row) != 2)
        assert re.search(f"row {first}: 2 columns were expected, {len(rows[first - 2])} came", refusal(path))


def test_a_nameless_column_that_counts_the_rows_is_left_out(tmp_path):
    frame = pd.DataFrame({"age": [40, 50, 60], "outcome": [0, 1, 0]})
    frame.to_csv(tmp_path / "t.csv")
    assert list(read(tmp_path / "t.csv").columns) == ["age", "outcome"]


def test_a_nameless_column_of_values_is_kept(tmp_path):
    (tmp_path / "t.csv").write_text(",outcome\n7,0\n3,1\n")
    assert read(tmp_path / "t.csv").shape == (2, 2)


def test_a_workbooks_words_stay_as_they_are_written(tmp_path):
    path = excel(tmp_path / "table.xlsx", [["mrn ", "age", "no"], ["007", 30, 5], ["7", 41, 6]])
    table = read_table(path, words=["mrn"])
    assert table.mrn.tolist() == ["007", "7"] and table.age.tolist() == [30, 41] and table["no"].dtype.kind == "i"
