"""New patients' series, read as the training series were, without a target."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medfit.data.dataset import SeriesDataset
from medfit.data.readers.array_files import ENDINGS as ARRAYS
from medfit.data.readers.files import READERS as TABLES
from medfit.data.scratch import Held
from medfit.deployment import new_arrays, new_recordings, new_series_tables
from medfit.deployment.expected_series import Expected, expected, joined_series
from medfit.deployment.series_elsewhere import as_expected, settings_elsewhere, settings_of_any
from medfit.deployment.taken_series import NewSeries, Taken
from medfit.errors import UserError

__all__ = ["as_expected", "describe", "example", "joined", "read", "settings_elsewhere", "settings_of_any"]

TAKEN = (
    "_target_", "encoding", "decimal", "thousands", "missing_values", "missing_in", "missing_words", "sheet",
    "skip_rows", "parse", "header", "patient", "layout", "time", "signals", "window_s", "stride_s", "symbols",
    "before_s", "after_s", "annotator", "channel_names", "resample_hz", "memory_gib", "on_error",
)  # fmt: skip
MOST_MADE_UP = 50_000  # numbers of an example
Read = Callable[[Any, Mapping[str, Any], Sequence[str] | None, Taken], None]


def describe(dataset: SeriesDataset, train: np.ndarray, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a finished model must know to read new series; what JSON can hold.

    Args:
        dataset: That was learnt from.
        train: Numbers of the training series.
        settings: The config's ``dataset`` and ``preprocessing``.
    """
    given = settings["dataset"]
    reading = {key: given[key] for key in TAKEN if given.get(key) is not None} | getattr(dataset, "reading", {})
    return {"series": expected(dataset, train, settings["preprocessing"]), "reading": reading}


def joined(abouts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what several finished models must know together, to read series once for all of them.

    Args:
        abouts: As :func:`describe` gave them.

    Raises:
        UserError: they read series in different ways, or take series of different lengths.
    """
    if any(about["reading"] != abouts[0]["reading"] for about in abouts):
        raise UserError("trainings that read series in different ways make no ensemble")
    return {**abouts[0], "series": joined_series([about["series"] for about in abouts])}


def read(source: Path | pd.DataFrame, about: Mapping[str, Any], identifiers: Sequence[str] | None) -> NewSeries:
    """Returns new series.

    Args:
        source: A file or folder of any format of series that medfit reads; or rows, with a list of numbers in each
            channel's column, or as a table of the training's layout has them.
        about: As :func:`describe` gave it.
        identifiers: Columns that are passed on; None for the patient's of the training series, if it is there.

    Raises:
        UserError: a channel is missing, in another unit, or the source holds what the model can't take.
    """
    reading, wanted = about["reading"], Expected.of_values(about["series"])
    with _as_new(), Held(reading.get("memory_gib")) as held:
        taken = Taken(wanted, held)
        _reader(source, reading)(source, reading, identifiers, taken)
        return taken.series()


@contextmanager
def _as_new() -> Iterator[None]:
    """Tells what is wrong with a data set as what is wrong with the new series."""
    try:
        yield
    except UserError as error:
        told = re.sub(r"^dataset(\.path|\.root)?: ", "predict.data: ", str(error))
        raise UserError(re.sub(r"^(?=dataset\.)", "predict.data, read as the training data: ", told)) from error


def _reader(source: Path | pd.DataFrame, reading: Mapping[str, Any]) -> Read:
    """Returns what reads a source, by what it holds."""
    if isinstance(source, pd.DataFrame):
        return new_series_tables.read_rows
    if not source.exists():
        raise UserError(f"predict.data: there is no file or folder '{source}'")
    if source.is_dir():
        return new_recordings.read if new_recordings.holds(source, reading) else new_series_tables.read_folder_of
    suffix = source.suffix.lower()
    if source.stat().st_size == 0:
        raise UserError(f"predict.data: '{source.name}' is empty")
    if suffix == ".ts":
        return new_arrays.read_ts_file
    if suffix in ARRAYS:
        return new_arrays.read_file
    if suffix in TABLES or suffix == ".gz":
        return new_series_tables.read_file
    if new_recordings.holds(source, reading):
        return new_recordings.read
    known = ", ".join([".ts", *ARRAYS, *TABLES, *new_recordings.ENDINGS])
    raise UserError(f"predict.data: '{source.name}' holds no series; files of series end with {known}")


def example(about: Mapping[str, Any]) -> pd.DataFrame | None:
    """Returns two series as they may be given: made up from ranges, no patient's; None where they would be huge."""
    wanted = Expected.of_values(about["series"])
    if 2 * len(wanted.signals) * wanted.longest > MOST_MADE_UP:
        return None
    waves = np.sin(np.linspace(0, 8 * np.pi, wanted.longest))
    made = {
        signal.name: [((signal.low + signal.high) / 2 + sign * signal.least * waves).tolist() for sign in (1, -1)]
        for signal in wanted.signals
    }
    return pd.DataFrame(made)
