import lightning as L
import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from sklearn.linear_model import LogisticRegression
from torch.func import functional_call

from medfit.models.linear import Linear
from medfit.training.parts import prepare


def descend(cfg):
    """Returns the parts after the config's training: its last weights, not its best ones."""
    parts = prepare(cfg)
    trainer = L.Trainer(
        max_epochs=parts.regime.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
    )
    trainer.fit(parts.task, parts.datamodule)
    parts.task.eval()
    return parts


def with_ones(x):
    return np.column_stack([x.numpy().astype(float), np.ones(len(x))])


def test_output_is_wx_plus_b():
    model = Linear((3,), 2)
    with torch.no_grad():
        model.layer.weight.copy_(torch.tensor([[1.0, 2, 3], [0, -1, 0]]))
        model.layer.bias.copy_(torch.tensor([10.0, 20]))
    assert model(torch.tensor([[1.0, 1, 2]])).tolist() == [[19, 19]]


def test_has_a_weight_for_each_feature_and_output_and_a_bias_for_each_output():
    assert {name: tuple(p.shape) for name, p in Linear((5,), 2).named_parameters()} == {
        "layer.weight": (2, 5),
        "layer.bias": (2,),
    }


@pytest.mark.parametrize("shape", [(), (3, 4), (3, 224, 224)])
def test_input_that_is_no_record_is_refused(shape):
    with pytest.raises(ValueError, match=r"linear takes records of shape \(features,\)"):
        Linear(shape, 1)


def test_batch_of_another_rank_is_refused():
    with pytest.raises(TypeCheckError):
        Linear((3,), 1)(torch.zeros(2, 5, 3))


def test_whole_numbers_are_refused():
    with pytest.raises(TypeCheckError):
        Linear((3,), 1)(torch.zeros(2, 3, dtype=torch.long))


def test_output_is_a_pure_function_of_parameters_and_input():
    model, x = Linear((3,), 2).eval(), torch.randn(4, 3)
    state = {name: p.detach().clone() for name, p in model.named_parameters()}
    before = model(x)
    assert torch.equal(functional_call(Linear((3,), 2).eval(), state, (x,)), before)
    assert torch.equal(model(x), before)


def test_gradient_descent_finds_the_least_squares_solution(compose):
    parts = descend(
        compose(
            "dataset=diabetes",
            "model=linear",
            "regime=gradient_descent",
            "regime.epochs=1000",
            "regime.optimizer.momentum=0.95",
        )
    )
    x, y = parts.datamodule.arrays("train")
    test_x, _ = parts.datamodule.arrays("test")
    solution = np.linalg.lstsq(with_ones(x), y.numpy().astype(float), rcond=None)[0]
    expected = with_ones(test_x) @ solution
    # Progression runs from 25 to 346: a hundredth of a point is next to nothing.
    np.testing.assert_allclose(parts.task(test_x).detach().numpy(), expected, atol=0.01)


def descend_on_heart_disease(compose, *overrides):
    steep = ["regime.epochs=800", "regime.optimizer.lr=0.5", "regime.optimizer.momentum=0.9"]
    return descend(compose("dataset=heart_disease", "model=linear", "regime=gradient_descent", *steep, *overrides))


def logistic_predictions(parts, **kwargs):
    x, y = parts.datamodule.arrays("train")
    test_x, _ = parts.datamodule.arrays("test")
    reference = LogisticRegression(max_iter=10000, tol=1e-8, **kwargs).fit(x.double().numpy(), y.numpy()[:, 0])
    return parts.task(test_x).detach().numpy(), reference.predict_proba(test_x.double().numpy())[:, 1:]


@pytest.mark.slow
def test_logistic_regression_predicts_as_scikit_learns(compose):
    # As one column each, categories separate no patients; as many, a rare one would, and have no finite solution.
    parts = descend_on_heart_disease(compose, "preprocessing.categories=ordinal")
    found, expected = logistic_predictions(parts, C=np.inf)
    np.testing.assert_allclose(found, expected, atol=0.002)


@pytest.mark.slow
def test_logistic_regression_with_l2_predicts_as_scikit_learns(compose):
    parts = descend_on_heart_disease(compose, "regime.l2=0.01")
    num_samples = len(parts.datamodule.arrays("train")[1])
    found, expected = logistic_predictions(parts, C=1 / (2 * 0.01 * num_samples))
    np.testing.assert_allclose(found, expected, atol=0.002)
