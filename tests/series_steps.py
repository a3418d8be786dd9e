"""Made series, and what the preprocessing of series makes of them."""

import numpy as np
import torch
from hypothesis import strategies as st

from medfit.data.datasets.series import Series
from medfit.data.preprocessing.series import SeriesPreprocessing

RATE = 200.0
SECONDS = 10
TIME = np.arange(int(RATE * SECONDS)) / RATE
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


def augment(x, seed=0, **chosen):
    torch.manual_seed(seed)
    return SeriesPreprocessing(series(np.zeros((1, 1, 10))), **chosen).augment(x)


def batch(size=2000, channels=2, length=20):
    return torch.randn(size, channels, length, generator=torch.Generator().manual_seed(1))


LENGTHS = [60, 45, 80, 45, 61, 70, 52, 90, 44, 77, 60, 68]


def ragged(seed=0, missing=0.1):
    """Series of many lengths, as a list."""
    return [noise(seed + n, (1, 2, length), missing)[0] for n, length in enumerate(LENGTHS)]


def ragged_series(x):
    y = np.arange(len(x)) % 2
    return Series(name="made", x=x, channels=["c0", "c1"], sampling_rate_hz=RATE, y=y, task="multiclass", target_names=["a", "b"])  # fmt: skip
