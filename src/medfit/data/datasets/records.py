"""Data sets of records: tables of mixed columns."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from medfit.data.dataset import TableDataset
from medfit.data.datasets.samples import Samples
from medfit.data.kinds.table import TableKind
from medfit.errors import UserError

KINDS = ("numeric", "categorical", "boolean")


class Records(Samples):
    """Samples of a table: features as columns of mixed kinds, one target or several.

    Args:
        x: The features, a column each.
        kinds: Of the features: ``numeric``, ``categorical`` or ``boolean``; None where all are numeric.
        **about: As :class:`Samples` takes them.
    """

    kind = TableKind()
    x: pd.DataFrame

    def __init__(self, *, x: pd.DataFrame, kinds: Mapping[str, str] | None = None, **about: Any) -> None:
        super().__init__(**about)
        self.x = x.reset_index(drop=True)
        self.kinds = dict(kinds) if kinds is not None else dict.fromkeys(x.columns, "numeric")
        _check_features(self.x, self.kinds)

    def __getitem__(self, index: int) -> tuple[pd.Series, np.ndarray]:
        return self.x.iloc[index], self.y[index]

    def features(self) -> list[dict[str, str]]:
        """Returns the columns' names and kinds; no values."""
        return [{"name": str(column), "kind": self.kinds[column]} for column in self.x]

    def tables(self) -> list[pd.DataFrame]:
        """Returns what is known of each sample: its facts and its features."""
        return [self.facts, self.x]

    def contents(self) -> Iterator[bytes]:
        """Yields a hash of each row."""
        yield pd.util.hash_pandas_object(self.x, index=False).to_numpy().tobytes()


_CONTRACT: type[TableDataset] = Records  # checked by mypy


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
