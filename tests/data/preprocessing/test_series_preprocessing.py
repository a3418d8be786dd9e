import re
import tracemalloc
from functools import partial

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.callbacks import Callback
from sklearn.preprocessing import StandardScaler

from medfit.config.compose import compose
from medfit.data.datamodule import DataModule, Prepared
from medfit.data.datasets.ecg5000 import ECG5000
from medfit.data.datasets.records import Records
from medfit.data.datasets.series import Series
from medfit.data.preprocessing import series_scaling
from medfit.data.preprocessing.series import SeriesPreprocessing
from medfit.data.preprocessing.series_scaling import BLOCK_VALUES, tell
from medfit.data.splits import Split
from medfit.errors import UserError
from medfit.training.parts import prepare

RATE = 200.0
SECONDS = 10
TIME = np.arange(int(RATE * SECONDS)) / RATE
MIDDLE = slice(400, -400)  # far from the ends, where filters have settled
NUM_SERIES, TRAIN = 12, np.arange(7)
SECRET = 4711.25
STEPS = {
    "resampling": {"resample_hz": 130.0},
    "a band-pass": {"band_pass_hz": [5.0, 20.0]},
    "a high-pass": {"band_pass_hz": [5.0, None]},
    "a low-pass": {"band_pass_hz": [None, 20.0]},
    "a notch": {"notch_hz": 50.0},
    "detrending": {"detrend": True},
    "a moving average": {"moving_average": 5},
    "differencing": {"difference": True},
}
AUGMENTATIONS = {"jitter": 0.1, "magnitude": 0.2, "shift": 0.3, "time_mask": 0.4, "channel_dropout": 0.5}


def prepared_by(steps, rows):
    return steps.prepared(steps.fit(rows))


def series(x, rate=RATE):
    x = np.asarray(x)
    names = [f"c{number}" for number in range(x.shape[1])]
    y = np.arange(len(x)) % 2
    return Series(name="made", x=x, channels=names, sampling_rate_hz=rate, y=y, task="multiclass", target_names=["a", "b"])  # fmt: skip


def noise(seed=0, shape=(NUM_SERIES, 2, 60), missing=0.1):
    rng = np.random.default_rng(seed)
    x = rng.normal(3, 2, shape)
    x[:, :, 1:][rng.random((*shape[:2], shape[2] - 1)) < missing] = np.nan
    return x


def tone(frequency, time=TIME, phase=0.3):
    return np.sin(2 * np.pi * frequency * time + phase)


def transformed(x, train=TRAIN, rate=RATE, **options):
    """All series, unscaled unless asked for."""
    return prepared_by(SeriesPreprocessing(series(x, rate), **{"scaling": "none", **options}), train)[:][0].numpy()


def one(signal, rate=RATE, **options):
    """A single series of a single channel."""
    return transformed(np.asarray(signal)[None, None], [0], rate, **options)[0, 0]


def gain(frequency, **options):
    """What is left of a tone's amplitude, away from the ends."""
    return one(tone(frequency), **options)[MIDDLE].std() / tone(frequency)[MIDDLE].std()


@st.composite
def options(draw):
    """Settings of any combination."""
    return {
        "missing": draw(st.sampled_from(["interpolate", "zero"])),
        "resample_hz": draw(st.sampled_from([None, 150.0, 330.0])),
        "band_pass_hz": draw(st.sampled_from([None, [5.0, 40.0], [5.0, None], [None, 40.0]])),
        "notch_hz": draw(st.sampled_from([None, 50.0])),
        "detrend": draw(st.booleans()),
        "moving_average": draw(st.sampled_from([None, 1, 4, 5])),
        "difference": draw(st.booleans()),
        "scaling": draw(st.sampled_from(["auto", "per_series", "train", "none"])),
    }


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


def test_filters_take_the_rate_after_resampling():
    x = one(tone(5) + tone(30), resample_hz=100.0, band_pass_hz=[2.0, 12.0])
    np.testing.assert_allclose(x[200:-200], tone(5, np.arange(1000) / 100)[200:-200], atol=0.02)


def warped(frequency):
    """The analogue frequency that the bilinear transform takes to a digital one."""
    return np.tan(np.pi * frequency / RATE)


