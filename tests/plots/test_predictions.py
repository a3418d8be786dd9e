import io
import time

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from medfit.plots.predictions import MOST_CURVES, classification, learning_curves, regression

RANDOM = np.random.default_rng(0)
PREDS = RANDOM.random((200, 1)).astype(np.float32)
TARGET = (RANDOM.random((200, 1)) < PREDS).astype(np.float32)
LABEL_PREDS = RANDOM.random((200, 3)).astype(np.float32)
LABELS = (RANDOM.random((200, 3)) < LABEL_PREDS).astype(np.float32)
CLASS_PREDS = RANDOM.dirichlet([1, 1, 1, 1], 200).astype(np.float32)
CLASSES = np.eye(4)[RANDOM.integers(0, 4, 200)]
NUMBERS = RANDOM.normal(70, 10, (200, 2)).astype(np.float32)
NUMBER_PREDS = (NUMBERS + RANDOM.normal(0, 5, (200, 2))).astype(np.float32)
WITH_DIAGONAL = {"roc": 1, "precision_recall": 0, "calibration": 1}


def saved(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def curves(figure):
    return [line for line in figure.axes[0].lines if not line.get_label().startswith("_")]


def numbers_in(axes):
    return [int(text.get_text()) for text in axes.texts]


@pytest.mark.parametrize("name", WITH_DIAGONAL)
def test_binary_figure_has_one_curve(name):
    figure = classification(PREDS, TARGET, ["ill"])[name]
    assert len(figure.axes) == 1
    assert len(figure.axes[0].lines) == 1 + WITH_DIAGONAL[name]


@pytest.mark.parametrize("name", WITH_DIAGONAL)
def test_figure_of_labels_has_a_curve_for_each(name):
    figure = classification(LABEL_PREDS, LABELS, ["a", "b", "c"])[name]
    assert [line.get_label().split(",")[0] for line in curves(figure)] == ["a", "b", "c"]


@pytest.mark.parametrize("name", WITH_DIAGONAL)
def test_label_without_both_answers_has_no_curve(name):
    target = LABELS.copy()
    target[:, 1] = 0
    figure = classification(LABEL_PREDS, target, ["a", "b", "c"])[name]
    assert [line.get_label().split(",")[0] for line in curves(figure)] == ["a", "c"]


@pytest.mark.parametrize("name", [*WITH_DIAGONAL, "confusion"])
def test_figure_of_one_answer_alone_saves(name):
    assert saved(classification(PREDS, np.zeros_like(TARGET), ["ill"])[name]).startswith(b"\x89PNG")


def test_roc_curve_is_scikit_learns():
    line = curves(classification(PREDS, TARGET, ["ill"])["roc"])[0]
    x, y, _ = roc_curve(TARGET[:, 0], PREDS[:, 0])
    np.testing.assert_allclose(line.get_xydata(), np.column_stack([x, y]))


def test_roc_legend_tells_the_area():
    figure = classification(PREDS, TARGET, ["ill"])["roc"]
    assert figure.axes[0].get_legend().texts[0].get_text() == f"ill, area {roc_auc_score(TARGET, PREDS):.3f}"


def test_calibration_curve_is_scikit_learns():
    line = curves(classification(PREDS, TARGET, ["ill"])["calibration"])[0]
    observed, predicted = calibration_curve(TARGET[:, 0], PREDS[:, 0], n_bins=10)
    np.testing.assert_allclose(line.get_xydata(), np.column_stack([predicted, observed]), rtol=1e-5)


def test_calibration_of_exactly_0_and_1_stays_in_the_bins():
    line = curves(classification(TARGET, TARGET, ["ill"])["calibration"])[0]
    assert line.get_xydata().tolist() == [[0, 0], [1, 1]]


def test_calibration_at_an_edge_is_scikit_learns():
    edge = np.repeat([0.0, 0.1, 0.2, 0.5, 1.0], 40).astype(np.float64)
    line = curves(classification(edge[:, None], TARGET, ["ill"])["calibration"])[0]
    observed, predicted = calibration_curve(TARGET[:, 0], edge, n_bins=10)
    np.testing.assert_allclose(line.get_xydata(), np.column_stack([predicted, observed]))


def test_confusion_of_a_binary_target_counts_at_a_half():
    figure = classification(PREDS, TARGET, ["ill"])["confusion"]
    assert numbers_in(figure.axes[0]) == confusion_matrix(TARGET[:, 0], PREDS[:, 0] > 0.5).flatten().tolist()


def test_confusion_of_labels_has_a_panel_for_each():
    figure = classification(LABEL_PREDS, LABELS, ["a", "b", "c"])["confusion"]
    assert [[label.get_text() for label in axes.get_xticklabels()] for axes in figure.axes] == [
        ["no", "a"],
        ["no", "b"],
        ["no", "c"],
    ]


def test_confusion_of_classes_is_one_table():
    figure = classification(CLASS_PREDS, CLASSES, list("abcd"), exclusive=True)["confusion"]
    expected = confusion_matrix(CLASSES.argmax(axis=1), CLASS_PREDS.argmax(axis=1))
    assert len(figure.axes) == 1
    assert numbers_in(figure.axes[0]) == expected.flatten().tolist()


def test_confusion_has_a_row_for_a_class_that_does_not_occur():
    figure = classification(CLASS_PREDS, np.eye(4)[np.zeros(200, dtype=int)], list("abcd"), exclusive=True)["confusion"]
    assert len(numbers_in(figure.axes[0])) == 16
    assert saved(figure)


def test_number_of_curves_is_limited():
    preds = np.tile(LABEL_PREDS, (1, 5))
    figure = classification(preds, np.tile(LABELS, (1, 5)), [f"label {i}" for i in range(15)])["roc"]
    assert len(curves(figure)) == MOST_CURVES


@pytest.mark.parametrize("name", ["roc", "confusion"])
def test_figure_of_very_many_labels_saves(name):
    preds, target = np.tile(LABEL_PREDS, (1, 60)), np.tile(LABELS, (1, 60))
    figure = classification(preds, target, [f"label {i}" for i in range(180)])[name]
    assert len(figure.axes) <= MOST_CURVES
    assert saved(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [*WITH_DIAGONAL, "confusion"])
@pytest.mark.parametrize(
    ("preds", "target", "names", "exclusive"),
    [
        (PREDS, TARGET, ["ill"], False),
        (LABEL_PREDS, LABELS, ["a", "b", "c"], False),
        (CLASS_PREDS, CLASSES, list("abcd"), True),
    ],
)
def test_classification_figure_saves(name, preds, target, names, exclusive):
    assert saved(classification(preds, target, names, exclusive)[name]).startswith(b"\x89PNG")


@pytest.mark.mostly_slow(fast=4)
@pytest.mark.parametrize("name", [*WITH_DIAGONAL, "confusion"])
@pytest.mark.parametrize("label", ["a long name " * 9, "W" * 100, "$x_$", "_hidden", "50 %", "a\nb"])
def test_figure_with_an_awkward_name_saves(name, label):
    assert saved(classification(PREDS, TARGET, [label])[name]).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["predicted_against_true", "residuals"])
