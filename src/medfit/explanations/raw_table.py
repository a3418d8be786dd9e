"""A table as it was read, as one matrix of numbers, and the way from there to the network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from medfit.data.dataset import TableDataset
from medfit.data.preprocessing.table import FittedTable


class RawTable:
    """Features in their own units, which methods may change, and what the preprocessing makes of them.

    Numbers stay as they are, NaN where one is missing. Each other feature holds numbers of its levels, the last of
    which is missing.

    Args:
        dataset: A table.
        fitted: What the run's preprocessing has learnt from the training rows.
        train: Numbers of the training rows.

    Attributes:
        names: Of the features.
        levels: Of the features that are not numeric, by place.
        matrix: All samples, in the shape (samples, features).
        typical: Each feature's training mean, or its commonest level.
    """

    def __init__(self, dataset: TableDataset, fitted: FittedTable, train: np.ndarray) -> None:
        self.x: pd.DataFrame = dataset.x
        self.names = [str(column) for column in self.x]
        self.numeric = [dataset.kinds[column] == "numeric" for column in self.x]
        self.steps = fitted.steps
        self.levels = {
            place: sorted(self.x[column].dropna().unique().tolist(), key=str)
            for place, column in enumerate(self.x)
            if not self.numeric[place]
        }
        self.matrix = np.column_stack([self._encode(place) for place in range(len(self.names))])
        self.typical = np.array([self._typical(self.matrix[train, place], place) for place in range(len(self.names))])

    def frame(self, matrix: np.ndarray) -> pd.DataFrame:
        """Returns rows of the matrix as a table like the one that was read."""
        columns = [self._decode(matrix[:, place], place) for place in range(len(self.names))]
        return pd.DataFrame(dict(zip(self.x.columns, columns, strict=True)))

    def prepared(self, matrix: np.ndarray) -> Tensor:
        """Returns rows as the network sees them."""
        return _as_tensor(self.steps.transform(self.frame(matrix)))

    def columns(self, matrix: np.ndarray) -> Tensor:
        """Returns rows as the columns that are left before a projection by PCA."""
        return _as_tensor(
            (self.steps[:-1] if "pca" in self.steps.named_steps else self.steps).transform(self.frame(matrix))
        )

    def projection(self) -> nn.Module:
        """Returns the way from these columns to the network: PCA as a layer, or nothing."""
        pca = self.steps.named_steps.get("pca")
        if pca is None:
            return nn.Identity()
        layer = nn.Linear(pca.components_.shape[1], len(pca.components_))
        layer.weight.data = _as_tensor(pca.components_)
        layer.bias.data = _as_tensor(-pca.components_ @ pca.mean_)
        return layer.requires_grad_(False)

    def sources(self) -> np.ndarray:
        """Returns the place of the feature that each of the columns comes from."""
        found = self._all_sources()
        for name in ("variance", "best"):
            if name in self.steps.named_steps:
                found = found[self.steps.named_steps[name].get_support()]
        return found

    def value(self, row: int, place: int) -> str:
        """Returns a cell in words."""
        cell = self.x.iloc[row, place]
        if pd.isna(cell):
            return "missing"
        return f"{float(cell):.4g}" if self.numeric[place] else str(cell)

    def _all_sources(self) -> np.ndarray:
        """Returns the features of the columns before any is left out, in the order in which steps make them."""
        named: list[Any] = []
        for kind, steps, columns in self.steps.named_steps["columns"].transformers_:
            if isinstance(steps, str) or len(columns) == 0:  # dropped, or nothing of that kind
                continue
            made = [*columns]
            parts = list(steps.named_steps.values()) if hasattr(steps, "named_steps") else [steps]
            if kind == "categorical" and hasattr(encoder := parts[-1], "drop_idx_"):  # one-hot
                made = [c for c, levels in zip(columns, encoder.categories_, strict=True) for _ in levels]
            if kind == "marks":
                made = []
            made += [columns[i] for part in parts for i in _indicated(part)]
            named += made
        return np.array([list(self.x.columns).index(column) for column in named])

    def _encode(self, place: int) -> np.ndarray:
        column = self.x.iloc[:, place]
        if self.numeric[place]:
            return column.to_numpy(dtype=float, na_value=np.nan)
        number = {level: i for i, level in enumerate(self.levels[place])}
        return np.array([len(number) if pd.isna(cell) else number[cell] for cell in column.tolist()], dtype=float)

    def _decode(self, values: np.ndarray, place: int) -> Any:
        if self.numeric[place]:
            return values
        levels = np.array([*self.levels[place], np.nan], dtype=object)
        return pd.Series(levels[values.astype(int)]).astype(self.x.dtypes.iloc[place])

    def _typical(self, values: np.ndarray, place: int) -> float:
        return float(np.nanmean(values) if self.numeric[place] else np.bincount(values.astype(int)).argmax())


def _indicated(step: Any) -> Sequence[int]:
    """Returns which of its columns a step adds a mark of missing cells for."""
    indicator = step if hasattr(step, "error_on_new") else getattr(step, "indicator_", None)
    return [] if indicator is None else list(indicator.features_)


def _as_tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
