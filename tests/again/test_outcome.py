import math

from hypothesis import given
from hypothesis import strategies as st

from medfit.again import outcome

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def told(then, now, tolerance=1e-6):
    (number,) = outcome.compared({"val/auroc": then}, {"val/auroc": now}, tolerance)
    return number.verdict


def test_a_number_is_the_same_to_the_last_digit_within_rounding_or_not():
    assert told(0.9, 0.9) == "same to the last digit"
    assert told(0.9, math.nextafter(0.9, 1)) == "same within 1e-06"
    assert told(0.9, 0.9 * (1 + 2e-6)) == "differs by +1.8e-06"
    assert told(0.9, 0.8) == "differs by -0.1"
    assert told(0.0, 1e-12) == "differs by +1e-12"
    assert told(0.9, 0.8, tolerance=0.2) == "same within 0.2"


def test_a_number_that_one_has_not_is_told_and_no_same():
    numbers = outcome.compared({"a": 1.0}, {"b": 1.0}, 1e-6)
    assert [(number.verdict, number.same) for number in numbers] == [
        ("not there now", False),
        ("not there then", False),
    ]


def test_a_word_is_the_same_or_not():
    assert told("adam", "adam") == "same" and told("adam", "sgd") == "differs" == told("adam", 0.5)
    numbers = outcome.compared({"a": "adam", "b": "adam", "c": 0.5}, {"a": "adam", "b": "sgd", "c": "0.5"}, 1e-6)
    assert [number.same for number in numbers] == [True, False, False]


def test_the_first_numbers_are_those_that_differ_and_stay_in_order():
    then = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    numbers = outcome.compared(then, {**then, "d": 5.0, "b": 0.0}, 1e-6)
    assert [[number.name for number in outcome.first(numbers, most)] for most in (1, 2, 3, 9)] == [
        ["b"],
        ["b", "d"],
        ["a", "b", "d"],
        ["a", "b", "c", "d"],
    ]


def test_durations_are_no_result():
    assert outcome.compared({"fit_duration_s": 1.0, "val/loss": 2.0}, {"val/loss": 2.0}, 0)[0].name == "val/loss"
    assert len(outcome.compared({"fit_duration_s": 1.0}, {}, 0)) == 0


@given(FLOATS, FLOATS)
def test_without_a_tolerance_only_equal_numbers_are_the_same(then, now):
    (number,) = outcome.compared({"a": then}, {"a": now}, 0)
    assert number.same == (then == now) == (number.verdict == "same to the last digit")


def test_the_verdict_names_what_differs():
    same = outcome.compared({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0}, 1e-6)
    near = outcome.compared({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0 + 1e-9}, 1e-6)
    other = outcome.compared({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 3.0}, 1e-6)
    one, two = {"data": "changed"}, {"data": "changed", "code": "mlp.py"}
    assert outcome.in_words(same, two) == "All 2 numbers are the same to the last digit."
    assert outcome.in_words(near, one).startswith("All 2 numbers are the same within 1e-06, relatively. What differs")
    assert outcome.in_words(other, one) == "1 of 2 numbers differ. What differs, and so is the cause: data (changed)."
    assert outcome.in_words(other, two).endswith("one or several of it the cause: data (changed); code (mlp.py).")
    assert "Nothing else that is compared differs" in outcome.in_words(other, {})
    assert outcome.in_words([], one) == "Neither run has a number to compare."
