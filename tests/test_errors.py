import pytest

from medfit.errors import UserError, blame, causes, disk_full, in_memory, interruption, out_of_memory, suggest


def test_the_nearest_name_is_suggested():
    assert suggest("widhts", ["widths", "dropout"]) == "; did you mean 'widths'?"


def test_the_right_end_in_another_place_is_suggested():
    assert suggest("lr", ["regime.epochs", "regime.optimizer.lr"]) == "; did you mean 'regime.optimizer.lr'?"


def test_nothing_is_suggested_where_nothing_is_near():
    assert suggest("zzz", ["widths"]) == ""


def test_blame_names_the_path():
    with pytest.raises(UserError, match="model: too wide"), blame("model"):
        raise ValueError("too wide")


def test_blame_lets_other_errors_pass():
    with pytest.raises(KeyError), blame("model"):
        raise KeyError("x")


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), MemoryError()])
def test_blame_lets_want_of_memory_pass(error):
    with pytest.raises(type(error)), blame("model", RuntimeError, MemoryError):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("can't allocate memory"), MemoryError()])
def test_want_of_memory_is_told_in_the_given_words(error):
    with pytest.raises(UserError, match="^too large$"), in_memory(lambda: "too large"):
        raise error


def test_errors_other_than_want_of_memory_stay_themselves():
    with pytest.raises(RuntimeError, match="a kernel is broken"), in_memory(lambda: "too large"):
        raise RuntimeError("a kernel is broken")


def test_errors_that_come_from_each_other_are_told_once():
    one, other = UserError("one"), ValueError("other")
    one.__cause__, other.__context__ = other, one
    assert list(causes(one)) == [one, other] and list(causes(other)) == [other, one]
    assert not interruption(one) and not out_of_memory(one) and not disk_full(one)
    other.__context__ = KeyboardInterrupt()
    assert interruption(one)
