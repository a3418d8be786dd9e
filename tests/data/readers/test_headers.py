from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfit.data.readers.headers import Header, common, distinct, match, unreadable
from medfit.errors import UserError

FILES = ["a/001", "a/002", "b/x.y", "c/x.y"]


def matched(*cells, files=FILES):
    return match(pd.Series(cells, name="record"), files, (".edf",))


def header(name="a.edf", channels=("C3", "C4"), rates=(100.0, 100.0), units=("uV", "uV")):
    return Header(Path(name), name, channels, rates, units)


@pytest.mark.parametrize("cell", ["a/001", "001", " 001 ", "001.edf", "001.EDF", "a/001.edf", "./a/001.edf", "a\\001", 1, 1.0])  # fmt: skip
def test_a_recording_may_be_written(cell):
    assert matched(cell) == ["a/001"]


def test_a_dot_is_no_ending_of_its_own():
    assert matched("b/x.y") == ["b/x.y"]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["a/001", "a/003"], "1 rows (first is data row 2): no such recording is under dataset.root"),
        (["a/001", "x.y"], "1 rows (first is data row 2): several recordings have this name: write it with its folder"),
        (["001", "002", 1], "1 rows (first is data row 3): the recording has a row already"),
    ],
)
def test_rows_are_refused_by_their_number_alone(cells, told):
    with pytest.raises(UserError) as caught:
        matched(*cells)
    assert str(caught.value) == f"dataset.labels: column 'record', {told}"


@given(
    st.lists(st.from_regex(r"[a-z0-9]{1,4}(/[a-z0-9]{1,4})?", fullmatch=True), min_size=1, unique=True), st.randoms()
)
def test_a_full_name_is_the_recordings_own(files, random):
    order = random.sample(files, len(files))
    assert matched(*order, files=files) == order


def test_a_name_without_its_recording_is_passed_over_where_asked_for():
    assert match(pd.Series(["a/003", "a/001"], name="record"), FILES, (".edf",), skip_missing=True) == [None, "a/001"]


def test_channels_of_one_name_or_none_are_numbered():
    assert distinct(["I", None, "I", " ", "I"]) == ["I", "channel 2", "I 2", "channel 4", "I 3"]


@given(st.lists(st.sampled_from(["I", "I 2", "", "channel 1"])))
def test_channels_names_are_never_the_same(names):
    assert len(set(distinct(names))) == len(names)


def test_units_may_be_unknown_or_spelt_in_capitals():
    names, rate, units, told = common([header(), header("b.edf", units=("UV", ""))], None, None)
    assert (names, rate, units) == (["C3", "C4"], 100.0, {"C3": "uV", "C4": "uV"})
    assert told == "; where a file tells no unit of C4, it is taken for that of the others"


def test_volts_become_the_first_unit_that_is_told():
    units, told = common([header(units=("", "uV")), header("b.edf", units=("mV", "\N{MICRO SIGN}V"))], None, None)[2:]
    assert (
        units == {"C3": "mV", "C4": "uV"}
        and told == "; where a file tells no unit of C3, it is taken for that of the others"
    )
    assert (
        common([header(), header("b.edf", units=("mV", "uV"))], None, None)[3] == "; values are brought from mV to uV"
    )


def test_a_new_rate_is_the_rate():
    assert common([header(), header("b.edf", rates=(50.0, 25.0))], None, 10.0)[1] == 10.0


def test_the_rate_of_a_channel_that_is_not_taken_may_differ():
    assert common([header(), header("b.edf", rates=(50.0, 100.0))], ["C4"], None)[1] == 100.0


def test_a_readers_words_lose_the_folder_and_all_but_a_line():
    told = unreadable(Path("/home/me/a.edf"), "a.edf", ValueError("/home/me/a.edf: no\nmore" + "x" * 500))
    assert str(told) == "dataset: 'a.edf' can't be read (a.edf: no)"


def test_an_error_without_words_is_told_by_its_kind():
    assert str(unreadable(Path("a.edf"), "a.edf", KeyError())) == "dataset: 'a.edf' can't be read (KeyError)"
