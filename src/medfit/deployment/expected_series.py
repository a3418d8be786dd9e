"""What a finished model expects of the series of new patients, and what is odd about each."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from medfit.data.dataset import SeriesDataset
from medfit.data.datasets.series_layouts import FEWEST_POINTS
from medfit.data.preprocessing.signal_cleaning import ROUNDING, length_after
from medfit.deployment.expected_columns import MARGIN
from medfit.errors import UserError

FEWEST_FILTERED = 32  # points that filters take
OTHER_UNIT = 10  # times more or less than any training series varies what may be in another unit
SERIES = "series"  # what a remark is about that is of no single channel
Remark = tuple[str, str]  # the channel, and what is odd in words


@dataclass(frozen=True)
class Signal:
    """A channel as the training series had it; nothing in it is of a single patient.

    Args:
        name: Of the channel.
        unit: Empty where none is known.
        low: Values below it are out of range: the first percentile of the series' smallest values, less half the way to
            the 99th percentile of their largest.
        high: Values above it are out of range, likewise.
        least: The first percentile of the series' standard deviations, of those that are not flat.
        most: The 99th percentile.
        flat: Whether some series were flat.
        missing: Whether values were missing in some.
    """

    name: str
    unit: str
    low: float
    high: float
    least: float
    most: float
    flat: bool
    missing: bool


@dataclass(frozen=True)
class Expected:
    """What new series should be like.

    Args:
        signals: The channels.
        rate_hz: Of sampling; None where it is not known.
        fewest: Points that a series must have.
        shortest: Points of the shortest series of the training data.
        longest: Of the longest.
        pads: Whether the preprocessing pads.
        crops: Whether it leaves out what lies behind a length.
    """

    signals: list[Signal]
    rate_hz: float | None
    fewest: int
    shortest: int
    longest: int
    pads: bool
    crops: bool

    @property
    def channels(self) -> list[str]:
        """Their names."""
        return [signal.name for signal in self.signals]

    @property
    def units(self) -> dict[str, str]:
        """Of the channels, empty where none is known."""
        return {signal.name: signal.unit for signal in self.signals}

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Self:
        """Returns what JSON gives back."""
        return cls(**{**values, "signals": [Signal(**signal) for signal in values["signals"]]})


def expected(dataset: SeriesDataset, train: np.ndarray, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what JSON can hold of :class:`Expected`.

    Args:
        dataset: That was learnt from.
        train: Numbers of the training series.
        settings: Of the preprocessing.
    """
    rate, x = dataset.sampling_rate_hz, dataset.x
    lengths = sorted({x.shape[2]} if isinstance(x, np.ndarray) else {series.shape[1] for series in x})
    pads, fewest = _room(lengths, rate, settings)
    found = np.array([_extremes(x[row]) for row in train])  # (series, extremes, channels)
    signals = [_signal(name, dataset.units.get(name, ""), found[:, :, i]) for i, name in enumerate(dataset.channels)]
    crops = settings.get("length", "pad") != "pad"
    return asdict(Expected(signals, rate, fewest, lengths[0], lengths[-1], pads, crops))


