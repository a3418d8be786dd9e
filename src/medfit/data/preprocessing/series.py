"""Preprocessing of time series; what is learnt is learnt from the training series only."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from medfit.data.dataset import SeriesDataset, SeriesSignals
from medfit.data.kind import check_kind
from medfit.data.preprocessing.arrays import Arrays
from medfit.data.preprocessing.fitted import Fitted
from medfit.data.preprocessing.series_scaling import Moments, blocks, come_normalised, tell
from medfit.data.preprocessing.signal_cleaning import Cleaning, standard
from medfit.data.scratch import empty_on_disk, lies_on_disk
from medfit.errors import UserError

Share = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Scaling = Literal["per_series", "train", "none"]


class SeriesPreprocessing:
    """Cleans, filters and scales signals, in the order of the arguments; augments training batches.

    Series of many lengths are treated each at its own length, then padded at the end with NaN, by which the models
    for series tell padding from signal.

    Args:
        dataset: Time series, as :class:`medfit.data.datasets.series.Series` are.
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
        scaling: ``train`` by the training split's mean and standard deviation of each channel, which keeps amplitudes;
            ``per_series`` to mean 0 and standard deviation 1 by series and channel, which loses them; ``none``; or
            ``auto``: ``per_series`` where all training series come so already, as in the UCR archive, else ``train``.
        jitter: Standard deviation of noise that is added to training batches.
        magnitude: Standard deviation of a gain around 1, for each training series.
        shift: Largest shift in time, as a share of the length; what is shifted out comes in at the other end.
        time_mask: Longest stretch that is set to nought, as a share of the length.
        channel_dropout: Probability that a channel is set to nought.
    """

    def __init__(
        self,
        dataset: SeriesDataset,
        missing: Literal["interpolate", "zero"] = "interpolate",
        resample_hz: Positive | None = None,
        band_pass_hz: list[Positive | None] | None = None,
        notch_hz: Positive | None = None,
        detrend: bool = False,
        moving_average: Annotated[int, Field(ge=1)] | None = None,
        difference: bool = False,
        length: Literal["pad", "crop"] | Annotated[int, Field(ge=1)] = "pad",
        scaling: Literal["auto", "per_series", "train", "none"] = "auto",
        jitter: NonNegative = 0.0,
        magnitude: NonNegative = 0.0,
        shift: Share = 0.0,
        time_mask: Share = 0.0,
        channel_dropout: Share = 0.0,
    ) -> None:
        check_kind(dataset, "series")
        if dataset.sampling_rate_hz is None and (resample_hz or band_pass_hz is not None or notch_hz):
            raise UserError("preprocessing: frequencies need the data set's sampling rate, which is not known")
        self.dataset, self.length, self.scaling = dataset, length, scaling
        self.cleaning = Cleaning(
            missing=missing,
            resample_hz=resample_hz,
            band_pass_hz=band_pass_hz,
            notch_hz=notch_hz,
            detrend=detrend,
            moving_average=moving_average,
            difference=difference,
        )
        self.jitter, self.magnitude, self.shift = jitter, magnitude, shift
        self.time_mask, self.channel_dropout = time_mask, channel_dropout

    def usable(self) -> np.ndarray:
        """Marks all series."""
        return np.ones(len(self.dataset), dtype=bool)

    def fit(self, train: np.ndarray) -> "FittedSeries":
        """Returns the length that all series get, and the training series' mean and standard deviation if these scale.

        Args:
            train: Numbers of the training series.
        """
        data = self.dataset
        lengths = {series.shape[1] for series in data.x} if isinstance(data.x, list) else {data.x.shape[2]}
        lengths = {self.cleaning.length(length, data.sampling_rate_hz) for length in lengths}
        length = {"pad": max(lengths), "crop": min(lengths)}.get(str(self.length), self.length)
        steps = FittedSeries(
            features=list(data.channels),
            units=dict(data.units),
            target_names=list(data.target_names),
            sampling_rate_hz=data.sampling_rate_hz,
            cleaning=self.cleaning,
            length=length,
            crop=self.length != "pad",
            pad=min(lengths) < length,
            scaling=self._scaling(train),
            standard=None,
        )
        return replace(steps, standard=steps.standard_of(data, train)) if steps.scaling == "train" else steps

    def _scaling(self, train: np.ndarray) -> Scaling:
        """Returns how series are scaled, having said so."""
        if self.scaling != "auto":
            tell(self.dataset.name, self.scaling)
            return self.scaling
        normalised = come_normalised(self.dataset.x, train)
        tell(self.dataset.name, "normalised" if normalised else "train")
        return "per_series" if normalised else "train"

    def prepared(self, fitted: "FittedSeries") -> Arrays:
        """Returns all series and targets as tensors, ``x`` in the shape (samples, channels, length)."""
        x = fitted.apply(self.dataset)
        return Arrays(x, torch.tensor(self.dataset.y), self.augment, lies_on_disk(self.dataset.x))

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


@dataclass(frozen=True, kw_only=True)
class FittedSeries(Fitted):
    """How signals are cleaned, brought to one length and scaled.

    Args:
        sampling_rate_hz: Of the series that it was learnt from; None where it is not known.
        cleaning: What is done to each series alone.
        length: That all series get, in samples.
        crop: Whether longer series lose what is behind it; else there are none.
        pad: Whether shorter series are padded with NaN; else there are none.
        scaling: ``per_series``, ``train`` or ``none``.
        standard: Mean and standard deviation of each channel over the training series; None with other scaling.
    """

    sampling_rate_hz: float | None
    cleaning: Cleaning
    length: int
    crop: bool
    pad: bool
    scaling: Scaling
    standard: dict[str, list[float]] | None

    @classmethod
    def read(cls, folder: Path, values: dict[str, Any]) -> Self:
        """Returns what was stored."""
        return cls(**{**values, "cleaning": Cleaning(**values["cleaning"])})

    def apply(self, samples: SeriesSignals) -> Tensor:
        """Returns series as float32 (samples, channels, length), NaN behind shorter ones; in a file if they lie in one.

        Raises:
            UserError: other channels, another sampling rate, a length that none had that it was learnt from, or a disk
                without room.
        """
        self.check_features(samples.channels)
        rate = samples.sampling_rate_hz
        if rate != self.sampling_rate_hz and self.cleaning.resample_hz is None:
            raise UserError(
                f"the series have {rate} Hz, but the preprocessing has learnt from {self.sampling_rate_hz} Hz"
            )
        shape = (len(samples.x), len(samples.channels), self.length)
        x = empty_on_disk(shape) if lies_on_disk(samples.x) else np.empty(shape, dtype=np.float32)
        for start, part in blocks(samples.x, np.arange(len(samples.x))):
            scaled = self._scaled(*self._cleaned(part, rate))
            self._check_length(scaled.shape[2])
            x[start : start + len(part), :, : scaled.shape[2]] = scaled
            x[start : start + len(part), :, scaled.shape[2] :] = np.nan
        return torch.from_numpy(x)

    def standard_of(self, samples: SeriesSignals, train: np.ndarray) -> dict[str, list[float]]:
        """Returns mean and standard deviation of each channel over the training series."""
        moments = Moments()
        for _, part in blocks(samples.x, train):
            moments.add(*self._cleaned(part, samples.sampling_rate_hz))
        return moments.standard()

    def _cleaned(self, x: np.ndarray, rate: float | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns series of one length, cleaned and cropped, and each channel's largest value before filters."""
        cleaned, size = self.cleaning(x, rate)
        return (cleaned[:, :, : self.length] if self.crop else cleaned), size

    def _scaled(self, x: np.ndarray, size: np.ndarray) -> np.ndarray:
        if self.scaling == "none":
            return x
        if self.scaling == "per_series":
            mean, std = standard(x, size)
        else:
            assert self.standard is not None
            mean, std = (np.array(self.standard[name])[None, :, None] for name in ("mean", "std"))
        return (x - mean) / std

    def _check_length(self, length: int) -> None:
        """Refuses a length that none of the series had that it was learnt from."""
        if length > self.length or (length < self.length and not self.pad):
            raise UserError(f"a series has {length} samples, but the preprocessing has learnt from {self.length}")
