import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medfit.config.compose import compose
from medfit.data.datasets.records import Records
from medfit.data.preprocessing.series import SeriesPreprocessing
from medfit.errors import UserError
from series_steps import (
    NUM_SERIES,
    RATE,
    SECONDS,
    SECRET,
    STEPS,
    TRAIN,
    noise,
    one,
    options,
    prepared_by,
    series,
    tone,
    transformed,
)


@settings(max_examples=40, deadline=None)
@given(options(), st.integers(1, 2**32 - 1))
def test_what_other_series_hold_never_changes_the_training_series(chosen, seed):
    mine, other = noise(), noise()
    other[len(TRAIN) :] = noise(seed)[len(TRAIN) :] * 1e3
    before, after = transformed(mine, **chosen), transformed(other, **chosen)
    np.testing.assert_array_equal(before[TRAIN], after[TRAIN])


@settings(max_examples=25, deadline=None)
@given(options())
def test_a_series_is_transformed_alike_whatever_series_are_beside_it(chosen):
    turned = np.concatenate([noise()[TRAIN], noise()[: len(TRAIN) - 1 : -1]])
    before, after = transformed(noise(), **chosen)[len(TRAIN) :], transformed(turned, **chosen)[len(TRAIN) :]
    np.testing.assert_allclose(before, after[::-1], rtol=1e-5, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(options())
def test_every_series_becomes_finite_float32(chosen):
    x = transformed(noise(), **chosen)
    assert x.dtype == np.float32 and len(x) == NUM_SERIES and np.isfinite(x).all()


@settings(max_examples=25, deadline=None)
@given(options())
def test_the_data_set_is_left_as_it_was(chosen):
    data = series(noise())
    prepared_by(SeriesPreprocessing(data, **chosen), TRAIN)
    np.testing.assert_array_equal(data.x, noise().astype(np.float32))


def test_without_steps_values_stay_as_they_are():
    assert np.array_equal(transformed(noise(missing=0)), noise(missing=0).astype(np.float32))


def test_targets_are_kept():
    data = series(noise())
    y = prepared_by(SeriesPreprocessing(data), TRAIN)[:][1]
    assert y.dtype == torch.int64 and y.tolist() == data.y.tolist()


def test_all_series_are_usable():
    usable = SeriesPreprocessing(series(noise())).usable()
    assert usable.dtype == bool and usable.tolist() == [True] * NUM_SERIES


def test_missing_samples_are_interpolated_as_numpy_does():
    x = noise(missing=0.4).astype(np.float32)
    time = np.arange(x.shape[2])
    expected = [[np.interp(time, time[~np.isnan(row)], row[~np.isnan(row)]) for row in both] for both in x]
    np.testing.assert_allclose(transformed(x), expected, rtol=1e-6)


def test_missing_samples_are_interpolated_as_pandas_does():
    x = noise(missing=0.4)
    expected = pd.DataFrame(x.reshape(-1, 60).T).interpolate(limit_direction="both").to_numpy().T.reshape(x.shape)
    np.testing.assert_allclose(transformed(x), expected, rtol=1e-6)


def test_missing_samples_at_the_ends_hold_the_nearest_value():
    assert one([np.nan, np.nan, 2, np.nan, 4, np.nan]).tolist() == [2, 2, 2, 3, 4, 4]


def test_missing_samples_are_set_to_nought():
    assert one([np.nan, 5, np.nan, 7], missing="zero").tolist() == [0, 5, 0, 7]


@pytest.mark.parametrize("new", [100.0, 130.0, 199.5, 500.0])
def test_resampling_takes_the_same_sine_at_other_times(new):
    x = one(tone(5), resample_hz=new)
    time = np.arange(len(x)) / new
    inside = (time > 1) & (time < SECONDS - 1)
    np.testing.assert_allclose(x[inside], tone(5, time)[inside], atol=5e-3)


@pytest.mark.parametrize("new", [50.0, 130.0, 400.0])
def test_resampling_keeps_a_sines_frequency(new):
    x = one(tone(7), resample_hz=new)
    assert np.fft.rfftfreq(len(x), 1 / new)[np.abs(np.fft.rfft(x)).argmax()] == pytest.approx(7, abs=1 / SECONDS)


@pytest.mark.parametrize("new", [50.0, 130.0, 400.0])
def test_resampling_keeps_the_duration(new):
    assert len(one(tone(5), resample_hz=new)) == new * SECONDS


def test_resampling_to_the_same_rate_changes_nothing():
    np.testing.assert_allclose(one(tone(5), resample_hz=RATE), tone(5), atol=1e-6)


def test_resampling_removes_what_the_new_rate_cannot_hold():
    assert one(tone(80), resample_hz=50.0)[100:-100].std() < tone(80).std() / 300


def test_resampling_keeps_a_line_up_to_its_ends():
    x = one(np.linspace(-1, 1, 201), resample_hz=130.0)
    np.testing.assert_allclose(x, np.interp(np.arange(len(x)) / 130, np.arange(201) / RATE, np.linspace(-1, 1, 201)), atol=0.01)  # fmt: skip


@pytest.mark.parametrize("new", [130.0, 500.0])
def test_resampling_keeps_a_large_offset_without_a_ripple(new):
    np.testing.assert_allclose(one(np.full(200, 1000.0), resample_hz=new), 1000, rtol=1e-6)


def test_resampling_to_a_very_small_share_gives_the_duration():
    assert len(one(np.ones(10_000), rate=10_000.0, resample_hz=4.0)) == 4


def test_resampling_that_leaves_fewer_than_two_samples_is_refused():
    message = r"^preprocessing.resample_hz: 1.0 Hz leaves 1 samples of 200$"
    with pytest.raises(UserError, match=message):
        one(np.full(200, SECRET), resample_hz=1.0)


@pytest.mark.parametrize("step", ["resampling", "a band-pass", "a high-pass", "a low-pass", "a notch"])
def test_frequencies_without_a_sampling_rate_are_refused(step):
    message = r"^preprocessing: frequencies need the data set's sampling rate, which is not known$"
    with pytest.raises(UserError, match=message):
        SeriesPreprocessing(series(noise(), rate=None), **STEPS[step])


@pytest.mark.parametrize("step", ["detrending", "a moving average", "differencing"])
def test_what_needs_no_sampling_rate_goes_without_one(step):
    known, unknown = (transformed(noise(), rate=rate, **STEPS[step]) for rate in (RATE, None))
    assert np.array_equal(known, unknown)


@pytest.mark.parametrize("frequency", [100.0, 120.0])
@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("band_pass_hz", lambda f: [f, None]),
        ("band_pass_hz", lambda f: [None, f]),
        ("band_pass_hz", lambda f: [5.0, f]),
        ("notch_hz", lambda f: f),
    ],
)
def test_frequencies_at_or_above_half_the_rate_are_refused(name, setting, frequency):
    message = f"^preprocessing.{name}: {frequency} Hz is not below half the sampling rate, 200.0 Hz$"
    with pytest.raises(UserError, match=message):
        one(tone(5), **{name: setting(frequency)})


