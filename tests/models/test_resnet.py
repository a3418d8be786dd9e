import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn

from medfit.models.resnet import ResNet

SMALL = {"depth": 10, "width": 4}
SHAPES = [(1, 28, 28), (3, 70, 66), (1, 7, 9), (2, 16, 16, 12), (1, 66, 20, 20)]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("depth", "published"), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032)])
def test_it_has_as_many_parameters_as_torchvisions_for_imagenet(depth, published):
    assert count(ResNet((3, 224, 224), 1000, depth)) == published


def test_a_small_stem_has_a_smaller_kernel():
    assert count(ResNet((3, 65, 65), 2)) - count(ResNet((3, 64, 64), 2)) == 3 * 64 * (7**2 - 3**2)


@pytest.mark.parametrize(("size", "reduced"), [((64, 64), (8, 8)), ((65, 64), (3, 2)), ((16, 32, 64), (2, 4, 8))])
def test_images_up_to_64_pixels_keep_their_size_in_the_first_layer(size, reduced):
    model, seen = ResNet((1, *size), 2, **SMALL), []
    model.features.layer4.register_forward_hook(lambda module, given, output: seen.append(tuple(output.shape[2:])))
    model(torch.randn(2, 1, *size))
    assert seen == [reduced]


@pytest.mark.parametrize("depth", [10, 18, 34, 50])
@pytest.mark.parametrize("shape", [(3, 20, 20), (1, 12, 12, 12)])
def test_each_depth_gives_a_number_for_each_output(depth, shape):
    output = ResNet(shape, 5, depth, width=2)(torch.randn(2, *shape))
    assert output.shape == (2, 5) and output.isfinite().all()


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_any_shape_are_taken(shape):
    output = ResNet(shape, 3, **SMALL)(torch.randn(2, *shape))
    assert output.shape == (2, 3) and output.isfinite().all()


@pytest.mark.parametrize("depth", [10, 50])
def test_the_gradient_reaches_all_parameters(depth):
    model = ResNet((2, 20, 20), 3, depth, width=4)
    model(torch.randn(4, 2, 20, 20)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_output_is_the_head_of_the_mean_over_the_last_maps():
    model, maps = ResNet((1, 20, 20), 3, **SMALL).eval(), []
    model.features.layer4.register_forward_hook(lambda module, given, output: maps.append(output))
    output = model(torch.randn(2, 1, 20, 20))
    torch.testing.assert_close(output, maps[0].mean(dim=(2, 3)) @ model.head[1].weight.T + model.head[1].bias)


def test_prediction_does_not_depend_on_the_rest_of_the_batch():
    model, x = ResNet((1, 20, 20), 3, **SMALL, dropout=0.5), torch.randn(4, 1, 20, 20)
    model.train()(x)
    torch.testing.assert_close(model.eval()(x)[:1], model(x[:1]))


def test_dropout_acts_in_training_alone():
    model, x = ResNet((1, 20, 20), 3, **SMALL, dropout=0.5), torch.randn(4, 1, 20, 20)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


def test_it_learns_a_small_batch_by_heart():
    x, y = torch.randn(8, 1, 16, 16), torch.arange(8) % 2
    model = ResNet((1, 16, 16), 2, **SMALL)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model.train()(x), y).backward()
        optimizer.step()
    assert (model.eval()(x).argmax(dim=1) == y).all()


@pytest.mark.parametrize("shape", [(), (30,), (1, 140)])
def test_input_that_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match=r"^resnet takes images of shape \(channels, \*size\), not \("):
        ResNet(shape, 2, **SMALL)


def test_output_of_another_rank_is_refused():
    model = ResNet((1, 16, 16), 2, **SMALL)
    model.head = nn.Unflatten(1, (4, 8))
    with pytest.raises(TypeCheckError):
        model(torch.randn(2, 1, 16, 16))
