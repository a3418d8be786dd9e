import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn
from torch.func import functional_call

from medfit.models.inception_time import InceptionModule, InceptionNetwork, InceptionTime

SMALL = {"depth": 4, "width": 4, "kernel_sizes": [5, 4], "bottleneck": 3}


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def trained(model, x):
    """The model after a batch, so that its running means are not those it began with."""
    model.train()(x)
    return model.eval()


def normalised(x, norm):
    """What batch normalisation makes of a batch in evaluation mode, by its formula."""
    centred = (x - norm.running_mean[:, None]) / (norm.running_var[:, None] + norm.eps).sqrt()
    return centred * norm.weight[:, None] + norm.bias[:, None]


def waves():
    """Sines and square waves of several phases, of one length, and which is which."""
    phases = torch.linspace(0, 6, 8)[:, None] + torch.linspace(0, 12, 32)
    x = torch.cat([phases.sin(), phases.sin().sign()])[:, None]
    return x, torch.arange(2).repeat_interleave(8)


def training_accuracy(make, steps=100):
    """How many training series a network tells rightly, in evaluation mode, after training on them all at once."""
    torch.manual_seed(0)
    (x, y), model = waves(), make()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(x), y).backward()
        optimizer.step()
    return (model.eval()(x).argmax(dim=1) == y).float().mean().item()


def test_the_papers_network_has_the_parameters_counted_by_hand():
    kernels, norm = 40 + 20 + 10, 2 * 128
    first = 1 * 32 * kernels + 1 * 32 + norm  # a single channel has no bottleneck
    others = 128 * 32 + 32 * 32 * kernels + 128 * 32 + norm
    short_cuts = (1 * 128 + norm) + (128 * 128 + norm)
    assert count(InceptionTime((1, 140), 5)) == first + 5 * others + short_cuts + 128 * 5 + 5 == 420_837


def test_several_channels_have_a_bottleneck_from_the_start():
    more = count(InceptionTime((12, 140), 5)) - count(InceptionTime((1, 140), 5))
    bottleneck, kernels, pooled, short_cut = 12 * 32, 31 * 32 * 70, 11 * 32, 11 * 128
    assert more == bottleneck + kernels + pooled + short_cut


def test_each_network_has_as_many_parameters():
    assert count(InceptionTime((1, 140), 5, num_networks=3)) == 3 * count(InceptionTime((1, 140), 5))


def test_the_length_adds_no_parameters():
    assert count(InceptionTime((1, 140), 5)) == count(InceptionTime((1, 1400), 5))


@pytest.mark.parametrize(("depth", "expected"), [(1, 0), (2, 0), (3, 1), (5, 1), (6, 2), (7, 2), (9, 3)])
def test_there_is_a_short_cut_around_every_three_modules(depth, expected):
    network = InceptionNetwork(1, 2, depth, 2, [3], 2)
    assert len(network.inception) == depth and len(network.short_cuts) == expected


@pytest.mark.parametrize("channels", [1, 2, 12])
@pytest.mark.parametrize("length", [1, 5, 140])
def test_each_output_has_a_number(channels, length):
    output = InceptionTime((channels, length), 3, **SMALL)(torch.randn(4, channels, length))
    assert output.shape == (4, 3) and output.isfinite().all()


@pytest.mark.parametrize("kernel_sizes", [[1], [2, 4], [3, 5], [40, 20, 10], [9, 19, 39]])
def test_a_module_keeps_the_length_with_kernels_of(kernel_sizes):
    output = InceptionModule(2, 3, kernel_sizes, 4)(torch.randn(4, 2, 7))
    assert output.shape == (4, 3 * (len(kernel_sizes) + 1), 7)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_module_is_the_computation_by_functions(channels):
    x = torch.randn(5, channels, 20)
    module = trained(InceptionModule(channels, 4, [5, 3], 3), x)
    narrow = nn.functional.conv1d(x, module.bottleneck.weight) if channels > 1 else x
    branches = [nn.functional.conv1d(narrow, c[1].weight, padding="same") for c in module.convolutions]
    held = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)  # a neighbour that is not there changes no maximum
    pooled = torch.stack([held[:, :, i : i + 20] for i in range(3)]).amax(dim=0)
    branches.append(nn.functional.conv1d(pooled, module.pooled[1].weight))
    expected = normalised(torch.cat(branches, dim=1), module.norm).clamp(min=0)
    torch.testing.assert_close(module(x), expected)


def test_a_network_adds_each_short_cut_after_its_three_modules():
    x = torch.randn(5, 2, 20)
    network = trained(InceptionNetwork(2, 3, 7, 4, [5, 3], 3), x)

    def short_cut(number, start):
        convolution, norm = network.short_cuts[number]
        return normalised(nn.functional.conv1d(start, convolution[1].weight), norm)

    a, b, c, d, e, f, g = network.inception
    middle = (c(b(a(x))) + short_cut(0, x)).clamp(min=0)
    late = (f(e(d(middle))) + short_cut(1, middle)).clamp(min=0)
    expected = g(late).sum(dim=2) / 20 @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(network(x), expected)


def test_output_is_the_mean_of_the_networks():
    x = torch.randn(5, 2, 20)
    model = trained(InceptionTime((2, 20), 3, num_networks=3, **SMALL), x)
    one, two, three = (network(x) for network in model.networks)
    torch.testing.assert_close(model(x), (one + two + three) / 3)


def test_networks_begin_apart():
    one, two = InceptionTime((2, 20), 3, num_networks=2, **SMALL).networks
    assert not torch.equal(one.head.weight, two.head.weight)


def test_every_network_learns():
    model = InceptionTime((2, 20), 3, num_networks=2, **SMALL)
    model(torch.randn(5, 2, 20)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_by_default_there_is_one_network():
    assert len(InceptionTime((1, 20), 2).networks) == 1


def test_output_is_a_pure_function_of_parameters_and_input():
    x = torch.randn(5, 2, 20)
    model = trained(InceptionTime((2, 20), 3, num_networks=2, **SMALL), x)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = model(x)
    assert torch.equal(functional_call(InceptionTime((2, 20), 3, num_networks=2, **SMALL).eval(), state, (x,)), before)
    assert torch.equal(model(x), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_prediction_does_not_depend_on_the_rest_of_the_batch():
    x = torch.randn(5, 2, 20)
    model = trained(InceptionTime((2, 20), 3, **SMALL), x)
    torch.testing.assert_close(model(x)[:1], model(x[:1]))


@pytest.mark.parametrize("shape", [(), (3,), (3, 224, 224)])
def test_input_that_is_no_series_is_refused(shape):
    with pytest.raises(ValueError, match=r"^inception_time takes series of shape \(channels, length\), not \("):
        InceptionTime(shape, 1)


def test_batch_of_another_rank_is_refused():
    with pytest.raises(TypeCheckError):
        InceptionTime((1, 20), 1, **SMALL)(torch.zeros(2, 20))


def test_it_learns_to_tell_sines_from_square_waves():
    assert training_accuracy(lambda: InceptionTime((1, 32), 2, **SMALL)) == 1
