import numpy as np
import pytest
from scipy import signal

from medfit.data.preprocessing import signal_cleaning
from medfit.data.preprocessing.series_scaling import Moments


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [(360, 250, (36, 25)), (250, 360, (25, 36)), (100.5, 100, (201, 200)), (1002, 1001, (1001, 1000))],
)
def test_rates_are_to_one_another_as_whole_numbers_of_a_thousand_at_most(new, old, expected):
    assert signal_cleaning._ratio(new, old) == expected


def test_moments_of_blocks_are_numpys_of_the_whole_and_what_never_varies_has_a_deviation_of_one():
    x = np.random.default_rng(0).normal(3, 2, (9, 2, 7))
    x[:, 1] = 5
    moments = Moments()
    for part in (x[:2], x[2:3], x[3:]):
        moments.add(part, np.abs(part).max(axis=2, keepdims=True))
    found = moments.standard()
    assert found["mean"] == pytest.approx([x[:, 0].mean(), 5])
    assert found["std"] == pytest.approx([x[:, 0].std(), 1])


def test_a_notch_is_scipys_up_to_half_of_an_odd_rate():
    x = np.random.default_rng(0).normal(size=(1, 1, 500))
    clean = signal_cleaning.Cleaning(
        missing="zero", resample_hz=None, band_pass_hz=None, notch_hz=125.2, detrend=False, moving_average=None,
        difference=False,
    )  # fmt: skip
    expected = signal.filtfilt(*signal.iirnotch(125.2, 30, fs=251), x, axis=2)
    np.testing.assert_allclose(clean(x, 251.0)[0], expected)
