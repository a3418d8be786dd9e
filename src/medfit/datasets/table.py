"""A user's own table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from medfit.console import say
from medfit.datasets.files import read_table
from medfit.datasets.records import Records, encode, too_large
from medfit.errors import UserError, suggest

Kind = Literal["numeric", "categorical", "boolean"]
MOST_CLASSES = 10  # whole numbers with no more distinct values than this are classes
MOST_LEVELS = 20  # words with more distinct values than this, each a few times, are no categories
FEWEST_REPEATS = 5
SPLIT_WORDS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "holdout": "test",
}  # fmt: skip


class Table(Records):
    """The rows of a CSV, TSV, Parquet or Excel file; says what it inferred.

    Rows without a target are left out. One target column of two values is binary, of several values multiclass,
    of numbers (not whole, or more than ten different) regression; several columns are multilabel if each holds
    two values, else regression.

    Args:
        path: Of the file, relative to where the command is run.
        target: Its column, or several.
        patient: The column that says whose row it is; None where each row is a patient.
        exclude: Columns that are no features.
        split: The column that says ``train``, ``val`` or ``test``.
        kinds: Of columns whose kind is guessed wrong.
        target_kind: ``binary``, ``multiclass``, ``multilabel`` or ``regression``, where it is guessed wrong.
        positive: The positive value of a binary target; None for the larger of the two.
        units: Of columns.
        missing_values: Cells that mean "missing", besides empty ones and the usual words.
        decimal: The decimal mark of a text file.
        encoding: Of a text file.
    """

    def __init__(
        self,
        path: str,
        target: str | list[str],
        patient: str | None = None,
        exclude: Sequence[str] = (),
        split: str | None = None,
        kinds: Mapping[str, Kind] | None = None,
        target_kind: Literal["binary", "multiclass", "multilabel", "regression"] | None = None,
        positive: str | int | float | bool | None = None,
        units: Mapping[str, str] | None = None,
        missing_values: Sequence[str] = ("?",),
        decimal: Literal[".", ","] = ".",
        encoding: str = "utf-8",
    ) -> None:
        file = Path(path).expanduser()
        table = read_table(file, encoding=encoding, decimal=decimal, missing_values=missing_values)
        targets = [target] if isinstance(target, str) else list(target)
        reserved = [*targets, *([patient] if patient else []), *([split] if split else [])]
        _check_columns(
            table,
            {
                "target": targets,
                "patient": patient,
                "split": split,
                "exclude": exclude,
                "kinds": kinds or {},
                "units": units or {},
            },
        )
        table, num_without = _drop_without_target(table, targets)
        task = target_kind or infer_task(table[targets])
        _check_task(table[targets], task)
        y, names = encode(table[targets], task, positive)
        x = table.drop(columns=[*reserved, *exclude])
        all_kinds = {str(column): (kinds or {}).get(str(column)) or infer_kind(x[column]) for column in x}
        super().__init__(
            name=file.stem,
            x=_as_kinds(x, all_kinds),
            y=y,
            task=task,
            target_names=names,
            groups=_patients(table, patient),
            given_split=_given_split(table, split),
            kinds=all_kinds,
            units=units,
            source=f"{file.name}, the user's own",
        )
        self._tell(file, targets, num_without)

    def _tell(self, file: Path, targets: list[str], num_without: int) -> None:
        counts = pd.Series(list(self.kinds.values())).value_counts()
        columns = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        without = f"; {num_without} rows without a target left out" if num_without else ""
        say(f"{file.name}: {len(self)} rows of {len(np.unique(self.groups))} patients{without}; features: {columns}")
        shown = self.target_names if len(self.target_names) <= MOST_CLASSES else [f"{len(self.target_names)} classes"]
        say(f"target {', '.join(targets)}: {self.task} ({', '.join(shown)})")


def infer_task(targets: pd.DataFrame) -> str:
    """Returns the task that target columns call for; the rule is in :class:`Table`.

    Raises:
        UserError: numbers with words among them, or several columns that are neither labels nor numbers.
    """
    for name in targets:
        _check_numbers(targets[name], "dataset.target", "set dataset.target_kind=multiclass")
    distinct = [targets[column].nunique() for column in targets]
    numbers = [pd.api.types.is_numeric_dtype(targets[column]) for column in targets]
    if len(distinct) == 1:
        column = targets.iloc[:, 0]
        whole = numbers[0] and bool((column % 1 == 0).all()) if not pd.api.types.is_bool_dtype(column) else True
        if distinct[0] == 2:
            return "binary"
        return "regression" if numbers[0] and (not whole or distinct[0] > MOST_CLASSES) else "multiclass"
    if all(count == 2 for count in distinct):
        return "multilabel"
    if all(numbers):
        return "regression"
    raise UserError(
        "dataset.target: several targets must hold two values each (labels) or numbers; these are neither: "
        + ", ".join(
            str(c) for c, count, number in zip(targets, distinct, numbers, strict=True) if count != 2 and not number
        )
    )


def infer_kind(column: pd.Series) -> str:
    """Returns ``numeric``, ``categorical`` or ``boolean``.

    Raises:
        UserError: dates, lists, words that hardly repeat, or numbers with words among them.
    """
    name, known = column.name, column.dropna()
    if column.dtype.kind in "mM" or not known.map(pd.api.types.is_hashable).all():
        raise UserError(
            f"dataset: column '{name}' holds {'dates or times' if column.dtype.kind in 'mM' else 'lists'}; "
            f"leave it out with dataset.exclude=['{name}'] or turn it into a number"
        )
    if len(known) and _truth(known).notna().all():
        return "boolean"
    if _check_numbers(column, "dataset", f"set dataset.kinds.'{name}'=categorical"):
        return "numeric"
    if known.nunique() > max(MOST_LEVELS, len(known) / FEWEST_REPEATS):
        raise UserError(
            f"dataset: column '{name}' holds {known.nunique()} different words in {len(known)} rows, as a name or "
            f"number of a patient does; leave it out with dataset.exclude=['{name}'] or name it as dataset.patient"
        )
    return "categorical"


def _check_numbers(column: pd.Series, path: str, way_out: str) -> bool:
    """Returns whether a column holds nothing but numbers, and refuses one of numbers with words among them."""
    known = column.dropna()
    if pd.api.types.is_numeric_dtype(column) or column.dtype.kind in "mM":
        return column.dtype.kind not in "mM"
    readable = pd.to_numeric(known.astype(object), errors="coerce").notna()
    if len(known) and 0.5 < readable.mean() < 1:
        raise UserError(
            f"{path}: column '{column.name}' holds numbers but for {int((~readable).sum())} cells "
            f"(first in data row {_first_row(~readable)}); "
            f"mend them, name the words in dataset.missing_values, or {way_out}"
        )
    return bool(readable.all())


def _first_row(marked: pd.Series) -> int:
    """Returns the number of the first marked row below the file's header, from 1."""
    return int(marked.index[marked][0]) + 1


