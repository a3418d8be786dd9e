"""Time series: signals of one or more channels."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from medfit.data.dataset import SeriesDataset
from medfit.data.kind import Kind
from medfit.data.near_duplicates import Prints, block_means, by_correlation, digest

CORRELATION = 0.9999  # of series that are nearly identical: heartbeats of one patient reach 0.998
VALUES = 2048  # of a series that are compared: means of neighbouring samples, where it has more
FEWEST, MOST_IN_ALL = 64, 2**25  # of very many series fewer values are compared, as all lie in memory
CHUNK = 256


class SeriesKind(Kind[SeriesDataset]):
    """Signals, of one length or of many."""

    samples = "time series"
    preprocessing = "series"
    baselines = "medfit.evaluation.baselines.of_neighbours"
    explainer = "medfit.explanations.series.Signal"
    new_samples = "medfit.deployment.new_series"

    def prints(self, dataset: SeriesDataset) -> Prints:
        """Returns series by their shape, whatever their offset, trend and scale."""
        values = min(VALUES, max(FEWEST, MOST_IN_ALL // len(dataset.x)))
        points = np.concatenate([_shape_of(part, values) for part in _chunks(dataset.x, values)])
        digests = np.array([digest(series) for series in dataset.x])
        return by_correlation(digests, points, CORRELATION, "series")

    def facts(self, dataset: SeriesDataset) -> Iterator[tuple[str, str]]:
        """Yields lengths, sampling rate, and the share of values that are missing."""
        rate = dataset.sampling_rate_hz
        lengths = sorted({series.shape[1] for series in dataset.x})
        seconds = "" if rate is None else f", {lengths[0] / rate:g} to {lengths[-1] / rate:g} s"
        yield "Lengths", (f"{lengths[0]} to {lengths[-1]}" if lengths[1:] else f"{lengths[0]}") + f" points{seconds}"
        yield "Rate", "not known" if rate is None else f"{rate:g} Hz"
        missing = np.mean([np.isnan(series).mean(axis=1) for series in dataset.x], axis=0)
        for name, share in zip(dataset.channels, missing.tolist(), strict=True):
            if share:
                yield "Missing", f"{100 * share:.2g} % of the values of {name}"


def _chunks(x: Any, values: int) -> Iterator[np.ndarray]:
    """Yields series in the shape (samples, channels, length), all of one length."""
    from scipy.ndimage import zoom  # late: a quick start

    if not isinstance(x, np.ndarray):
        length = min(int(np.median([series.shape[1] for series in x])), values)
        x = [zoom(np.nan_to_num(series), (1, length / series.shape[1]), order=1) for series in x]
        x = np.stack(x)
    yield from (x[start : start + CHUNK] for start in range(0, len(x), CHUNK))


def _shape_of(x: np.ndarray, values: int) -> np.ndarray:
    """Returns each series without its offset, trend and scale, float32 in the shape (samples, values)."""
    from scipy.signal import detrend  # late: a quick start

    x = x.astype(float)
    x = np.where(np.isnan(x), np.nanmean(x, axis=2, keepdims=True), x)
    x = block_means(x, max(2, values // x.shape[1]), 2)
    x = detrend(x, axis=2) if x.shape[2] > 2 else x - x.mean(axis=2, keepdims=True)
    std = x.std(axis=2, keepdims=True)
    return (x / np.where(std > 1e-9, std, np.inf)).reshape(len(x), -1).astype(np.float32)
