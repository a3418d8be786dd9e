"""How two groups of patients differ, column by column: from the first group, its summaries alone are needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd

from medfit.evidence.odds import logit
from medfit.evidence.predictions import Predictions

MARKED = 0.1  # a standardised difference above it is usually taken for an imbalance (Austin, Stat Med 2009)
COLUMNS = (
    "column", "level", "development", "development_sd", "new", "new_sd", "standardised_difference",
    "missing_development", "missing_new", "unseen",
)  # fmt: skip


@dataclass(frozen=True)
class Distribution:
    """A column's values in a group of patients, in summaries.

    Args:
        mean: Of the known numbers, in the column's unit; the share of ones, of 0 and 1; None of words, or if unknown.
        sd: Their standard deviation.
        shares: Of each level among the known words.
        missing: Share of the rows that lack the value; None if unknown.
    """

    mean: float | None = None
    sd: float | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    missing: float | None = None

    @classmethod
    def of(cls, values: pd.Series, of_words: bool) -> Self:
        """Returns the summaries of a column.

        Args:
            values: A value each row.
            of_words: Whether they are levels, not numbers.
        """
        known, missing = values.dropna(), float(values.isna().mean())
        if of_words:
            shares = known.astype(str).value_counts(normalize=True)
            return cls(shares={str(level): float(shares[level]) for level in sorted(shares.index)}, missing=missing)
        numbers = known.to_numpy(dtype=float)
        sd = float(numbers.std(ddof=1)) if len(numbers) > 1 else None
        return cls(float(numbers.mean()) if len(numbers) else None, sd, missing=missing)


def standardised(then: Distribution, now: Distribution) -> float:
    """Returns the standardised difference of two groups; NaN where one is not known, infinite where neither varies.

    Of numbers, the difference of the means by the root of the mean variance, with its sign; of levels, the distance of
    the shares by their covariance (Yang & Dalton, SAS Global Forum 2012), which has none.
    """
    if then.shares and now.shares:
        return _of_shares(then.shares, now.shares)
    if then.mean is None or now.mean is None or then.sd is None or now.sd is None:
        return np.nan
    gap, spread = now.mean - then.mean, float(np.sqrt((then.sd**2 + now.sd**2) / 2))
    return gap / spread if spread > 0 else 0.0 if gap == 0 else float(np.copysign(np.inf, gap))


def _of_shares(then: Mapping[str, float], now: Mapping[str, float]) -> float:
    levels = sorted({*then, *now})
    p, q = (np.array([shares.get(level, 0.0) for level in levels]) for shares in (then, now))
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    gap = q - p  # its sum is 0, and so is each row's of the covariance: the inverse leaves that direction out
    inverse = np.linalg.pinv(covariance, rcond=1e-12, hermitian=True)
    if not np.allclose(covariance @ inverse @ gap, gap, atol=1e-9):  # levels of one group alone, and no other there
        return np.inf
    return float(np.sqrt(max(0.0, gap @ inverse @ gap)))


def table(then: Mapping[str, Distribution], now: Mapping[str, Distribution]) -> pd.DataFrame:
    """Returns a row for each column, or for each level of one, of both groups; the difference stands in the first.

    Args:
        then: Of the development's patients.
        now: Of the new ones, of the same columns.
    """
    rows: list[dict[str, Any]] = []
    for name, old in then.items():
        new = now[name]
        about = {
            "column": name,
            "standardised_difference": standardised(old, new),
            "missing_development": old.missing,
            "missing_new": new.missing,
        }
        levels = sorted({*old.shares, *new.shares})
        if not levels:
            rows.append({**about, "development": old.mean, "development_sd": old.sd, "new": new.mean, "new_sd": new.sd})
            continue
        unseen = sum(share for level, share in new.shares.items() if level not in old.shares) if old.shares else None
        first = about | {"unseen": unseen}
        for level in levels:
            shares = {
                "development": old.shares.get(level, 0.0 if old.shares else None),
                "new": new.shares.get(level, 0.0),
            }
            rows.append({**first, "level": level, **shares})
            first = {"column": name}
    made = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = [name for name in COLUMNS if name not in ("column", "level")]
    return made.astype(dict.fromkeys(numbers, float))


def outcomes(y: np.ndarray, names: Sequence[str], classes: bool) -> dict[str, Distribution]:
    """Returns how common each class or label is, or the mean and spread of each target.

    Args:
        y: As a data set holds the targets: in the shape (samples, outputs), or class numbers in (samples,).
        names: Of the outputs.
        classes: Whether they are class numbers, or 0 and 1.
    """
    columns = np.eye(len(names))[y] if y.ndim == 1 else y
    found = {}
    for column, name in enumerate(names if columns.shape[1:] == (len(names),) else ()):
        values = columns[:, column].astype(float)
        sd = float(values.std() if classes else values.std(ddof=1)) if len(values) > 1 else None
        found[name] = Distribution(float(values.mean()), sd, missing=0.0)
    return found


def predicted(predictions: Predictions) -> dict[str, Distribution]:
    """Returns the mean and spread of what a model predicts: of log odds where it gives probabilities.

    The case mix as the model sees it (Debray et al., J Clin Epidemiol 2015): a wider spread makes telling patients
    apart easier, whatever the model is worth.
    """
    if predictions.preds.ndim != 2:
        return {}
    made, word = (logit(predictions.preds), "log odds of ") if predictions.kind.classifies else (predictions.preds, "")
    return {
        f"predicted {word}{name}": Distribution.of(pd.Series(made[:, column]), of_words=False)
        for column, name in enumerate(predictions.names)
    }