def _truth(column: pd.Series) -> pd.Series:
    """Returns 1 for yes, 0 for no, and NaN for all else."""
    words = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
    return column.astype(str).str.strip().str.lower().map(words)


def _as_kinds(x: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Returns numbers as float64 (boolean as 0 and 1) and categories as words, missing cells as NaN."""
    columns = {}
    for name in x:
        column = x[name]
        if kinds[str(name)] == "categorical":
            columns[name] = column.astype(object).where(column.notna(), np.nan).map(str, na_action="ignore")
            continue
        numbers = _truth(column) if kinds[str(name)] == "boolean" else pd.to_numeric(column, errors="coerce")
        wrong = numbers.isna() & column.notna()
        if wrong.any():
            raise UserError(
                f"dataset.kinds: {int(wrong.sum())} cells of column '{name}' are not {kinds[str(name)]} "
                f"(first in data row {_first_row(wrong)})"
            )
        columns[name] = numbers.astype(float)
        _check_finite(columns[name], "dataset")
    return pd.DataFrame(columns, index=x.index)


def _check_finite(column: pd.Series, path: str) -> None:
    wrong = too_large(column)
    if wrong.any():
        raise UserError(
            f"{path}: column '{column.name}' holds a value that is infinite or too large "
            f"(first in data row {_first_row(wrong)})"
        )


def _check_columns(table: pd.DataFrame, named: Mapping[str, Any]) -> None:
    for key, columns in named.items():
        for column in [columns] if isinstance(columns, str) else columns or ():
            if column not in table.columns:
                known = ", ".join(table.columns[:12]) + (", ..." if table.shape[1] > 12 else "")
                raise UserError(
                    f"dataset.{key}: there is no column '{column}'{suggest(column, table.columns)} (columns: {known})"
                )
    if not named["target"]:
        raise UserError("dataset.target: name at least one column")


def _drop_without_target(table: pd.DataFrame, targets: Sequence[str]) -> tuple[pd.DataFrame, int]:
    for target in targets:
        if table[target].isna().all():
            raise UserError(f"dataset.target: column '{target}' is empty")
    known = table[targets].notna().all(axis=1)
    kept = table[known]  # keeps the row numbers, for messages
    for target in targets:
        if kept[target].nunique() < 2:
            raise UserError(f"dataset.target: column '{target}' is constant; there is nothing to learn")
        if pd.api.types.is_numeric_dtype(kept[target]):
            _check_finite(kept[target].astype(float), "dataset.target")
    return kept, int((~known).sum())


def _check_task(targets: pd.DataFrame, task: str) -> None:
    if task in ("binary", "multiclass") and targets.shape[1] > 1:
        raise UserError(f"dataset.target_kind: {task} takes one target column, not {targets.shape[1]}")
    for column in targets:
        if task in ("binary", "multilabel") and targets[column].nunique() != 2:
            raise UserError(
                f"dataset.target_kind: {task} needs two values in '{column}', not {targets[column].nunique()}"
            )
        if task == "regression" and not pd.api.types.is_numeric_dtype(targets[column]):
            raise UserError(f"dataset.target_kind: regression needs numbers in '{column}'")


def _patients(table: pd.DataFrame, patient: str | None) -> np.ndarray | None:
    if patient is None:
        return None
    if table[patient].isna().any():
        row = _first_row(table[patient].isna())
        raise UserError(f"dataset.patient: column '{patient}' is missing in data row {row}")
    return table[patient].astype(str).str.strip().to_numpy(dtype=str)  # a stray space makes no second patient


def _given_split(table: pd.DataFrame, split: str | None) -> np.ndarray | None:
    if split is None:
        return None
    words = table[split].astype(str).str.strip().str.lower()
    named = words.map(SPLIT_WORDS)
    if named.isna().any():
        row = _first_row(named.isna())
        raise UserError(f"dataset.split: column '{split}', data row {row}: expected train, val or test")
    return named.to_numpy(dtype=str)
