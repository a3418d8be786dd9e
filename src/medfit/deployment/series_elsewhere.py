"""Series of another data set with targets, brought to what a finished model takes as new patients' series are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import get_object

from medfit.data.dataset import SeriesDataset
from medfit.data.datasets.faults import Faults
from medfit.data.datasets.options import READING
from medfit.data.datasets.recording_windows import resampled
from medfit.data.readers.channels import folded
from medfit.data.readers.files import read_table
from medfit.data.readers.headers import Header
from medfit.data.readers.units import factor
from medfit.data.scratch import Held, lies_on_disk
from medfit.data.some_samples import some_of
from medfit.deployment.expected_columns import Oddity
from medfit.deployment.expected_series import SERIES, Expected, Remark
from medfit.deployment.new_recordings import NOT_TAKEN, of_rates, of_unit, of_units, resampling
from medfit.deployment.new_series_tables import at_step
from medfit.deployment.taken_series import Taken
from medfit.errors import UserError, renamed

WHERE = "validate.data"


def settings_elsewhere(settings: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings under which another file or folder is read as the training's was.

    Channels have the training's names; columns that are no points of the model's are left out.

    Args:
        settings: The training's of the data set, with the new place.
        about: As :func:`medfit.deployment.new_series.describe` gave it.
    """
    made, reading = settings_of_any(settings, about), about["reading"]
    if made.get("channels") is None and "channels" in made:
        made["channels"] = [signal["name"] for signal in about["series"]["signals"]]
    if made.get("channel_names"):
        made["channel_names"] = _names_there(made)
    path = Path(str(made.get("path"))).expanduser()
    if "exclude" in made and path.is_file() and made.get("header", True):
        options = {key: made[key] for key in READING if made.get(key) is not None}
        columns = [str(name) for name in read_table(path, **options)]
        asked = {*_listed(made.get("target")), made.get("patient"), made.get("series"), made.get("time")}
        rule = made.get("target_rule")
        asked.add(max((name for name in columns if rule and str(rule).startswith(name)), key=len, default=None))
        points = set(reading.get("points") or made["channels"])
        made["exclude"] = [name for name in columns if name not in {*points, *asked}]
    return made


