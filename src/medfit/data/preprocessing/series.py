"""Preprocessing of time series; what is learnt is learnt from the training series only."""

from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from scipy import signal
from torch import Tensor

from medfit.data.preprocessing.arrays import Arrays
from medfit.errors import UserError

Share = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
FILTER_ORDER = 4
NOTCH_QUALITY = 30.0
ROUNDING = float(np.finfo(np.float32).eps)


class SeriesPreprocessing:
    """Cleans, filters and scales signals, in the order of the arguments; augments training batches.

    Series of many lengths are treated each at its own length, then padded at the end with NaN, by which the models
    for series tell padding from signal.

    Args:
        dataset: :class:`medfit.data.datasets.series.Series`.
        missing: Missing samples are interpolated linearly (held at the ends), or set to nought.
        resample_hz: The new sampling rate.
        band_pass_hz: Lowest and highest frequency that pass (Butterworth of order 4, forward and backward); None in
            one place leaves that side open.
        notch_hz: A frequency to take out, as of mains hum.
        detrend: Whether each series loses its straight-line trend.
        moving_average: Samples of a centred mean.
        difference: Whether each sample becomes its change from the one before; shortens by one.
        length: ``pad`` brings series of many lengths to the longest, ``crop`` to the shortest by leaving out what is
            behind; a number brings all to so many samples, of their rate after resampling, by both.
        scaling: ``per_series`` to mean 0 and standard deviation 1 by series and channel, ``train`` by the training
            split's mean and standard deviation of each channel, or ``none``.
        jitter: Standard deviation of noise that is added to training batches.
        magnitude: Standard deviation of a gain around 1, for each training series.
        shift: Largest shift in time, as a share of the length; what is shifted out comes in at the other end.
        time_mask: Longest stretch that is set to nought, as a share of the length.
        channel_dropout: Probability that a channel is set to nought.
    """

    def __init__(
        self,
        dataset: Any,
        missing: Literal["interpolate", "zero"] = "interpolate",
        resample_hz: Positive | None = None,
        band_pass_hz: list[Positive | None] | None = None,
        notch_hz: Positive | None = None,
        detrend: bool = False,
        moving_average: Annotated[int, Field(ge=1)] | None = None,
        difference: bool = False,
        length: Literal["pad", "crop"] | Annotated[int, Field(ge=1)] = "pad",
        scaling: Literal["per_series", "train", "none"] = "per_series",
        jitter: NonNegative = 0.0,
        magnitude: NonNegative = 0.0,
        shift: Share = 0.0,
        time_mask: Share = 0.0,
        channel_dropout: Share = 0.0,
    ) -> None:
        if not hasattr(dataset, "sampling_rate_hz"):
            raise UserError("preprocessing=series takes time series, and the data set holds none")
        if dataset.sampling_rate_hz is None and (resample_hz or band_pass_hz is not None or notch_hz):
            raise UserError("preprocessing: frequencies need the data set's sampling rate, which is not known")
        self.dataset, self.rate = dataset, dataset.sampling_rate_hz
        self.missing, self.resample_hz, self.band_pass_hz, self.notch_hz = missing, resample_hz, band_pass_hz, notch_hz
        self.detrend, self.moving_average, self.difference = detrend, moving_average, difference
        self.length, self.scaling, self.jitter, self.magnitude = length, scaling, jitter, magnitude
        self.shift, self.time_mask, self.channel_dropout = shift, time_mask, channel_dropout

    def usable(self) -> np.ndarray:
        """Marks all series."""
        return np.ones(len(self.dataset), dtype=bool)

    def apply(self, train: np.ndarray) -> Arrays:
        """Returns all series and targets as tensors, ``x`` in the shape (samples, channels, length).

        Args:
            train: Numbers of the training series.
        """
        x = self.dataset.x
        parts = [x] if isinstance(x, np.ndarray) else [series[None] for series in x]  # of one length each
        sizes = []
        for number, part in enumerate(parts):
            filled = fill(part, self.missing).astype(np.float64)
            sizes.append(np.abs(filled).max(axis=2, keepdims=True))
            resampled, rate = self._resample(filled)
            parts[number] = self._smooth(self._filter(resampled, rate))
        parts = self._scaled(_cropped(parts, self.length), sizes, train)
        padded = _padded(parts, 1 if isinstance(self.length, str) else self.length)
        return Arrays(torch.from_numpy(padded), torch.tensor(self.dataset.y), self.augment)

    def _scaled(self, parts: list[np.ndarray], sizes: list[np.ndarray], train: np.ndarray) -> list[np.ndarray]:
        """Returns series by their own scale, or the training series'.

        Args:
            parts: All series as one array, or each as one.
            sizes: The largest absolute value of each series and channel before filters.
            train: Numbers of the training series.
        """
        if self.scaling == "none":
            return parts
        if self.scaling == "per_series":
            return [_standardise(part, part, size, axes=(2,)) for part, size in zip(parts, sizes, strict=True)]
        if len(parts) == 1:
            reference, size = parts[0][train], sizes[0][train]
        else:
            reference, size = (np.concatenate([of[i] for i in train], axis=2) for of in (parts, sizes))
        return [_standardise(part, reference, size, axes=(0, 2)) for part in parts]

    def augment(self, x: Tensor) -> Tensor:
        """Returns a training batch, changed at random; padding stays as it is."""
        batch, channels, length = x.shape
        time = torch.arange(length, device=x.device)
        lengths = (~x[:, :1].isnan()).sum(dim=2, keepdim=True)

        def most(share: float) -> Tensor:
            return (share * lengths).long()

        def draw(count: Tensor) -> Tensor:
            return (torch.rand(batch, 1, 1, device=x.device) * count).long()

        if self.shift:
            steps = draw(2 * most(self.shift) + 1) - most(self.shift)
            place = torch.where(time < lengths, (time - steps).remainder(lengths), time)
            x = x.gather(2, place.expand(x.shape))
        if self.magnitude:
            x = x * (1 + self.magnitude * torch.randn(batch, 1, 1, device=x.device))
        if self.jitter:
            x = x + self.jitter * torch.randn_like(x)
        if self.time_mask:
            width = draw(most(self.time_mask) + 1)
            start = draw(lengths - width + 1)
            x = x.masked_fill((time >= start) & (time < start + width), 0.0)
        if self.channel_dropout:
            x = x * (torch.rand(batch, channels, 1, device=x.device) >= self.channel_dropout)
        return x

    def _resample(self, x: np.ndarray) -> tuple[np.ndarray, float | None]:
        if self.resample_hz is None:
            return x, self.rate
        size = round(x.shape[2] * self.resample_hz / self.rate)
        if size < 2:
            raise UserError(f"preprocessing.resample_hz: {self.resample_hz} Hz leaves {size} samples of {x.shape[2]}")
        return resample(x, self.rate, self.resample_hz), self.resample_hz

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
            from scipy.ndimage import uniform_filter1d

            x = uniform_filter1d(x, self.moving_average, axis=2, mode="nearest")
        if self.difference and x.shape[2] == 1:
            raise UserError("preprocessing.difference: series of a single sample have no differences")
        return np.diff(x, axis=2) if self.difference else x


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


def _cropped(parts: list[np.ndarray], length: int | str) -> list[np.ndarray]:
    if length == "pad":
        return parts
    end = min(part.shape[2] for part in parts) if length == "crop" else length
    return [part[:, :, :end] for part in parts]


def _padded(parts: list[np.ndarray], least: int) -> np.ndarray:
    """Returns all series as one float32 array of the longest's length or ``least``, NaN behind shorter ones."""
    length = max(least, *(part.shape[2] for part in parts))
    x = np.full((sum(map(len, parts)), parts[0].shape[1], length), np.nan, dtype=np.float32)
    start = 0
    for part in parts:
        x[start : start + len(part), :, : part.shape[2]] = part
        start += len(part)
    return x


def _standardise(x: np.ndarray, reference: np.ndarray, size: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    std = reference.std(axis=axes, keepdims=True)
    flat = std <= ROUNDING * size.max(axis=axes, keepdims=True)  # what filters leave of a constant is rounding error
    return (x - reference.mean(axis=axes, keepdims=True)) / np.where(flat, 1.0, std)


def _ratio(new: float, old: float) -> tuple[int, int]:
    from fractions import Fraction

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
