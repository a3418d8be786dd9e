from functools import partial

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn
from torch.nn.utils import parametrize

from medfit.models.gan import GAN, channels_by_level

SMALL = partial(GAN, latent_size=6, width=4)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def convolutions(network):
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


# Sizes


@pytest.mark.parametrize("size", [28, 31, 32, 33, 47, 64, 100, 127, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_generator_makes_images_of_the_size(size, channels):
    assert SMALL((channels, size, size), 1)(torch.randn(2, 6)).shape == (2, channels, size, size)


@pytest.mark.parametrize("size", [28, 31, 32, 33, 47, 64, 100, 127, 128])
def test_discriminator_gives_each_image_a_number(size):
    assert SMALL((1, size, size), 1).discriminator(torch.rand(2, 1, size, size)).shape == (2,)


@pytest.mark.parametrize(("size", "levels"), [(28, 2), (32, 3), (63, 3), (64, 4), (128, 5)])
def test_levels_go_down_to_4_to_8_pixels(size, levels):
    assert len(channels_by_level(size, 1)) == levels
    assert 4 <= -(-size // 2**levels) <= 8


def test_channels_double_with_each_level_up_to_eight_widths():
    assert channels_by_level(128, 10) == [10, 20, 40, 80, 80]


def test_images_are_within_0_and_1():
    images = SMALL((1, 28, 28), 1)(100 * torch.randn(5, 6))
    assert 0 <= images.min() < images.max() <= 1


def test_every_pixel_depends_on_the_noise():
    model = SMALL((1, 31, 31), 1).eval()
    assert (model(torch.randn(8, 6)).std(dim=0) > 0).all()


@pytest.mark.parametrize("size", [28, 31, 32, 47])
def test_discriminator_sees_every_pixel_of_a_size_that_its_strides_divide(size):
    x = torch.rand(1, 1, size, size, requires_grad=True)
    SMALL((1, size, size), 1).discriminator(x).sum().backward()
    whole = size // 4 * 4 if size < 32 else size // 8 * 8
    assert (x.grad[..., :whole, :whole] != 0).all()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((30,), r"flat images of shape \(channels, size, size\), not \(30,\)"),
        ((1, 28, 28, 28), "flat images"),
        ((1, 28, 32), "square images, not 28 x 32 pixels; set preprocessing.size"),
        ((1, 27, 27), "28 to 128 pixels, not 27 x 27"),
        ((1, 129, 129), "28 to 128 pixels, not 129 x 129"),
    ],
)
def test_what_is_no_square_image_of_the_sizes_is_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        SMALL(shape, 1)


def test_wrong_input_is_told_by_its_shape():
    with pytest.raises(TypeCheckError):
        SMALL((1, 28, 28), 1)(torch.randn(6))


# Layers


def test_generator_has_dcgans_layers():
    kinds = [type(layer).__name__ for layer in SMALL((1, 32, 32), 1).generator.layers]
    assert kinds == ["BatchNorm2d", "ReLU", "ConvTranspose2d"] * 3 + ["Sigmoid"]


@pytest.mark.parametrize(("norm", "count"), [("spectral", 0), ("batch", 2), ("none", 0)])
def test_batch_normalisation_is_where_it_was_asked_for_but_not_in_the_first_layer(norm, count):
    network = SMALL((1, 32, 32), 1, discriminator_norm=norm).discriminator
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == count
    assert not isinstance(network.layers[1], nn.BatchNorm2d)


@pytest.mark.parametrize(("norm", "normal"), [("spectral", True), ("batch", False), ("none", False)])
def test_every_layer_of_a_spectral_discriminator_is_normalised(norm, normal):
    network = SMALL((1, 28, 28), 3, discriminator_norm=norm, conditional=True).discriminator
    layers = [*convolutions(network), network.head, network.embedding]
    assert [parametrize.is_parametrized(layer) for layer in layers] == [normal] * len(layers)


def test_largest_singular_value_of_a_spectral_layer_is_one():
    head = SMALL((1, 28, 28), 1, discriminator_norm="spectral").discriminator.head
    assert torch.linalg.matrix_norm(head.weight, ord=2).item() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("norm", ["spectral", "none"])
def test_output_on_an_image_does_not_depend_on_its_batch(norm):
    network = SMALL((1, 28, 28), 1, discriminator_norm=norm).discriminator.eval()
    x = torch.rand(4, 1, 28, 28)
    assert torch.allclose(network(x)[:1], network(x[:1]), atol=1e-6)


@pytest.mark.parametrize("place", [0, 2])
def test_first_weights_with_batch_normalisation_are_dcgans(place):
    layer = GAN((1, 28, 28), 1, width=64, discriminator_norm="batch").discriminator.layers[place]
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_generators_first_weights_are_dcgans():
    layer = GAN((1, 28, 28), 1).generator.layers[2]
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("norm", ["spectral", "none"])
def test_output_of_an_untrained_discriminator_varies(norm):
    network = GAN((1, 64, 64), 1, discriminator_norm=norm).discriminator
    assert network(torch.rand(1, 1, 1, 1) * torch.randn(20, 1, 64, 64).sign()).std() > 1e-3


# Classes


@pytest.mark.parametrize(("output_size", "num_classes"), [(1, 2), (3, 3)])
def test_yes_or_no_are_two_classes(output_size, num_classes):
    assert SMALL((1, 28, 28), output_size, conditional=True).num_classes == num_classes


def test_without_labels_there_are_no_classes():
    model = SMALL((1, 28, 28), 3)
    assert model.num_classes == 0
    assert model.generator.embedding is None
    assert model.discriminator.embedding is None


def test_labels_are_ignored_without_classes():
    model, z = SMALL((1, 28, 28), 3).eval(), torch.randn(2, 6)
    assert torch.equal(model(z, torch.tensor([0, 1])), model(z))


def test_images_depend_on_the_class():
    model, z = SMALL((1, 28, 28), 3, conditional=True).eval(), torch.randn(1, 6).repeat(3, 1)
    images = model(z, torch.arange(3))
    assert not torch.allclose(images[0], images[1])
    assert not torch.allclose(images[1], images[2])


def test_class_is_projected_on_the_features():
    network = SMALL((1, 28, 28), 3, conditional=True, discriminator_norm="none").discriminator
    x, label = torch.rand(3, 1, 28, 28), torch.tensor([2, 0, 1])
    features = network.layers(2 * x - 1)
    expected = network.head(features)[:, 0] + torch.stack(
        [f @ network.embedding.weight[k] for f, k in zip(features, label, strict=True)]
    )
    assert torch.allclose(network(x, label), expected, atol=1e-6)


def test_classes_of_data_without_any_are_refused():
    with pytest.raises(ValueError, match="conditional=true needs images with classes"):
        SMALL((1, 28, 28), 0, conditional=True)
