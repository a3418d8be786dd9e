import pytest
import torch
from monai.networks import nets
from torch import nn
from torch.func import functional_call

from medfit.models.unet import UNet, check_image, check_widths

SMALL = {"widths": [4, 8, 16], "num_residual_units": 1}
SHAPES = [(1, 16, 16), (3, 16, 24), (1, 8, 16, 8), (2, 8, 8, 16)]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_it_has_the_parameters_of_monais():
    monai = nets.UNet(2, 3, 4, channels=[16, 32, 64], strides=[2, 2], num_res_units=2, norm="instance")
    assert count(UNet((3, 64, 64), 4, [16, 32, 64])) == count(monai)


def test_it_has_the_parameters_counted_by_hand():
    def conv(before, after, kernel):
        return before * after * kernel + after

    down = conv(1, 8, 9) + 1 + conv(8, 16, 9) + 1  # a number for each PReLU
    up = conv(8 + 16, 2, 9)
    assert count(UNet((1, 32, 32), 2, [8, 16], num_residual_units=0)) == down + up == 1684


def test_the_size_adds_no_parameters():
    assert count(UNet((1, 16, 16), 2, **SMALL)) == count(UNet((1, 64, 32), 2, **SMALL))


@pytest.mark.parametrize("shape", SHAPES)
def test_each_pixel_has_a_number_for_each_class(shape):
    output = UNet(shape, 3, **SMALL)(torch.randn(2, *shape))
    assert output.shape == (2, 3, *shape[1:]) and output.isfinite().all()


@pytest.mark.parametrize("normalisation", ["instance", "batch"])
def test_it_has_the_normalisation_asked_for(normalisation):
    kinds = {type(module) for module in UNet((1, 16, 16), 2, **SMALL, normalisation=normalisation).modules()}
    assert (nn.InstanceNorm2d in kinds, nn.BatchNorm2d in kinds) == (normalisation == "instance", normalisation == "batch")  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_reaches_all_parameters(shape):
    model = UNet(shape, 3, **SMALL)
    model(torch.randn(2, *shape)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters() if p.ndim > 1)


@pytest.mark.parametrize("normalisation", ["instance", "batch"])
def test_prediction_does_not_depend_on_the_rest_of_the_batch(normalisation):
    model, x = UNet((1, 16, 16), 2, **SMALL, normalisation=normalisation, dropout=0.5), torch.randn(4, 1, 16, 16)
    model.train()(x)
    torch.testing.assert_close(model.eval()(x)[:1], model(x[:1]))


def test_output_is_a_pure_function_of_parameters_and_input():
    model, x = UNet((1, 16, 16), 2, **SMALL).eval(), torch.randn(2, 1, 16, 16)
    other = UNet((1, 16, 16), 2, **SMALL).eval()
    assert torch.equal(functional_call(other, model.state_dict(), (x,)), model(x))


def test_dropout_acts_in_training_alone():
    model, x = UNet((1, 16, 16), 2, **SMALL, dropout=0.5), torch.randn(2, 1, 16, 16)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


def test_it_learns_a_small_batch_by_heart():
    x = torch.randn(2, 1, 16, 16)
    y = (torch.nn.functional.avg_pool2d(x, 5, 1, 2)[:, 0] > 0).long()
    model = UNet((1, 16, 16), 2, **SMALL)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert (model.eval()(x).argmax(dim=1) == y).float().mean() > 0.9


@pytest.mark.parametrize("shape", [(), (30,), (1, 140)])
def test_input_that_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match=r"^unet takes images of shape \(channels, \*size\), not \("):
        UNet(shape, 2, **SMALL)


@pytest.mark.parametrize("shape", [(1, 18, 16), (1, 16, 30), (1, 16, 16, 15)])
def test_size_that_cannot_be_halved_is_refused_in_one_line(shape):
    with pytest.raises(ValueError, match=r"^unet halves its input 2 times, .*multiples of 4, not \d+ x \d+.*$") as told:
        UNet(shape, 2, **SMALL)
    assert "\n" not in str(told.value)


def test_size_that_is_halved_to_one_pixel_is_refused():
    with pytest.raises(ValueError, match=r"^unet halves preprocessing\.patch_size down to a single pixel"):
        UNet((1, 4, 4), 2, **SMALL)


def test_two_pixels_at_the_lowest_resolution_are_enough():
    assert UNet((1, 4, 8), 2, **SMALL).train()(torch.randn(1, 1, 4, 8)).shape == (1, 2, 4, 8)


@pytest.mark.parametrize("widths", [[], [8]])
def test_fewer_than_two_resolutions_are_refused(widths):
    with pytest.raises(ValueError, match=f"^model.widths: this U-Net needs 2 resolutions at least, not {len(widths)}$"):
        check_widths(widths)


@pytest.mark.parametrize(("shape", "dimensions"), [((1, 7, 9), 2), ((2, 7, 9, 3), 3)])
def test_any_size_fits_what_halves_nothing(shape, dimensions):
    assert check_image("some", shape) == dimensions
