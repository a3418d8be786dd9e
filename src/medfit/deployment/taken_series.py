"""New series that are taken in one by one, in memory or in a file, with what is odd about each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from medfit.data.dataset import SeriesSignals
from medfit.data.scratch import Held
from medfit.deployment.expected_columns import Oddity
from medfit.deployment.expected_series import Expected, Remark, fitting
from medfit.deployment.new_samples import NewSamples
from medfit.errors import UserError


@dataclass(frozen=True)
class NewSeries(NewSamples):
    """New series, as the preprocessing takes them.

    Args:
        x: Those that can be predicted, in memory or in a file, (channels, length) each.
        channels: Their names.
        sampling_rate_hz: The training's.
        **kwargs: As :class:`NewSamples` takes them.
    """

    unusable: ClassVar[str] = "lack a channel or are too short"

    x: Sequence[np.ndarray]
    channels: list[str]
    sampling_rate_hz: float | None

    def some(self, rows: np.ndarray) -> SeriesSignals:
        """Returns some of the series that can be predicted, in memory."""
        x = [np.array(self.x[place]) for place in (np.cumsum(self.usable) - 1)[rows]]
        alike = len({series.shape for series in x}) == 1
        return _Some(np.stack(x) if alike else x, self.channels, self.sampling_rate_hz)


@dataclass
class _Some:
    x: np.ndarray | list[np.ndarray]
    channels: list[str]
    sampling_rate_hz: float | None


class Taken:
    """Takes in series.

    Args:
        wanted: What is expected of them.
        held: Holds them.

    Attributes:
        wanted: What is expected.
    """

    def __init__(self, wanted: Expected, held: Held) -> None:
        self.wanted, self._held = wanted, held
        self._usable: list[bool] = []
        self._identifiers: list[Mapping[str, Any]] = []
        self._odd: dict[Remark, list[int]] = {}
        self._told: set[Remark] = set()

    def __len__(self) -> int:
        return len(self._usable)

    def add(self, series: np.ndarray, identifiers: Mapping[str, Any], remarks: Iterable[Remark] = ()) -> None:
        """Takes in a series.

        Args:
            series: In the shape (channels, length), in the training's units, rate and order of channels.
            identifiers: What tells the user which it is.
            remarks: What is odd about it already.

        Raises:
            UserError: a value is infinite, or there is no room for it.
        """
        row = len(self)
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            series = np.asarray(series, dtype=np.float32)
        for name, infinite in zip(self.wanted.channels, np.isinf(series).any(axis=1), strict=True):
            if infinite:
                raise UserError(
                    f"predict.data: series {row + 1}, channel '{name}', holds a value that is infinite or too large"
                )
        fit, found = fitting(series, self.wanted)
        for remark in (*remarks, *found):
            self._odd.setdefault(remark, []).append(row)
        self._usable.append(fit is not None)
        self._identifiers.append(identifiers)
        if fit is not None:
            self._held.add(fit)

    def tell(self, remarks: Iterable[Remark]) -> None:
        """Takes in what is odd about the last series, and told, but no remark beside its prediction."""
        for remark in remarks:
            self._odd.setdefault(remark, []).append(len(self) - 1)
            self._told.add(remark)

    def series(self) -> NewSeries:
        """Returns all series.

        Raises:
            UserError: there are none.
        """
        if not len(self):
            raise UserError("predict.data: there are no series")
        return NewSeries(
            pd.DataFrame(self._identifiers, index=range(len(self))),
            np.array(self._usable),
            [self._oddity(remark) for remark in self._odd],
            list(self._held.series()),
            self.wanted.channels,
            self.wanted.rate_hz,
        )

    def _oddity(self, remark: Remark) -> Oddity:
        rows = np.zeros(len(self), dtype=bool)
        rows[self._odd[remark]] = True
        return Oddity(*remark, rows, remark not in self._told)