def joined_series(several: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what several trainings expect together: the ranges of all their training series.

    Args:
        several: Of each training, as :func:`expected` gave it.

    Raises:
        UserError: they take series of different channels, rates or lengths.
    """
    ranges = ("signals", "shortest", "longest")
    first, *others = ({key: value for key, value in one.items() if key not in ranges} for one in several)
    names = [[(signal["name"], signal["unit"]) for signal in one["signals"]] for one in several]
    if any(one != first for one in others) or any(own != names[0] for own in names):
        raise UserError("trainings that take different series make no ensemble")
    signals = zip(*(one["signals"] for one in several), strict=True)
    ends = {"shortest": min(one["shortest"] for one in several), "longest": max(one["longest"] for one in several)}
    return {**first, **ends, "signals": [_widest(own) for own in signals]}


def _widest(own: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns a channel as several trainings had it."""
    made = dict(own[0])
    made |= {key: min(one[key] for one in own) for key in ("low", "least")}
    made |= {key: max(one[key] for one in own) for key in ("high", "most")}
    return made | {key: any(one[key] for one in own) for key in ("flat", "missing")}


def _room(lengths: list[int], rate: float | None, settings: Mapping[str, Any]) -> tuple[bool, int]:
    """Returns whether the preprocessing pads, and the fewest points that it takes."""
    wanted, shortest = settings.get("length", "pad"), lengths[0]

    def after(points: int) -> int:
        return length_after(points, rate, settings.get("resample_hz"), bool(settings.get("difference")))

    longest = {"pad": after(lengths[-1]), "crop": after(shortest)}.get(wanted, wanted)
    pads = after(shortest) < longest
    if not pads:
        return False, 1 + bisect_left(range(1, shortest), longest, key=after)
    filters = settings.get("band_pass_hz") is not None or settings.get("notch_hz")
    enough = min(after(shortest), FEWEST_FILTERED if filters else FEWEST_POINTS)
    return True, 1 + bisect_left(range(1, shortest), enough, key=after)


def _extremes(series: np.ndarray) -> list[np.ndarray]:
    """Returns smallest and largest value, standard deviation, whether it is flat and whether a value is missing."""
    values = np.asarray(series, dtype=np.float64)
    low, high = np.nanmin(values, axis=1), np.nanmax(values, axis=1)
    return [low, high, np.nanstd(values, axis=1), _flat(low, high), np.isnan(values).any(axis=1)]


def _flat(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.asarray(high - low <= ROUNDING * np.maximum(np.abs(low), np.abs(high)))


def _signal(name: str, unit: str, found: np.ndarray) -> Signal:
    """Returns a channel, from what :func:`_extremes` says of each series, in the shape (series, extremes)."""
    lows, highs, spreads, flat, missing = found.T
    low, high = float(np.quantile(lows, 0.01)), float(np.quantile(highs, 0.99))
    varying = spreads[flat == 0]
    least, most = np.quantile(varying, [0.01, 0.99]).tolist() if len(varying) else (0.0, 0.0)
    margin = MARGIN * (high - low)
    return Signal(name, unit, low - margin, high + margin, least, most, bool(flat.any()), bool(missing.any()))


def fitting(series: np.ndarray, wanted: Expected) -> tuple[np.ndarray | None, list[Remark]]:
    """Returns a series as the preprocessing takes it, None where it can't, and what is odd about it.

    Args:
        series: In the shape (channels, length), in the training's units, rate and order of channels.
        wanted: What is expected.
    """
    remarks = list(_length(series.shape[1], wanted))
    empty = np.isnan(series).all(axis=1)
    remarks += [(wanted.channels[place], "missing, and so no prediction") for place in np.flatnonzero(empty)]
    if empty.any() or series.shape[1] < wanted.fewest:
        return None, remarks
    series = series if wanted.crops else series[:, : wanted.longest]
    return series, [*remarks, *_values(series, wanted)]


def _length(points: int, wanted: Expected) -> Iterator[Remark]:
    if points > wanted.longest:
        how = "cut as those were" if wanted.crops else "cut there"
        yield SERIES, f"longer than any in training ({wanted.longest} points), and {how}"
    elif points < wanted.fewest:
        yield SERIES, f"shorter than what the model takes ({wanted.fewest} points), and so no prediction"
    elif points < wanted.shortest:
        yield SERIES, f"shorter than any in training ({wanted.shortest} points)" + ", and padded" * wanted.pads


def _values(series: np.ndarray, wanted: Expected) -> Iterator[Remark]:
    lows, highs, spreads, flat, missing = _extremes(series)
    for place, signal in enumerate(wanted.signals):
        if missing[place] and not signal.missing:
            yield signal.name, "values are missing, as in no training series"
        if flat[place]:
            if not signal.flat:
                yield signal.name, "flat, as no training series was"
        elif spreads[place] > OTHER_UNIT * signal.most or spreads[place] * OTHER_UNIT < signal.least:
            more = "more" if spreads[place] > signal.most else "less"
            unit = signal.unit or "in training"
            yield (
                signal.name,
                f"varies over {OTHER_UNIT} times {more} than in training; is it in another unit than {unit}?",
            )
        if lows[place] < signal.low or highs[place] > signal.high:
            yield signal.name, "beyond the training range"
