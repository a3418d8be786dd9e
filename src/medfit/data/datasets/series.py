"""Data sets of time series."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from medfit.data.dataset import SeriesDataset
from medfit.data.datasets.samples import Samples
from medfit.data.kinds.series import SeriesKind
from medfit.errors import UserError


class Series(Samples):
    """Signals of one length, or of many.

    Args:
        x: In the shape (samples, channels, length), or a list of arrays (channels, length), whose lengths may differ;
            NaN where a value is missing. Kept as float32, where they are: in memory or in a file.
        channels: Their names.
        sampling_rate_hz: None where it is not known.
        **about: As :class:`Samples` takes them.

    Attributes:
        x: One array where all lengths are one, else a list of arrays.
        reading: What reading new series takes, beside the options; names of columns and plain numbers.

    Raises:
        UserError: no samples, no length, not a target for each, infinite values, or a channel that is all missing in
            a sample.
    """

    kind = SeriesKind()
    x: np.ndarray | list[np.ndarray]

    def __init__(
        self,
        *,
        x: np.ndarray | Sequence[np.ndarray],
        channels: Sequence[str],
        sampling_rate_hz: float | None = None,
        **about: Any,
    ) -> None:
        super().__init__(**about)
        self.channels, self.sampling_rate_hz = list(channels), sampling_rate_hz
        self.reading: dict[str, Any] = {}
        self.x = _as_float32(x, len(self.channels))
        if len(self.x) != len(self.y):
            raise UserError(f"dataset: {len(self.x)} series, but {len(self.y)} targets")
        if (infinite := np.array([np.isinf(series).any() for series in self.x])).any():
            raise UserError(f"dataset: series {int(infinite.argmax()) + 1} holds a value that is infinite or too large")
        if (empty := np.array([np.isnan(series).all(axis=1).any() for series in self.x])).any():
            raise UserError(f"dataset: series {int(empty.argmax()) + 1} has a channel that is all missing")

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.x[index], self.y[index]

    def features(self) -> list[dict[str, str]]:
        """Returns the channels' names."""
        return [{"name": channel, "kind": "signal"} for channel in self.channels]

    def contents(self) -> Iterator[bytes]:
        """Yields the sampling rate, the lengths where they differ, and the values."""
        yield repr(self.sampling_rate_hz).encode()
        if isinstance(self.x, np.ndarray):
            for series in self.x:  # one by one: all at once they would take their memory again
                yield np.ascontiguousarray(series).tobytes()
            return
        yield np.array([series.shape[1] for series in self.x], dtype="<i8").tobytes()
        for series in self.x:
            yield np.ascontiguousarray(series).tobytes()


_CONTRACT: type[SeriesDataset] = Series  # checked by mypy


def _as_float32(x: np.ndarray | Sequence[np.ndarray], num_channels: int) -> np.ndarray | list[np.ndarray]:
    """Returns series as one array where they are of one length."""
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused later
        if not isinstance(x, np.ndarray):
            x = [np.asanyarray(series).astype(np.float32, copy=False) for series in x]
            for number, series in enumerate(x, 1):
                if series.ndim != 2 or 0 in series.shape or len(series) != num_channels:
                    raise UserError(
                        f"dataset: expected series {number} as ({num_channels} channels, length), not {series.shape}"
                    )
            if len({series.shape for series in x}) > 1:
                return x
            x = np.stack(x) if x else np.empty((0, num_channels, 0))
        x = x.astype(np.float32, copy=False)
    if x.ndim != 3 or 0 in x.shape or x.shape[1] != num_channels:
        raise UserError(f"dataset: expected series as (samples, {num_channels} channels, length), not {x.shape}")
    return x


def points(x: np.ndarray | Sequence[np.ndarray]) -> str:
    """Returns the series' length or lengths, in words."""
    lengths = sorted({series.shape[1] for series in x})
    return str(lengths[0]) if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
