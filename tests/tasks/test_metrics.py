"""Each metric against scikit-learn, or against a hand computation where scikit-learn has none."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from torch import Tensor

from medfit.tasks.metrics import BINARY, CLASSES, REGRESSION, by_column

NUM_CLASSES = 4
few = settings(max_examples=40, deadline=None)


def expected_calibration_error(confidence, correct):
    """By the paper: the bins' shares times the gaps between accuracy and confidence, bins closed above."""
    total = 0.0
    for low in range(10):
        inside = (confidence > np.float32(low / 10)) & (confidence <= np.float32((low + 1) / 10))
        inside |= (confidence == 0) & (low == 0)
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return total


def two_or_nan(score):
    """Scores that need both classes."""
    return lambda p, t: score(t, p) if len(np.unique(t)) == 2 else np.nan


def log_loss(p, t):
    return sk.log_loss(t, np.clip(p.astype(float), 1e-7, 1 - 1e-7), labels=[0, 1])


def class_log_loss(p, t):
    return -np.log(np.clip(p[np.arange(len(t)), t], 1e-7, 1)).mean()


def mcc(t, p):
    with warnings.catch_warnings(action="ignore"):  # scikit-learn warns of a single label, whose score is 0
        return sk.matthews_corrcoef(t, p)


def balanced_accuracy(t, p):
    return sk.recall_score(t, p, labels=np.unique(t), average="macro", zero_division=0)


def brier(p, t):
    exact = p.astype(float) / p.sum(axis=1, keepdims=True, dtype=float)  # scikit-learn wants sums of 1
    return sk.brier_score_loss(t, exact, labels=range(p.shape[1]), scale_by_half=False)


def mean_over_classes(score):
    def of_occurring(p, t):
        if len(np.unique(t)) == 1:
            return np.nan
        return np.mean([score(t == k, p[:, k]) for k in np.unique(t)])

    return of_occurring


BINARY_BY_SKLEARN = {
    "cross_entropy": log_loss,
    "auroc": two_or_nan(sk.roc_auc_score),
    "auprc": two_or_nan(sk.average_precision_score),
    "accuracy": lambda p, t: sk.accuracy_score(t, p > 0.5),
    "balanced_accuracy": lambda p, t: balanced_accuracy(t, (p > 0.5).astype(int)),
    "f1": lambda p, t: sk.f1_score(t, p > 0.5, labels=[0, 1], zero_division=0),
    "mcc": lambda p, t: mcc(t, (p > 0.5).astype(int)),
    "brier": lambda p, t: sk.brier_score_loss(t, p, pos_label=1),
    "calibration_error": expected_calibration_error,
}
CLASSES_BY_SKLEARN = {
    "cross_entropy": class_log_loss,
    "auroc": mean_over_classes(sk.roc_auc_score),
    "auprc": mean_over_classes(sk.average_precision_score),
    "accuracy": lambda p, t: sk.accuracy_score(t, p.argmax(axis=1)),
    "balanced_accuracy": lambda p, t: balanced_accuracy(t, p.argmax(axis=1)),
    "f1": lambda p, t: sk.f1_score(t, p.argmax(axis=1), average="macro", zero_division=0),
    "mcc": lambda p, t: mcc(t, p.argmax(axis=1)),
    "brier": brier,
    "calibration_error": lambda p, t: expected_calibration_error(p.max(axis=1), (p.argmax(axis=1) == t).astype(float)),
}
REGRESSION_BY_SKLEARN = {
    "mse": lambda p, t: sk.mean_squared_error(t, p),
    "rmse": lambda p, t: sk.root_mean_squared_error(t, p),
    "mae": lambda p, t: sk.mean_absolute_error(t, p),
    "r2": lambda p, t: sk.r2_score(t, p),
}

unit = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0]) | st.floats(0, 1, width=32, allow_subnormal=False)
number = st.sampled_from([0.0, 1.0]) | st.floats(-1000, 1000, width=32, allow_subnormal=False)


@st.composite
def binary_case(draw):
    size = draw(st.integers(1, 30))
    preds = draw(arrays(np.float32, size, elements=unit))
    return preds, draw(arrays(np.float32, size, elements=st.sampled_from([0.0, 1.0])))


@st.composite
def classes_case(draw):
    """Class numbers below ``last`` alone, so that classes may be missing from the targets."""
    size, last = draw(st.integers(1, 30)), draw(st.integers(0, NUM_CLASSES - 1))
    weights = draw(arrays(np.float32, (size, NUM_CLASSES), elements=st.sampled_from([0.0, 1.0, 2.0, 5.0])))
    weights[weights.sum(axis=1) == 0] = 1
    preds = weights / weights.sum(axis=1, keepdims=True)
    return preds, draw(arrays(np.int64, size, elements=st.integers(0, last)))


