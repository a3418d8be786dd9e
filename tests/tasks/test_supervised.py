from functools import partial

import lightning as L
import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.func import functional_call

from medfit.data.batches import Batches, Shuffled
from medfit.data.preprocessing.arrays import Arrays
from medfit.errors import UserError
from medfit.models.linear import Linear
from medfit.models.mlp import MLP
from medfit.tasks.classification import Binary, MultiClass, MultiLabel
from medfit.tasks.metrics import BINARY, CLASSES, REGRESSION
from medfit.tasks.output_codes import MultiClassByCodes
from medfit.tasks.regime import Regime
from medfit.tasks.regression import Regression
from medfit.train import train
from medfit.training.parts import prepare

pytestmark = [  # Lightning's advice
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
]
YES_OR_NO = torch.tensor([[1.0], [0], [0], [0], [1], [0], [0], [0]])
LABELS = torch.tensor([[1.0, 0], [0, 0], [0, 1], [1, 1], [1, 0]])
CLASS_NUMBERS = torch.tensor([0, 0, 0, 1, 1, 2])
NUMBERS = torch.tensor([[70.0], [80], [90], [120]])
TARGETS = {
    Binary: YES_OR_NO,
    MultiLabel: LABELS,
    MultiClass: CLASS_NUMBERS,
    MultiClassByCodes: CLASS_NUMBERS,
    Regression: NUMBERS,
}
METRICS = {
    Binary: list(BINARY),
    MultiLabel: list(BINARY),
    MultiClass: list(CLASSES),
    MultiClassByCodes: list(CLASSES),
    Regression: list(REGRESSION),
}
regime = partial(Regime, optimizer=partial(torch.optim.SGD, lr=0.1), scheduler=None, epochs=1, batch_size=None)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def make(kind, target=None, names=None, **kwargs):
    target = TARGETS[kind] if target is None else target
    size = int(target.max()) + 1 if target.ndim == 1 else target.shape[1]
    if kind is MultiClassByCodes:
        kwargs.setdefault("coding", "one_vs_one")
    given = {
        "model": Linear,
        "regime": regime(),
        "input_shape": (4,),
        "monitor": "val/loss",
        "mode": "min",
        "metrics": METRICS[kind],
    }
    names = names or [f"output {i}" for i in range(size)]
    return kind(target_names=names, train_arrays=lambda: (None, target), **(given | kwargs))


def step(task, x, y):
    """One step of gradient descent by Lightning."""
    batches = Batches(Arrays(x, y).training(range(len(x))), Shuffled(len(x), len(x), seed=0))
    trainer = L.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, batches, batches)


# Class weights


def test_balanced_weights_of_classes_are_scikit_learns():
    task = make(MultiClass, class_weight="balanced")
    expected = compute_class_weight("balanced", classes=np.arange(3), y=CLASS_NUMBERS.numpy())
    assert task.weights.tolist() == pytest.approx(expected.tolist())


def test_balanced_weights_of_yes_and_no_are_scikit_learns():
    task = make(Binary, class_weight="balanced")
    expected = compute_class_weight("balanced", classes=np.arange(2), y=YES_OR_NO[:, 0].numpy())
    assert task.weights[:, 0].tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("label", [0, 1])
def test_balanced_weights_of_each_label_are_scikit_learns(label):
    task = make(MultiLabel, class_weight="balanced")
    expected = compute_class_weight("balanced", classes=np.arange(2), y=LABELS[:, label].numpy())
    assert task.weights[:, label].tolist() == pytest.approx(expected.tolist())


def test_balanced_weights_are_one_on_average_over_samples():
    task = make(MultiClass, class_weight="balanced")
    assert float(task.weights[CLASS_NUMBERS].mean()) == pytest.approx(1)


def test_class_without_samples_weighs_one():
    task = make(MultiClass, torch.tensor([0, 0, 0, 2]), class_weight="balanced")
    assert task.weights.tolist() == pytest.approx([4 / 6, 1, 2])


def test_label_that_never_occurs_has_finite_weights():
    task = make(MultiLabel, torch.zeros(10, 1), class_weight="balanced")
    assert task.weights[:, 0].tolist() == pytest.approx([0.5 / 0.95, 10])


@pytest.mark.parametrize("kind", [Binary, MultiLabel, MultiClass, MultiClassByCodes])
def test_classes_weigh_alike_unless_asked(kind):
    assert (make(kind).weights == 1).all()


# Losses


