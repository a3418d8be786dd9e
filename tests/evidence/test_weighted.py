import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from medfit.evidence.predictions import Predictions
from medfit.evidence.segmentation import counts, mean, overlaps
from medfit.evidence.targets.known import named
from medfit.evidence.weighted import BINARY, REGRESSION
from medfit.tasks import metrics as tasks


def predictions(kind, size=60, columns=1, seed=0, digits=1):
    rng = np.random.default_rng(seed)
    if kind == "regression":
        target, preds = rng.normal(50, 9, (2, size, columns))
    elif kind == "multiclass":
        preds = rng.dirichlet(np.ones(columns), size)
        target = np.eye(columns)[rng.integers(0, columns, size)]
    else:
        preds = rng.random((size, columns)).round(digits)  # ties among them
        target = (rng.random((size, columns)) < 0.2 + 0.6 * preds).astype(float)
    return Predictions(named(kind), [f"c{k}" for k in range(columns)], np.arange(size).astype(str), target, preds)


def as_repeats(found, weights):
    """The same predictions, each row as often as it weighs."""
    return found.rows(np.repeat(np.arange(len(found)), weights.astype(int)))


def reference(found):
    preds = torch.from_numpy(found.preds).float()
    if found.kind.name == "multiclass":
        return {n: float(of(preds, torch.from_numpy(found.target.argmax(axis=1)))) for n, of in tasks.CLASSES.items()}
    table = tasks.REGRESSION if found.kind.name == "regression" else tasks.BINARY
    target = torch.from_numpy(found.target).float()
    columns = {name: tasks.by_column(of, preds, target) for name, of in table.items()}
    return {name: float(values.nanmean()) for name, values in columns.items()}


@pytest.mark.parametrize(("kind", "columns"), [("binary", 1), ("multilabel", 3), ("multiclass", 4), ("regression", 2)])
def test_with_equal_weights_they_are_the_tasks_metrics(kind, columns):
    found = predictions(kind, columns=columns)
    ones = np.ones((1, len(found)))
    for name, expected in reference(found).items():
        assert found.metrics()[name](ones)[0] == pytest.approx(expected, rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize(("kind", "columns"), [("binary", 1), ("multilabel", 2), ("multiclass", 3), ("regression", 1)])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_weight_is_a_repeat(kind, columns, seed):
    found = predictions(kind, columns=columns, seed=seed)
    weights = np.random.default_rng(seed).multinomial(len(found), np.full(len(found), 1 / len(found)), 1).astype(float)
    repeated = as_repeats(found, weights[0])
    for name, of in found.metrics().items():
        expected = repeated.metrics()[name](np.ones((1, len(repeated))))
        np.testing.assert_allclose(of(weights), expected, rtol=1e-8, atol=1e-9, err_msg=name)


WEIGHED = {
    "auroc": sk.roc_auc_score,
    "auprc": sk.average_precision_score,
    "brier": sk.brier_score_loss,
    "cross_entropy": lambda t, p, sample_weight: sk.log_loss(
        t, np.clip(p, 1e-7, 1 - 1e-7), sample_weight=sample_weight
    ),
    "accuracy": lambda t, p, sample_weight: sk.accuracy_score(t, p > 0.5, sample_weight=sample_weight),
    "balanced_accuracy": lambda t, p, sample_weight: sk.balanced_accuracy_score(
        t, p > 0.5, sample_weight=sample_weight
    ),
    "f1": lambda t, p, sample_weight: sk.f1_score(t, p > 0.5, sample_weight=sample_weight),
    "mcc": lambda t, p, sample_weight: sk.matthews_corrcoef(t, p > 0.5, sample_weight=sample_weight),
}


@pytest.mark.parametrize("name", WEIGHED)
def test_weighted_classification_is_scikit_learns(name):
    found, weights = predictions("binary", digits=2), np.random.default_rng(3).random((5, 60)) * 3
    preds, target = found.preds[:, 0], found.target[:, 0]
    expected = [WEIGHED[name](target, preds, sample_weight=w) for w in weights]
    np.testing.assert_allclose(BINARY[name](preds, target, weights), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("mse", sk.mean_squared_error),
        ("rmse", sk.root_mean_squared_error),
        ("mae", sk.mean_absolute_error),
        ("r2", sk.r2_score),
    ],
)
def test_weighted_regression_is_scikit_learns(name, of):
    found, weights = predictions("regression"), np.random.default_rng(3).random((5, 60))
    preds, target = found.preds[:, 0], found.target[:, 0]
    expected = [of(target, preds, sample_weight=w) for w in weights]
    np.testing.assert_allclose(REGRESSION[name](preds, target, weights), expected)


