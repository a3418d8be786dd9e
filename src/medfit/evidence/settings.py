"""How stored predictions are read: what an evaluation or a comparison may choose."""

from dataclasses import dataclass
from typing import Any, Literal, Self

Rule = Literal["youden", "sensitivity", "specificity", "cost"]


@dataclass(frozen=True)
class Settings:
    """How predictions are read.

    Args:
        rule: See :func:`medfit.evidence.thresholds.choose`.
        at_least: See :func:`medfit.evidence.thresholds.choose`.
        cost_ratio: See :func:`medfit.evidence.thresholds.choose`.
        prevalence: See :func:`medfit.evidence.thresholds.readout`.
        coverage: See :func:`medfit.evidence.agreement.conformal`.
        num_resamples: Of the patients.
    """

    rule: Rule = "youden"
    at_least: float = 0.9
    cost_ratio: float = 1.0
    prevalence: float | None = None
    coverage: float = 0.9
    num_resamples: int = 2000

    @classmethod
    def of(cls, evaluate: Any) -> Self:
        """Returns those of a config's ``evaluate``."""
        e = evaluate
        return cls(e.threshold, e.at_least, e.cost_ratio, e.prevalence, e.coverage, e.num_resamples)
