"""Whether one model is better than another on the same patients."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from medfit.evidence import delong
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.summary import Unit, draws, in_order

FEWEST_FOLDS = 6  # with fewer, Wilcoxon's p can't be below .05, whatever the scores


def compare(one: Sequence[Unit], other: Sequence[Unit], wanted: Sequence[str], settings: Settings) -> pd.DataFrame:
    """Returns a row for each metric: the gain of one model over the other, its interval and tests.

    ``p`` is DeLong's for the AUROC of one column and the paired bootstrap's for all else; ``p_mcnemar`` belongs to the
    accuracy, ``p_wilcoxon`` to the folds. ``seed_sd`` is the standard deviation of the gain between two single
    trainings that comes of their seeds alone.

    Args:
        one: Each training of one model.
        other: Each training of the other, on the same patients in the same folds.
        wanted: Metrics; those of single columns come with them.
        settings: For the number of draws.
    """
    ones, others = ([unit.test.by_patient() for unit in in_order(units)] for units in (one, other))
    drawn = draws(ones, wanted, settings) - draws(others, wanted, settings)
    found = drawn.bca()
    kind = ones[0].kind
    areas = kind.compared_areas(ones[0].names)
    rows = []
    for name in drawn.names:
        sign = -1 if name.split("/")[0] in kind.smaller_is_better else 1
        ends, p = (found[name].low, found[name].high), drawn.p_value(name)
        if name in areas:
            area, p = delong.compare(ones, others, areas[name])
            ends = (area.low, area.high)
        low, high = sorted(sign * end for end in ends)
        gain, noise = sign * found[name].estimate, _seed_sd(one, other, name)
        rows.append(
            {
                "metric": name,
                "gain": gain,
                "low": low,
                "high": high,
                "p": p,
                "p_mcnemar": mcnemar(ones, others) if name == "accuracy" else np.nan,
                "p_wilcoxon": wilcoxon(one, other, name),
                "seed_sd": noise,
                "beyond_seeds": bool(abs(gain) > 2 * noise) if np.isfinite(noise) else None,
            }
        )
    return pd.DataFrame(rows)


def mcnemar(ones: Sequence[Predictions], others: Sequence[Predictions]) -> float:
    """Returns the exact two-sided p that two models are right equally often (McNemar, Psychometrika 1947).

    NaN unless each model has one training and each patient one row, for the test knows no repeats.

    Args:
        ones: The trainings of one model.
        others: Those of the other, of the same rows.
    """
    if len(ones) != 1 or len(others) != 1 or len(np.unique(ones[0].patient)) < len(ones[0]):
        return np.nan
    right, its = (one.kind.right(one) for one in (ones[0], _in_order(ones[0], others[0])))
    if right is None or its is None:
        return np.nan
    only_one, only_other = int((right & ~its).sum()), int((its & ~right).sum())
    if only_one + only_other == 0:
        return 1.0
    return float(stats.binomtest(only_one, only_one + only_other).pvalue)


def wilcoxon(one: Sequence[Unit], other: Sequence[Unit], name: str) -> float:
    """Returns the two-sided p of Wilcoxon's signed ranks over the folds' scores; NaN of fewer than six folds."""
    scores = [_by_fold(units, name) for units in (one, other)]
    gaps = (scores[0] - scores[1]).dropna().to_numpy()
    if len(gaps) < FEWEST_FOLDS:
        return np.nan
    return float(stats.wilcoxon(gaps).pvalue) if np.any(gaps != 0) else 1.0


def holm(p: Sequence[float]) -> np.ndarray:
    """Returns p values corrected for their number (Holm, Scand J Stat 1979); NaN stays and counts for nothing."""
    values = np.asarray(p, dtype=float)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    corrected = np.full(len(values), np.nan)
    steps = values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def patients_differ(models: Mapping[str, Sequence[Unit]]) -> str | None:
    """Returns in words how the scored patients or the folds of models differ; None if they are the same."""
    (first, own), *rest = models.items()
    for name, units in rest:
        folds = [{unit.fold: unit for unit in of} for of in (own, units)]
        if folds[0].keys() != folds[1].keys():
            return f"{first} was scored in {len(folds[0])} folds, {name} in {len(folds[1])}"
        for fold in folds[0]:
            one, other = (set(of[fold].test.patient.tolist()) for of in folds)
            if one != other:
                return (
                    f"{len(one & other)} patients were scored with both, {len(one - other)} with {first} alone and "
                    f"{len(other - one)} with {name} alone"
                )
            if not _same_truth(folds[0][fold].test, folds[1][fold].test):
                return f"{first} and {name} were scored against different targets or samples of the same patients"
    return None


def _same_truth(one: Predictions, other: Predictions) -> bool:
    if one.target.shape != other.target.shape or one.names != other.names:
        return False
    same_order = np.array_equal(one.patient, other.patient)
    return same_order and np.allclose(one.kind.truth(one), other.kind.truth(other))


def _in_order(one: Predictions, other: Predictions) -> Predictions:
    """Returns the other's rows in the order of one's, each patient having one."""
    order = np.argsort(other.patient)
    return other.rows(order[np.searchsorted(other.patient[order], one.patient)])


def _score(unit: Unit, name: str) -> float:
    test = unit.test.by_patient()
    return float(test.metrics()[name](np.ones((1, len(test))))[0])


def _by_fold(units: Sequence[Unit], name: str) -> pd.Series:
    return pd.Series([_score(u, name) for u in units], [u.fold for u in units]).groupby(level=0).mean()


def _seed_sd(one: Sequence[Unit], other: Sequence[Unit], name: str) -> float:
    """Returns the standard deviation of a difference of two trainings that comes of seeds; NaN of one seed each."""
    total, known = 0.0, False
    for units in (one, other):
        scores = pd.Series([_score(unit, name) for unit in units], [unit.fold for unit in units])
        if scores.groupby(level=0).count().max() > 1:
            total, known = total + float(scores.groupby(level=0).var(ddof=1).mean()), True
    return float(np.sqrt(total)) if known else np.nan