def test_binary_loss_is_the_weighted_cross_entropy():
    task = make(Binary, class_weight="balanced")
    output, target = torch.tensor([[0.5], [-1.0], [2.0]]), torch.tensor([[1.0], [0.0], [0.0]])
    p = 1 / (1 + np.exp(-output[:, 0].numpy()))
    weights = compute_class_weight("balanced", classes=np.arange(2), y=YES_OR_NO[:, 0].numpy())
    by_hand = (-weights[1] * np.log(p[0]) - weights[0] * np.log(1 - p[1]) - weights[0] * np.log(1 - p[2])) / 3
    assert float(task.loss(output, target)) == pytest.approx(by_hand)


def test_multilabel_loss_is_the_mean_over_labels():
    output = torch.randn(5, 2)
    each = [make(Binary, LABELS[:, [k]]).loss(output[:, [k]], LABELS[:, [k]]) for k in range(2)]
    assert float(make(MultiLabel).loss(output, LABELS)) == pytest.approx(float(sum(each)) / 2)


def test_multiclass_loss_is_the_weighted_cross_entropy():
    task = make(MultiClass, class_weight="balanced")
    output = torch.tensor([[1.0, 2, 0], [0, 0, 0], [3, -1, 1], [0, 1, 2], [1, 1, 0], [0, 0, 5]])
    p = np.exp(output.numpy()) / np.exp(output.numpy()).sum(axis=1, keepdims=True)
    weights = compute_class_weight("balanced", classes=np.arange(3), y=CLASS_NUMBERS.numpy())
    target = CLASS_NUMBERS.numpy()
    by_hand = (-weights[target] * np.log(p[np.arange(6), target])).mean()
    assert float(task.loss(output, CLASS_NUMBERS)) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("mse", lambda error: (error**2).mean()),
        ("mae", lambda error: np.abs(error).mean()),
        ("huber", lambda error: np.where(np.abs(error) < 1, error**2 / 2, np.abs(error) - 0.5).mean()),
    ],
)
def test_regression_loss_is_of_scaled_targets(name, by_hand):
    task = make(Regression, loss=name)
    output = torch.tensor([[0.0], [0.5], [-1.0], [4.0]])
    target = NUMBERS.numpy()
    error = output.numpy() - (target - target.mean()) / target.std(ddof=1)
    assert float(task.loss(output, NUMBERS)) == pytest.approx(by_hand(error))


# Predictions


def test_regression_predicts_in_the_unit():
    task = make(Regression)
    scaled = (NUMBERS - task.mean) / task.std
    assert task.predict(scaled).flatten().tolist() == pytest.approx(NUMBERS.flatten().tolist())


def test_regression_of_nothing_is_the_mean_of_the_training_targets():
    assert float(make(Regression).predict(torch.zeros(1, 1))) == pytest.approx(90)


def test_each_regression_target_has_its_own_scale():
    target = torch.tensor([[1.0, 1000], [2, 3000], [3, 5000]])
    task = make(Regression, target)
    assert (task.std[1] / task.std[0]).item() == pytest.approx(2000)


def test_regression_target_that_does_not_vary_keeps_its_scale():
    task = make(Regression, torch.full((5, 1), 7.0))
    assert task.std.tolist() == [1]
    assert float(task.loss(torch.zeros(5, 1), torch.full((5, 1), 7.0))) == 0


def test_regression_takes_a_single_training_sample():
    assert make(Regression, torch.tensor([[7.0]])).std.tolist() == [1]


def test_unit_of_the_target_does_not_change_what_is_learnt():
    def trained(y):
        torch.manual_seed(0)
        task = make(Regression, y)
        step(task, torch.arange(16.0).reshape(4, 4) / 16, y)
        return task(torch.eye(4)).detach()

    assert torch.allclose(1000 * trained(NUMBERS) + 5, trained(1000 * NUMBERS + 5), rtol=1e-5)


def test_multiclass_predicts_probabilities_that_sum_to_one():
    assert make(MultiClass).predict(torch.randn(7, 3)).sum(dim=1).tolist() == pytest.approx([1] * 7)


def test_multilabel_probabilities_are_independent():
    assert make(MultiLabel).predict(torch.tensor([[0.0, 0.0]])).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("kind", TARGETS)
def test_loss_is_a_pure_function_of_parameters_buffers_and_input(kind):
    task = make(kind).eval()
    x = torch.randn(3, 4)
    state = dict(task.named_parameters()) | dict(task.named_buffers())
    torch.manual_seed(1)
    other = make(kind).eval()
    assert not torch.equal(other(x), task(x))
    assert torch.equal(functional_call(other, state, (x,)), task(x))


@pytest.mark.parametrize("kind", TARGETS)
def test_what_the_targets_taught_is_kept_with_the_weights(kind):
    task = make(kind)
    other = make(kind, TARGETS[kind].flip(0) if kind is not Regression else 2 * NUMBERS)
    other.load_state_dict(task.state_dict())
    x = torch.randn(3, 4)
    assert torch.equal(other(x), task(x))


