"""Baselines that a network has to beat, by scikit-learn, on the same features and splits."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.multiclass import OneVsRestClassifier

ALPHAS = np.logspace(-2, 4, 25)


def baselines(task: str) -> dict[str, Any]:
    """Returns unfitted estimators by name, for a data set's task: the trivial one and the linear one."""
    if task == "regression":
        return {"mean": DummyRegressor(), "ridge": RidgeCV(ALPHAS)}
    logistic = LogisticRegression(max_iter=2000)
    return {
        "prevalence": DummyClassifier(strategy="prior"),
        "logistic": OneVsRestClassifier(logistic) if task == "multilabel" else logistic,
    }


def fit_predict(estimator: Any, train: tuple[np.ndarray, np.ndarray], x: np.ndarray, num_outputs: int) -> np.ndarray:
    """Returns predictions in a task's layout (samples, outputs): probabilities or numbers.

    Args:
        estimator: Unfitted.
        train: ``x`` and ``y`` of the training split; whatever shape a sample has, its values are the features.
        x: To predict for.
        num_outputs: Labels, classes or targets, those that the training split lacks among them.
    """
    (features, y), x = train, x.reshape(len(x), -1)
    estimator.fit(features.reshape(len(features), -1), y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)
    if not is_classifier(estimator):
        return np.asarray(estimator.predict(x), dtype=np.float32).reshape(len(x), num_outputs)
    probability, classes = estimator.predict_proba(x), estimator.classes_
    if isinstance(probability, list):  # a label each; the sum holds too where a label has one class
        return np.stack([p @ c for p, c in zip(probability, classes, strict=True)], axis=1).astype(np.float32)
    preds = np.zeros((len(x), num_outputs), dtype=np.float32)
    if y.ndim == 1:
        preds[:, classes] = probability
    else:
        preds[:] = probability[:, -num_outputs:]
    return preds
