import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn
from torch.func import functional_call

from medfit.models.resnet1d import ResidualBlock, ResNet1d

PAPER = {"widths": [64, 128, 128], "kernel_sizes": [8, 5, 3]}
SMALL = {"widths": [8, 6, 6], "kernel_sizes": [4, 3]}


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
    first = 1 * 64 * 8 + 64 * 64 * (5 + 3) + 3 * 2 * 64 + (1 * 64 + 2 * 64)
    second = 64 * 128 * 8 + 128 * 128 * (5 + 3) + 3 * 2 * 128 + (64 * 128 + 2 * 128)
    third = 128 * 128 * (8 + 5 + 3) + 3 * 2 * 128 + 2 * 128  # of one width: the short cut is only normalised
    assert count(ResNet1d((1, 140), 5, **PAPER)) == first + second + third + 128 * 5 + 5 == 503_493


def test_more_channels_add_to_the_first_kernel_and_the_first_short_cut():
    more = count(ResNet1d((12, 140), 5, **PAPER)) - count(ResNet1d((1, 140), 5, **PAPER))
    assert more == 11 * 64 * 8 + 11 * 64


def test_the_length_adds_no_parameters():
    assert count(ResNet1d((1, 140), 5, **PAPER)) == count(ResNet1d((1, 1400), 5, **PAPER))


@pytest.mark.parametrize("channels", [1, 2, 12])
@pytest.mark.parametrize("length", [1, 5, 140])
def test_each_output_has_a_number(channels, length):
    output = ResNet1d((channels, length), 3, **SMALL)(torch.randn(4, channels, length))
    assert output.shape == (4, 3) and output.isfinite().all()


@pytest.mark.parametrize("kernel_sizes", [[1], [3, 3, 3], [2, 4], [8, 5, 3]])
def test_a_block_keeps_the_length_with_kernels_of(kernel_sizes):
    assert ResidualBlock(2, 3, kernel_sizes)(torch.randn(4, 2, 7)).shape == (4, 3, 7)


@pytest.mark.parametrize("in_size", [2, 4])
def test_a_block_is_the_computation_by_functions(in_size):
    x = torch.randn(5, in_size, 20)
    block = trained(ResidualBlock(in_size, 4, [5, 3]), x)
    (one, norm_one, _), (two, norm_two) = block.path
    hidden = normalised(nn.functional.conv1d(x, one[1].weight, padding="same"), norm_one).clamp(min=0)
    hidden = normalised(nn.functional.conv1d(hidden, two[1].weight, padding="same"), norm_two)
    if in_size == 4:
        short_cut = normalised(x, block.short_cut)
    else:
        convolution, norm = block.short_cut
        short_cut = normalised(nn.functional.conv1d(x, convolution[1].weight), norm)
    torch.testing.assert_close(block(x), (hidden + short_cut).clamp(min=0))


def test_output_is_the_mean_over_time_of_the_blocks_one_after_another():
    x = torch.randn(5, 2, 20)
    model = trained(ResNet1d((2, 20), 3, **SMALL), x)
    hidden = x
    for block in model.blocks:
        hidden = block(hidden)
    expected = hidden.sum(dim=2) / 20 @ model.head[1].weight.T + model.head[1].bias
    torch.testing.assert_close(model(x), expected)


def test_dropout_has_the_share():
    assert ResNet1d((1, 20), 2, **SMALL, dropout=0.3).head[0].p == 0.3


def test_dropout_acts_in_training():
    model, x = ResNet1d((1, 20), 2, **SMALL, dropout=0.5).train(), torch.randn(3, 1, 20)
    assert not torch.equal(model(x), model(x))


def test_output_is_a_pure_function_of_parameters_and_input():
    x = torch.randn(5, 2, 20)
    model = trained(ResNet1d((2, 20), 3, **SMALL, dropout=0.5), x)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = model(x)
    assert torch.equal(functional_call(ResNet1d((2, 20), 3, **SMALL, dropout=0.5).eval(), state, (x,)), before)
    assert torch.equal(model(x), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_prediction_does_not_depend_on_the_rest_of_the_batch():
    x = torch.randn(5, 2, 20)
    model = trained(ResNet1d((2, 20), 3, **SMALL, dropout=0.5), x)
    torch.testing.assert_close(model(x)[:1], model(x[:1]))


@pytest.mark.parametrize("shape", [(), (3,), (3, 224, 224)])
def test_input_that_is_no_series_is_refused(shape):
    with pytest.raises(ValueError, match=r"^resnet1d takes series of shape \(channels, length\), not \("):
        ResNet1d(shape, 1, **SMALL)


def test_batch_of_another_rank_is_refused():
    with pytest.raises(TypeCheckError):
        ResNet1d((1, 20), 1, **SMALL)(torch.zeros(2, 20))


def test_it_learns_to_tell_sines_from_square_waves():
    assert training_accuracy(lambda: ResNet1d((1, 32), 2, **SMALL)) == 1
