"""A table's preprocessing as the first layers of an exported file, and what the file takes of a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from medfit.data.preprocessing.table import FittedTable
from medfit.deployment import export_steps as steps
from medfit.deployment.export_steps import UNSEEN


class TableSteps(nn.Module):
    """From cells to features: imputation, scaling, encoding, selection and projection.

    Cells are numbers: NaN is missing, a yes-or-no column holds 0 and 1, a level is its place in ``columns``' list, and
    -1 a level that is none of these.

    Args:
        fitted: What the training rows taught.
        drop_missing: Whether a row with a missing cell gets no prediction.

    Attributes:
        columns: What each cell of a row is, plain values: ``name``, ``kind``, ``unit``, ``levels``.
        needed: Names of the columns that must not be missing; a row that lacks one has NaN for features.
    """

    def __init__(self, fitted: FittedTable, drop_missing: bool = False) -> None:
        super().__init__()
        first, *rest = [step for _, step in fitted.steps.steps]
        parts = [(name, step, list(columns)) for name, step, columns in first.transformers_ if len(columns)]
        parts = [part for part in parts if part[0] != "remainder" and not isinstance(part[1], str)]
        self.levels = _levels(parts)
        self.columns = [_column(name, fitted, self.levels) for name in fitted.features]
        place = {name: number for number, name in enumerate(fitted.features)}
        self.chosen = nn.ModuleList(steps.Chosen([place[c] for c in columns]) for *_, columns in parts)
        self.branches = nn.ModuleList(_branch(name, step) for name, step, _ in parts)
        self.rest = nn.Sequential(*map(steps.layer, rest))
        self.needed = list(fitted.features) if drop_missing else _not_imputed(parts)
        self.whole = steps.Chosen([place[name] for name in self.needed])

    def forward(self, cells: Tensor) -> Tensor:
        """Returns features as float32 (samples, features) of cells as float64 (samples, columns)."""
        made = [branch(chosen(cells)) for chosen, branch in zip(self.chosen, self.branches, strict=True)]
        features: Tensor = self.rest(torch.cat(made, dim=1)).float()
        if not self.needed:
            return features
        lacking = self.whole(cells).isnan().any(dim=1, keepdim=True)
        return torch.where(lacking, torch.nan, features)

    def cells(self, x: pd.DataFrame) -> Tensor:
        """Returns rows, as the preprocessing takes them, as the file takes them: float64 (samples, columns)."""
        return Cells(self.columns, self.levels, self.needed).cells(x)


@dataclass(frozen=True)
class Cells:
    """What a file takes of a row.

    Args:
        columns: See :class:`TableSteps`.
        levels: Of each column of levels, in the order of their codes, as the cells hold them.
        needed: See :class:`TableSteps`.
    """

    columns: list[dict[str, Any]]
    levels: Mapping[str, Sequence[Any]]
    needed: list[str]

    @classmethod
    def of_all(cls, several: Sequence[TableSteps]) -> Self:
        """Returns what a file of several trainings takes: levels that any of them knows, and what all of them need."""
        first = several[0]
        levels = {name: sorted({k for own in several for k in own.levels[name]}, key=str) for name in first.levels}
        columns = [
            {**column, **({"levels": list(map(str, levels[column["name"]]))} if column["name"] in levels else {})}
            for column in first.columns
        ]
        needed = [column["name"] for column in columns if any(column["name"] in own.needed for own in several)]
        return cls(columns, levels, needed)

    def cells(self, x: pd.DataFrame) -> Tensor:
        """Returns rows, as the preprocessing takes them, as the file takes them: float64 (samples, columns)."""
        made = [self._codes(x[c["name"]]) if c["kind"] == "categorical" else x[c["name"]] for c in self.columns]
        return torch.from_numpy(np.stack([np.asarray(column, dtype=float) for column in made], axis=1))

    def _codes(self, cells: pd.Series) -> pd.Series:
        codes = {level: float(code) for code, level in enumerate(self.levels[str(cells.name)])}
        return cells.map(lambda cell: codes.get(cell, UNSEEN), na_action="ignore")


def _levels(parts: Sequence[tuple[str, Any, list[str]]]) -> dict[str, list[Any]]:
    """Returns the levels that the encoder knows, in its order, of each column of levels."""
    return {
        column: list(known)
        for name, step, columns in parts
        if name == "categorical"
        for column, known in zip(columns, step[-1].categories_, strict=True)
    }


def _column(name: str, fitted: FittedTable, levels: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "kind": fitted.kinds[name],
        "unit": fitted.units.get(name, ""),
        **({"levels": [str(level) for level in levels[name]]} if name in levels else {}),
    }


def _branch(name: str, step: Any) -> nn.Module:
    return steps.coded(*(part for _, part in step.steps)) if name == "categorical" else steps.layer(step)


def _not_imputed(parts: Sequence[tuple[str, Any, list[str]]]) -> list[str]:
    """Returns the columns whose gaps only the training patients' rows can fill."""
    return [
        column
        for name, step, columns in parts
        if name == "numeric" and type(step[-1]).__name__ == "KNNImputer"
        for column in columns
    ]