# Multilabel with one label is binary


def test_multilabel_with_one_label_has_the_loss_of_binary():
    output = torch.randn(8, 1)
    found = [make(kind, YES_OR_NO, class_weight="balanced").loss(output, YES_OR_NO) for kind in (Binary, MultiLabel)]
    assert torch.equal(*found)


def test_multilabel_with_one_label_has_the_predictions_of_binary():
    output = torch.randn(8, 1)
    assert torch.equal(make(Binary).predict(output), make(MultiLabel, YES_OR_NO).predict(output))


def test_multilabel_with_one_label_has_the_scores_of_binary():
    preds = torch.rand(8, 1)
    assert make(Binary).scores(preds, YES_OR_NO) == make(MultiLabel, YES_OR_NO).scores(preds, YES_OR_NO)


# Scores and tables


def test_scores_of_several_labels_are_means_and_each_labels_own():
    preds = torch.rand(5, 2)
    scores = make(MultiLabel, names=["cough", "fever"], metrics=["auroc"]).scores(preds, LABELS)
    each = [float(BINARY["auroc"](preds[:, k], LABELS[:, k])) for k in range(2)]
    expected = {"auroc": np.mean(each), "auroc/cough": each[0], "auroc/fever": each[1]}
    assert scores == pytest.approx(expected)


def test_label_without_a_score_is_left_out_of_the_mean():
    target = LABELS.clone()
    target[:, 1] = 0
    scores = make(MultiLabel, metrics=["auroc"]).scores(torch.rand(5, 2), target)
    assert np.isnan(scores["auroc/output 1"])
    assert scores["auroc"] == scores["auroc/output 0"]


def test_scores_of_one_output_have_no_names_of_their_own():
    assert list(make(Regression, metrics=["mae"]).scores(NUMBERS + 1, NUMBERS)) == ["mae"]


def test_regression_scores_are_in_the_unit():
    assert make(Regression, metrics=["mae"]).scores(NUMBERS + 3, NUMBERS) == {"mae": pytest.approx(3)}


def test_scores_of_half_precision_are_those_of_the_same_numbers():
    preds = torch.rand(8, 1).half()
    task = make(Binary)
    assert task.scores(preds, YES_OR_NO) == task.scores(preds.float(), YES_OR_NO)


def test_table_of_labels_holds_truth_and_prediction_of_each():
    table = make(MultiLabel, names=["cough", "fever"]).table(np.full((5, 2), 0.25), LABELS.numpy())
    assert list(table) == ["target/cough", "target/fever", "pred/cough", "pred/fever"]
    assert table["target/fever"].tolist() == [0, 0, 1, 1, 0]


def test_table_of_classes_names_them():
    table = make(MultiClass, names=["a", "b", "c"]).table(np.eye(3)[[2, 0]], np.array([1, 0]))
    assert table["target"].tolist() == ["b", "a"]
    assert table["pred"].tolist() == ["c", "a"]
    assert table["pred/c"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Binary, {"roc", "precision_recall", "calibration", "confusion"}),
        (MultiLabel, {"roc", "precision_recall", "calibration", "confusion"}),
        (MultiClass, {"roc", "precision_recall", "calibration", "confusion"}),
        (MultiClassByCodes, {"roc", "precision_recall", "calibration", "confusion"}),
        (Regression, {"predicted_against_true", "residuals"}),
    ],
)
def test_figures_are_those_of_the_kind(kind, names):
    task = make(kind)
    preds = task(torch.randn(len(TARGETS[kind]), 4)).detach().numpy()
    assert set(task.figures(preds, TARGETS[kind].numpy())) == names


# Penalties


def penalised(l1=0.0, l2=0.0, model=Linear):
    task = make(Binary, model=model, regime=regime(l1=l1, l2=l2), input_shape=(2,))
    with torch.no_grad():
        for p in task.model.parameters():
            p.fill_(-2.0)
    return task


def gradients(task):
    task.penalise()
    return [parameter.grad for parameter in task.model.parameters()]


@pytest.mark.parametrize(("l1", "l2"), [(0.5, 0.0), (0.0, 0.5), (0.1, 0.01)])
@pytest.mark.parametrize("model", [Linear, partial(MLP, widths=[3], normalisation="layer")])
def test_gradients_are_those_of_the_sums_of_absolute_and_squared_weights(l1, l2, model):
    task = penalised(l1, l2, model)
    weights = [parameter for parameter in task.model.parameters() if parameter.ndim > 1]
    total = sum(l1 * weight.abs().sum() + l2 * weight.square().sum() for weight in weights)
    expected = torch.autograd.grad(total, weights)
    task.penalise()
    for weight, gradient in zip(weights, expected, strict=True):
        assert torch.allclose(weight.grad, gradient)


