import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfit.data.datasets.windows import Windows
from medfit.errors import UserError

RATE = 100.0
BEATS = Windows(symbols={"N": "normal", "V": 1}, before_s=0.1, after_s=0.2)


def test_without_options_the_window_is_the_recording():
    assert Windows().spans(250, RATE) == ([(0, 250, None)], 0)


def test_windows_follow_each_other_and_the_rest_is_left_out():
    assert Windows(window_s=1.0).spans(250, RATE)[0] == [(0, 100, None), (100, 200, None)]


def test_windows_overlap_where_the_stride_is_shorter():
    assert [span[0] for span in Windows(window_s=1.0, stride_s=0.5).spans(250, RATE)[0]] == [0, 50, 100, 150]


def test_a_recording_of_a_windows_length_is_a_window():
    assert Windows(window_s=1.0).spans(100, RATE)[0] == [(0, 100, None)]


def test_a_shorter_recording_has_no_window():
    assert Windows(window_s=1.0).spans(99, RATE)[0] == []


def test_windows_lie_around_annotations_with_their_classes():
    assert BEATS.spans(250, RATE, ([0.5, 1.0], ["N", "V"]))[0] == [(40, 70, "normal"), (90, 120, "1")]


def test_annotations_of_other_kinds_have_no_window():
    assert BEATS.spans(250, RATE, ([0.5, 1.0], ["+", "V"])) == ([(90, 120, "1")], 0)


def test_windows_beyond_the_ends_are_counted():
    marks = ([0.09, 0.1, 2.3, 2.31], ["N"] * 4)
    assert BEATS.spans(250, RATE, marks) == ([(0, 30, "normal"), (220, 250, "normal")], 2)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 400), st.floats(0.02, 3), st.floats(0.02, 3))
def test_windows_are_of_one_length_and_lie_within(length, window_s, stride_s):
    spans, _ = Windows(window_s=window_s, stride_s=stride_s).spans(length, RATE)
    size, stride = round(window_s * RATE), round(stride_s * RATE)
    assert [start for start, _, _ in spans] == [start for start in range(0, length, stride) if start + size <= length]
    assert all(stop - start == size for start, stop, _ in spans)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 5)), st.floats(0.02, 1), st.floats(0.02, 1))
def test_no_annotated_window_is_lost_without_a_count(seconds, before_s, after_s):
    windows = Windows(symbols={"N": "n"}, before_s=before_s, after_s=after_s)
    spans, num_beyond = windows.spans(300, RATE, (seconds, ["N"] * len(seconds)))
    assert len(spans) + num_beyond == len(seconds)
    assert all(0 <= start < stop <= 300 for start, stop, _ in spans)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"symbols": {"N": "n"}}, "dataset.symbols: windows around annotations need dataset.before_s and"),
        ({"symbols": {"N": "n"}, "before_s": 0.0, "after_s": 0.0}, "dataset.symbols: windows around annotations need"),
        ({"symbols": {"N": "n"}, "before_s": 1.0, "after_s": 1.0, "window_s": 1.0}, "dataset.window_s: windows around"),
        ({"before_s": 1.0}, "dataset.before_s and dataset.after_s lie around annotations: give dataset.symbols"),
        ({"stride_s": 1.0}, "dataset.stride_s: give dataset.window_s as well"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, told):
    with pytest.raises(UserError, match=f"^{told}"):
        Windows(**options)


@pytest.mark.parametrize("options", [{"window_s": 0.001}, {"window_s": 1.0, "stride_s": 0.001}])
def test_windows_of_less_than_a_sample_are_refused(options):
    with pytest.raises(UserError, match=r"^dataset.window_s, dataset.stride_s: less than a sample at 100 Hz$"):
        Windows(**options).spans(100, RATE)


def test_annotated_windows_of_less_than_a_sample_are_refused():
    with pytest.raises(UserError, match=r"^dataset.before_s, dataset.after_s: less than a sample at 100 Hz$"):
        Windows(symbols={"N": "n"}, before_s=0.001, after_s=0.001).spans(100, RATE, ([0.5], ["N"]))
