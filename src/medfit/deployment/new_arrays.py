"""New series in files of arrays and of sktime's text format."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medfit.data.datasets.series_arrays import Layout, signals_of
from medfit.data.datasets.series_layouts import until_end
from medfit.data.datasets.ts_file import read_ts
from medfit.data.readers.array_files import pick, read_arrays
from medfit.deployment.taken_series import Taken
from medfit.errors import UserError

WHERE = "predict.data"


def read_file(source: Path, reading: Mapping[str, Any], identifiers: Sequence[str] | None, taken: Taken) -> None:
    """Takes in the series of an ``.npz``, ``.npy``, ``.mat`` or HDF5 file.

    Args:
        source: The file.
        reading: How the training series were read.
        identifiers: Arrays of a value for each series; None for the patients', if it is there.
        taken: Takes them in.

    Raises:
        UserError: it can't be read, holds no such array, or one of other channels.
    """
    arrays = read_arrays(source, WHERE)
    name = reading.get("signals", "x")
    layout: Layout = reading.get("layout") or "channels_first"
    array = _unsqueezed(pick(arrays, name, source, "dataset.signals"), len(taken.wanted.channels), layout)
    x = signals_of({name: array}, name, source, layout)
    check_channels(x.shape[1], source, taken)
    patient = str(reading.get("patient"))
    names = [patient] * (patient in arrays) if identifiers is None else identifiers
    columns = {name: pick(arrays, name, source, "predict.id") for name in names}
    for name, values in columns.items():
        if values.size != len(x):
            raise UserError(f"predict.id: '{name}' in '{source.name}' has {values.size} values for {len(x)} series")
    for row, series in enumerate(until_end(x)[0]):
        taken.add(series, {name: values.reshape(-1)[row] for name, values in columns.items()}, untold_rate(reading))


def read_ts_file(source: Path, reading: Mapping[str, Any], identifiers: Sequence[str] | None, taken: Taken) -> None:
    """Takes in the series of a ``.ts`` file, with or without labels, as :func:`read_file` does."""
    if identifiers:
        raise UserError("predict.id: a .ts file has no columns; its series are told by their row")
    for series in read_ts(str(source), labelled=False).x:
        check_channels(len(series), source, taken)
        taken.add(series, {}, untold_rate(reading))


def _unsqueezed(array: np.ndarray, num_channels: int, layout: Layout) -> np.ndarray:
    """Returns an array with the axis of samples that a single one loses in MATLAB's files, of several channels."""
    if num_channels == 1:
        return array[None] if array.ndim == 1 else array
    return array[None] if array.ndim == 2 and array.shape[layout == "channels_last"] == num_channels else array


def check_channels(found: int, source: Path, taken: Taken) -> None:
    """Refuses another number of channels, of a format that does not name them.

    Raises:
        UserError: there are more or fewer than the model takes.
    """
    names = taken.wanted.channels
    if found != len(names):
        lacking = f"; there is no '{names[found]}'" if found < len(names) else ""
        raise UserError(
            f"{WHERE}: '{source.name}' has {found} channels, but the model takes {len(names)} in this order: "
            f"{', '.join(names)}{lacking}"
        )


def untold_rate(reading: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns what to remark where the training's files told their rate, and those of this format tell none."""
    target = str(reading.get("_target_", ""))
    told = target.endswith(("WfdbRecords", "EdfRecords", "DicomWaveforms"))
    return [("series", "of an untold sampling rate and unit, which are taken for the training's")] if told else []
