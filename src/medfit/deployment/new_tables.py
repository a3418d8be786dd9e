"""New patients' rows, read as the training rows were, without a target."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medfit.config.overrides import as_override
from medfit.data.dataset import TableDataset, TableRows
from medfit.data.datasets.spelled_numbers import parsed
from medfit.data.datasets.table import as_numbers
from medfit.data.readers.cells import as_words, cleaned
from medfit.data.readers.files import first_row, read_table
from medfit.deployment.expected_columns import Column, Oddity, as_known, expected, joined_columns, oddities
from medfit.deployment.new_samples import NewSamples
from medfit.errors import UserError, renamed

READING = ("encoding", "decimal", "thousands", "missing_values", "missing_in", "missing_words", "sheet", "skip_rows")
CLEANING = ("decimal", "thousands", "missing_values", "missing_in", "missing_words")
PATH = "dataset.path"  # under which the reader tells what is wrong with a file
DEFAULTS = {  # of data sets that are read by no settings
    "encoding": "utf-8",
    "decimal": ".",
    "missing_values": ("?",),
    "parse": {},
}
HOLDS = {  # settings: what the preprocessing keeps of single patients' numbers
    ("missing", "knn"): "the numeric columns of all training rows (preprocessing.missing=knn)",
    ("scaling", "min_max"): "the least and the greatest value of each numeric column (preprocessing.scaling=min_max)",
    (
        "scaling",
        "quantile",
    ): "quantiles of each numeric column, the least and the greatest value among them: a tenth "
    "as many as training rows, 10 to 1,000 (preprocessing.scaling=quantile)",
}
LARGEST = 1e30  # beyond, what is made of a number is no number that a network takes


@dataclass(frozen=True)
class NewTable(NewSamples):
    """New rows, as the preprocessing takes them.

    Args:
        x: A column each feature.
        kinds: Of the columns.
        **kwargs: As :class:`NewSamples` takes them.
    """

    x: pd.DataFrame
    kinds: dict[str, str]

    def some(self, rows: np.ndarray) -> TableRows:
        """Returns some of the rows."""
        return _Rows(self.x.iloc[rows], self.kinds)


@dataclass
class _Rows:
    x: pd.DataFrame
    kinds: dict[str, str]


def describe(dataset: TableDataset, train: np.ndarray, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a finished model must know to read new rows; what JSON can hold.

    Args:
        dataset: That was learnt from.
        train: Numbers of the training rows.
        settings: The config's ``dataset`` and ``preprocessing``.
    """
    given, prepared = settings["dataset"], settings["preprocessing"]
    numeric = any(dataset.kinds[name] == "numeric" for name in dataset.x)  # others are held by no preprocessing
    reading = {key: given[key] for key in (*READING, "parse", "fold_case", "patient") if given.get(key) is not None}
    return {
        "columns": expected(dataset.x.iloc[train], dataset.kinds, dataset.units),
        "reading": {**DEFAULTS, **reading},
        "drop_missing": prepared.get("missing") == "drop",
        "holds": [words for (key, choice), words in HOLDS.items() if numeric and prepared.get(key) == choice],
    }


