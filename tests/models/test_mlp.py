import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn
from torch.func import functional_call

from medfit.models.linear import Linear
from medfit.models.mlp import ACTIVATIONS, MLP, NORMALISATIONS


def kinds(model):
    return [type(layer) for layer in model.layers]


def sizes(model):
    return [(layer.in_features, layer.out_features) for layer in model.layers if isinstance(layer, nn.Linear)]


def test_layers_come_in_order():
    model = MLP((4,), 2, [8, 6], activation="gelu", normalisation="layer", dropout=0.1)
    block = [nn.Linear, nn.LayerNorm, nn.GELU, nn.Dropout]
    assert kinds(model) == [*block, *block, nn.Linear]


def test_layers_have_the_widths():
    assert sizes(MLP((4,), 2, [8, 6, 3])) == [(4, 8), (8, 6), (6, 3), (3, 2)]


def test_without_normalisation_there_is_none():
    assert kinds(MLP((4,), 2, [8])) == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]


@pytest.mark.parametrize(("name", "kind"), [("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm)])
def test_normalisation_has_the_width_of_its_layer(name, kind):
    found = [layer for layer in MLP((4,), 2, [8, 6], normalisation=name).layers if isinstance(layer, kind)]
    assert [layer.weight.shape[0] for layer in found] == [8, 6]


@pytest.mark.parametrize(("name", "kind"), ACTIVATIONS.items())
def test_activation_is_the_named_one(name, kind):
    assert kinds(MLP((4,), 2, [8], activation=name))[1] is kind


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_output_has_a_number(activation, normalisation):
    model = MLP((4,), 3, [8], activation=activation, normalisation=normalisation)
    output = model(torch.randn(5, 4))
    assert output.shape == (5, 3)
    assert output.isfinite().all()


def test_dropout_has_the_share():
    assert [layer.p for layer in MLP((4,), 2, [8, 6], dropout=0.3).layers if isinstance(layer, nn.Dropout)] == [0.3] * 2


def test_dropout_acts_in_training():
    model, x = MLP((4,), 2, [64], dropout=0.5).train(), torch.randn(3, 4)
    assert not torch.equal(model(x), model(x))


def test_without_widths_it_is_linear():
    model, linear, x = MLP((4,), 2, []), Linear((4,), 2), torch.randn(5, 4)
    linear.layer.load_state_dict(model.layers[0].state_dict())
    assert kinds(model) == [nn.Linear]
    assert torch.equal(model(x), linear(x))


def test_output_is_the_hand_computation():
    model, x = MLP((2,), 1, [3], activation="tanh"), torch.randn(5, 2)
    first, last = model.layers[0], model.layers[-1]
    by_hand = torch.tanh(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    assert torch.allclose(model(x), by_hand)


@pytest.mark.parametrize("shape", [(), (3, 4), (3, 224, 224)])
def test_input_that_is_no_record_is_refused(shape):
    with pytest.raises(ValueError, match=r"mlp takes records of shape \(features,\)"):
        MLP(shape, 1, [8])


def test_batch_of_another_rank_is_refused():
    with pytest.raises(TypeCheckError):
        MLP((3,), 1, [8])(torch.zeros(2, 5, 3))


def test_unknown_activation_is_refused():
    with pytest.raises(TypeCheckError):
        MLP((3,), 1, [8], activation="relou")


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_output_is_a_pure_function_of_parameters_and_input(normalisation):
    def make():
        return MLP((4,), 2, [8, 6], normalisation=normalisation, dropout=0.5)

    model, x = make(), torch.randn(5, 4)
    model(x)  # moves the running means of batch normalisation
    model.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = model(x)
    assert torch.equal(functional_call(make().eval(), state, (x,)), before)
    assert torch.equal(model(x), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_prediction_does_not_depend_on_the_rest_of_the_batch(normalisation):
    model, x = MLP((4,), 2, [8], normalisation=normalisation, dropout=0.5).eval(), torch.randn(5, 4)
    assert torch.allclose(model(x)[:1], model(x[:1]), atol=1e-6)
