"""What every data set of records offers: the contract between data and the rest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medfit.errors import UserError

KINDS = ("numeric", "categorical", "boolean")


class Records:
    """Samples of a table: features as columns of mixed kinds, one target or several.

    Args:
        name: Of the data set; names the MLflow experiment where no experiment is named.
        x: The features, a column each.
        y: The targets as ``encode`` returns them.
        task: The task that the targets call for.
        target_names: Of the positive class, the classes, the labels or the targets.
        groups: The patient of each row; None where each row is a patient.
        given_split: ``train``, ``val`` or ``test`` for each row; None to divide at random.
        kinds: Of the features: ``numeric``, ``categorical`` or ``boolean``.
        units: Of features and targets, where they have one.
        source: Where the data come from, with their licence.

    Attributes:
        strata: Each row's class for stratified splits, None where the target has none.
    """

    def __init__(
        self,
        *,
        name: str,
        x: pd.DataFrame,
        y: np.ndarray,
        task: str,
        target_names: Sequence[str],
        groups: np.ndarray | None = None,
        given_split: np.ndarray | None = None,
        kinds: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
        source: str = "",
    ) -> None:
        self.name, self.x, self.y, self.task, self.source = name, x.reset_index(drop=True), y, task, source
        self.target_names = [str(target) for target in target_names]
        self.groups = np.arange(len(x)) if groups is None else np.asarray(groups)
        self.given_split = given_split
        self.kinds = dict(kinds) if kinds is not None else dict.fromkeys(x.columns, "numeric")
        self.units = dict(units or {})
        self.strata = _strata(task, y)
        _check_features(self.x, self.kinds)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[pd.Series, np.ndarray]:
        return self.x.iloc[index], self.y[index]

    def schema(self) -> list[dict[str, str]]:
        """Returns the columns' names, kinds and units; no values."""
        features = [{"name": str(column), "kind": self.kinds[column], "role": "feature"} for column in self.x]
        targets = [{"name": target, "kind": self.task, "role": "target"} for target in self.target_names]
        return [{**column, "unit": self.units.get(column["name"], "")} for column in features + targets]

    def fingerprint(self) -> str:
        """Returns a hash of all values, names, kinds, given splits and of which rows are one patient's."""
        digest = hashlib.sha256(json.dumps(self.schema()).encode())
        digest.update(pd.util.hash_pandas_object(self.x, index=False).to_numpy().tobytes())
        digest.update(np.ascontiguousarray(self.y).tobytes())
        # patients by number, so that the same ones under other names are the same data
        digest.update(pd.factorize(np.asarray(self.groups))[0].astype("<i8").tobytes())
        if self.given_split is not None:
            digest.update(" ".join(self.given_split).encode())
        return digest.hexdigest()


def encode(targets: pd.DataFrame, task: str, positive: Any = None) -> tuple[np.ndarray, list[str]]:
    """Returns the targets as arrays and the names of what the network puts out.

    Binary and multilabel targets become float32 of 0 and 1 in the shape (rows, labels), regression float32
    (rows, targets), multiclass int64 (rows,).

    Args:
        targets: A column each, without missing cells.
        task: ``binary``, ``multiclass``, ``multilabel`` or ``regression``.
        positive: The positive value of a binary target; None for the larger of the two.
    """
    names = [str(column) for column in targets]
    if task == "regression":
        return targets.to_numpy(dtype=np.float32), names
    if task == "multiclass":
        classes, codes = np.unique(_values(targets.iloc[:, 0]), return_inverse=True)
        return codes.astype(np.int64), [_label(value) for value in classes.tolist()]
    columns = []
    for name in targets:
        values = np.unique(_values(targets[name])).tolist()
        top = values[-1] if positive is None else positive
        if _label(top) not in map(_label, values):
            raise UserError(f"dataset.positive: '{name}' has no such value")
        columns.append((targets[name].map(_label) == _label(top)).to_numpy())
    if task == "binary":
        top_label = _label(np.unique(_values(targets.iloc[:, 0]))[-1].item() if positive is None else positive)
        plain = top_label in {"1", "True", "true", "yes", "Yes"}
        names = names if plain else [f"{names[0]}: {top_label}"]
    return np.stack(columns, axis=1).astype(np.float32), names


def _values(column: pd.Series) -> np.ndarray:
    """Returns numbers as they are, and all else as words, which have an order even where they are mixed."""
    return column.to_numpy() if pd.api.types.is_numeric_dtype(column) else column.map(_label).to_numpy(dtype=str)


def _label(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _strata(task: str, y: np.ndarray) -> np.ndarray | None:
    if task == "multiclass":
        return y
    return y[:, 0].astype(int) if task == "binary" else None


def _check_features(x: pd.DataFrame, kinds: Mapping[str, str]) -> None:
    if x.shape[1] == 0:
        raise UserError("dataset: no feature columns are left")
    for column in x:
        if x[column].isna().all():
            raise UserError(
                f"dataset: column '{column}' is all missing; leave it out with dataset.exclude=['{column}']"
            )
        if kinds[column] != "categorical":
            try:
                values = x[column].to_numpy(dtype=float, na_value=np.nan)
            except (TypeError, ValueError):  # whose message would tell the value
                raise UserError(f"dataset: column '{column}' is not {kinds[column]}") from None
            if too_large(values).any():
                raise UserError(f"dataset: column '{column}' holds a value that is infinite or too large")


def too_large(values: np.ndarray) -> np.ndarray:
    """Marks infinite values, and those that a float32 can't hold."""
    return np.abs(values) > np.finfo(np.float32).max
