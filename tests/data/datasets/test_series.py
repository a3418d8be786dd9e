import re

import numpy as np
import pytest

from medfit.data.datasets.series import Series
from medfit.errors import UserError

SECRET = 4711.25


def signals():
    """Three series of two channels and four samples."""
    return np.arange(24, dtype=np.float32).reshape(3, 2, 4)


def changed(index, value, dtype=np.float32):
    x = signals().astype(dtype)
    x[index] = value
    return x


def series(**changes):
    given = {
        "name": "made",
        "x": signals(),
        "channels": ["ecg", "ppg"],
        "y": np.array([0, 2, 1]),
        "task": "multiclass",
        "target_names": ["a", "b", "c"],
    }
    return Series(**{**given, **changes})


def test_an_item_is_a_series_and_its_target():
    x, target = series()[1]
    assert x.tolist() == [[8, 9, 10, 11], [12, 13, 14, 15]] and target == 2


def test_the_length_is_the_number_of_series():
    assert len(series()) == 3


def test_values_become_float32():
    assert series(x=signals().astype(np.float64)).x.dtype == np.float32


def test_integers_are_values():
    assert np.array_equal(series(x=signals().astype(np.int16)).x, signals())


def test_missing_values_are_kept():
    assert np.isnan(series(x=changed((1, 0, 2), np.nan)).x[1, 0, 2])


def test_the_sampling_rate_is_kept():
    assert series(sampling_rate_hz=360.0).sampling_rate_hz == 360.0


def test_another_sampling_rate_is_another_fingerprint():
    rates = [None, 250.0, 360.0]
    assert len({series(sampling_rate_hz=rate).fingerprint() for rate in rates}) == len(rates)


def test_without_a_sampling_rate_there_is_none():
    assert series().sampling_rate_hz is None


def test_the_schema_names_channels_and_targets():
    assert series(units={"ecg": "mV"}).schema()[:3] == [
        {"name": "ecg", "kind": "signal", "role": "feature", "unit": "mV"},
        {"name": "ppg", "kind": "signal", "role": "feature", "unit": ""},
        {"name": "a", "kind": "multiclass", "role": "target", "unit": ""},
    ]


def test_strata_are_the_classes():
    assert series().strata.tolist() == [0, 2, 1]


CHANGES = {
    "a value": {"x": changed((2, 1, 3), -1)},
    "a value gone missing": {"x": changed((2, 1, 3), np.nan)},
    "the order of channels": {"x": signals()[:, ::-1]},
    "the order in time": {"x": signals()[:, :, ::-1]},
    "a channel's name": {"channels": ["ecg", "resp"]},
    "a target": {"y": np.array([0, 2, 2])},
    "the patients' grouping": {"groups": np.array([0, 0, 1])},
    "the given split": {"given_split": np.array(["train", "val", "test"])},
}