def test_penalties_leave_biases_and_normalisation_free():
    task = penalised(l1=1.0, l2=1.0, model=partial(MLP, widths=[3], normalisation="layer"))
    assert [gradient is None for gradient in gradients(task)] == [p.ndim == 1 for p in task.model.parameters()]


def test_penalties_add_to_the_gradients_of_the_loss():
    task = penalised(l1=0.5)
    task.model.layer.weight.grad = torch.full((1, 2), 3.0)
    task.penalise(share=0.1)
    assert task.model.layer.weight.grad.flatten().tolist() == pytest.approx([3 - 0.05] * 2)


def test_penalty_pulls_weights_and_leaves_biases_free():
    x, y = torch.zeros(4, 2), torch.tensor([[1.0], [1], [0], [0]])
    task = penalised(l1=0.1, l2=0.01)
    with torch.no_grad():
        task.model.layer.bias.zero_()
    step(task, x, y)
    # The data's own gradient is nought here: the input is, and the classes balance at a probability of a half.
    assert task.model.layer.weight.flatten().tolist() == pytest.approx([-2 + 0.1 * (0.1 + 0.01 * 2 * 2)] * 2)
    assert task.model.layer.bias.item() == 0


@pytest.mark.slow
def test_validation_loss_is_without_penalties(compose):
    overrides = ["dataset=breast_cancer", "model=linear", "regime=smoke", "regime.optimizer.lr=1e-12"]
    overrides += ["task.metrics=[cross_entropy]", "task.monitor=val/loss", "regime.epochs=1"]
    free, held = (train(compose(*overrides, f"regime.l2={l2}")) for l2 in (0.0, 10.0))
    assert held["val/cross_entropy"] == pytest.approx(free["val/cross_entropy"], rel=1e-4)


# What is refused


@pytest.mark.parametrize(("kind", "known"), METRICS.items())
def test_unknown_metric_is_refused_with_the_list(kind, known):
    with pytest.raises(UserError) as refusal:
        make(kind, metrics=["nonsense"])
    assert f"known: {', '.join(known)}" in str(refusal.value)


def test_unknown_metric_is_refused_with_the_nearest_name():
    with pytest.raises(UserError, match=r"there is no 'auruc'; did you mean 'auroc'\?"):
        make(Binary, metrics=["auruc"])


def test_metric_of_another_kind_is_refused():
    with pytest.raises(UserError, match=r"task\.metrics: there is no 'auroc'"):
        make(Regression, metrics=["auroc"])


def test_unknown_monitor_is_refused_with_the_list_and_the_nearest_name():
    with pytest.raises(UserError) as refusal:
        make(Binary, metrics=["auroc", "brier"], monitor="val/auruc")
    assert "did you mean 'val/auroc'?" in str(refusal.value)
    assert "logged: val/loss, val/auroc, val/brier" in str(refusal.value)


def test_monitor_that_is_not_among_the_metrics_is_refused():
    with pytest.raises(UserError, match="'val/auroc' is not logged"):
        make(Binary, metrics=["brier"], monitor="val/auroc")


@pytest.mark.parametrize("monitor", ["test/auroc", "train/loss", "auroc"])
def test_monitor_of_another_split_is_refused(monitor):
    with pytest.raises(UserError, match=f"'{monitor}' is no validation metric"):
        make(Binary, monitor=monitor)


def test_score_of_one_of_several_outputs_can_be_the_monitor():
    task = make(MultiLabel, names=["cough", "fever"], monitor="val/auroc/fever", mode="max")
    assert task.monitor == "val/auroc/fever"


@pytest.mark.parametrize("kind", [Binary, MultiLabel, Regression])
def test_what_is_said_to_be_logged_is_scored(kind):
    task = make(kind)
    scores = task.scores(torch.rand_like(TARGETS[kind]), TARGETS[kind])
    assert set(task.logged()) == {"val/loss", *(f"val/{name}" for name in scores)}


@pytest.mark.parametrize("model", [Linear, partial(MLP, widths=[3])])
def test_model_given_the_wrong_input_shape_is_refused(model):
    with pytest.raises(UserError, match=r"model: .* takes records of shape \(features,\), not \(3, 8, 8\)"):
        make(Binary, model=model, input_shape=(3, 8, 8))


def test_optimizer_that_refuses_its_values_is_told_as_such():
    with pytest.raises(UserError, match=r"regime\.optimizer: Invalid learning rate"):
        make(Binary, regime=regime(optimizer=partial(torch.optim.SGD, lr=-1.0)))


def test_task_that_does_not_fit_the_data_is_refused(compose):
    with pytest.raises(UserError, match="learns regression targets, but the data set's are binary"):
        prepare(compose("dataset=breast_cancer", "task=regression"))
