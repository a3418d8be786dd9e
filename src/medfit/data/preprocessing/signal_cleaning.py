"""What is done to each signal alone: missing samples, rates, filters and trends."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from scipy import signal

from medfit.errors import UserError

FILTER_ORDER = 4
NOTCH_QUALITY = 30.0
ROUNDING = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """Fills, resamples, filters and smooths signals.

    Args:
        missing: As :class:`medfit.data.preprocessing.series.SeriesPreprocessing` takes it, as with the rest.
        resample_hz: The new sampling rate.
        band_pass_hz: Lowest and highest frequency that pass.
        notch_hz: A frequency to take out.
        detrend: Whether each series loses its straight-line trend.
        moving_average: Samples of a centred mean.
        difference: Whether each sample becomes its change from the one before.
    """

    missing: Literal["interpolate", "zero"]
    resample_hz: float | None
    band_pass_hz: list[float | None] | None
    notch_hz: float | None
    detrend: bool
    moving_average: int | None
    difference: bool

    def __call__(self, x: np.ndarray, rate: float | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns series in float64, and the largest absolute value of each series and channel before filters.

        Args:
            x: In the shape (samples, channels, length).
            rate: Of sampling, in Hz; None where it is not known.
        """
        filled = fill(x, self.missing).astype(np.float64)
        resampled, new_rate = self._resample(filled, rate)
        return self._smooth(self._filter(resampled, new_rate)), np.abs(filled).max(axis=2, keepdims=True)

    def length(self, old: int, rate: float | None) -> int:
        """Returns how many samples a series of ``old`` samples has afterwards."""
        return length_after(old, rate, self.resample_hz, self.difference)

    def _resample(self, x: np.ndarray, rate: float | None) -> tuple[np.ndarray, float | None]:
        if self.resample_hz is None or rate is None:
            return x, rate
        size = round(x.shape[2] * self.resample_hz / rate)
        if size < 2:
            raise UserError(f"preprocessing.resample_hz: {self.resample_hz} Hz leaves {size} samples of {x.shape[2]}")
        return resample(x, rate, self.resample_hz), self.resample_hz

    def _filter(self, x: np.ndarray, rate: float | None) -> np.ndarray:
        for path, frequencies in (("band_pass_hz", self.band_pass_hz or []), ("notch_hz", [self.notch_hz])):
            for frequency in frequencies:
                if frequency is not None and rate is not None and frequency >= rate / 2:
                    raise UserError(
                        f"preprocessing.{path}: {frequency} Hz is not below half the sampling rate, {rate} Hz"
                    )
        try:
            if self.band_pass_hz is not None:
                x = signal.sosfiltfilt(_butterworth(self.band_pass_hz, rate), x, axis=2)
            if self.notch_hz:
                x = signal.filtfilt(*signal.iirnotch(self.notch_hz, NOTCH_QUALITY, fs=rate), x, axis=2)
        except ValueError as error:  # how scipy says so
            raise UserError(f"preprocessing: series of {x.shape[2]} samples are too short for the filters") from error
        return x

    def _smooth(self, x: np.ndarray) -> np.ndarray:
        if self.detrend:
            x = signal.detrend(x, axis=2)
        if self.moving_average:
            from scipy.ndimage import uniform_filter1d  # late: a quick start

            x = uniform_filter1d(x, self.moving_average, axis=2, mode="nearest")
        if self.difference and x.shape[2] == 1:
            raise UserError("preprocessing.difference: series of a single sample have no differences")
        return np.diff(x, axis=2) if self.difference else x


def length_after(old: int, rate: float | None, resample_hz: float | None, difference: bool) -> int:
    """Returns how many samples a series of ``old`` samples has after :class:`Cleaning` with these settings."""
    if resample_hz is not None and rate is not None:
        up, down = _ratio(resample_hz, rate)
        old = -(-old * up // down)
    return old - difference


def fill(x: np.ndarray, missing: str) -> np.ndarray:
    """Returns series without missing samples, interpolated along the last axis or set to nought."""
    if not np.isnan(x).any():
        return x
    x = x.copy()
    if missing == "zero":
        return np.nan_to_num(x, nan=0.0)
    time = np.arange(x.shape[-1])
    for row in x.reshape(-1, x.shape[-1]):
        gaps = np.isnan(row)
        row[gaps] = np.interp(time[gaps], time[~gaps], row[~gaps])
    return x


def resample(x: np.ndarray, old_hz: float, new_hz: float) -> np.ndarray:
    """Returns signals at another rate, along the last axis, without what the new rate cannot hold."""
    mean = x.mean(axis=-1, keepdims=True)  # the interpolation would lay a ripple on a large offset
    return signal.resample_poly(x - mean, *_ratio(new_hz, old_hz), axis=-1, padtype="line") + mean


def standard(x: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation of each series and channel; the latter is 1 where nothing varies.

    Args:
        x: In the shape (samples, channels, length).
        size: The largest absolute value of each series and channel before filters.
    """
    std = x.std(axis=2, keepdims=True)
    flat = std <= ROUNDING * size  # what filters leave of a constant is rounding error
    return x.mean(axis=2, keepdims=True), np.where(flat, 1.0, std)


def _ratio(new: float, old: float) -> tuple[int, int]:
    ratio = Fraction(max(new, old) / min(new, old)).limit_denominator(1000)
    return (ratio.numerator, ratio.denominator) if new > old else (ratio.denominator, ratio.numerator)


def _butterworth(band: list[float | None], rate: float | None) -> np.ndarray:
    if len(band) != 2 or band == [None, None] or (None not in band and band[0] >= band[1]):  # type: ignore[operator]
        raise UserError(f"preprocessing.band_pass_hz: expected [low, high] with low below high, not {band}")
    low, high = band
    if low is None:
        return signal.butter(FILTER_ORDER, high, "lowpass", fs=rate, output="sos")
    if high is None:
        return signal.butter(FILTER_ORDER, low, "highpass", fs=rate, output="sos")
    return signal.butter(FILTER_ORDER, [low, high], "bandpass", fs=rate, output="sos")