def test_one_class_leaves_areas_undefined():
    preds, target = np.array([0.2, 0.7, 0.9]), np.ones(3)
    for name in ("auroc", "auprc"):
        assert np.isnan(BINARY[name](preds, target, np.ones((1, 3)))).all()


def test_a_resample_without_events_is_undefined_but_the_others_are_not():
    weights = np.array([[1.0, 1, 1, 1], [0, 0, 2, 2]])
    found = BINARY["auroc"](np.array([0.9, 0.6, 0.4, 0.1]), np.array([1.0, 1, 0, 0]), weights)
    np.testing.assert_array_equal(found, [1.0, np.nan])


def test_a_large_mean_costs_no_digits():
    target = 1e6 + np.arange(5.0)
    found = REGRESSION["r2"](target + 0.5, target, np.ones((1, 5)))
    assert found[0] == pytest.approx(1 - 1.25 / 10)


def test_segmentations_are_means_over_patients_then_classes():
    rng = np.random.default_rng(0)
    true, guess = rng.integers(0, 3, (2, 4, 9, 9))
    target = np.stack([counts(p, t, 3) for p, t in zip(guess, true, strict=True)])
    distances = rng.random((4, 2, 2))
    found = Predictions(named("segmentation"), ["a", "b"], np.array(list("pqrs")), target, distances)
    dice = overlaps(target)["dice"]
    weights = np.array([[1.0, 1, 1, 1], [2, 0, 1, 1]])
    np.testing.assert_allclose(found.metrics()["dice"](weights)[0], mean(mean(dice, axis=0), axis=0))
    np.testing.assert_allclose(found.metrics()["dice/b"](weights)[1], (2 * dice[0, 1] + dice[2, 1] + dice[3, 1]) / 4)
    np.testing.assert_allclose(found.metrics()["hausdorff95_mm/a"](weights)[0], distances[:, 0, 0].mean())


@pytest.mark.parametrize("metric", ["auroc", "auprc", "balanced_accuracy", "f1"])
def test_a_resample_without_a_class_has_no_mean_over_classes(metric):
    target, preds = np.eye(3)[[0, 0, 1, 1, 2]], np.random.default_rng(0).dirichlet(np.ones(3), 5)
    preds[4], preds[:4, 2] = [0.1, 0.2, 0.7], 0.0
    unit = Predictions(named("multiclass"), ["a", "b", "c"], np.arange(5).astype(str), target, preds)
    of = unit.metrics()[metric]
    without = np.array([[1.0, 1, 1, 1, 0], [2, 1, 1, 1, 1]])
    assert np.isfinite(of(np.ones((1, 5)))).all()
    assert np.isfinite(of(without)).tolist() == [False, True]


@pytest.mark.parametrize("metric", ["auroc", "auprc", "balanced_accuracy"])
def test_a_resample_without_a_label_has_no_mean_over_labels(metric):
    target = np.array([[1.0, 0, 1], [0, 0, 1], [1, 1, 1], [0, 0, 1]])  # everyone has the last: it is in no mean
    preds = np.array([[0.9, 0.2, 0.5], [0.3, 0.4, 0.4], [0.2, 0.8, 0.3], [0.5, 0.9, 0.3]])
    unit = Predictions(named("multilabel"), ["a", "b", "c"], np.arange(4).astype(str), target, preds)
    metrics, weights = unit.metrics(), np.array([[1.0, 1, 1, 1], [1, 1, 0, 1]])
    if metric != "balanced_accuracy":  # of the last, it is the share that is found
        both = [metrics[f"{metric}/{name}"](weights) for name in "ab"]
        np.testing.assert_allclose(metrics[metric](weights), np.mean(both, axis=0))
    assert np.isfinite(metrics[metric](weights)).tolist() == [True, False]
