"""What a column may tell of the targets by itself, and how well it does: what the leak scan asks."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

FEWEST = 10  # samples of each class, so that chance can't reach it
FEWEST_NUMBERS = 30  # samples of a regression
MOST_CLASSES = 8


class Question(NamedTuple):
    """What a column may tell alone.

    Args:
        about: The target, for the message.
        parts: Places among the training rows, and the truth there; a column that answers all of them tells.
    """

    about: str
    parts: list[tuple[np.ndarray, np.ndarray]]


class Association:
    """How a column is held against the targets of a kind; here, of one that no column can tell.

    Attributes:
        measure: What its strength is.
    """

    measure = ""

    def questions(self, y: np.ndarray, names: Sequence[str]) -> list[Question]:
        """Returns what a column may tell; what too few samples ask is left out.

        Args:
            y: The targets as a data set holds them: (samples, outputs), or class numbers (samples,).
            names: Of the targets.
        """
        return []

    def strength(self, values: np.ndarray, truth: np.ndarray, either: bool = True) -> float:
        """Returns how well values tell the truth, 1 for without a fault; of the better direction with ``either``."""
        return 0.0


class Area(Association):
    """Of yes and no: the area under the ROC curve."""

    measure = "AUROC"

    def questions(self, y: np.ndarray, names: Sequence[str]) -> list[Question]:
        """Returns each label that enough samples have and lack."""
        return _of_columns(y, names, lambda part: min(part.sum(), (1 - part).sum()) >= FEWEST)

    def strength(self, values: np.ndarray, truth: np.ndarray, either: bool = True) -> float:
        """Returns the AUROC."""
        from scipy.stats import rankdata  # takes long to import

        ranks, positive = rankdata(values), truth.astype(bool)
        num = int(positive.sum())
        area = (ranks[positive].sum() - num * (num + 1) / 2) / (num * (len(truth) - num))
        return float(max(area, 1 - area) if either else area)


class AreaOfPairs(Area):
    """Of several classes: the area under the ROC curve of every pair of common ones."""

    def questions(self, y: np.ndarray, names: Sequence[str]) -> list[Question]:
        """Returns the class in every pair of classes, as one question."""
        classes, counts = np.unique(y, return_counts=True)
        common = classes[counts >= FEWEST][:MOST_CLASSES]
        pairs = [np.flatnonzero(np.isin(y, pair)) for pair in combinations(common, 2)]
        parts = [(places, y[places] == y[places].max()) for places in pairs]
        return [Question("the target", parts)] if parts else []


class RankCorrelation(Association):
    """Of numbers: Spearman's rank correlation."""

    measure = "rank correlation"

    def questions(self, y: np.ndarray, names: Sequence[str]) -> list[Question]:
        """Returns each number."""
        return _of_columns(y, names, lambda part: len(part) >= FEWEST_NUMBERS)

    def strength(self, values: np.ndarray, truth: np.ndarray, either: bool = True) -> float:
        """Returns the correlation."""
        from scipy.stats import rankdata  # takes long to import

        ranks = rankdata(values)
        ranks, others = ranks - ranks.mean(), rankdata(truth) - (len(truth) + 1) / 2
        size = np.linalg.norm(ranks) * np.linalg.norm(others)
        found = float(ranks @ others / size) if size else 0.0
        return abs(found) if either else found


def _of_columns(y: np.ndarray, names: Sequence[str], enough: Callable[[np.ndarray], bool]) -> list[Question]:
    about = [f"'{name}'" for name in names] if len(names) > 1 else ["the target"]
    everywhere = np.arange(len(y))
    return [Question(told, [(everywhere, part)]) for told, part in zip(about, y.T, strict=True) if enough(part)]
