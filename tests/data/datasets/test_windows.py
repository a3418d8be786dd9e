import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfit.data.datasets.windows import BEYOND, BRIEF, LASTING, Mark, Windows, in_words
from medfit.errors import UserError

RATE = 100.0
BEATS = Windows(symbols={"N": "normal", "V": 1}, before_s=0.1, after_s=0.2)
STAGES = {"W": "wake", "1": "N1"}


def marks(seconds, symbols, lasts_s=0.0):
    return [Mark(second, symbol, lasts_s) for second, symbol in zip(seconds, symbols, strict=True)]


def test_without_options_the_window_is_the_recording():
    assert Windows().spans(250, RATE) == ([(0, 250, None)], {})


def test_windows_follow_each_other_and_the_rest_is_left_out():
    assert Windows(window_s=1.0).spans(250, RATE)[0] == [(0, 100, None), (100, 200, None)]


def test_windows_overlap_where_the_stride_is_shorter():
    assert [span[0] for span in Windows(window_s=1.0, stride_s=0.5).spans(250, RATE)[0]] == [0, 50, 100, 150]


def test_a_recording_of_a_windows_length_is_a_window():
    assert Windows(window_s=1.0).spans(100, RATE)[0] == [(0, 100, None)]


def test_a_shorter_recording_has_no_window():
    assert Windows(window_s=1.0).spans(99, RATE)[0] == []


def test_windows_lie_around_annotations_with_their_classes():
    assert BEATS.spans(250, RATE, marks([0.5, 1.0], "NV"))[0] == [(40, 70, "normal"), (90, 120, "1")]


def test_annotations_of_other_kinds_have_no_window():
    assert BEATS.spans(250, RATE, marks([0.5, 1.0], "+V")) == ([(90, 120, "1")], {BEYOND: 0})


def test_windows_beyond_the_ends_are_counted():
    spans, told = BEATS.spans(250, RATE, marks([0.09, 0.1, 2.3, 2.31], "NNNN"))
    assert spans == [(0, 30, "normal"), (220, 250, "normal")]
    assert in_words(told) == "; 2 annotated windows reach beyond an end"


def test_windows_tile_annotations_that_last_and_the_rest_is_left_out():
    notes = [Mark(0.0, "W", 1.0), Mark(1.0, "1", 0.75), Mark(1.75, "?", 0.5)]
    spans, told = Windows(symbols=STAGES, window_s=0.5).spans(250, RATE, notes)
    assert spans == [(0, 50, "wake"), (50, 100, "wake"), (100, 150, "N1")] and in_words(told) == ""


def test_windows_along_an_annotation_overlap_where_the_stride_is_shorter():
    spans, _ = Windows(symbols=STAGES, window_s=0.5, stride_s=0.25).spans(250, RATE, [Mark(0.5, "W", 1.0)])
    assert [span[:2] for span in spans] == [(50, 100), (75, 125), (100, 150)]


def test_annotations_shorter_than_a_window_along_them_are_counted():
    notes = [Mark(0.0, "W"), Mark(0.5, "W", 0.49), Mark(1.0, "W", 0.5), Mark(1.5, "?", 0.1)]
    spans, told = Windows(symbols=STAGES, window_s=0.5).spans(250, RATE, notes)
    assert spans == [(100, 150, "wake")] and told[BRIEF] == 2


def test_windows_from_an_onset_on_tile_an_annotation_that_lasts_longer():
    windows = Windows(symbols=STAGES, before_s=0, after_s=0.5)
    notes = [Mark(0.0, "W", 1.0), Mark(1.0, "1", 0.1), Mark(2.2, "1", 2.0)]
    spans, told = windows.spans(250, RATE, notes)
    assert spans == [(0, 50, "wake"), (50, 100, "wake"), (100, 150, "N1")]
    assert told == {BEYOND: 4}


def test_windows_around_an_onset_are_one_for_each_annotation_and_it_is_told_that_it_lasts():
    spans, told = BEATS.spans(250, RATE, [Mark(0.5, "N", 1.5), Mark(1.0, "V", 0.2)])
    assert spans == [(40, 70, "normal"), (90, 120, "1")] and told[LASTING] == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=5), st.integers(5, 60))
def test_windows_along_annotations_never_hold_another_annotations_samples(lengths, size):
    onsets = [sum(lengths[:number]) for number in range(len(lengths))]
    notes = [Mark(o / RATE, "W1"[i % 2], n / RATE) for i, (o, n) in enumerate(zip(onsets, lengths, strict=True))]
    spans, told = Windows(symbols=STAGES, window_s=size / RATE).spans(sum(lengths), RATE, notes)
    of = [i % 2 for i, length in enumerate(lengths) for _ in range(length)]
    assert all({of[start], of[stop - 1]} == {int(name == "N1")} for start, stop, name in spans)
    assert len(spans) == sum(length // size for length in lengths)
    assert told[BRIEF] == sum(length < size for length in lengths)


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
    spans, told = windows.spans(300, RATE, marks(seconds, "N" * len(seconds)))
    assert len(spans) + told[BEYOND] == len(seconds)
    assert all(0 <= start < stop <= 300 for start, stop, _ in spans)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"symbols": {"N": "n"}}, "dataset.symbols: windows around annotations need dataset.before_s and"),
        ({"symbols": {"N": "n"}, "before_s": 0.0, "after_s": 0.0}, "dataset.symbols: windows around annotations need"),
        ({"symbols": {"N": "n"}, "before_s": 1.0, "after_s": 1.0, "window_s": 1.0}, "dataset.window_s: windows around"),
        ({"symbols": {"N": "n"}, "before_s": 1.0, "after_s": 1.0, "stride_s": 1.0}, "dataset.stride_s: give dataset."),
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
        Windows(symbols={"N": "n"}, before_s=0.001, after_s=0.001).spans(100, RATE, [Mark(0.5, "N")])
