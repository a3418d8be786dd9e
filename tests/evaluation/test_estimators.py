import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, GroupKFold

from medfit.evaluation.baselines import predictions
from medfit.evaluation.estimators import ALPHAS, TREES, PatientRidge, baselines, fit_predict
from medfit.training.parts import prepare

RANDOM = np.random.default_rng(0)
X, NEW_X = RANDOM.normal(size=(120, 5)).astype(np.float32), RANDOM.normal(size=(30, 5)).astype(np.float32)
SCORES = X @ RANDOM.normal(size=(5, 3)) + 0.5 * RANDOM.normal(size=(120, 3))
BINARY = (SCORES[:, :1] > 0.5).astype(np.float32)
MULTILABEL = (SCORES > [0.5, 0, -1]).astype(np.float32)
MULTICLASS = SCORES.argmax(axis=1)
REGRESSION = (100 + 10 * SCORES[:, :1]).astype(np.float32)
MULTI_TARGET = (SCORES * [1, 10, 100]).astype(np.float32)


def predict(task, name, y, num_outputs=None, x=X):
    size = num_outputs or (len(np.unique(y)) if y.ndim == 1 else y.shape[1])
    known = baselines(task, "neighbour", size) | baselines(task, "trees", size)
    return fit_predict(known[name], (x, y), NEW_X, size)


def score_baselines(parts):
    return {name: parts.task.scores(*outputs["test"]) for name, outputs in predictions(parts, ["test"])}


def logistic(y):
    return LogisticRegression(max_iter=2000).fit(X, y).predict_proba(NEW_X)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("task", "name", "y", "shape"),
    [
        (task, name, y, shape)
        for task, y, shape in [
            ("binary", BINARY, (30, 1)),
            ("multilabel", MULTILABEL, (30, 3)),
            ("multiclass", MULTICLASS, (30, 3)),
            ("regression", REGRESSION, (30, 1)),
            ("regression", MULTI_TARGET, (30, 3)),
        ]
        for name in [*baselines(task), "gradient boosting", "nearest neighbour"]
    ],
)
def test_predictions_have_the_layout_of_the_task(task, name, y, shape):
    found = predict(task, name, y)
    assert (found.shape, found.dtype) == (shape, np.float32)


def test_prevalence_of_a_binary_target_is_the_share_of_positives():
    close(predict("binary", "prevalence", BINARY), np.full((30, 1), BINARY.mean()))


def test_prevalence_of_labels_is_the_share_of_each():
    close(predict("multilabel", "prevalence", MULTILABEL), np.tile(MULTILABEL.mean(axis=0), (30, 1)))


def test_prevalence_of_classes_is_the_share_of_each():
    close(predict("multiclass", "prevalence", MULTICLASS), np.tile(np.bincount(MULTICLASS) / 120, (30, 1)))


def test_logistic_of_a_binary_target_is_scikit_learns():
    close(predict("binary", "logistic", BINARY), logistic(BINARY[:, 0])[:, 1:])


def test_logistic_of_labels_is_scikit_learns_for_each():
    close(predict("multilabel", "logistic", MULTILABEL), np.stack([logistic(y)[:, 1] for y in MULTILABEL.T], axis=1))


def test_logistic_of_classes_is_scikit_learns():
    close(predict("multiclass", "logistic", MULTICLASS), logistic(MULTICLASS))


def test_mean_is_that_of_the_training_targets():
    close(predict("regression", "mean", REGRESSION), np.full((30, 1), REGRESSION.mean()))


def test_mean_of_several_targets_is_each_ones():
    close(predict("regression", "mean", MULTI_TARGET), np.tile(MULTI_TARGET.mean(axis=0), (30, 1)))


def test_ridge_is_scikit_learns():
    close(predict("regression", "ridge", REGRESSION)[:, 0], RidgeCV(ALPHAS).fit(X, REGRESSION[:, 0]).predict(NEW_X))


def test_ridge_of_several_targets_is_scikit_learns():
    close(predict("regression", "ridge", MULTI_TARGET), RidgeCV(ALPHAS).fit(X, MULTI_TARGET).predict(NEW_X))


def test_ridge_of_exact_data_is_least_squares():
    exact = (X @ [[1.0], [2], [3], [4], [5]] + 7).astype(np.float32)
    np.testing.assert_allclose(
        predict("regression", "ridge", exact), LinearRegression().fit(X, exact).predict(NEW_X), atol=0.01
    )


@pytest.mark.parametrize("name", ["prevalence", "logistic", "gradient boosting", "nearest neighbour"])
def test_class_that_the_training_split_lacks_has_no_probability(name):
    without = np.where(MULTICLASS == 1, 3, MULTICLASS)
    found = predict("multiclass", name, without, num_outputs=4)
    assert found.shape == (30, 4)
    assert (found[:, 1] == 0).all()
    close(found.sum(axis=1), np.ones(30))


@pytest.mark.parametrize("name", ["prevalence", "logistic", "gradient boosting", "nearest neighbour"])
@pytest.mark.parametrize("value", [0, 1])
def test_label_that_does_not_vary_in_the_training_split_is_predicted_for_all(name, value):
    y = MULTILABEL.copy()
    y[:, 1] = value
    found = predict("multilabel", name, y)
    assert (found[:, 1] == value).all()
    close(found[:, [0, 2]], predict("multilabel", name, MULTILABEL)[:, [0, 2]])


@pytest.mark.parametrize("task", ["binary", "multilabel", "multiclass", "regression"])
def test_each_task_has_a_trivial_and_a_linear_baseline(task):
    assert list(baselines(task)) == (["mean", "ridge"] if task == "regression" else ["prevalence", "logistic"])