NO_CHANGES = {
    "the same again": {},
    "values in double precision": {"x": signals().astype(np.float64)},
    "values laid out otherwise in memory": {"x": np.asfortranarray(signals())},
    "patients under other names": {"groups": np.array([7, 3, 5])},
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_fingerprint_changes_with(what):
    assert series(**CHANGES[what]).fingerprint() != series().fingerprint()


@pytest.mark.parametrize("what", NO_CHANGES)
def test_the_fingerprint_does_not_change_with(what):
    assert series(**NO_CHANGES[what]).fingerprint() == series().fingerprint()


SHAPES = {
    "no channels' axis": ((3, 4), "(samples, 2 channels, length), not (3, 4)"),
    "an axis too many": ((3, 2, 4, 4), "(samples, 2 channels, length), not (3, 2, 4, 4)"),
    "no samples": ((0, 2, 4), "(samples, 2 channels, length), not (0, 2, 4)"),
    "no length": ((3, 2, 0), "(samples, 2 channels, length), not (3, 2, 0)"),
    "a channel without a name": ((3, 3, 4), "(samples, 2 channels, length), not (3, 3, 4)"),
    "a name without a channel": ((3, 1, 4), "(samples, 2 channels, length), not (3, 1, 4)"),
}


@pytest.mark.parametrize("what", SHAPES)
def test_series_are_refused_with(what):
    shape, told = SHAPES[what]
    with pytest.raises(UserError, match=f"^dataset: expected series as {re.escape(told)}$"):
        series(x=np.zeros(shape))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_a_value_beyond_a_float32_is_refused_by_the_series_number_alone(value):
    with pytest.raises(UserError, match=r"^dataset: series 2 holds a value that is infinite or too large$"):
        series(x=changed((1, 1, 0), value, np.float64))


def test_a_channel_that_is_all_missing_is_refused_by_the_series_number_alone():
    with pytest.raises(UserError, match=r"^dataset: series 3 has a channel that is all missing$"):
        series(x=changed((2, 0), np.nan))


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_messages_never_hold_a_value(wrong):
    x = np.full((1, 2, 4), SECRET)
    x[0, 0] = wrong
    with pytest.raises(UserError) as error:
        series(x=x)
    assert "4711" not in str(error.value)


def ragged():
    """Three series of two channels and of two, four and three samples."""
    return [signals()[0, :, :2], signals()[1], signals()[2, :, 1:]]


def test_series_of_many_lengths_are_kept_each_at_its_own():
    data = series(x=ragged())
    assert [x.shape for x in data.x] == [(2, 2), (2, 4), (2, 3)]
    assert data[2][0].tolist() == [[17, 18, 19], [21, 22, 23]] and data[2][0].dtype == np.float32


def test_a_list_of_one_length_is_an_array():
    listed, array = series(x=list(signals())), series()
    assert np.array_equal(listed.x, array.x) and listed.fingerprint() == array.fingerprint()


RAGGED_CHANGES = {
    "another length": [*ragged()[:2], ragged()[2][:, :2]],
    "another value": [*ragged()[:2], ragged()[2] + 1],
    "the order": ragged()[::-1],
}


@pytest.mark.parametrize("what", RAGGED_CHANGES)
def test_the_fingerprint_of_many_lengths_changes_with(what):
    assert series(x=RAGGED_CHANGES[what]).fingerprint() != series(x=ragged()).fingerprint()


def test_the_fingerprint_tells_which_series_a_value_is_of():
    one, other = ([np.arange(a, dtype=float)[None], np.arange(a, 5.0)[None]] for a in (2, 3))
    made = [series(x=x, channels=["ecg"], y=np.array([0, 1])).fingerprint() for x in (one, other)]
    assert made[0] != made[1]


RAGGED_REFUSED = {
    "no length": ((2, 0), "expected series 2 as (2 channels, length), not (2, 0)"),
    "another number of channels": ((3, 4), "expected series 2 as (2 channels, length), not (3, 4)"),
    "no channels' axis": ((4,), "expected series 2 as (2 channels, length), not (4,)"),
}


@pytest.mark.parametrize("what", RAGGED_REFUSED)
def test_a_series_of_a_list_is_refused_by_its_number_with(what):
    shape, told = RAGGED_REFUSED[what]
    with pytest.raises(UserError, match=f"^dataset: {re.escape(told)}$"):
        series(x=[ragged()[0], np.zeros(shape), ragged()[2]])


def test_an_empty_list_is_refused():
    with pytest.raises(
        UserError, match=r"^dataset: expected series as \(samples, 2 channels, length\), not \(0, 2, 0\)$"
    ):
        series(x=[], y=np.array([], dtype=int))


@pytest.mark.parametrize("value", [np.inf, 1e39])
def test_a_value_beyond_a_float32_in_a_list_is_refused_by_the_series_number(value):
    x = [one.astype(float) for one in ragged()]
    x[2][1, 1] = value
    with pytest.raises(UserError, match=r"^dataset: series 3 holds a value that is infinite or too large$"):
        series(x=x)


def test_a_channel_all_missing_in_a_list_is_refused_by_the_series_number():
    x = ragged()
    x[1] = np.full_like(x[1], np.nan)
    with pytest.raises(UserError, match=r"^dataset: series 2 has a channel that is all missing$"):
        series(x=x)


@pytest.mark.parametrize("x", [signals(), ragged()])
def test_as_many_targets_as_series_are_needed(x):
    with pytest.raises(UserError, match=r"^dataset: 3 series, but 2 targets$"):
        series(x=x, y=np.array([0, 1]))
