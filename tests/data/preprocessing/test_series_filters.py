"""Filters of series: gains, phases, and what they leave alone."""

import numpy as np
import pytest

from medfit.errors import UserError
from series_steps import RATE, SECRET, STEPS, TIME, noise, one, tone, transformed

MIDDLE = slice(400, -400)  # far from the ends, where filters have settled


def gain(frequency, **options):
    """What is left of a tone's amplitude, away from the ends."""
    return one(tone(frequency), **options)[MIDDLE].std() / tone(frequency)[MIDDLE].std()


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
