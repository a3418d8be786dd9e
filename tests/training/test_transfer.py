import pytest
import torch
from torch import nn

from medfit.config.instantiate import build
from medfit.config.schema import own
from medfit.errors import UserError
from medfit.models.cnn1d import CNN1d
from medfit.models.mlp import MLP
from medfit.tasks.layers import depending, shapes_of
from medfit.training.transfer import transfer

FAMILIES = {
    "mlp": (7,),
    "linear": (7,),
    "cnn1d": (2, 40),
    "resnet1d": (2, 40),
    "inception_time": (2, 40),
    "resnet": (1, 32, 32),
    "unet": (1, 32, 32),
    "dyn_unet": (1, 32, 32),
    "attention_unet": (1, 32, 32),
    "gan": (1, 28, 28),
}


def cnn(channels, outputs):
    return CNN1d((channels, 30), outputs, [6, 5], [5, 3])


def mlp(features, outputs, widths=(8, 8)):
    return MLP((features,), outputs, list(widths))


def parts_of(make, inputs, outputs, network):
    """Returns what of a network depends on the outputs, and what on the inputs."""
    return (
        depending(network, {k: tuple(v.shape) for k, v in make(inputs, outputs + 1).state_dict().items()}),
        depending(network, {k: tuple(v.shape) for k, v in make(inputs + 1, outputs).state_dict().items()}),
    )


def moved(make, then, now, **how):
    """Returns what a source held, the network that takes it, what that was before, and what happened."""
    source = make(*then).state_dict()
    network = make(*now)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    return source, network, before, transfer(network, source, *parts_of(make, *now, network), **how)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_takes_all_of_a_network_of_its_own(family, compose):
    network = build(own(compose("dataset=breast_cancer", f"model={family}").model, "model"))
    torch.manual_seed(1)
    source, made = network(FAMILIES[family], 3), network(FAMILIES[family], 3)
    done = transfer(made, {f"model.{k}": v for k, v in source.state_dict().items()}, set(), set())
    assert done.taken and not (done.averaged or done.new or done.lacking or done.unused)
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in source.state_dict().items())


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"gan"}))
def test_each_family_has_a_last_layer_that_depends_on_the_number_of_outputs(family, compose):
    network = build(own(compose("dataset=breast_cancer", f"model={family}").model, "model"))
    state = torch.random.get_rng_state()
    found = depending(network(FAMILIES[family], 3), shapes_of(network, FAMILIES[family], 4))
    assert found
    torch.random.set_rng_state(state)
    shapes_of(network, FAMILIES[family], 4)
    assert torch.equal(state, torch.random.get_rng_state())


def test_other_classes_leave_the_last_layer_as_it_was_drawn():
    source, network, before, done = moved(cnn, (2, 5), (2, 3))
    assert done.new == ["head.1"] and not done.lacking
    assert torch.equal(network.head[1].weight, before["head.1.weight"])
    assert torch.equal(network.blocks[1][1].running_var, source["blocks.1.1.running_var"])


def test_outputs_of_another_meaning_leave_the_last_layer_although_it_fits():
    _, network, before, done = moved(cnn, (2, 3), (2, 3), same_outputs=False)
    assert done.new == ["head.1"]
    assert torch.equal(network.head[1].bias, before["head.1.bias"])


@pytest.mark.parametrize(("then", "now"), [(3, 1), (1, 3), (2, 5)])
def test_averaged_filters_keep_the_size_of_activations(then, now):
    source, network, _, done = moved(cnn, (then, 3), (now, 3))
    assert done.averaged == ["blocks.0.0.1"]
    x, of_source = torch.randn(4, 1, 30), cnn(then, 3)
    of_source.load_state_dict(source)
    torch.testing.assert_close(network.eval()(x.expand(-1, now, -1)), of_source.eval()(x.expand(-1, then, -1)))


def test_other_features_leave_the_whole_first_layer_of_records():
    _, network, before, done = moved(mlp, (6, 2), (9, 2))
    assert done.new == ["layers.0"]
    assert torch.equal(network.layers[0].bias, before["layers.0.bias"])


def test_features_of_another_meaning_leave_the_first_layer_although_it_fits():
    _, network, before, done = moved(mlp, (6, 2), (6, 2), same_inputs=False)
    assert done.new == ["layers.0"]
    assert torch.equal(network.layers[0].weight, before["layers.0.weight"])


@pytest.mark.parametrize("beginning", ["", "model.", "module.encoder."])
def test_names_may_begin_with_something_else(beginning):
    source = {f"{beginning}{name}": value for name, value in cnn(1, 3).state_dict().items()}
    network = cnn(1, 3)
    transfer(network, {**source, "optimizer.state": torch.ones(3)}, set(), set())
    assert torch.equal(network.head[1].weight, source[f"{beginning}head.1.weight"])


def test_a_network_that_stands_within_another_is_found():
    inner = cnn(1, 3)
    network = nn.ModuleDict({"features": cnn(1, 3), "head": nn.Linear(3, 2)})
    done = transfer(network, inner.state_dict(), set(), set())
    assert done.lacking == ["head"]
    assert torch.equal(network["features"].blocks[0][0][1].weight, inner.blocks[0][0][1].weight)


def test_statistics_without_a_count_of_batches_fit():
    source = {k: v for k, v in cnn(1, 3).state_dict().items() if "num_batches" not in k}
    assert not transfer(cnn(1, 3), source, set(), set()).lacking


def test_a_decoder_is_left_out_and_told():
    source = {**cnn(1, 3).state_dict(), "decoder.0.weight": torch.ones(2)}
    assert transfer(cnn(1, 3), source, set(), set()).unused == ["decoder.0"]


@pytest.mark.parametrize(
    "source",
    [
        mlp(4, 2).state_dict(),
        CNN1d((1, 30), 3, [12, 10], [5, 3]).state_dict(),
        {},
        {name: value.to(torch.int8) for name, value in cnn(1, 3).state_dict().items()},
    ],
)
def test_another_architecture_is_refused(source):
    with pytest.raises(UserError, match="model.init_from: 0 of this network's 5 layers fit.*another architecture"):
        transfer(cnn(1, 3), source, set(), set())


def test_a_minority_of_layers_is_too_little():
    some = {name: value for name, value in cnn(1, 3).state_dict().items() if name.startswith("blocks.0")}
    with pytest.raises(UserError, match="2 of this network's 5 layers"):
        transfer(cnn(1, 3), some, set(), set())


def test_weights_that_are_no_numbers_are_refused():
    source = cnn(1, 3).state_dict()
    source["blocks.1.1.weight"][2] = torch.nan
    with pytest.raises(UserError, match="the weights of blocks.1.1.weight are no finite numbers"):
        transfer(cnn(1, 3), source, set(), set())
