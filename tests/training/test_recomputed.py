"""Gradient checkpointing changes no number, and saves memory."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from medfit.errors import UserError
from medfit.models.attention_unet import AttentionUNet
from medfit.models.dyn_unet import DynUNet
from medfit.models.resnet import ResNet
from medfit.models.unet import UNet
from medfit.search.space import of_a_training
from medfit.tasks.regime import Regime
from medfit.training.hardware import prepare_model
from medfit.training.origin import Origin
from medfit.training.parts import prepare
from medfit.training.recomputed import blocks_of, check, recomputing
from medfit.training.trainer import fit, make_trainer

NETWORKS = {
    "unet": (UNet, {"widths": [4, 8, 16], "dropout": 0.3}),
    "unet of batch norm": (UNet, {"widths": [4, 8], "num_residual_units": 0, "normalisation": "batch"}),
    "attention_unet": (AttentionUNet, {"widths": [4, 8, 16], "dropout": 0.3}),
    "dyn_unet": (DynUNet, {"widths": [4, 8, 16], "dropout": 0.3}),
    "dyn_unet, residual": (DynUNet, {"widths": [4, 8, 16], "residual": True}),
    "resnet": (ResNet, {"depth": 10, "width": 4, "dropout": 0.3}),
    "resnet of bottlenecks": (ResNet, {"depth": 50, "width": 4}),
}
SHAPES = {"2D": (1, 32, 32), "3D": (1, 16, 16, 16)}


def regime(**options):
    return Regime(optimizer=torch.optim.SGD, scheduler=None, epochs=1, batch_size=None, **options)


ON = regime(gradient_checkpointing=True)


def network_of(family, shape):
    torch.manual_seed(0)
    kind, options = NETWORKS[family]
    return kind(shape, 2, **options)


def trained(family, shape, recomputes, precision=None):
    """Returns losses of three steps, and the weights behind them."""
    network, losses = network_of(family, shape), []
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    x = torch.randn(3, *shape)
    with recomputing(network, regime(gradient_checkpointing=recomputes)):
        for _ in range(3):
            with torch.autocast("cpu", precision, enabled=precision is not None):
                loss = network(x).float().square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    return losses, network.state_dict()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("family", NETWORKS)
def test_losses_weights_and_running_statistics_are_the_same(family, shape):
    losses, weights = trained(family, shape, recomputes=False)
    again, own = trained(family, shape, recomputes=True)
    assert again == pytest.approx(losses, rel=1e-6)
    assert list(own) == list(weights)
    for name, value in weights.items():
        assert torch.allclose(own[name].double(), value.double(), rtol=1e-5, atol=1e-7), name


@pytest.mark.parametrize("family", ["unet", "resnet"])
def test_losses_are_the_same_in_mixed_precision(family):
    losses, _ = trained(family, SHAPES["2D"], recomputes=False, precision=torch.bfloat16)
    again, _ = trained(family, SHAPES["2D"], recomputes=True, precision=torch.bfloat16)
    assert again == pytest.approx(losses, rel=1e-6)


def kept_bytes(network, shape):
    """Returns how much the gradient needs kept of a batch, weights left out."""
    weights = {value.untyped_storage().data_ptr() for value in network.state_dict().values()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = network(torch.randn(2, *shape))
    assert output.requires_grad
    return sum(nbytes for nbytes, _ in kept.values())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("family", NETWORKS)
def test_less_is_kept_of_a_batch(family, shape):
    network = network_of(family, shape)
    plain = kept_bytes(network, shape)
    with recomputing(network, ON):
        assert kept_bytes(network, shape) < 0.7 * plain
    assert kept_bytes(network, shape) == plain


class Scaled(nn.Module):
    """A block that is given its second input by name, and spoils its first one where it is asked to."""

    def __init__(self, spoils=False):
        super().__init__()
        self.layer, self.spoils = nn.Linear(4, 4), spoils

    def forward(self, x, by):
        made = self.layer(x * by).tanh()
        if self.spoils:
            by.mul_(2)
        return made


class Own(nn.Module):
    """A network of a user's, which names its blocks."""

    checkpointed = (Scaled,)

    def __init__(self, block):
        super().__init__()
        self.block, self.head = block, nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.block(x, by=x.clone()))


def test_a_network_of_ones_own_names_its_blocks_and_may_ask_for_a_gradient_twice():
    network = Own(Scaled())
    x = torch.randn(5, 4)
    made = []
    for recomputes in (False, True):
        with recomputing(network, regime(gradient_checkpointing=recomputes)):
            loss = network(x).sum()
            made.append([torch.autograd.grad(loss, network.block.layer.weight, retain_graph=True)[0] for _ in range(2)])
    (one, _), again = made
    assert all(torch.equal(one, gradient) for gradient in again)