def butterworth(frequency, low, high):
    """The squared gain of a digital Butterworth filter of order 4: its gain forward and backward."""
    if low is None:
        ratio = warped(frequency) / warped(high)
    elif high is None:
        ratio = warped(low) / warped(frequency)
    else:
        width = warped(high) - warped(low)
        ratio = (warped(frequency) ** 2 - warped(low) * warped(high)) / (warped(frequency) * width)
    return 1 / (1 + ratio**8)


@pytest.mark.parametrize("band", [[5.0, 20.0], [5.0, None], [None, 20.0]])
@pytest.mark.parametrize("frequency", [3, 5, 10, 20, 30])
def test_a_filters_gain_is_that_of_the_butterworth_formula(band, frequency):
    assert gain(frequency, band_pass_hz=band) == pytest.approx(butterworth(frequency, *band), rel=0.01, abs=1e-3)


def test_a_band_pass_keeps_a_tone_inside_and_its_phase():
    np.testing.assert_allclose(one(tone(10), band_pass_hz=[5.0, 20.0])[MIDDLE], tone(10)[MIDDLE], atol=0.01)


@pytest.mark.parametrize("frequency", [1, 60])
def test_a_band_pass_removes_a_tone_outside_by_a_thousand(frequency):
    assert gain(frequency, band_pass_hz=[5.0, 20.0]) < 1e-3


def test_a_high_pass_removes_the_offset():
    np.testing.assert_allclose(one(tone(10) + 50, band_pass_hz=[2.0, None])[MIDDLE], tone(10)[MIDDLE], atol=0.01)


def test_a_high_pass_keeps_high_tones():
    assert gain(80, band_pass_hz=[5.0, None]) == pytest.approx(1, abs=1e-3)


def test_a_low_pass_keeps_the_offset():
    x = one(tone(60) + 50, band_pass_hz=[None, 20.0])
    np.testing.assert_allclose(x[MIDDLE], 50, atol=0.01)


def test_a_notch_removes_50_hz_by_a_thousand():
    assert gain(50, notch_hz=50.0) < 1e-3


@pytest.mark.parametrize("frequency", [10, 40, 60])
def test_a_notch_keeps_other_tones_and_their_phase(frequency):
    np.testing.assert_allclose(one(tone(frequency), notch_hz=50.0)[MIDDLE], tone(frequency)[MIDDLE], atol=0.02)


def test_a_notch_is_as_wide_as_its_quality_says():
    edge = 50 + 50 / 30 / 2  # where the gain is -3 dB, twice
    assert gain(edge, notch_hz=50.0) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("step", ["a band-pass", "a high-pass", "a low-pass", "a notch"])
def test_filters_leave_phase_alone(step):
    pulse = np.exp(-(((np.arange(401) - 200) / 20) ** 2)) * np.cos((np.arange(401) - 200) / 4)
    x = one(pulse, **STEPS[step])
    np.testing.assert_allclose(x[100:-100], x[::-1][100:-100], atol=1e-3)
    assert np.abs(x).argmax() == 200


def test_detrending_removes_a_line():
    np.testing.assert_allclose(one(7 + 3 * TIME, detrend=True), 0, atol=1e-4)


def test_detrending_leaves_what_numpys_line_leaves():
    signal = np.random.default_rng(0).normal(size=len(TIME)).cumsum()
    expected = signal - np.polyval(np.polyfit(TIME, signal, 1), TIME)
    np.testing.assert_allclose(one(signal, detrend=True), expected, atol=1e-3)


