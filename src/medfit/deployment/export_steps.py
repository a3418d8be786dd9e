"""scikit-learn's fitted steps as layers in 64 bits, for exported files."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medfit.deployment.export_numbers import Quantiles
from medfit.errors import UserError

UNSEEN = -1.0  # the code of a level that no training row had


def layer(step: Any) -> nn.Module:
    """Returns a layer that does what a fitted step does to numbers (samples, columns).

    Raises:
        UserError: the step is none of those that the preprocessing of tables has.
    """
    match type(step).__name__:
        case "Pipeline":
            return nn.Sequential(*(layer(part) for _, part in step.steps))
        case "SimpleImputer":
            return Filled(step.statistics_, _marked(step.indicator_))
        case "KNNImputer":  # files hold no patients' rows, so that only rows without gaps pass
            return Filled([np.nan] * step.n_features_in_, _marked(step.indicator_))
        case "MissingIndicator":
            return Marks(_marked(step))
        case "StandardScaler":
            return Shifted(step.mean_, step.scale_)
        case "RobustScaler":
            return Shifted(step.center_, step.scale_)
        case "MinMaxScaler":
            return Shifted(-step.min_ / step.scale_, 1 / step.scale_)
        case "QuantileTransformer":
            return Quantiles(step.quantiles_, step.references_)
        case "FunctionTransformer":
            return nn.Identity()
        case "VarianceThreshold" | "SelectKBest":
            return Chosen(step.get_support(indices=True))
        case "PCA":
            return Projected(step.mean_, step.components_)
    raise UserError(f"export: the preprocessing has a step that no file can hold yet ({type(step).__name__})")


def coded(imputer: Any, encoder: Any) -> nn.Module:
    """Returns a layer that fills and encodes columns of levels, which come as codes: places among the encoder's."""
    levels = [list(known) for known in encoder.categories_]
    filling = [
        float(known.index(level)) if level in known else UNSEEN
        for known, level in zip(levels, imputer.statistics_, strict=True)
    ]
    one_hot = type(encoder).__name__ == "OneHotEncoder"
    encoding = OneHot if one_hot else Ordinal
    return nn.Sequential(Filled(filling, []), encoding([len(known) for known in levels]))


def _marked(indicator: Any) -> Sequence[int]:
    return [] if indicator is None else list(map(int, indicator.features_))


class Filled(nn.Module):
    """Missing cells filled, and marks of them behind.

    Args:
        values: Of each column.
        marked: Numbers of the columns whose missing cells are marked.
    """

    values: Tensor

    def __init__(self, values: Any, marked: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("values", _numbers(values))
        self.marks = Marks(marked) if marked else None

    def forward(self, x: Tensor) -> Tensor:
        """Returns the columns and the marks."""
        filled = torch.where(x.isnan(), self.values, x)
        return filled if self.marks is None else torch.cat([filled, self.marks(x)], dim=1)


class Chosen(nn.Module):
    """Some of the columns.

    Args:
        columns: Their numbers.
    """

    columns: Tensor

    def __init__(self, columns: Any) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(np.asarray(columns), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Returns them."""
        return x.index_select(1, self.columns)


class Marks(Chosen):
    """Where some of the columns are missing: 1, and else 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns a mark each."""
        return super().forward(x).isnan().to(x.dtype)


class Shifted(nn.Module):
    """Columns less one number each, divided by another.

    Args:
        centre: Of each column; None for 0.
        scale: Likewise; None for 1.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, centre: Any, scale: Any) -> None:
        super().__init__()
        self.register_buffer("centre", _numbers(0.0 if centre is None else centre))
        self.register_buffer("scale", _numbers(1.0 if scale is None else scale))

    def forward(self, x: Tensor) -> Tensor:
        """Returns scaled columns."""
        return (x - self.centre) / self.scale


class Projected(nn.Module):
    """Principal components.

    Args:
        mean: Of each column.
        components: In the shape (components, columns).
    """

    mean: Tensor
    components: Tensor

    def __init__(self, mean: Any, components: Any) -> None:
        super().__init__()
        self.register_buffer("mean", _numbers(mean))
        self.register_buffer("components", _numbers(components))

    def forward(self, x: Tensor) -> Tensor:
        """Returns them in the shape (samples, components)."""
        return torch.matmul(x - self.mean, self.components.T)


class OneHot(nn.Module):
    """A column for each level of each column: 1 where it is, and else 0; noughts for a level that is not known.

    Args:
        sizes: Levels of each column.
    """

    code: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        column = [k for k, size in enumerate(sizes) for _ in range(size)]
        self.column = Chosen(column)
        self.register_buffer("code", _numbers([code for size in sizes for code in range(size)]))

    def forward(self, x: Tensor) -> Tensor:
        """Returns noughts and ones in the shape (samples, levels of all columns)."""
        here: Tensor = self.column(x) == self.code
        return here.to(x.dtype)


class Ordinal(nn.Module):
    """Codes as they come; -1 for a level that is not known.

    Args:
        sizes: Levels of each column.
    """

    sizes: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("sizes", _numbers(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the columns' codes."""
        known = (x >= 0) & (x < self.sizes) & (x == x.floor())
        return torch.where(known, x, UNSEEN)


def _numbers(values: Any) -> Tensor:
    return torch.tensor(np.asarray(values, dtype=float), dtype=torch.float64)
