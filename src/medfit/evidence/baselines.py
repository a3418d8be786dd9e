"""Baselines that a network has to beat, by scikit-learn, on the same features and splits."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.multioutput import MultiOutputClassifier

ALPHAS = np.logspace(-2, 4, 25)


def baselines(task: str) -> dict[str, Any]:
    """Returns unfitted estimators by name, for a data set's task: the trivial one and the linear one."""
    if task == "regression":
        return {"mean": DummyRegressor(), "ridge": RidgeCV(ALPHAS)}
    logistic = LogisticRegression(max_iter=2000)
    return {
        "prevalence": DummyClassifier(strategy="prior"),
        "logistic": MultiOutputClassifier(logistic) if task == "multilabel" else logistic,
    }


def fit_predict(
    estimator: Any, train: tuple[np.ndarray, np.ndarray], x: np.ndarray, target_shape: tuple[int, ...]
) -> np.ndarray:
    """Returns predictions in a task's layout: probabilities (samples, columns) or numbers (samples, targets).

    Args:
        estimator: Unfitted.
        train: ``x`` and ``y`` of the training split.
        x: To predict for.
        target_shape: Of the targets to be predicted.
    """
    features, y = train
    estimator.fit(features, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)
    if not is_classifier(estimator):
        return np.asarray(estimator.predict(x), dtype=np.float32).reshape(target_shape)
    probability = estimator.predict_proba(x)
    if isinstance(probability, list):  # a label each
        return np.stack([p[:, 1] for p in probability], axis=1).astype(np.float32)
    return probability[:, 1:].astype(np.float32) if len(target_shape) == 2 else probability.astype(np.float32)
