"""How series are scaled: what the training series say of it, a block of series at a time."""

import functools
from collections.abc import Iterator

import numpy as np

from medfit.data.preprocessing.signal_cleaning import ROUNDING
from medfit.terminal.console import say

BLOCK_VALUES = 2**20  # of series that are worked on at once, in float64
NORMALISED = 0.01  # how far from mean 0 and standard deviation 1 a series is at most that comes so
TOLD = {
    "per_series": "each series is scaled by itself, and its amplitude lost; preprocessing.scaling=train keeps it",
    "normalised": "series come with mean 0 and standard deviation 1 each, and are scaled so (scaling=per_series)",
    "train": "series are scaled by all training series of their channel, and amplitudes kept (scaling=train)",
    "none": "series are not scaled (scaling=none)",
}


def blocks(x: np.ndarray | list[np.ndarray], rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields series in the shape (samples, channels, length), as many of one length as are worked on at once.

    Args:
        x: All series, as :class:`medfit.data.dataset.SeriesSignals` has them.
        rows: Numbers of those meant.

    Yields:
        The place of the first one among ``rows``, and the series.
    """
    if not isinstance(x, np.ndarray):
        yield from ((place, x[row][None]) for place, row in enumerate(rows))
        return
    step = max(1, BLOCK_VALUES // (x.shape[1] * x.shape[2]))
    yield from ((start, x[rows[start : start + step]]) for start in range(0, len(rows), step))


class Moments:
    """Mean and standard deviation of each channel, gathered over blocks of series."""

    def __init__(self) -> None:
        self.count: int = 0
        self.mean = self.squares = self.size = np.zeros(())

    def add(self, x: np.ndarray, size: np.ndarray) -> None:
        """Takes in a block.

        Args:
            x: In the shape (samples, channels, length), float64.
            size: The largest absolute value of each series and channel before filters.
        """
        count = x.shape[0] * x.shape[2]
        mean = x.mean(axis=(0, 2))
        step, total = mean - self.mean, self.count + count
        squares = ((x - mean[:, None]) ** 2).sum(axis=(0, 2))
        self.squares = self.squares + squares + step**2 * self.count * count / total
        self.mean, self.count = self.mean + step * count / total, total
        self.size = np.maximum(self.size, size.max(axis=(0, 2)))

    def standard(self) -> dict[str, list[float]]:
        """Returns mean and standard deviation of each channel; the latter is 1 where nothing varies."""
        std = np.sqrt(self.squares / self.count)
        return {"mean": self.mean.tolist(), "std": np.where(std <= ROUNDING * self.size, 1.0, std).tolist()}


def come_normalised(x: np.ndarray | list[np.ndarray], rows: np.ndarray) -> bool:
    """Tells whether each of some series has mean 0 and standard deviation 1 in each channel, or is flat at nought.

    Standard deviations may be those of a sample, as archives have them, or of a population.
    """
    return all(_normalised(part.astype(np.float64)) for _, part in blocks(x, rows))


def _normalised(x: np.ndarray) -> bool:
    count = (~np.isnan(x)).sum(axis=2)
    mean, std = np.nanmean(x, axis=2), np.nanstd(x, axis=2)
    sample = std * np.sqrt(count / np.maximum(count - 1, 1))
    near = (np.abs(std - 1) < NORMALISED) | (np.abs(sample - 1) < NORMALISED) | (std == 0)
    return bool((near & (np.abs(mean) < NORMALISED)).all())


@functools.cache
def tell(name: str, what: str) -> None:
    """Says once how a data set's series are scaled, however many folds and seeds there are."""
    say(f"{name}: {TOLD[what]}")
