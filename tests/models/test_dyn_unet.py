import pytest
import torch
from monai.networks import nets
from torch import nn

from medfit.models.dyn_unet import SMALLEST, DynUNet

WIDTHS = [4, 8, 16]
SHAPES = [(1, 16, 16), (3, 16, 24), (2, 32, 4), (1, 8, 16, 8), (2, 16, 16, 2), (1, 16, 16, 1)]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def lowest(shape, widths=WIDTHS):
    """The size at the lowest resolution."""
    model, seen = DynUNet(shape, 2, widths), []
    model.bottleneck.register_forward_hook(lambda module, given, output: seen.append(tuple(output.shape[2:])))
    model(torch.randn(2, *shape))
    return seen[0]


def test_it_has_the_parameters_of_monais():
    monai = nets.DynUNet(3, 2, 4, [3] * 3, [1, 2, 2], [2, 2], filters=[8, 16, 32])
    assert count(DynUNet((2, 32, 32, 32), 4, [8, 16, 32])) == count(monai)


def test_residual_blocks_have_more_parameters():
    assert count(DynUNet((1, 16, 16), 2, WIDTHS, residual=True)) > count(DynUNet((1, 16, 16), 2, WIDTHS))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_each_pixel_has_a_number_for_each_class(shape, residual):
    output = DynUNet(shape, 3, WIDTHS, residual)(torch.randn(2, *shape))
    assert output.shape == (2, 3, *shape[1:]) and output.isfinite().all()


def test_all_axes_that_are_long_are_halved():
    assert lowest((1, 16, 32)) == (4, 8)


def test_an_axis_is_halved_only_while_enough_of_it_is_left():
    assert lowest((1, 64, 64, 8), [4, 4, 4, 4, 4]) == (4, 4, SMALLEST)


def test_thin_volumes_keep_their_layers():
    assert lowest((1, 16, 16, 3)) == (4, 4, 3)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_reaches_all_parameters(shape):
    model = DynUNet(shape, 3, WIDTHS)
    model(torch.randn(2, *shape)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters() if p.ndim > 1)


def test_prediction_does_not_depend_on_the_rest_of_the_batch():
    model, x = DynUNet((1, 16, 16), 2, WIDTHS, dropout=0.5).eval(), torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(model(x)[:1], model(x[:1]))


def test_dropout_acts_in_training_alone():
    model, x = DynUNet((1, 16, 16), 2, WIDTHS, dropout=0.5), torch.randn(2, 1, 16, 16)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


def test_it_learns_a_small_batch_by_heart():
    x = torch.randn(2, 1, 16, 16)
    y = (nn.functional.avg_pool2d(x, 5, 1, 2)[:, 0] > 0).long()
    model = DynUNet((1, 16, 16), 2, WIDTHS)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert (model(x).argmax(dim=1) == y).float().mean() > 0.9


@pytest.mark.parametrize("shape", [(), (30,), (1, 140)])
def test_input_that_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match=r"^dyn_unet takes images of shape \(channels, \*size\), not \("):
        DynUNet(shape, 2, WIDTHS)


@pytest.mark.parametrize("shape", [(1, 17, 16), (1, 18, 16), (1, 16, 16, 9)])
def test_size_that_cannot_be_halved_is_refused(shape):
    with pytest.raises(ValueError, match=r"^dyn_unet can't halve .* take multiples of 4$"):
        DynUNet(shape, 2, WIDTHS)


@pytest.mark.parametrize("widths", [[8], [8, 16]])
def test_fewer_than_three_resolutions_are_refused(widths):
    told = f"^model.widths: this U-Net needs 3 resolutions at least, not {len(widths)}$"
    with pytest.raises(ValueError, match=told):
        DynUNet((1, 16, 16), 2, widths)
