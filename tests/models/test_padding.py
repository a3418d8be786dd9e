"""All networks for series take padding at the end, which is NaN, as if it were not there."""

from functools import partial

import pytest
import torch

from medfit.models.cnn1d import CNN1d, mean_over_time, split_padding
from medfit.models.inception_time import InceptionTime
from medfit.models.resnet1d import ResNet1d

SHAPES = (2, 20), 3
MODELS = [
    partial(CNN1d, *SHAPES, widths=[8, 6], kernel_sizes=[4, 3]),
    partial(ResNet1d, *SHAPES, widths=[8, 6, 6], kernel_sizes=[4, 3]),
    partial(InceptionTime, *SHAPES, num_networks=2, depth=4, width=4, kernel_sizes=[5, 4], bottleneck=3),
]
IDS = ["cnn1d", "resnet1d", "inception_time"]


def trained(model, x):
    """The model after a batch, so that its running means are not those it began with."""
    model.train()(x)
    return model.eval()


@pytest.mark.parametrize("make", MODELS, ids=IDS)
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("more", [1, 5, 60])
def test_padding_at_the_end_changes_nothing(make, mode, more):
    x = torch.randn(6, 2, 20, dtype=torch.float64)
    model = getattr(trained(make().double(), x), mode)()
    padded = torch.cat([x, torch.full((6, 2, more), torch.nan)], dim=2)
    torch.testing.assert_close(model(padded), model(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", MODELS, ids=IDS)
def test_a_padded_series_in_a_batch_gives_what_it_gives_alone(make):
    x = torch.randn(6, 2, 20, dtype=torch.float64)
    model = trained(make().double(), x)
    x[3, :, 13:] = torch.nan
    torch.testing.assert_close(model(x)[3:4], model(x[3:4, :, :13]), rtol=0, atol=1e-12)
    torch.testing.assert_close(model(x)[4:], model(x[4:]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", MODELS, ids=IDS)
def test_gradients_of_padded_series_are_those_without_padding(make):
    x = torch.randn(6, 2, 20, dtype=torch.float64)
    model, gradients = make().double().train(), []
    for padded in (x, torch.cat([x, torch.full((6, 2, 9), torch.nan)], dim=2)):
        model.zero_grad()
        model(padded).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("make", MODELS, ids=IDS)
def test_the_running_means_leave_padding_out(make):
    x = torch.randn(6, 2, 20, dtype=torch.float64)
    torch.manual_seed(0)
    plain = trained(make().double(), x)
    torch.manual_seed(0)
    padded = trained(make().double(), torch.cat([x, torch.full((6, 2, 30), torch.nan)], dim=2))
    torch.testing.assert_close(padded.state_dict(), plain.state_dict(), rtol=1e-9, atol=1e-10)


def test_the_mean_over_time_is_of_real_samples():
    x = torch.tensor([[[1.0, 3.0, torch.nan]], [[1.0, 2.0, 6.0]]])
    assert mean_over_time(*split_padding(x))[:, 0].tolist() == [2, 3]


def test_series_without_padding_pass_as_they_are():
    x = torch.randn(2, 3, 4)
    same, padding = split_padding(x)
    assert same is x and padding is None