@pytest.mark.parametrize("size", [1, 3, 4, 7])
def test_a_moving_average_is_numpys_with_the_ends_held(size):
    signal = np.random.default_rng(0).normal(size=50)
    padded = np.pad(signal, (size // 2, (size - 1) // 2), mode="edge")
    expected = np.convolve(padded, np.full(size, 1 / size), mode="valid")
    np.testing.assert_allclose(one(signal, moving_average=size), expected, atol=1e-6)


def test_a_moving_average_longer_than_the_series_holds_the_ends():
    assert one([1.0, 2.0, 3.0], moving_average=7) == pytest.approx([12 / 7, 2, 16 / 7])


def test_differencing_is_numpys():
    signal = np.random.default_rng(0).normal(size=50).astype(np.float32)
    np.testing.assert_allclose(one(signal, difference=True), np.diff(signal), atol=1e-6)


def test_differencing_shortens_by_one():
    assert one(np.arange(10.0), difference=True).tolist() == [1] * 9


def test_differencing_a_single_sample_is_refused():
    message = r"^preprocessing.difference: series of a single sample have no differences$"
    with pytest.raises(UserError, match=message):
        one([SECRET], difference=True)


@pytest.mark.parametrize("step", STEPS)
def test_each_channel_is_treated_by_itself(step):
    x = noise(missing=0)
    both, alone = transformed(x, **STEPS[step]), transformed(x[:, 1:], **STEPS[step])
    np.testing.assert_allclose(both[:, 1:], alone, atol=1e-5)


def test_steps_come_in_the_order_of_the_arguments():
    names = ["resampling", "a band-pass", "a notch", "detrending", "a moving average", "differencing"]
    x, rate, together = noise(), RATE, {}
    for name in names:
        x, rate = transformed(x, rate=rate, **STEPS[name]), 130.0
        together |= STEPS[name]
    np.testing.assert_allclose(transformed(noise(), **together), x, atol=1e-4)


def test_scaling_per_series_is_numpys():
    x = noise(missing=0)
    expected = (x - x.mean(axis=2, keepdims=True)) / x.std(axis=2, keepdims=True)
    np.testing.assert_allclose(transformed(x, scaling="per_series"), expected, atol=1e-5)


def test_scaling_by_the_training_split_is_scikit_learns_by_channel():
    x = noise(missing=0) * [[[1], [100]]]
    scalers = [StandardScaler().fit(x[TRAIN, channel].reshape(-1, 1)) for channel in (0, 1)]
    expected = [scaler.transform(x[:, c].reshape(-1, 1)).reshape(NUM_SERIES, -1) for c, scaler in enumerate(scalers)]
    np.testing.assert_allclose(transformed(x, scaling="train"), np.stack(expected, axis=1), atol=1e-5)


def test_scaling_by_the_training_split_keeps_differences_between_series():
    x = np.stack([np.full((1, 50), 1.0), np.full((1, 50), 3.0), np.full((1, 50), 7.0)])
    assert transformed(x, train=[0, 1], scaling="train")[:, 0, 0].tolist() == [-1, 1, 5]


def scaled_by_default(x):
    return transformed(x, scaling="auto")


def normalised(x, ddof=1):
    return (x - x.mean(axis=2, keepdims=True)) / x.std(axis=2, keepdims=True, ddof=ddof)


def test_by_default_twice_the_amplitude_stays_twice():
    x = noise(missing=0)
    x[1::2] = 2 * x[::2]
    made = scaled_by_default(x)
    assert np.array_equal(made, transformed(x, scaling="train"))
    np.testing.assert_allclose(made[1::2].std(axis=2), 2 * made[::2].std(axis=2), rtol=1e-5)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("length", [20, 60])
def test_series_that_come_normalised_stay_so_by_default(ddof, length):
    x = normalised(noise(missing=0, shape=(NUM_SERIES, 2, length)), ddof)
    x[0, 0] = 0  # a flat line, which has no standard deviation
    x[-1] *= 50  # none of the training series
    assert np.array_equal(scaled_by_default(x), transformed(x, scaling="per_series"))


@pytest.mark.parametrize("change", [lambda x: 1.05 * x, lambda x: x + 0.05])
def test_one_training_series_with_an_amplitude_of_its_own_keeps_those_of_all(change):
    x = normalised(noise(missing=0))
    x[3, 1] = change(x[3, 1])
    assert np.array_equal(scaled_by_default(x), transformed(x, scaling="train"))


def test_of_many_lengths_amplitudes_are_kept_by_default():
    made = prepared_by(SeriesPreprocessing(ragged_series(ragged())), TRAIN)[:][0].numpy()
    kept = prepared_by(SeriesPreprocessing(ragged_series(ragged()), scaling="train"), TRAIN)[:][0].numpy()
    assert np.array_equal(made, kept, equal_nan=True)


def test_the_bundled_heartbeats_come_normalised():
    data = ECG5000()
    assert SeriesPreprocessing(data).fit(np.flatnonzero(data.given_split == "train")).scaling == "per_series"


@pytest.mark.parametrize(
    ("scaling", "said"),
    [
        ("auto", "made: series are scaled by all training series of their channel, and amplitudes kept"),
        ("train", "made: series are scaled by all training series of their channel, and amplitudes kept"),
        ("per_series", "made: each series is scaled by itself, and its amplitude lost"),
        ("none", "made: series are not scaled"),
    ],
)
def test_how_series_are_scaled_is_said_once(scaling, said, capsys):
    tell.cache_clear()
    for _ in range(3):
        SeriesPreprocessing(series(noise()), scaling=scaling).fit(TRAIN)
    assert capsys.readouterr().out.count(said) == 1


def test_series_that_come_normalised_are_said_to(capsys):
    tell.cache_clear()
    SeriesPreprocessing(series(normalised(noise(missing=0)))).fit(TRAIN)
    assert "made: series come with mean 0 and standard deviation 1 each, and are scaled so" in capsys.readouterr().out


def test_what_a_preprocessing_stores_says_how_it_scales():
    assert SeriesPreprocessing(series(noise())).fit(TRAIN).scaling == "train"


@pytest.mark.parametrize("scaling", ["per_series", "train"])
def test_blocks_of_series_are_transformed_as_all_at_once(scaling, monkeypatch):
    x = noise(missing=0) + np.linspace(0, 1000, NUM_SERIES)[:, None, None]
    whole = transformed(x, scaling=scaling, detrend=scaling == "per_series")
    monkeypatch.setattr(series_scaling, "BLOCK_VALUES", 2 * 2 * 60)
    np.testing.assert_allclose(transformed(x, scaling=scaling, detrend=scaling == "per_series"), whole, atol=1e-5)


@pytest.mark.parametrize("options", [{"scaling": "train", "moving_average": 3}, {"scaling": "auto"}])
def test_preprocessing_takes_four_bytes_a_value(options):
    data = series(np.random.default_rng(0).normal(3, 2, (256, 2, 16_000)).astype(np.float32))
    steps = SeriesPreprocessing(data, **options)
    block = 8 * BLOCK_VALUES
    tracemalloc.start()
    prepared_by(steps, np.arange(256))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * data.x.size + 5 * block


@pytest.mark.parametrize("scaling", ["per_series", "train"])
@pytest.mark.parametrize("step", STEPS)
def test_a_flat_channel_stays_flat_and_is_not_scaled_up_from_rounding_errors(step, scaling):
    x = noise(missing=0, shape=(NUM_SERIES, 2, 200))
    x[:, 0] = 3.7
    np.testing.assert_allclose(transformed(x, scaling=scaling, **STEPS[step])[:, 0], 0, atol=1e-5)


@pytest.mark.parametrize("factor", [1e-20, 1e20])
def test_scaling_does_not_ask_how_large_values_are(factor):
    x = noise(missing=0)
    one, other = (transformed(values, scaling="per_series") for values in (x, x * factor))
    np.testing.assert_allclose(one, other, atol=1e-4)


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


def augment(x, seed=0, **chosen):
    torch.manual_seed(seed)
    return SeriesPreprocessing(series(np.zeros((1, 1, 10))), **chosen).augment(x)


def batch(size=2000, channels=2, length=20):
    return torch.randn(size, channels, length, generator=torch.Generator().manual_seed(1))


def turns(share, length=20):
    """By how much each series of a batch was turned; every channel must agree."""
    x = torch.arange(1.0, length + 1).repeat(2000, 2, 1)
    shifted = augment(x, shift=share)
    assert torch.equal(shifted[:, 0], shifted[:, 1])
    first = (shifted[:, 0] == 1).int().argmax(dim=1)
    assert all(torch.equal(torch.roll(row, -int(start)), x[0, 0]) for row, start in zip(shifted[:, 0], first, strict=True))  # fmt: skip
    return {int(start) if start <= length / 2 else int(start) - length for start in first}


def masks(share, length=20):
    """Start and width of each stretch that was set to nought; it must be one stretch, of all channels."""
    gone = augment(torch.ones(5000, 2, length), time_mask=share) == 0
    assert torch.equal(gone[:, 0], gone[:, 1])
    where = [row.nonzero()[:, 0].tolist() for row in gone[:, 0]]
    assert all(row == list(range(row[0], row[-1] + 1)) for row in where if row)
    return [(row[0], len(row)) for row in where if row], gone[:, 0]


def test_by_default_nothing_is_augmented():
    x = batch()
    assert torch.equal(augment(x), x)


def test_a_shift_turns_series_by_at_most_the_share_to_both_sides():
    assert turns(0.2) == set(range(-4, 5))


def test_a_shift_of_less_than_a_sample_turns_nothing():
    assert turns(0.04) == {0}


def test_jitter_has_its_standard_deviation():
    x = batch()
    noise = augment(x, jitter=0.3) - x
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)


def test_jitter_has_mean_0():
    x = batch()
    assert (augment(x, jitter=0.3) - x).mean().item() == pytest.approx(0, abs=0.01)


def test_jitter_differs_between_samples_of_a_series():
    x = batch()
    assert (augment(x, jitter=0.3) - x).std(dim=2).min() > 0.05


def test_magnitude_is_one_gain_a_series():
    x = batch()
    gains = augment(x, magnitude=0.2) / x
    torch.testing.assert_close(gains, gains[:, :1, :1].expand(x.shape))


def test_magnitude_has_its_standard_deviation_around_1():
    gains = augment(torch.ones(20_000, 1, 1), magnitude=0.2)
    assert gains.mean().item() == pytest.approx(1, abs=0.01) and gains.std().item() == pytest.approx(0.2, rel=0.02)


def test_a_time_mask_is_at_most_the_share_long():
    stretches, _ = masks(0.25)
    assert {width for _, width in stretches} == {1, 2, 3, 4, 5}


def test_a_time_mask_leaves_some_series_as_they_are():
    _, gone = masks(0.25)
    assert (~gone.any(dim=1)).float().mean().item() == pytest.approx(1 / 6, abs=0.03)


def test_a_time_mask_of_a_width_starts_anywhere():
    stretches, _ = masks(0.25)
    assert {start for start, width in stretches if width == 5} == set(range(16))


def test_a_time_mask_reaches_both_ends():
    _, gone = masks(0.25)
    assert gone.any(dim=0).all()


def test_a_time_mask_leaves_other_samples_alone():
    x = batch()
    masked = augment(x, time_mask=0.5)
    assert torch.equal(masked[masked != 0], x[masked != 0])


def test_channel_dropout_has_its_probability():
    gone = (augment(torch.ones(10_000, 2, 3), channel_dropout=0.3) == 0).all(dim=2)
    assert gone.float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_channels_drop_out_one_without_the_other():
    gone = (augment(torch.ones(10_000, 2, 3), channel_dropout=0.3) == 0).all(dim=2)
    assert gone.all(dim=1).float().mean().item() == pytest.approx(0.09, abs=0.01)


def test_channel_dropout_takes_whole_channels_and_leaves_others_alone():
    x = batch()
    kept = augment(x, channel_dropout=0.3)
    gone = (kept == 0).all(dim=2)
    assert torch.equal(kept[~gone], x[~gone])


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_an_augmentation_is_repeated_under_the_same_seed(kind):
    x, chosen = batch(), {kind: AUGMENTATIONS[kind]}
    assert torch.equal(augment(x, seed=3, **chosen), augment(x, seed=3, **chosen))


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_an_augmentation_differs_under_another_seed(kind):
    x, chosen = batch(), {kind: AUGMENTATIONS[kind]}
    assert not torch.equal(augment(x, seed=3, **chosen), augment(x, seed=4, **chosen))


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_an_augmentation_changes_nothing_in_place(kind):
    x = batch()
    before = x.clone()
    changed = augment(x, **{kind: AUGMENTATIONS[kind]})
    assert torch.equal(x, before) and not torch.equal(changed, before)


def test_all_augmentations_together_keep_shape_and_type():
    x = batch()
    made = augment(x, **AUGMENTATIONS)
    assert made.shape == x.shape and made.dtype == x.dtype and made.isfinite().all()


LENGTHS = [60, 45, 80, 45, 61, 70, 52, 90, 44, 77, 60, 68]


def ragged(seed=0, missing=0.1):
    """Series of many lengths, as a list."""
    return [noise(seed + n, (1, 2, length), missing)[0] for n, length in enumerate(LENGTHS)]


def padding(x):
    """How many samples are NaN at the end of each series; all others must be numbers, in all channels."""
    gone = np.isnan(np.asarray(x))
    assert (gone == gone[:, :1]).all()
    num = gone[:, 0].sum(axis=1)
    assert all((row[0] == (np.arange(len(row[0])) >= len(row[0]) - n)).all() for row, n in zip(gone, num, strict=True))
    return num.tolist()


def ragged_series(x):
    y = np.arange(len(x)) % 2
    return Series(name="made", x=x, channels=["c0", "c1"], sampling_rate_hz=RATE, y=y, task="multiclass", target_names=["a", "b"])  # fmt: skip


def prepared(x, train=TRAIN, **chosen):
    """All series of many lengths, unscaled unless asked for."""
    return prepared_by(SeriesPreprocessing(ragged_series(x), **{"scaling": "none", **chosen}), train)[:][0].numpy()


@settings(max_examples=25, deadline=None)
@given(options(), st.integers(0, 1000))
def test_series_of_many_lengths_are_each_transformed_as_alone(chosen, seed):
    chosen["scaling"] = "per_series"
    x = ragged(seed)
    together = prepared(x, **chosen)
    for made, one in zip(together, x, strict=True):
        alone = transformed(one[None], [0], **chosen)[0]
        np.testing.assert_array_equal(made[:, : alone.shape[1]], alone)
        assert np.isnan(made[:, alone.shape[1] :]).all()


@settings(max_examples=15, deadline=None)
@given(options(), st.integers(1, 2**32 - 1))
def test_of_many_lengths_other_series_never_change_the_training_series(chosen, seed):
    mine, other = ragged(), ragged()
    other[len(TRAIN) :] = [1e3 * series for series in ragged(seed)[len(TRAIN) :]]
    before, after = prepared(mine, **chosen), prepared(other, **chosen)
    np.testing.assert_array_equal(before[TRAIN], after[TRAIN])


def test_series_of_many_lengths_are_padded_to_the_longest_with_nan():
    made = prepared(ragged())
    assert made.shape == (NUM_SERIES, 2, 90) and made.dtype == np.float32
    assert padding(made) == [90 - length for length in LENGTHS]


def test_of_many_lengths_scaling_by_the_training_split_is_scikit_learns():
    x = ragged(missing=0)
    scalers = [StandardScaler().fit(np.concatenate([x[i][c] for i in TRAIN])[:, None]) for c in (0, 1)]
    made = prepared(x, scaling="train")
    for row, one in zip(made, x, strict=True):
        expected = [scaler.transform(one[c][:, None])[:, 0] for c, scaler in enumerate(scalers)]
        np.testing.assert_allclose(row[:, : one.shape[1]], expected, atol=1e-5)


def test_cropping_leaves_the_shortest_length():
    x = ragged(missing=0)
    np.testing.assert_array_equal(prepared(x, length="crop"), np.stack([one[:, :44] for one in x]).astype(np.float32))


def test_cropping_comes_before_scaling():
    made = prepared(ragged(), length="crop", scaling="per_series")
    np.testing.assert_allclose(made.std(axis=2), 1, rtol=1e-5)


def test_a_length_in_samples_crops_and_pads():
    made = prepared(ragged(), length=61)
    assert made.shape[2] == 61 and padding(made) == [max(0, 61 - length) for length in LENGTHS]


def test_a_length_beyond_the_longest_pads_all():
    assert padding(prepared(ragged(), length=100)) == [100 - length for length in LENGTHS]


def test_series_of_one_length_are_cropped_and_padded_by_a_number_too():
    assert transformed(noise(), length=50).shape[2] == 50
    assert padding(transformed(noise(), length=70)) == [10] * NUM_SERIES


@pytest.mark.parametrize("length", ["pad", "crop"])
def test_series_of_one_length_stay_as_they_are(length):
    assert np.array_equal(transformed(noise(missing=0), length=length), noise(missing=0).astype(np.float32))


def test_a_length_of_none_is_refused():
    with pytest.raises(UserError, match=r"preprocessing\.length"):
        compose(["dataset=ecg5000", "preprocessing.length=0"])


def padded_batch(size=300):
    """Series of 4 to 20 samples, padded with NaN, and their lengths."""
    lengths = torch.arange(size) % 17 + 4
    return batch(size).masked_fill(torch.arange(20) >= lengths[:, None, None], torch.nan), lengths


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_an_augmentation_leaves_the_padding_in_place(kind):
    x, _ = padded_batch()
    made = augment(x, **{kind: AUGMENTATIONS[kind]})
    assert torch.equal(made.isnan(), x.isnan()) and not torch.equal(made.nan_to_num(), x.nan_to_num())


def test_a_shift_turns_each_series_within_its_own_length():
    x, lengths = padded_batch()
    for turned, before, length in zip(augment(x, shift=0.5), x, lengths.tolist(), strict=True):
        steps = [s for s in range(-(length // 2), length // 2 + 1) if torch.equal(before[:, :length].roll(s, 1), turned[:, :length])]  # fmt: skip
        assert steps


def test_a_time_mask_is_a_share_of_each_series_own_length():
    x, lengths = padded_batch(5000)
    gone = (augment(x, time_mask=0.5) == 0)[:, 0].sum(dim=1)
    assert (gone <= lengths // 2).all() and (gone == lengths // 2).any()


def test_a_time_mask_lies_anywhere_within_a_series_own_length():
    x = batch(3000).masked_fill(torch.arange(20) >= 10, torch.nan)
    assert (augment(x, time_mask=0.3) == 0)[:, 0].any(dim=0).tolist() == [True] * 10 + [False] * 10


class Spy(Callback):
    """Keeps the batches that the model is given."""

    def __init__(self):
        self.seen = {"train": [], "val": [], "predict": []}

    def on_fit_start(self, trainer, module):
        module.model.register_forward_pre_hook(lambda *given: self.keep(*given))

    def keep(self, model, batch):
        self.seen["train" if model.training else "val"].append(batch[0].clone())

    def on_fit_end(self, trainer, module):
        self.keep = lambda *_: None

    def on_predict_batch_start(self, trainer, module, batch, index, loader=0):
        self.seen["predict"].append(batch[0].clone())


def spied(*overrides):
    """A real fit and prediction: the batches that the model was given, and the data module."""
    small = ["dataset=ecg5000", "model.widths=[2]", "model.kernel_sizes=[3]", "regime.batch_size=null"]
    parts, spy = prepare(compose([*small, "regime.accelerator=cpu", *overrides])), Spy()
    trainer = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[spy],
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(parts.task, parts.datamodule)
    trainer.predict(parts.task, parts.datamodule.batches("test"))
    return spy.seen, parts.datamodule


@pytest.fixture(scope="module")
def augmented():
    return spied(*(f"preprocessing.{name}={value}" for name, value in AUGMENTATIONS.items()))


def in_order(x):
    """Series sorted, so that those of a shuffled batch can be compared."""
    return x[np.lexsort(x[:, 0].numpy().T)]


def test_training_batches_are_augmented(augmented):
    seen, data = augmented
    stored = {row.numpy().tobytes() for row in data.arrays("train")[0]}
    kept = sum(row.numpy().tobytes() in stored for row in seen["train"][0])
    assert len(seen["train"][0]) == 400 and kept == 0


def test_each_epoch_is_augmented_anew(augmented):
    one, other = (in_order(x) for x in augmented[0]["train"])
    assert not torch.equal(one, other)


def test_validation_batches_are_not_augmented(augmented):
    seen, data = augmented
    assert len(seen["val"]) == 2  # after each epoch
    assert all(torch.equal(x, data.arrays("val")[0]) for x in seen["val"])


def test_batches_to_predict_are_not_augmented(augmented):
    seen, data = augmented
    assert torch.equal(torch.cat(seen["predict"]), data.arrays("test")[0])


def test_the_stored_series_are_as_before_the_training(augmented):
    data = augmented[1]
    again = prepared_by(SeriesPreprocessing(data.dataset), data.rows["train"])
    assert torch.equal(data.data[:][0], again[:][0])


def test_without_augmentation_training_batches_are_the_stored_series():
    seen, data = spied()
    assert torch.equal(in_order(seen["train"][0]), in_order(data.arrays("train")[0]))


def test_the_data_module_outside_a_training_augments_nothing():
    steps = partial(SeriesPreprocessing, **AUGMENTATIONS)
    data = DataModule(Prepared(series(noise()), steps, Split()), None, 0)
    x = torch.cat([x for x, _ in data.train_batches])
    assert torch.equal(in_order(x), in_order(data.arrays("train")[0]))