@pytest.mark.parametrize("task", ["binary", "multilabel", "multiclass", "regression"])
@pytest.mark.parametrize(("third", "more"), [("trees", "gradient boosting"), ("neighbour", "nearest neighbour")])
def test_a_third_one_suits_the_kind_of_data(task, third, more):
    assert list(baselines(task, third)) == [*baselines(task), more]


def nearest():
    return cdist(NEW_X, X).argmin(axis=1)


def test_nearest_neighbour_of_classes_gives_its_class():
    close(predict("multiclass", "nearest neighbour", MULTICLASS), np.eye(3)[MULTICLASS[nearest()]])


def test_nearest_neighbour_of_a_binary_target_gives_its_answer():
    close(predict("binary", "nearest neighbour", BINARY), BINARY[nearest()])


def test_nearest_neighbour_of_labels_gives_its_labels():
    close(predict("multilabel", "nearest neighbour", MULTILABEL), MULTILABEL[nearest()])


def test_nearest_neighbour_of_numbers_gives_its_numbers():
    close(predict("regression", "nearest neighbour", MULTI_TARGET), MULTI_TARGET[nearest()])


def test_gradient_boosting_of_labels_is_scikit_learns_for_each():
    own = [HistGradientBoostingClassifier(**TREES).fit(X, y).predict_proba(NEW_X)[:, 1] for y in MULTILABEL.T]
    close(predict("multilabel", "gradient boosting", MULTILABEL), np.stack(own, axis=1))


def test_gradient_boosting_of_several_targets_is_scikit_learns_for_each():
    own = [HistGradientBoostingRegressor(**TREES).fit(X, y).predict(NEW_X) for y in MULTI_TARGET.T]
    close(predict("regression", "gradient boosting", MULTI_TARGET), np.stack(own, axis=1))


@pytest.mark.parametrize("name", ["logistic", "nearest neighbour"])
def test_padding_of_series_counts_as_nought(name):
    padded, filled = X.copy(), X.copy()
    padded[:40, 3:], filled[:40, 3:] = np.nan, 0
    close(predict("binary", name, BINARY, x=padded), predict("binary", name, BINARY, x=filled))


def test_prevalence_ranks_no_patient_above_another(compose):
    scores = score_baselines(prepare(compose("dataset=heart_disease", "model=linear")))
    assert scores["prevalence"]["auroc"] == 0.5


def test_logistic_baseline_tells_heart_disease(compose):
    scores = score_baselines(prepare(compose("dataset=heart_disease", "model=linear")))
    assert scores["logistic"]["auroc"] > 0.85


def test_mean_explains_nothing(compose):
    scores = score_baselines(prepare(compose("dataset=diabetes", "model=linear")))
    assert scores["mean"]["r2"] == pytest.approx(0, abs=0.05)
    assert scores["ridge"]["r2"] > 0.3


def test_baselines_of_classes_do_not_depend_on_their_coding(compose, tmp_path):
    path = tmp_path / "four_classes.csv"
    table = pd.DataFrame(X, columns=list("abcde")).assign(kind=MULTICLASS + 2 * (X[:, 0] > 1))
    table.assign(kind=table.kind.clip(upper=3).map("class {}".format)).to_csv(path, index=False)
    chosen = ["dataset=table", f"dataset.path={path}", "dataset.target=kind", "model=linear"]
    plain = score_baselines(prepare(compose(*chosen, "task=multiclass")))
    coded = score_baselines(prepare(compose(*chosen, "task=multiclass_codes", "task.coding=one_vs_one")))
    assert coded == plain


def patients_with_a_trait(number=30, rows=4, features=60):
    """Rows of one patient look alike and share an outcome that no feature tells of other patients."""
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(number), rows)
    x = rng.normal(size=(number, features))[patient] + 0.05 * rng.normal(size=(len(patient), features))
    return x, rng.normal(size=(number, 1))[patient], patient


def test_ridge_chooses_its_strength_on_patients_that_it_was_not_fitted_on():
    x, y, patient = patients_with_a_trait()
    order = np.random.default_rng(0).permutation(len(x))
    found = PatientRidge().fit(x[order], y[order, 0], patient[order])
    inner = GridSearchCV(Ridge(), {"alpha": ALPHAS}, cv=GroupKFold(5), scoring="neg_mean_squared_error")
    expected = inner.fit(x[order], y[order, 0], groups=patient[order])
    assert found.alpha_ == expected.best_params_["alpha"] == ALPHAS[-1]  # noise: the stronger the better
    assert RidgeCV(ALPHAS).fit(x, y[:, 0]).alpha_ < 1  # by rows, the patient's others give the answer away
    close(found.predict(x), expected.predict(x))


@pytest.mark.parametrize(("number", "y"), [(3, REGRESSION), (5, MULTI_TARGET), (1, REGRESSION)])
def test_ridge_of_few_patients_or_several_targets_has_a_strength(number, y):
    patient = np.arange(120) % number
    found = fit_predict(PatientRidge(), (X, y), NEW_X, y.shape[1], patient)
    assert np.isfinite(found).all() and found.shape == (30, y.shape[1])


def test_baselines_are_given_the_patients(compose, tmp_path):
    x, y, patient = patients_with_a_trait()
    table = pd.DataFrame(x).add_prefix("f").assign(y=y[:, 0], who=patient)
    table.to_csv(tmp_path / "traits.csv", index=False)
    chosen = ["dataset=table", f"dataset.path={tmp_path / 'traits.csv'}", "dataset.target=y", "model=linear"]
    outputs = dict(predictions(prepare(compose(*chosen, "dataset.patient=who")), ["test"]))
    assert float(outputs["ridge"]["test"][0].std()) < 0.05  # as good as the mean
