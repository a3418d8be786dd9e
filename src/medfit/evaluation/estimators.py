"""Baselines that a network has to beat, by scikit-learn, on the same features and splits."""

import warnings
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.model_selection import GroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from medfit.evidence.targets.known import named

ALPHAS = np.logspace(-2, 4, 25)
INNER_FOLDS = 5  # of patients, for what a baseline chooses
# shallow trees at half the usual rate: on the bundled tables' training rows, cross-validated, as good or better
TREES: dict[str, Any] = {"max_depth": 3, "learning_rate": 0.05, "early_stopping": False, "random_state": 0}
Third = Literal["trees", "neighbour"]


def baselines(task: str, third: Third | None = None, num_outputs: int = 1) -> dict[str, Any]:
    """Returns unfitted estimators by name, for a data set's task.

    The trivial and the linear one; and gradient-boosted trees, which suit tables, or the nearest neighbour (Euclidean),
    the yardstick of the UCR archive (Dau et al., IEEE/CAA JAS 2019), which suits series and images.

    Args:
        task: ``binary``, ``multiclass``, ``multilabel`` or ``regression``.
        third: Beside the trivial and the linear one; None for these two alone.
        num_outputs: Labels, classes or targets.
    """
    if not named(task).classifies:
        trees = HistGradientBoostingRegressor(**TREES)
        found: dict[str, Any] = {"mean": DummyRegressor(), "ridge": PatientRidge()}
        neighbour: Any = KNeighborsRegressor(1)
        boosting: Any = MultiOutputRegressor(trees) if num_outputs > 1 else trees
    else:
        several = OneVsRestClassifier if named(task).several_answers else lambda estimator: estimator
        boosting = several(HistGradientBoostingClassifier(**TREES))
        found = {
            "prevalence": DummyClassifier(strategy="prior"),
            "logistic": several(LogisticRegression(max_iter=2000)),
        }
        neighbour = KNeighborsClassifier(1)
    more = {"trees": {"gradient boosting": boosting}, "neighbour": {"nearest neighbour": neighbour}, None: {}}
    return found | more[third]


class PatientRidge(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge regression whose strength is chosen on patients that it was not fitted on, each whole.

    Where each patient has one row, by leaving out one at a time, in closed form; else in five folds of patients.
    """

    def fit(self, x: np.ndarray, y: np.ndarray, patient: np.ndarray | None = None) -> "PatientRidge":
        """Learns from rows (rows, features), whose patients are told by ``patient`` (rows,); None for a row each."""
        number = len(x) if patient is None else len(np.unique(patient))
        if 1 < number < len(x):
            folds = GroupKFold(min(INNER_FOLDS, number)).split(x, groups=patient)
            self.alpha_ = ALPHAS[np.argmin(_errors(x, y, folds))]
        else:
            self.alpha_ = RidgeCV(ALPHAS).fit(x, y).alpha_
        self.fitted_ = Ridge(self.alpha_).fit(x, y)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Returns the predicted numbers."""
        return self.fitted_.predict(x)


def _errors(x: np.ndarray, y: np.ndarray, folds: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Returns the summed squared errors of each strength of ridge regression on rows that it did not learn from.

    Args:
        x: In the shape (rows, features).
        y: In the shape (rows,) or (rows, targets).
        folds: Rows to learn from, and rows to predict.
    """
    errors = np.zeros(len(ALPHAS))
    for learnt, left_out in folds:
        center, middle = x[learnt].mean(axis=0), y[learnt].mean(axis=0)
        left, sizes, right = np.linalg.svd(x[learnt] - center, full_matrices=False)
        known, new = left.T @ (y[learnt] - middle).reshape(len(learnt), -1), (x[left_out] - center) @ right.T
        target = (y[left_out] - middle).reshape(len(left_out), -1)
        for place, alpha in enumerate(ALPHAS):
            shrunk = (sizes / (sizes**2 + alpha))[:, None] * known
            errors[place] += float(((new @ shrunk - target) ** 2).sum())
    return errors


def fit_predict(
    estimator: Any,
    train: tuple[np.ndarray, np.ndarray],
    x: np.ndarray,
    num_outputs: int,
    patient: np.ndarray | None = None,
) -> np.ndarray:
    """Returns predictions in a task's layout, see :func:`fit` and :func:`predict`."""
    fit(estimator, *train, patient)
    return predict(estimator, x, num_outputs)


def fit(estimator: Any, x: np.ndarray, y: np.ndarray, patient: np.ndarray | None = None) -> None:
    """Fits an estimator.

    Args:
        estimator: Unfitted.
        x: Of the training split; whatever shape a sample has, its values are the features, and those that are missing
            (the padding of series) are nought.
        y: Of the training split.
        patient: Whose each training row is, for what chooses a setting of its own; None for a row each.
    """
    target = y[:, 0] if y.shape[1:] == (1,) else y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a baseline may stop near its best
        warnings.filterwarnings("ignore", "Label .* is present in all training examples")
        of_patients = {"patient": patient} if isinstance(estimator, PatientRidge) else {}
        estimator.fit(_features(x), target, **of_patients)


def predict(estimator: Any, x: np.ndarray, num_outputs: int) -> np.ndarray:
    """Returns predictions in a task's layout (samples, outputs): probabilities or numbers.

    Args:
        estimator: Fitted.
        x: To predict for.
        num_outputs: Labels, classes or targets, those that the training split lacks among them.
    """
    x = _features(x)
    if not is_classifier(estimator):
        return np.asarray(estimator.predict(x), dtype=np.float32).reshape(len(x), num_outputs)
    probability, classes = estimator.predict_proba(x), estimator.classes_
    if isinstance(probability, list):  # a label each; the sum holds too where a label has one class
        return np.stack([p @ c for p, c in zip(probability, classes, strict=True)], axis=1).astype(np.float32)
    if num_outputs == 1:
        return np.asarray(probability[:, -1:], dtype=np.float32)
    preds = np.zeros((len(x), num_outputs), dtype=np.float32)
    preds[:, classes] = probability
    return preds


def _features(x: np.ndarray) -> np.ndarray:
    return np.nan_to_num(x.reshape(len(x), -1))
