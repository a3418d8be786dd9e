"""Data sets of time series."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from medfit.datasets.samples import Samples
from medfit.errors import UserError


class Series(Samples):
    """Signals of one length.

    Args:
        x: float32 in the shape (samples, channels, length); NaN where a value is missing.
        channels: Their names.
        sampling_rate_hz: None where it is not known.
        **about: As :class:`Samples` takes them.

    Raises:
        UserError: no samples, no length, infinite values, or a channel that is all missing in a sample.
    """

    x: np.ndarray

    def __init__(
        self, *, x: np.ndarray, channels: Sequence[str], sampling_rate_hz: float | None = None, **about: Any
    ) -> None:
        super().__init__(**about)
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
            self.x = x.astype(np.float32)
        self.channels, self.sampling_rate_hz = list(channels), sampling_rate_hz
        if self.x.ndim != 3 or 0 in self.x.shape or self.x.shape[1] != len(self.channels):
            raise UserError(
                f"dataset: expected series as (samples, {len(self.channels)} channels, length), not {x.shape}"
            )
        if (infinite := np.isinf(self.x).any(axis=(1, 2))).any():
            raise UserError(f"dataset: series {int(infinite.argmax()) + 1} holds a value that is infinite or too large")
        if (empty := np.isnan(self.x).all(axis=2).any(axis=1)).any():
            raise UserError(f"dataset: series {int(empty.argmax()) + 1} has a channel that is all missing")

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.x[index], self.y[index]

    def features(self) -> list[dict[str, str]]:
        """Returns the channels' names."""
        return [{"name": channel, "kind": "signal"} for channel in self.channels]

    def contents(self) -> Iterator[bytes]:
        """Yields the sampling rate and the values."""
        yield repr(self.sampling_rate_hz).encode()
        yield np.ascontiguousarray(self.x).tobytes()
