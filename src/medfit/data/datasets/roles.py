"""The columns of a user's table that are no features: targets, patient and split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medfit.data.datasets.records import encode, too_large
from medfit.data.datasets.spelled_numbers import refuse
from medfit.data.readers.files import first_row
from medfit.errors import UserError, suggest

MOST_CLASSES = 10  # whole numbers with no more distinct values than this are classes
SPLIT_WORDS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "holdout": "test",
}  # fmt: skip


def take_roles(
    table: pd.DataFrame,
    target: str | list[str],
    patient: str | None,
    split: str | None,
    target_kind: str | None,
    positive: Any,
) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Takes targets, patient and split out of a table; rows without a target are left out.

    Returns:
        The other columns, what :class:`medfit.data.datasets.samples.Samples` takes of the roles, and what to say of
        them.

    Raises:
        UserError: a column that is not there, or does not fit its role.
    """
    targets = [target] if isinstance(target, str) else list(target)
    check_columns(table, {"target": targets, "patient": patient, "split": split})
    if not targets:
        raise UserError("dataset.target: name at least one column")
    table, num_without = _drop_without_target(table, targets)
    task = target_kind or infer_task(table[targets])
    _check_task(table[targets], task)
    y, names = encode(table[targets], task, positive)
    groups = _patients(table, patient)
    about = {"y": y, "task": task, "target_names": names, "groups": groups, "given_split": _given_split(table, split)}
    about["excluded"] = {"no target": num_without}
    rest = table.drop(columns=[*targets, *([patient] if patient else []), *([split] if split else [])])
    return rest, about, _told(targets, about, num_without)


def _told(targets: Sequence[str], about: Mapping[str, Any], num_without: int) -> str:
    num_rows = len(about["y"])
    num_patients = num_rows if about["groups"] is None else len(np.unique(about["groups"]))
    without = f" ({num_without} more have no target)" if num_without else ""
    names = about["target_names"]
    shown = ", ".join(names) if len(names) <= MOST_CLASSES else f"{len(names)} classes"
    return (
        f"{num_rows} rows of {num_patients} patients{without}; target {', '.join(targets)}: {about['task']} ({shown})"
    )


def infer_task(targets: pd.DataFrame) -> str:
    """Returns the task that target columns call for; the rule is in :class:`Table`.

    Raises:
        UserError: numbers with words among them, or several columns that are neither labels nor numbers.
    """
    for name in targets:
        check_numbers(targets[name], "dataset.target", "set dataset.target_kind=multiclass")
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
            check_finite(kept[target].astype(float), "dataset.target")
    return kept, int((~known).sum())


def _patients(table: pd.DataFrame, patient: str | None) -> np.ndarray | None:
    if patient is None:
        return None
    if table[patient].isna().any():
        row = first_row(table[patient].isna())
        raise UserError(f"dataset.patient: column '{patient}' is missing in data row {row}")
    return table[patient].astype(str).str.strip().to_numpy(dtype=str)  # a stray space makes no second patient


def _given_split(table: pd.DataFrame, split: str | None) -> np.ndarray | None:
    if split is None:
        return None
    words = table[split].astype(str).str.strip().str.lower()
    named = words.map(SPLIT_WORDS)
    if named.isna().any():
        row = first_row(named.isna())
        raise UserError(f"dataset.split: column '{split}', data row {row}: expected train, val or test")
    return named.to_numpy(dtype=str)


def check_columns(table: pd.DataFrame, named: Mapping[str, Any]) -> None:
    """Refuses the name of a column that is not there, with the nearest that is."""
    for key, columns in named.items():
        for column in [columns] if isinstance(columns, str) else columns or ():
            if column not in table.columns:
                known = ", ".join(table.columns[:12]) + (", ..." if table.shape[1] > 12 else "")
                raise UserError(
                    f"dataset.{key}: there is no column '{column}'{suggest(column, table.columns)} (columns: {known})"
                )


def check_numbers(column: pd.Series, path: str, way_out: str) -> bool:
    """Returns whether a column holds nothing but numbers; refuses numbers in words, and with words among them."""
    known = column.dropna()
    if pd.api.types.is_numeric_dtype(column) or column.dtype.kind in "mM":
        return column.dtype.kind not in "mM"
    refuse(column, path, way_out)
    readable = pd.to_numeric(known.astype(object), errors="coerce").notna()
    if len(known) and 0.5 < readable.mean() < 1:
        raise UserError(
            f"{path}: column '{column.name}' holds numbers but for {int((~readable).sum())} cells "
            f"(first in data row {first_row(~readable)}); "
            f"mend them, name the words in dataset.missing_values, or {way_out}"
        )
    return bool(readable.all())


def check_finite(column: pd.Series, path: str) -> None:
    """Refuses infinite values and those beyond float32."""
    wrong = too_large(column)
    if wrong.any():
        raise UserError(
            f"{path}: column '{column.name}' holds a value that is infinite or too large "
            f"(first in data row {first_row(wrong)})"
        )
