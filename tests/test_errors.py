import pytest

from medfit.errors import UserError, blame, suggest


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
