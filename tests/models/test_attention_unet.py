import pytest
import torch
from monai.networks import nets
from torch import nn

from medfit.models.attention_unet import AttentionUNet

WIDTHS = [4, 8, 16]
SHAPES = [(1, 16, 16), (3, 16, 24), (1, 8, 16, 8), (2, 8, 8, 16)]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_it_has_the_parameters_of_monais():
    monai = nets.AttentionUnet(2, 3, 4, channels=[16, 32, 64], strides=[2, 2])
    assert count(AttentionUNet((3, 64, 64), 4, [16, 32, 64])) == count(monai)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_pixel_has_a_number_for_each_class(shape):
    output = AttentionUNet(shape, 3, WIDTHS)(torch.randn(2, *shape))
    assert output.shape == (2, 3, *shape[1:]) and output.isfinite().all()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_reaches_all_parameters(shape):
    model = AttentionUNet(shape, 3, WIDTHS)
    model(torch.randn(2, *shape)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters() if p.ndim > 1)


def test_a_gate_weighs_the_way_down_between_nought_and_one():
    model, seen = AttentionUNet((1, 16, 16), 2, WIDTHS), []
    gates = [module for module in model.modules() if type(module).__name__ == "AttentionBlock"]
    for gate in gates:
        gate.psi.register_forward_hook(lambda module, given, weight: seen.append(weight))
    model(torch.randn(2, 1, 16, 16))
    assert len(seen) == len(gates) == len(WIDTHS) - 1
    assert all(weight.min() >= 0 and weight.max() <= 1 and weight.shape[1] == 1 for weight in seen)


def test_prediction_does_not_depend_on_the_rest_of_the_batch():
    model, x = AttentionUNet((1, 16, 16), 2, WIDTHS, dropout=0.5), torch.randn(4, 1, 16, 16)
    model.train()(x)
    torch.testing.assert_close(model.eval()(x)[:1], model(x[:1]))


def test_dropout_acts_in_training_alone():
    model, x = AttentionUNet((1, 16, 16), 2, WIDTHS, dropout=0.5), torch.randn(2, 1, 16, 16)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


def test_it_learns_a_small_batch_by_heart():
    x = torch.randn(2, 1, 16, 16)
    y = (nn.functional.avg_pool2d(x, 5, 1, 2)[:, 0] > 0).long()
    model = AttentionUNet((1, 16, 16), 2, WIDTHS)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(x), y).backward()
        optimizer.step()
    assert (model(x).argmax(dim=1) == y).float().mean() > 0.9


@pytest.mark.parametrize("shape", [(), (30,), (1, 140)])
def test_input_that_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match=r"^attention_unet takes images of shape \(channels, \*size\), not \("):
        AttentionUNet(shape, 2, WIDTHS)


def test_size_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match=r"^attention_unet halves its input 2 times, .* multiples of 4, not 18 x 16$"):
        AttentionUNet((1, 18, 16), 2, WIDTHS)


def test_a_single_resolution_is_refused():
    with pytest.raises(ValueError, match=r"^model\.widths"):
        AttentionUNet((1, 16, 16), 2, [8])