def joined(abouts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what several finished models must know together, to read rows once for all of them.

    Args:
        abouts: As :func:`describe` gave them.

    Raises:
        UserError: they read files in different ways.
    """
    first = abouts[0]
    if any(about["reading"] != first["reading"] for about in abouts):
        raise UserError("trainings that read files in different ways make no ensemble")
    columns = joined_columns([about["columns"] for about in abouts])
    return {**first, "columns": columns, "drop_missing": any(about["drop_missing"] for about in abouts)}


def read(source: Path | pd.DataFrame, about: Mapping[str, Any], identifiers: Sequence[str] | None) -> NewTable:
    """Returns new rows.

    Args:
        source: A file of any format that ``dataset=table`` reads, or its rows.
        about: As :func:`describe` gave it.
        identifiers: Columns that are passed on; None for the patient's of the training rows, if it is there.

    Raises:
        UserError: a column is missing, in another unit, or holds what the model can't take.
    """
    reading, columns = about["reading"], [Column(**column) for column in about["columns"]]
    wanted = list(identifiers if identifiers is not None else filter(None, [reading.get("patient")]))
    with (
        renamed("dataset.", "predict.data, read as the training data: dataset."),
        renamed(f"{PATH}: ", "predict.data: "),
    ):
        features = {column.name for column in columns}
        own = [name for name in wanted if name not in features]
        table = _table(source, reading, [*own, *_as_written(columns, reading)])
        if identifiers is None:
            wanted = [name for name in wanted if name in table]
        if lacking := [name for name in wanted if name not in table]:
            raise UserError(f"predict.id: there is no column '{lacking[0]}'")
        rows, unknown = _features(table.drop(columns=[name for name in own if name in table]), columns, reading)
    x = pd.DataFrame({column.name: _cells(rows[column.name], column, reading) for column in columns})
    usable = x.notna().all(axis=1).to_numpy() if about["drop_missing"] else np.ones(len(x), dtype=bool)
    kinds = {column.name: column.kind for column in columns}
    return NewTable(
        identifiers=table[wanted].reset_index(drop=True),
        usable=usable,
        odd=[*unknown, *oddities(x, columns)],
        x=x,
        kinds=kinds,
    )


def _features(
    rows: pd.DataFrame, columns: Sequence[Column], reading: Mapping[str, Any]
) -> tuple[pd.DataFrame, list[Oddity]]:
    """Returns rows with all features, and what of their spelling the model does not know."""
    names = [column.name for column in columns]
    unknown: list[Oddity] = []
    ways = reading["parse"]
    words = [name for name in ways if name in rows and not pd.api.types.is_numeric_dtype(rows[name])]
    rows, units = parsed(rows, {name: ways[name] for name in words}, reading["decimal"], reading.get("thousands"))
    _check_units(units, columns)
    for flag, name in ((f"{name} {word}", name) for name in ways if name in rows for word in ("below", "above")):
        if flag in names and flag not in rows:  # no new row has a limit
            rows[flag] = rows[name].mask(rows[name].notna(), 0.0)
        elif flag in rows and flag not in names and name in words:
            beyond = rows[flag].to_numpy() == 1
            unknown.append(Oddity(name, f"a limit {flag[-5:]} which a value lies, as no training row had", beyond))
    if lacking := [name for name in names if name not in rows]:
        raise UserError(f"predict.data: there is no column {', '.join(map(repr, lacking))}, which the model needs")
    return rows, unknown


def _check_units(units: Mapping[str, str], columns: Sequence[Column]) -> None:
    for column in columns:
        if column.unit and units.get(column.name, column.unit) != column.unit:
            raise UserError(
                f"predict.data: column '{column.name}' is in {units[column.name]}, the training data in {column.unit}"
            )


def settings_elsewhere(settings: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings under which a table with the model's columns, and any others, is a data set.

    The kinds of columns are the training's; what is no feature of the model is left out, and so is what is all missing.

    Args:
        settings: The training's of the data set, with the new ``path``.
        about: As :func:`describe` gave it.
    """
    if settings.get("parse") is None and "exclude" not in settings:
        return dict(settings)  # of a data set that is read by no such settings
    reading = {key: settings[key] for key in READING if settings.get(key) is not None}
    table = read_table(Path(str(settings["path"])).expanduser(), **reading)
    rule, targets = settings.get("target_rule"), settings.get("target")
    apart = {settings.get("patient"), *([targets] if isinstance(targets, str) else targets or ())}
    needed = {column["name"] for column in about["columns"]} | {*(settings.get("parse") or ())}
    features = [name for name in table if name in needed and name not in apart and table[name].notna().any()]
    asked = {*apart, max((name for name in table if rule and rule.startswith(str(name))), key=len, default=None)}
    own = {key: _of_columns(settings.get(key), table) for key in ("units", "parse", "missing_in")}
    kinds = {column["name"]: column["kind"] for column in about["columns"] if column["name"] in features}
    unasked = [str(name) for name in table if name not in asked and name not in features]
    return {**settings, **own, "kinds": kinds, "exclude": unasked, "split": None}


def _of_columns(settings: Mapping[str, Any] | None, table: pd.DataFrame) -> dict[str, Any]:
    return {name: value for name, value in (settings or {}).items() if name in table}


def as_expected(
    dataset: TableDataset, about: Mapping[str, Any], absent: Sequence[str]
) -> tuple[TableDataset, list[Oddity], np.ndarray]:
    """Returns a data set with the model's columns alone, as the preprocessing takes them, what is odd, and all rows.

    Args:
        dataset: Any table.
        about: As :func:`describe` gave it.
        absent: Columns that are known to be missing there, and are filled as training filled missing cells.

    Raises:
        UserError: a column is missing, in another unit, or holds what the model can't take.
    """
    columns = [Column(**column) for column in about["columns"]]
    names, here = [column.name for column in columns], dataset.x
    if wrong := [name for name in absent if name not in names or name in here]:
        why = "the new data have it" if wrong[0] in here else "the model takes no such column"
        raise UserError(f"validate.absent: '{wrong[0]}': {why}")
    if lacking := [name for name in names if name not in here and name not in absent]:
        raise UserError(
            f"validate.data: there is no column {', '.join(map(repr, lacking))}, which the model needs; "
            f"validate.absent={as_override(lacking)} fills such columns as training filled missing cells"
        )
    empty = pd.Series(np.nan, index=here.index)
    with renamed("predict.data", "validate.data"):
        _check_units(dataset.units, columns)
        x = pd.DataFrame({c.name: _cells(here.get(c.name, empty.rename(c.name)), c, about["reading"]) for c in columns})
    made: Any = copy(dataset)
    made.x, made.kinds = x.reset_index(drop=True), {column.name: column.kind for column in columns}
    return made, list(oddities(made.x, columns)), np.arange(len(made.x))


def example(about: Mapping[str, Any]) -> pd.DataFrame:
    """Returns two rows as they may be given: made up from ranges and levels, no patient's."""
    return pd.DataFrame({c.name: _made_up(c) for c in (Column(**column) for column in about["columns"])})


def _made_up(column: Column) -> list[Any]:
    if column.kind == "categorical":
        return [column.levels[0], column.levels[-1]]
    assert column.low is not None and column.high is not None
    return [column.low, column.high] if column.kind == "boolean" else [(column.low + column.high) / 2] * 2


def _as_written(columns: Sequence[Column], reading: Mapping[str, Any]) -> list[str]:
    """Returns the columns of words: what a cell of theirs means must not hang on the other rows that came with it."""
    return [column.name for column in columns if column.kind == "categorical" and column.name not in reading["parse"]]


def _table(source: Path | pd.DataFrame, reading: Mapping[str, Any], words: Sequence[str]) -> pd.DataFrame:
    if isinstance(source, Path):
        settings = {key: reading[key] for key in READING if key in reading}
        return read_table(source, words=words, **settings)
    if not isinstance(source, pd.DataFrame):
        raise UserError(f"{PATH}: a file or a table's rows are needed, not {type(source).__name__}")
    if len(source) == 0:
        raise UserError(f"{PATH}: there are no rows")
    table = source.rename(columns=str).reset_index(drop=True)
    _check_frame(table)
    own = table[[name for name in words if name in table]]
    rest = cleaned(table.drop(columns=own.columns), **{key: reading[key] for key in CLEANING if key in reading})
    return pd.concat([own, rest], axis=1)


def _cells(cells: pd.Series, column: Column, reading: Mapping[str, Any]) -> pd.Series:
    if column.kind == "categorical":
        marks = [*reading["missing_values"], *reading.get("missing_in", {}).get(column.name, ())]
        numbers = reading["decimal"], reading.get("thousands")
        words = as_words(cells, marks, reading.get("missing_words", True), *numbers)
        return as_known(words, column, bool(reading.get("fold_case")), *numbers)
    numbers = as_numbers(cells, column.kind, "predict.data")
    if (beyond := numbers.abs() > LARGEST).any():
        raise UserError(
            f"predict.data: {int(beyond.sum())} cells of column '{column.name}' are infinite or beyond {LARGEST:g} "
            f"(first in data row {first_row(beyond)})"
        )
    return numbers


def _check_frame(table: pd.DataFrame) -> None:
    """Refuses rows that no file could hold."""
    if twice := table.columns[table.columns.duplicated()].tolist():
        raise UserError(f"{PATH}: there are two columns named '{twice[0]}'")
    for name in table:
        if table[name].dtype == object and not table[name].map(pd.api.types.is_hashable).all():
            raise UserError(f"{PATH}: column '{name}' holds lists or mappings, not numbers or words")
