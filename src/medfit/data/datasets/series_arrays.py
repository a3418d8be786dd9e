"""A user's own time series in a file of arrays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Unpack

import numpy as np
import pandas as pd
from pydantic import Field

from medfit.data.datasets import suspects
from medfit.data.datasets.options import Options, TableReader
from medfit.data.datasets.series import Series, points
from medfit.data.datasets.series_layouts import FEWEST_POINTS, until_end
from medfit.data.readers.array_files import pick, read_arrays
from medfit.errors import UserError
from medfit.terminal.console import say

Layout = Literal["channels_first", "channels_last"]
PART = " part"  # a column of our own; the space keeps clear of the user's own


class SeriesArrays(Series):
    """The series of an ``.npz``, ``.npy``, ``.mat`` or HDF5 file: an array of signals, with targets.

    Targets, patients and splits are arrays of the same file, or columns of a table with a row for each series. Where
    all that follows is missing (NaN), a series ends.

    Args:
        path: Of the file, relative to where the command is run.
        target: The array or the column of targets, or several; an array may hold several targets side by side. With
            ``target_rule`` the array that the rule asks of.
        test_path: Of a second file with the same arrays, whose series are the test split.
        labels: A table with a row for each series, in their order; None where the file itself holds the targets.
        signals: The array of signals, (samples, time) or with channels; an ``.npy`` file's is named ``x``, that in a
            group of an HDF5 file or a structure of MATLAB 7.3 ``group/x``.
        layout: ``channels_first`` for (samples, channels, time), ``channels_last`` for (samples, time, channels); None
            for the former, if there are more points than channels, and eight at least.
        patient: The array or column that says whose series it is; None where each series is a patient's.
        split: The array or column that says ``train``, ``val`` or ``test``.
        channels: Their names; None for ``channel 1`` and so on, or ``signal`` where there is but one.
        sampling_rate_hz: None where it is not known.
        units: Of channels and targets.
        **options: Of the table, and of the targets, as :class:`medfit.data.datasets.options.Options` describes them.
    """

    def __init__(
        self,
        path: str,
        target: str | list[str] = "y",
        test_path: str | None = None,
        labels: str | None = None,
        signals: str = "x",
        layout: Layout | None = None,
        patient: str | None = None,
        split: str | None = None,
        channels: Sequence[str] | None = None,
        sampling_rate_hz: Annotated[float, Field(gt=0)] | None = None,
        units: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        if test_path and (labels or split):
            raise UserError("dataset.test_path: dataset.labels or dataset.split says which series are for testing")
        reader, targets = TableReader(**options), [target] if isinstance(target, str) else list(target)
        roles = {"target": targets, "patient": [patient] if patient else [], "split": [split] if split else []}
        files = {"dataset.path": path} | ({"dataset.test_path": test_path} if test_path else {})
        held = {where: read_arrays(Path(name).expanduser(), where) for where, name in files.items()}
        parts = [signals_of(arrays, signals, Path(files[where]), layout) for where, arrays in held.items()]
        if len({part.shape[1:] for part in parts}) > 1:
            raise UserError(
                f"dataset.test_path: series of {parts[1].shape[1:]}, but of {parts[0].shape[1:]} in '{path}'"
            )
        if labels is None:
            tables = [
                _columns(arrays, roles, Path(files[where]), len(part))
                for (where, arrays), part in zip(held.items(), parts, strict=True)
            ]
        else:
            tables = [_labels(labels, reader, len(parts[0]))]
        table = pd.concat(tables, ignore_index=True)
        if test_path:
            table, split = table.assign(**{PART: np.repeat(["train", "test"], [*map(len, parts)])}), PART
        if labels is None:
            targets = [name for name in table if name not in (patient, split)]
        table, targets, found_units = reader.ask(table, None if reader.by_rule else targets, [patient, split])
        rest, about, told = reader.roles(table, targets, patient, split)
        every = parts[0] if len(parts) == 1 else np.concatenate(parts)
        x, ends = until_end(every[rest.index])
        names = channels or (["signal"] if every.shape[1] == 1 else [f"channel {n + 1}" for n in range(every.shape[1])])
        file = Path(path).expanduser()
        about |= {"name": file.stem.removesuffix("_TRAIN"), "source": f"{file.name}, the user's own"}
        about["units"] = found_units | dict(units or {})
        super().__init__(x=x, channels=names, sampling_rate_hz=sampling_rate_hz, facts=rest, **about)
        say(f"{file.name}: {told}; series of {len(names)} x {points(x)} points{ends}")
        suspects.tell(table[targets])


def signals_of(arrays: Mapping[str, np.ndarray], name: str, file: Path, layout: Layout | None) -> np.ndarray:
    """Returns the signals as float32 (samples, channels, time)."""
    x = pick(arrays, name, file, "dataset.signals")
    if x.dtype.kind not in "biuf" or x.ndim not in (2, 3) or 0 in x.shape:
        raise UserError(
            f"dataset.signals: '{name}' in '{file.name}' is {x.dtype} {x.shape}, not numbers as (samples, time), or "
            "with channels"
        )
    x = x[:, None] if x.ndim == 2 else x.transpose(0, 2, 1) if layout == "channels_last" else x
    if layout is None and (x.shape[2] < FEWEST_POINTS or x.shape[1] >= x.shape[2]):
        raise UserError(
            f"dataset.layout: '{name}' would be series of {x.shape[1]} channels x {x.shape[2]} points; say which it is "
            "with dataset.layout=channels_first or channels_last"
        )
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused later
        return x.astype(np.float32, copy=False)


def _columns(
    arrays: Mapping[str, np.ndarray], roles: Mapping[str, Sequence[str]], file: Path, num_samples: int
) -> pd.DataFrame:
    """Returns the arrays of targets, patients and splits as columns, several of an array that holds several."""
    columns: dict[str, np.ndarray] = {}
    for role, names in roles.items():
        for name in names:
            values = pick(arrays, name, file, f"dataset.{role}")
            if values.ndim > 2 or len(values) != num_samples or (role != "target" and values.size != num_samples):
                raise UserError(
                    f"dataset.{role}: '{name}' in '{file.name}' is {values.shape}, not a value for each of "
                    f"{num_samples} series"
                )
            values = values.reshape(num_samples, -1)
            plain = values.shape[1] == 1
            columns |= {(name if plain else f"{name} {i + 1}"): values[:, i] for i in range(values.shape[1])}
    return pd.DataFrame(columns)


def _labels(labels: str, reader: TableReader, num_samples: int) -> pd.DataFrame:
    table = reader.read(labels, "labels")
    if len(table) != num_samples:
        raise UserError(f"dataset.labels: '{labels}' has {len(table)} rows, but there are {num_samples} series")
    return table