def test_an_input_that_was_changed_since_is_an_error_rather_than_another_gradient():
    network = Own(Scaled(spoils=True))
    with recomputing(network, ON):
        loss = network(torch.randn(5, 4)).sum()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_a_block_within_a_block_is_computed_again_once():
    network = network_of("unet", SHAPES["2D"])
    blocks = blocks_of(network)
    assert blocks and not any(other in list(block.modules())[1:] for block in blocks for other in blocks)


def test_afterwards_and_where_it_is_not_asked_for_a_network_is_as_it_was():
    network = network_of("resnet", SHAPES["2D"])
    with recomputing(network, regime()):
        assert not any("forward" in vars(part) for part in network.modules())
    with pytest.raises(ZeroDivisionError), recomputing(network, ON):
        assert any("forward" in vars(part) for part in network.modules())
        raise ZeroDivisionError
    assert not any("forward" in vars(part) for part in network.modules())


def test_validation_computes_nothing_twice_and_leaves_statistics_alone():
    network = network_of("resnet", SHAPES["2D"]).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with recomputing(network, ON), torch.inference_mode():
        network(torch.randn(2, *SHAPES["2D"]))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("network", "options", "told"),
    [
        (nn.Sequential(nn.Linear(2, 2)), {}, "this network names no blocks"),
        (Own(Scaled()), {"compile": True}, "not together with regime.compile=true"),
    ],
)
def test_what_can_not_be_computed_again_is_refused(network, options, told):
    with pytest.raises(UserError, match=f"^regime.gradient_checkpointing: {told}"):
        check(network, regime(gradient_checkpointing=True, **options))


def test_a_block_that_remembers_what_it_has_seen_is_refused():
    block = Scaled()
    block.norm = nn.InstanceNorm1d(4, track_running_stats=True)
    with pytest.raises(UserError, match="InstanceNorm1d keeps numbers of its own, which computing a block again"):
        check(Own(block), ON)
    block.norm = nn.BatchNorm1d(4)
    check(Own(block), ON)


def test_it_is_compiled_only_where_that_is_asked_for():
    class Compiled(nn.Linear):
        def compile(self, mode):
            raise AssertionError

    prepare_model(Compiled(2, 2), ON, torch.device("cuda"), 10**6)


def image_classes(folder):
    rng = np.random.default_rng(0)
    for name, bright in (("ill", 150), ("well", 60)):
        (folder / "scans" / name).mkdir(parents=True, exist_ok=True)
        for number in range(20):
            pixels = rng.normal(bright, 20, (16, 16)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "scans" / name / f"{number}.png")
    data = ["dataset=image_classes", f"dataset.root={folder}/scans", "preprocessing.size=[16,16]"]
    network = ["model=resnet", "model.depth=10", "model.width=2", "model.dropout=0.3"]
    return [*data, *network, "regime.epochs=2", "regime.batch_size=16", "regime.accelerator=cpu", "seed=3"]


@pytest.mark.parametrize("speed", ["auto", "plain"])
def test_a_training_is_the_same_in_both_loops(compose, tmp_path, speed):
    made = []
    for on in (False, True):
        cfg = compose(*image_classes(tmp_path), f"regime.speed={speed}", f"regime.gradient_checkpointing={on}")
        parts = prepare(cfg)
        trainer = make_trainer(parts)
        fit(trainer, parts)
        loss = float(trainer.callback_metrics["train/loss"])
        made.append((loss, {name: value.clone() for name, value in parts.task.state_dict().items()}))
    (loss, weights), (own_loss, own) = made
    assert math.isclose(loss, own_loss, rel_tol=1e-6) and list(weights) == list(own)
    assert all(torch.allclose(own[n].double(), weights[n].double(), rtol=1e-4, atol=1e-6) for n in weights)


def test_a_model_that_names_no_blocks_is_refused_before_it_is_trained(compose):
    with pytest.raises(UserError, match=r"^regime.gradient_checkpointing: this network names no blocks"):
        prepare(compose("dataset=breast_cancer", "model=mlp", "regime.gradient_checkpointing=true"))


def test_an_interrupted_training_and_a_study_may_go_on_with_it(compose, tmp_path):
    off, on = (compose(*image_classes(tmp_path), f"regime.gradient_checkpointing={on}") for on in (False, True))
    assert Origin(on, prepare(on)).key == Origin(off, prepare(off)).key
    assert not of_a_training("regime.gradient_checkpointing") and of_a_training("regime.batch_size")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("family", ["unet", "attention_unet", "dyn_unet", "resnet"])
def test_a_network_trains_by_pixel(family, shape):
    plain, network = (network_of(family, shape).eval() for _ in range(2))  # no dropout
    prepare_model(network, regime(channels_last=True), torch.device("cpu"), 1)
    x = torch.randn(2, *shape)
    for made in (plain, network):
        made(x).square().mean().backward()
    largest = max(float(weight.grad.abs().max()) for weight in plain.parameters())
    for (name, weight), own in zip(plain.named_parameters(), network.parameters(), strict=True):
        assert torch.allclose(own.grad, weight.grad, rtol=1e-2, atol=1e-4 * largest), name