def settings_of_any(settings: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a data set's settings; recordings are brought to the training's rate before they are cut into windows.

    Args:
        settings: Of any data set of series.
        about: As :func:`medfit.deployment.new_series.describe` gave it.

    Raises:
        UserError: they are to be brought to another rate.
    """
    made, rate = dict(settings), about["series"]["rate_hz"]
    if "resample_hz" not in made or rate is None:
        return made
    if made["resample_hz"] not in (None, rate):
        raise UserError(
            f"dataset.resample_hz={made['resample_hz']:g}: the model takes series of {rate:g} Hz, to which recordings "
            "are brought unasked"
        )
    made["resample_hz"] = rate
    if made.get("channels") is None:
        made["channels"] = [signal["name"] for signal in about["series"]["signals"]]
    return made


def _names_there(settings: Mapping[str, Any]) -> dict[str, str]:
    """Returns the other names of channels that some recording has; the others are of the training's recordings."""
    folder = get_object(settings["_target_"]).opened(Path(settings["root"]).expanduser(), "")
    with renamed("dataset.root", WHERE):
        known = {name for header in folder.every(Faults("skip"))[1] for name in header.channels}
    return {old: new for old, new in settings["channel_names"].items() if old in known}


def _listed(names: Any) -> list[Any]:
    return [names] if isinstance(names, str) else list(names or ())


def as_expected(
    dataset: SeriesDataset, about: Mapping[str, Any], absent: Sequence[str]
) -> tuple[Any, list[Oddity], np.ndarray]:
    """Returns a data set of the series that the model takes, what is odd about all of them, and which are taken.

    Args:
        dataset: Any series.
        about: As :func:`medfit.deployment.new_series.describe` gave it.
        absent: Is not used, as series have no columns.

    Raises:
        UserError: a channel is missing, in another unit or of an unknown rate, or no series can be taken.
    """
    reading, wanted = about["reading"], Expected.of_values(about["series"])
    with renamed("predict.data", WHERE), Held(reading.get("memory_gib")) as held:
        _check_points(dataset, reading)
        bringing, taken = _Bringing(dataset, reading, wanted), Taken(wanted, held)
        for row in range(len(dataset)):
            series, remarks = bringing.brought(row)
            taken.add(series, {}, remarks)
            taken.tell((name, NOT_TAKEN) for name in bringing.not_taken(row))
        new = taken.series()
    rows = np.flatnonzero(new.usable)
    if not len(rows):
        why = ", ".join(f"{one.column}: {one.what}" for one in new.odd if one.what.endswith("no prediction"))
        raise UserError(f"{WHERE}: none of {len(dataset)} series can be predicted ({why})")
    made = some_of(dataset, rows)
    alike = len({series.shape for series in new.x}) == 1
    made.x = np.stack(new.x) if alike and not lies_on_disk(new.x) else list(new.x)
    made.channels, made.sampling_rate_hz = wanted.channels, wanted.rate_hz
    own = {name: unit for name, unit in dataset.units.items() if name not in dataset.channels}
    made.units = own | {name: unit for name, unit in wanted.units.items() if unit}
    return made, new.odd, rows


def _check_points(dataset: Any, reading: Mapping[str, Any]) -> None:
    """Refuses rows whose points stand in another order than the training's."""
    here, then = (list(where.get("points") or ()) for where in (getattr(dataset, "reading", {}), reading))
    if here != then and set(here) == set(then):
        raise UserError(f"{WHERE}: columns of points stand in another order than the training's; put them in it")


class _Bringing:
    """Brings a data set's series to the training's channels, units and rate, and says of each what was done.

    Args:
        dataset: The series.
        reading: How the training series were read.
        wanted: What is expected.

    Raises:
        UserError: a channel is missing or in another unit, or a rate is known that the training's was not.
    """

    def __init__(self, dataset: Any, reading: Mapping[str, Any], wanted: Expected) -> None:
        self.dataset, self.reading, self.wanted = dataset, reading, wanted
        self.own = _same(dataset.channels, wanted.channels)
        self.places = [dataset.channels.index(name) for name in self.own]
        self.headers: Sequence[Header] | None = getattr(dataset, "headers", None)  # of recordings, one each window
        self.steps: Sequence[float] | None = getattr(dataset, "steps", None) if reading.get("step") else None
        self.rate = None if self.steps else dataset.sampling_rate_hz
        units = {name: dataset.units.get(own, "") for name, own in zip(wanted.channels, self.own, strict=True)}
        told = [remark for name, unit in units.items() for remark in of_unit(name, unit, wanted.units[name])]
        self.of_all = [] if self.headers else [*told, *([] if self.steps else _of_rate(self.rate, wanted.rate_hz))]
        factors = [factor(unit, wanted.units[name]) or 1.0 for name, unit in units.items()]
        self.factors = np.array(factors, dtype=np.float32)[:, None]

    def brought(self, row: int) -> tuple[np.ndarray, list[Remark]]:
        """Returns a series as the model takes it, in the shape (channels, length), and what to remark of it."""
        series = np.asarray(self.dataset.x[row])[self.places] * self.factors
        if self.steps:
            series, remarks = at_step(series, self.steps[row], self.reading["step"])
            return series, [*remarks, *self.of_all]
        old, new = self.rate, self.wanted.rate_hz
        if old is not None and new is not None and old != new:
            series = np.stack([resampled(channel, old, new) for channel in series])
        if not self.headers:
            return series, self.of_all
        header, known = self._header(row), self.reading.get("rates_hz", ())
        return series, [*of_units(header, self.wanted), *of_rates(header, self.wanted, known)]

    def not_taken(self, row: int) -> list[str]:
        """Returns the channels of a series that the model does not take, as they are called there."""
        names = self._header(row).channels if self.headers else self.dataset.channels
        return [name for name in names if name not in {*self.own, *self.wanted.channels}]

    def _header(self, row: int) -> Header:
        """Returns the header of a window's recording, its channels called as in training."""
        assert self.headers is not None
        names = dict(zip(self.own, self.wanted.channels, strict=True))
        return replace(self.headers[row], channels=[names.get(name, name) for name in self.headers[row].channels])


def _of_rate(old: float | None, new: float | None) -> list[Remark]:
    """Returns what to remark of the rate that all series have."""
    if old is not None and new is None:
        raise UserError(
            f"{WHERE}: the series have a sampling rate ({old:g} Hz), but that of the training series is not known; "
            "train with dataset.sampling_rate_hz"
        )
    if old is None and new is not None:
        return [(SERIES, f"of an untold sampling rate, which is taken for {new:g} Hz")]
    return [] if old is None or new is None or old == new else [(SERIES, resampling(old, new))]


def _same(here: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Returns the channels that are those wanted, whatever their spelling.

    Raises:
        UserError: one is missing.
    """
    found = []
    for name in wanted:
        alike = [own for own in here if folded(own) == folded(name)]
        if name not in here and len(alike) != 1:
            raise UserError(
                f"{WHERE}: there is no channel '{name}', which the model needs (channels: {', '.join(here[:12])})"
            )
        found.append(name if name in here else alike[0])
    return found
