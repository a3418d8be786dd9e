import numpy as np
import pytest
import torch
from torch import nn

from medfit.explanations.image import deepest, grad_cam, grey_window
from medfit.models.dyn_unet import DynUNet
from medfit.models.resnet import ResNet
from medfit.models.unet import UNet


class Bright(nn.Module):
    """Answers to bright places of the first channel, halved in size; the second output to dark ones."""

    def __init__(self, dimensions):
        super().__init__()
        convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
        self.features = nn.Sequential(convolution(2, 2, 2, stride=2, bias=False), nn.ReLU())
        weight = torch.zeros_like(self.features[0].weight)
        weight[0, 0], weight[1, 0] = 1, -1
        self.features[0].weight.data = weight

    def forward(self, x):
        return self.features(x).flatten(2).mean(dim=2).double()


def square(dimensions):
    x = torch.zeros(1, 2, *[24] * dimensions)
    place = (slice(6, 12),) * dimensions
    x[(0, 0, *place)] = 1
    x[0, 1] = torch.rand(*[24] * dimensions, generator=torch.Generator().manual_seed(0))  # what the net does not see
    inside = torch.zeros([24] * dimensions, dtype=torch.bool)
    inside[place] = True
    return x, inside


@pytest.mark.parametrize("dimensions", [2, 3])
def test_grad_cam_highlights_the_planted_square(dimensions):
    x, inside = square(dimensions)
    made = grad_cam(Bright(dimensions), x, 0)
    assert made.shape == inside.shape
    assert (made >= 0).all()
    assert made[inside].mean() > 10 * made[~inside].mean()


def test_grad_cam_finds_nothing_for_an_output_that_the_square_does_not_raise():
    x, _ = square(2)
    assert float(grad_cam(Bright(2), x, 1).abs().max()) == 0


@pytest.mark.parametrize("dimensions", [2, 3])
def test_occlusion_highlights_the_planted_square(dimensions):
    x, inside = square(dimensions)
    made = grey_window(Bright(dimensions), x, torch.zeros(2), 0)
    assert made.shape == inside.shape
    assert inside[np.unravel_index(int(made.argmax()), inside.shape)]
    assert made[inside].mean() > 4 * made[~inside].mean()


@pytest.mark.parametrize(("depth", "size", "expected"), [(10, 28, 4), (18, 64, 8)])
def test_of_a_residual_network_the_last_blocks_sum_is_explained(depth, size, expected):
    net = ResNet((1, size, size), 2, depth=depth, width=4).eval()
    layer = deepest(net, torch.zeros(1, 1, size, size))
    assert layer is net.features.layer4
    with torch.no_grad():
        seen = []
        layer.register_forward_hook(lambda *call: seen.append(call[2].shape))
        net(torch.zeros(1, 1, size, size))
    assert seen[0][2:] == (expected, expected)


@pytest.mark.parametrize(
    ("net", "channels"),
    [(UNet((1, 32, 32), 2, [4, 8, 16]), 8 + 16), (DynUNet((1, 32, 32), 2, [4, 8, 16]), 16)],  # MONAI's with its skip
)
def test_of_a_u_net_the_bottleneck_is_explained(net, channels):
    x = torch.rand(1, 1, 32, 32)
    shapes = []
    deepest(net.eval(), x).register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape)))
    net(x)
    assert shapes == [(1, channels, 8, 8)]


def test_a_network_without_feature_maps_is_no_images():
    with pytest.raises(ValueError, match="no feature maps"):
        deepest(nn.Sequential(nn.Flatten(), nn.Linear(4, 1)), torch.zeros(1, 1, 2, 2))
