import warnings

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn
from torch.func import functional_call

from medfit.models.cnn1d import CNN1d, ConvBlock, same_conv
from medfit.train import train

PAPER = {"widths": [128, 256, 128], "kernel_sizes": [8, 5, 3]}
SMALL = {"widths": [8, 6], "kernel_sizes": [4, 3]}


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def trained(model, x):
    """The model after a batch, so that its running means are not those it began with."""
    model.train()(x)
    return model.eval()


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
    blocks = (1 * 128 * 8 + 2 * 128) + (128 * 256 * 5 + 2 * 256) + (256 * 128 * 3 + 2 * 128)
    assert count(CNN1d((1, 140), 5, **PAPER)) == blocks + 128 * 5 + 5 == 264_837


def test_more_channels_add_to_the_first_kernel_alone():
    assert count(CNN1d((12, 140), 5, **PAPER)) - count(CNN1d((1, 140), 5, **PAPER)) == 11 * 128 * 8


def test_the_length_adds_no_parameters():
    assert count(CNN1d((1, 140), 5, **PAPER)) == count(CNN1d((1, 1400), 5, **PAPER))


@pytest.mark.parametrize("channels", [1, 2, 12])
@pytest.mark.parametrize("length", [1, 5, 140])
def test_each_output_has_a_number(channels, length):
    output = CNN1d((channels, length), 3, **SMALL)(torch.randn(4, channels, length))
    assert output.shape == (4, 3) and output.isfinite().all()


@pytest.mark.parametrize("kernel_size", range(1, 10))
def test_the_length_is_kept_by_a_kernel_of(kernel_size):
    assert ConvBlock(2, 3, kernel_size)(torch.randn(4, 2, 7)).shape == (4, 3, 7)


@pytest.mark.parametrize("kernel_size", range(1, 10))
def test_a_convolution_equals_torchs_same_padding_for_a_kernel_of(kernel_size):
    made = same_conv(2, 3, kernel_size)
    torchs = nn.Conv1d(2, 3, kernel_size, padding="same", bias=False)
    torchs.load_state_dict(made[1].state_dict())
    x = torch.randn(4, 2, 12)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
        torch.testing.assert_close(made(x), torchs(x))


def test_a_convolution_is_numpys():
    made, x = same_conv(1, 1, 3), torch.randn(1, 1, 9)
    kernel = made[1].weight[0, 0].detach().numpy()
    np.testing.assert_allclose(
        made(x)[0, 0].detach().numpy(), np.convolve(x[0, 0], kernel[::-1], mode="same"), atol=1e-6
    )


def test_an_even_kernel_looks_one_sample_further_ahead():
    made = same_conv(1, 1, 4)
    x = torch.zeros(1, 1, 9, requires_grad=True)
    made(x)[0, 0, 4].backward()
    assert x.grad[0, 0].nonzero()[:, 0].tolist() == [3, 4, 5, 6]


def test_a_block_without_activation_has_none():
    assert [type(layer) for layer in ConvBlock(1, 2, 3, activate=False)] == [nn.Sequential, nn.BatchNorm1d]


def test_a_block_is_convolution_normalisation_and_relu():
    assert [type(layer) for layer in ConvBlock(1, 2, 3)] == [nn.Sequential, nn.BatchNorm1d, nn.ReLU]


def test_output_is_the_computation_by_functions():
    x = torch.randn(5, 2, 20)
    model = trained(CNN1d((2, 20), 3, [8, 6], [5, 3]), x)
    hidden = x
    for convolution, norm, _ in model.blocks:
        hidden = nn.functional.conv1d(hidden, convolution[1].weight, padding="same")
        centred = (hidden - norm.running_mean[:, None]) / (norm.running_var[:, None] + norm.eps).sqrt()
        hidden = (centred * norm.weight[:, None] + norm.bias[:, None]).clamp(min=0)
    expected = hidden.mean(dim=2) @ model.head[1].weight.T + model.head[1].bias
    torch.testing.assert_close(model(x), expected)


def test_dropout_has_the_share():
    assert CNN1d((1, 20), 2, **SMALL, dropout=0.3).head[0].p == 0.3


def test_dropout_acts_in_training():
    model, x = CNN1d((1, 20), 2, **SMALL, dropout=0.5).train(), torch.randn(3, 1, 20)
    assert not torch.equal(model(x), model(x))


def test_without_dropout_training_is_repeatable():
    model, x = CNN1d((1, 20), 2, **SMALL).train(), torch.randn(3, 1, 20)
    assert torch.equal(model(x), model(x))


def test_output_is_a_pure_function_of_parameters_and_input():
    x = torch.randn(5, 2, 20)
    model = trained(CNN1d((2, 20), 3, **SMALL, dropout=0.5), x)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = model(x)
    assert torch.equal(functional_call(CNN1d((2, 20), 3, **SMALL, dropout=0.5).eval(), state, (x,)), before)
    assert torch.equal(model(x), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_prediction_does_not_depend_on_the_rest_of_the_batch():
    x = torch.randn(5, 2, 20)
    model = trained(CNN1d((2, 20), 3, **SMALL, dropout=0.5), x)
    torch.testing.assert_close(model(x)[:1], model(x[:1]))


@pytest.mark.parametrize("shape", [(), (3,), (3, 224, 224)])
def test_input_that_is_no_series_is_refused(shape):
    with pytest.raises(ValueError, match=r"^cnn1d takes series of shape \(channels, length\), not \("):
        CNN1d(shape, 1, **SMALL)


def test_batch_of_another_rank_is_refused():
    with pytest.raises(TypeCheckError):
        CNN1d((1, 20), 1, **SMALL)(torch.zeros(2, 20))


@pytest.mark.parametrize(("widths", "kernel_sizes"), [([8, 6], [3]), ([8], [3, 3]), ([], [])])
def test_widths_and_kernels_that_do_not_pair_are_refused(widths, kernel_sizes):
    told = f"not {len(widths)} and {len(kernel_sizes)}"
    with pytest.raises(ValueError, match=f"^model.widths and model.kernel_sizes must be as many, {told}$"):
        CNN1d((1, 20), 1, widths, kernel_sizes)


def test_it_learns_to_tell_sines_from_square_waves():
    assert training_accuracy(lambda: CNN1d((1, 32), 2, **SMALL)) == 1


def test_it_learns_heartbeats(compose):
    cfg = compose(
        "dataset=ecg5000",
        "model.widths=[8,16]",
        "model.kernel_sizes=[7,5]",
        "regime.epochs=15",
        "regime.optimizer.lr=0.02",
    )
    assert train(cfg)["val/accuracy"] > 0.8  # the commonest class alone gives .58