@st.composite
def regression_case(draw):
    size = draw(st.integers(2, 30))
    return draw(arrays(np.float32, size, elements=number)), draw(arrays(np.float32, size, elements=number))


def check(metric, reference, preds, target):
    found = metric(torch.from_numpy(preds), torch.from_numpy(target))
    assert isinstance(found, Tensor)
    assert found.ndim == 0
    assert float(found) == pytest.approx(reference(preds, target), rel=1e-4, abs=1e-5, nan_ok=True)


def softmax(scores):
    exponent = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (exponent / exponent.sum(axis=1, keepdims=True)).astype(np.float32)


RANDOM = np.random.default_rng(0)
UNIFORM = RANDOM.random(500, dtype=np.float32)
TARGET = (RANDOM.random(500) < UNIFORM).astype(np.float32)
SCORES = softmax(2 * RANDOM.normal(size=(500, NUM_CLASSES)))
LABELS = np.where(RANDOM.random(500) < 0.6, SCORES.argmax(axis=1), RANDOM.integers(0, NUM_CLASSES, 500))
BINARY_CASES = {
    "random": (UNIFORM, TARGET),
    "ties": (UNIFORM.round(1), TARGET),
    "constant": (np.full(500, 0.3, dtype=np.float32), TARGET),
    "constant_at_a_half": (np.full(500, 0.5, dtype=np.float32), TARGET),
    "only_negatives": (UNIFORM, np.zeros(500, dtype=np.float32)),
    "only_positives": (UNIFORM, np.ones(500, dtype=np.float32)),
    "exactly_0_and_1": (np.where(UNIFORM > 0.8, 1 - TARGET, TARGET), TARGET),
    "ones_beside_high_probabilities": (np.where(UNIFORM > 0.95, 1, UNIFORM).astype(np.float32), TARGET),
    "all_right": (TARGET, TARGET),
    "all_wrong": (1 - TARGET, TARGET),
    "one_sample": (UNIFORM[:1], TARGET[:1]),
}
CLASSES_CASES = {
    "random": (SCORES, LABELS),
    "ties": (softmax(np.round(4 * SCORES)), LABELS),
    "constant": (np.tile(softmax(np.array([[0.0, 1, 2, 3]])), (500, 1)), LABELS),
    "uniform": (np.full((500, NUM_CLASSES), 0.25, dtype=np.float32), LABELS),
    "a_class_that_does_not_occur": (SCORES, LABELS % 3),
    "one_class_only": (SCORES, np.ones(500, dtype=np.int64)),
    "exactly_0_and_1": (np.eye(NUM_CLASSES, dtype=np.float32)[np.where(UNIFORM > 0.7, 0, LABELS)], LABELS),
    "ones_beside_high_probabilities": (
        np.where(UNIFORM[:, None] > 0.7, np.eye(NUM_CLASSES)[0], softmax(5 * SCORES)).astype(np.float32),
        LABELS,
    ),
    "all_right": (np.eye(NUM_CLASSES, dtype=np.float32)[LABELS], LABELS),
    "one_sample": (SCORES[:1], LABELS[:1]),
}
NORMAL = RANDOM.normal(size=500).astype(np.float32)
NOISY = (NORMAL + 0.5 * RANDOM.normal(size=500)).astype(np.float32)
REGRESSION_CASES = {
    "random": (NOISY, NORMAL),
    "constant_prediction": (np.full(500, 0.2, dtype=np.float32), NORMAL),
    "constant_target": (NOISY, np.full(500, 0.1, dtype=np.float32)),
    "constant_and_right": (np.full(500, 0.1, dtype=np.float32), np.full(500, 0.1, dtype=np.float32)),
    "all_right": (NORMAL, NORMAL),
    "small_unit": (1e-4 * NOISY, 1e-4 * NORMAL),
    "large_mean": (NOISY + 10000, NORMAL + 10000),
    "worse_than_the_mean": (-NOISY, NORMAL),
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("case", BINARY_CASES)
def test_binary_metric_is_as_scikit_learn_has_it(name, case):
    check(BINARY[name], BINARY_BY_SKLEARN[name], *BINARY_CASES[case])


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("case", CLASSES_CASES)
def test_metric_of_classes_is_as_scikit_learn_has_it(name, case):
    check(CLASSES[name], CLASSES_BY_SKLEARN[name], *CLASSES_CASES[case])


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("case", REGRESSION_CASES)
def test_regression_metric_is_as_scikit_learn_has_it(name, case):
    preds, target = REGRESSION_CASES[case]
    found = float(REGRESSION[name](torch.from_numpy(preds), torch.from_numpy(target)))
    reference = REGRESSION_BY_SKLEARN[name](preds.astype(float), target.astype(float))
    assert found == pytest.approx(reference, rel=1e-4, abs=1e-12)


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("name", BINARY)
@given(case=binary_case())
@few
def test_binary_metric_is_as_scikit_learn_has_it_on_any_input(name, case):
    check(BINARY[name], BINARY_BY_SKLEARN[name], *case)


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("name", CLASSES)
@given(case=classes_case())
@few
def test_metric_of_classes_is_as_scikit_learn_has_it_on_any_input(name, case):
    check(CLASSES[name], CLASSES_BY_SKLEARN[name], *case)


@pytest.mark.parametrize("name", REGRESSION)
@given(case=regression_case())
@few
def test_regression_metric_is_as_scikit_learn_has_it_on_any_input(name, case):
    preds, target = (part.astype(float) for part in case)
    found = float(REGRESSION[name](*map(torch.from_numpy, case)))
    assert found == pytest.approx(REGRESSION_BY_SKLEARN[name](preds, target), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", ["auroc", "auprc"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_ranking_metric_of_one_class_is_not_a_number(name, value):
    assert BINARY[name](torch.rand(9), torch.full((9,), value)).isnan()


@pytest.mark.parametrize("name", ["auroc", "auprc"])
def test_ranking_metric_of_classes_is_not_a_number_where_one_class_occurs(name):
    assert CLASSES[name](torch.eye(3)[[0, 1, 2]], torch.tensor([1, 1, 1])).isnan()


def test_auroc_of_two_classes_is_the_binary_one():
    preds, target = torch.from_numpy(UNIFORM), torch.from_numpy(TARGET)
    both = torch.stack([1 - preds, preds], dim=1)
    assert float(CLASSES["auroc"](both, target.long())) == pytest.approx(float(BINARY["auroc"](preds, target)))


def test_brier_score_of_two_classes_is_twice_the_binary_one():
    preds, target = torch.from_numpy(UNIFORM), torch.from_numpy(TARGET)
    both = torch.stack([1 - preds, preds], dim=1)
    assert float(CLASSES["brier"](both, target.long())) == pytest.approx(2 * float(BINARY["brier"](preds, target)))


def test_cross_entropy_of_a_certain_error_is_finite():
    assert float(BINARY["cross_entropy"](torch.tensor([1.0]), torch.tensor([0.0]))) == pytest.approx(-np.log(1e-7))


def test_calibration_error_bins_as_scikit_learn_does():
    observed, predicted = calibration_curve(TARGET, UNIFORM, n_bins=10)
    counts = np.histogram(UNIFORM, np.linspace(0, 1, 11))[0]
    by_hand = (np.abs(observed - predicted) * counts / len(TARGET)).sum()
    assert float(BINARY["calibration_error"](*map(torch.from_numpy, (UNIFORM, TARGET)))) == pytest.approx(by_hand)


def test_calibration_error_puts_certainty_in_the_uppermost_bin():
    preds, target = torch.tensor([1.0, 0.92]), torch.tensor([0.0, 1.0])
    assert float(BINARY["calibration_error"](preds, target)) == pytest.approx(0.96 - 0.5)


def test_calibration_error_of_the_observed_share_is_zero():
    target = torch.tensor([1.0, 0, 0, 0])
    assert float(BINARY["calibration_error"](torch.full((4,), 0.25), target)) == pytest.approx(0)


def test_r2_of_one_sample_is_not_a_number():
    assert REGRESSION["r2"](torch.tensor([1.0]), torch.tensor([2.0])).isnan()


def test_r2_of_the_mean_is_zero():
    target = torch.from_numpy(NORMAL)
    assert float(REGRESSION["r2"](target.mean().expand(500), target)) == pytest.approx(0, abs=1e-6)


def test_by_column_scores_each_column_alone():
    preds, target = torch.rand(20, 3), (torch.arange(60).reshape(20, 3) % 2).float()
    each = [float(BINARY["auroc"](preds[:, k], target[:, k])) for k in range(3)]
    assert by_column(BINARY["auroc"], preds, target).tolist() == pytest.approx(each)


@pytest.mark.parametrize("name", BINARY)
def test_binary_metric_does_not_depend_on_the_order_of_samples(name):
    order = np.random.default_rng(1).permutation(500)
    preds, target = torch.from_numpy(UNIFORM.round(1)), torch.from_numpy(TARGET)
    assert float(BINARY[name](preds[order], target[order])) == pytest.approx(float(BINARY[name](preds, target)))


def test_every_metric_is_compared():
    assert set(BINARY) == set(BINARY_BY_SKLEARN)
    assert set(CLASSES) == set(CLASSES_BY_SKLEARN)
    assert set(REGRESSION) == set(REGRESSION_BY_SKLEARN)
