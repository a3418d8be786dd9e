"""The model randomisation test (Adebayo et al., NeurIPS 2018): an explanation must depend on the weights.

Each method explains untrained models too, and its explanations are compared with those of the trained one by
Spearman's rank correlation. An edge detector, which looks like an explanation, would not change at all (1).

Correlations of the sizes alone fall to nought only where they do not depend on the input itself. Integrated gradients
of two unrelated linear models are w1 x and w2 x: the common x keeps the ranks of their sizes at about one half. Their
signs share nothing, so a method with signs is judged by the lower of both correlations, one without by the sizes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LIMIT = 0.5  # what a common input accounts for where weights have nothing in common; see above


class Check(NamedTuple):
    """How alike a method's explanations of the trained and of untrained models are.

    Args:
        sizes: Mean rank correlation of the absolute attributions.
        signed: Of the attributions with their signs; None for a method without.
    """

    sizes: float
    signed: float | None

    @property
    def passed(self) -> bool:
        """Whether the explanations depend on the weights."""
        return min(self.sizes, self.sizes if self.signed is None else self.signed) < LIMIT


def compare(trained: Sequence[np.ndarray], others: Sequence[Sequence[np.ndarray]], signed: bool) -> Check:
    """Returns the mean correlations over questions and untrained models.

    Args:
        trained: Attributions of the trained model, one each question.
        others: Of each untrained model, for the same questions.
        signed: Whether the method's signs mean something.
    """
    pairs = [(a, b) for untrained in others for a, b in zip(trained, untrained, strict=True)]
    sizes = float(np.mean([rank_correlation(np.abs(a), np.abs(b)) for a, b in pairs]))
    return Check(sizes, float(np.mean([rank_correlation(a, b) for a, b in pairs])) if signed else None)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Returns Spearman's rank correlation; 0 where one of the two says nothing, all its values being alike."""
    from scipy.stats import spearmanr  # late: a quick start

    a, b = np.ravel(a), np.ravel(b)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a, b).statistic)
