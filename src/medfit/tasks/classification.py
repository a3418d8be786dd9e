"""Classification: yes or no, several labels, or one of several classes."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from medfit.evidence.targets import probabilities
from medfit.plots import predictions as figures
from medfit.tasks import metrics as m
from medfit.tasks.per_output import Columns
from medfit.tasks.supervised import Supervised


class MultiLabel(Columns):
    """Several yes-or-no answers per sample: binary cross-entropy on a logit each.

    Args:
        class_weight: ``balanced`` weighs each label's classes by their rarity in the training split.
    """

    fits = frozenset({probabilities.MultiLabel()})
    available = m.BINARY
    weights: Tensor

    def __init__(self, *, class_weight: Literal["balanced"] | None = None, **kwargs: Any) -> None:
        self.class_weight = class_weight
        super().__init__(**kwargs)

    def prepare_targets(self, targets: Callable[[], Tensor]) -> None:
        """Sets the weights of no (row 0) and yes (row 1) for each label, 1 on average over samples."""
        target = targets()
        weights = torch.ones(2, target.shape[1])
        if self.class_weight == "balanced":
            share = target.mean(dim=0).clamp(1 / (2 * len(target)), 1 - 1 / (2 * len(target)))
            weights = 0.5 / torch.stack([1 - share, share])
        self.register_buffer("weights", weights)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Returns the mean binary cross-entropy."""
        weighted = self.class_weight is not None
        weight = torch.where(target > 0.5, self.weights[1], self.weights[0]) if weighted else None
        return F.binary_cross_entropy_with_logits(output, target, weight)

    def predict(self, output: Tensor) -> Tensor:
        """Returns the probability of yes for each label."""
        return output.sigmoid()

    def figures(self, preds: Tensor, target: Tensor) -> dict[str, Figure]:
        """Returns ROC, precision-recall, calibration and confusion."""
        return figures.classification(np.asarray(preds), np.asarray(target), self.target_names)


class Binary(MultiLabel):
    """Yes or no: multilabel with one label."""

    fits = frozenset({probabilities.Binary()})


class MultiClass(Supervised):
    """One of several classes: softmax cross-entropy.

    Args:
        class_weight: ``balanced`` weighs the classes by their rarity in the training split.
    """

    fits = frozenset({probabilities.MultiClass()})
    available = m.CLASSES
    weights: Tensor

    def __init__(self, *, class_weight: Literal["balanced"] | None = None, **kwargs: Any) -> None:
        self.class_weight = class_weight
        super().__init__(**kwargs)

    def prepare_targets(self, targets: Callable[[], Tensor]) -> None:
        """Sets the classes' weights, 1 on average over samples; a class without samples weighs 1."""
        target = targets()
        num_classes = len(self.target_names)
        weights = torch.ones(num_classes)
        if self.class_weight == "balanced":
            counts = target.bincount(minlength=num_classes)
            weights = torch.where(counts > 0, len(target) / ((counts > 0).sum() * counts.clamp(min=1)), 1.0)
        self.register_buffer("weights", weights)

    def blank_targets(self) -> Tensor:
        """Returns the number of a class."""
        return torch.zeros(1, dtype=torch.int64)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Returns the mean cross-entropy, each sample weighted by its class."""
        if self.class_weight is None:
            return F.cross_entropy(output, target)
        return (F.cross_entropy(output, target, reduction="none") * self.weights[target]).mean()

    def predict(self, output: Tensor) -> Tensor:
        """Returns the classes' probabilities."""
        return output.softmax(dim=1)

    def scores(self, preds: Tensor, target: Tensor) -> dict[str, float]:
        """Returns the metrics over all classes."""
        return {name: float(self.available[name](preds.float(), target)) for name in self.metrics}

    def table(self, preds: Tensor, target: Tensor) -> pd.DataFrame:
        """Returns the true class and each class's probability."""
        names, guess = np.array(self.target_names), np.asarray(preds)
        columns = {"target": names[np.asarray(target)], "pred": names[guess.argmax(axis=1)]}
        return pd.DataFrame(columns | {f"pred/{name}": guess[:, k] for k, name in enumerate(names)})

    def figures(self, preds: Tensor, target: Tensor) -> dict[str, Figure]:
        """Returns ROC, precision-recall, calibration and confusion, each class against the others."""
        truth = np.eye(len(self.target_names))[np.asarray(target)]
        return figures.classification(np.asarray(preds), truth, self.target_names, exclusive=True)