def test_frequencies_at_half_the_new_rate_are_refused_after_resampling():
    message = r"^preprocessing.notch_hz: 50.0 Hz is not below half the sampling rate, 100.0 Hz$"
    with pytest.raises(UserError, match=message):
        one(tone(5), resample_hz=100.0, notch_hz=50.0)


def test_frequencies_below_half_the_new_rate_are_taken_after_resampling():
    assert np.isfinite(one(tone(5), resample_hz=300.0, notch_hz=120.0)).all()


@pytest.mark.parametrize("band", [[], [5.0], [None], [None, None], [20.0, 5.0], [5.0, 5.0], [5.0, 10.0, 20.0]])
def test_a_band_that_is_none_is_refused(band):
    message = f"preprocessing.band_pass_hz: expected [low, high] with low below high, not {band}"
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        one(tone(5), band_pass_hz=band)


@pytest.mark.parametrize(("step", "length"), [("a band-pass", 27), ("a high-pass", 15), ("a low-pass", 15), ("a notch", 9)])  # fmt: skip
def test_series_too_short_to_filter_are_refused(step, length):
    message = f"^preprocessing: series of {length} samples are too short for the filters$"
    with pytest.raises(UserError, match=message):
        one(np.full(length, SECRET), **STEPS[step])


@pytest.mark.parametrize(("step", "length"), [("a band-pass", 28), ("a high-pass", 16), ("a low-pass", 16), ("a notch", 10)])  # fmt: skip
def test_series_just_long_enough_to_filter_are_taken(step, length):
    assert one(np.arange(length), **STEPS[step]).shape == (length,)


def test_records_are_refused():
    y = np.zeros((2, 1), dtype=np.float32)
    data = Records(name="made", x=pd.DataFrame({"age": [1.0, 2.0]}), y=y, task="regression", target_names=["t"])
    with pytest.raises(UserError, match=r"^preprocessing=series: made holds records, which take preprocessing=table$"):
        SeriesPreprocessing(data)


@pytest.mark.mostly_slow(fast=3)
@pytest.mark.parametrize(
    "override",
    ["jitter=-1", "magnitude=-0.1", "shift=1", "shift=-0.1", "time_mask=1", "channel_dropout=1", "moving_average=0",
     "resample_hz=0", "notch_hz=-50", "band_pass_hz=[0,5]", "missing=guess", "scaling=minmax"],
)  # fmt: skip
def test_the_config_refuses(override):
    with pytest.raises(UserError, match=rf"preprocessing\.{override.split('=')[0]}"):
        compose(["dataset=ecg5000", f"preprocessing.{override}"])