def test_regression_figure_has_a_panel_for_each_target(name):
    figure = regression(NUMBER_PREDS, NUMBERS, ["pulse", "systolic"])[name]
    assert [axes.get_title() for axes in figure.axes] == ["pulse", "systolic"]


def test_predicted_against_true_has_a_point_for_each_sample():
    axes = regression(NUMBER_PREDS, NUMBERS, ["pulse", "systolic"])["predicted_against_true"].axes[1]
    np.testing.assert_allclose(
        axes.collections[0].get_offsets(), np.column_stack([NUMBERS[:, 1], NUMBER_PREDS[:, 1]]), rtol=1e-6
    )


def test_residuals_are_predicted_minus_true():
    axes = regression(NUMBER_PREDS, NUMBERS, ["pulse", "systolic"])["residuals"].axes[0]
    expected = np.column_stack([NUMBER_PREDS[:, 0], NUMBER_PREDS[:, 0] - NUMBERS[:, 0]])
    np.testing.assert_allclose(axes.collections[0].get_offsets(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("name", ["predicted_against_true", "residuals"])
@pytest.mark.parametrize("num_targets", [1, 2, 12])
def test_regression_figure_saves(name, num_targets):
    preds, target = np.tile(NUMBER_PREDS[:, :1], (1, num_targets)), np.tile(NUMBERS[:, :1], (1, num_targets))
    figure = regression(preds, target, [f"target {i}" for i in range(num_targets)])[name]
    assert len(figure.axes) == min(num_targets, MOST_CURVES)
    assert saved(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["predicted_against_true", "residuals"])
def test_regression_figure_with_a_long_name_saves(name):
    assert saved(regression(NUMBER_PREDS, NUMBERS, ["W" * 100, "b"])[name]).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["predicted_against_true", "residuals"])
def test_regression_figure_of_a_constant_saves(name):
    same = np.full((10, 1), 3.0)
    assert saved(regression(same, same, ["pulse"])[name]).startswith(b"\x89PNG")


def test_learning_curves_are_of_training_and_validation():
    figure = learning_curves({"train/loss": [(0, 1.0), (1, 0.5)], "val/loss": [(0, 1.2), (1, 0.9)], "val/auroc": []})
    assert [line.get_label() for line in figure.axes[0].lines] == ["train", "val"]
    assert figure.axes[0].lines[1].get_xydata().tolist() == [[0, 1.2], [1, 0.9]]
    assert saved(figure).startswith(b"\x89PNG")


def test_learning_curves_of_one_epoch_save():
    assert saved(learning_curves({"train/loss": [(0, 1.0)], "val/loss": [(0, 1.2)]})).startswith(b"\x89PNG")


def test_learning_curves_without_an_epoch_save():
    assert saved(learning_curves({})).startswith(b"\x89PNG")


def test_many_classes_are_drawn_in_no_time():
    number = 132
    preds = RANDOM.dirichlet(np.ones(number), 600).astype(np.float32)
    target = np.eye(number)[RANDOM.integers(0, number, 600)]
    began = time.process_time()
    figure = classification(preds, target, [f"class {i}" for i in range(number)], exclusive=True)["confusion"]
    saved(figure)
    assert time.process_time() - began < 2
    (image,) = figure.axes[0].images
    wanted = confusion_matrix(target.argmax(axis=1), preds.argmax(axis=1), labels=range(number), normalize="true")
    np.testing.assert_allclose(np.asarray(image.get_array()), wanted)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()][:2] == ["class 0", "class 7"]
    assert not figure.axes[0].texts
