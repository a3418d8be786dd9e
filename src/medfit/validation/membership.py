"""How well two data sets can be told apart: what a model saw at development, and what it is validated on."""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from medfit.data.inputs import parts_of
from medfit.evaluation.estimators import baselines, fit_predict

FOLDS = 5


def features(x: object) -> np.ndarray:
    """Returns prepared samples as rows of numbers, in the shape (samples, features)."""
    return np.concatenate([part.flatten(1).numpy() for part in parts_of(x)], axis=1)


def scores(
    then: np.ndarray, now: np.ndarray, patients: tuple[np.ndarray, np.ndarray], trees: bool, seed: int = 0
) -> pd.DataFrame:
    """Returns the AUROC of classifiers that tell new samples from the development's, on patients they did not learn.

    .5: they are alike, and the validation tells of reproducing; near 1: they differ, and it tells of transporting
    (Debray et al., J Clin Epidemiol 2015). No rows where there are too few patients.

    Args:
        then: The development's samples, in the shape (samples, features).
        now: The new ones'.
        patients: Whose each of them is.
        trees: Whether gradient-boosted trees try, too, as suits tables.
        seed: Of the folds.
    """
    groups = np.concatenate([pd.factorize(patients[0])[0], -1 - pd.factorize(patients[1])[0]])  # no one is in both
    x, y = np.concatenate([then, now]), np.r_[np.zeros(len(then)), np.ones(len(now))].astype(int)
    fewest = min(len(np.unique(groups[y == which])) for which in (0, 1))
    if fewest < FOLDS:
        return pd.DataFrame(columns=["classifier", "auroc"])
    _, *telling = baselines("binary", "trees" if trees else None).items()  # the first looks at no feature
    folds = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(x, y, groups))
    rows = []
    for name, estimator in telling:
        preds = np.zeros(len(y))
        for learnt, left_out in folds:
            target = y[learnt][:, None].astype(np.float32)
            preds[left_out] = fit_predict(estimator, (x[learnt], target), x[left_out], 1)[:, 0]
        rows.append({"classifier": name, "auroc": float(roc_auc_score(y, preds))})
    return pd.DataFrame(rows)
