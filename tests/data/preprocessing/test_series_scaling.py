"""Scaling of series: by the training split, by each alone, and what is done by default."""

import tracemalloc

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from medfit.data.datasets.ecg5000 import ECG5000
from medfit.data.preprocessing import series_scaling
from medfit.data.preprocessing.series import SeriesPreprocessing
from medfit.data.preprocessing.series_scaling import BLOCK_VALUES, tell
from series_steps import (
    NUM_SERIES,
    STEPS,
    TRAIN,
    noise,
    prepared_by,
    ragged,
    ragged_series,
    series,
    transformed,
)


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
