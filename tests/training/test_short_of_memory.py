"""What is said of a batch that does not fit names what may help, and nothing that is on already or impossible."""

from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from medfit.models.gan import GAN
from medfit.models.resnet import ResNet
from medfit.tasks.regime import Regime
from medfit.training.short_of_memory import told

SMALLER = "lower the size of the model or preprocessing.patch_size"
CFG = OmegaConf.create({"preprocessing": {"patch_size": [64, 64], "flip": True}})
BF16, HALF, AGAIN = (
    "regime.precision=bf16-mixed",
    "regime.batch_size=4 with regime.accumulate=2",
    "regime.gradient_checkpointing=true (a third more time)",
)


def parts(network=None, batch_size=8, **options):
    network = network or ResNet((1, 16, 16), 2, depth=10, width=2)
    regime = Regime(optimizer=torch.optim.SGD, scheduler=None, epochs=1, batch_size=batch_size, **options)
    network.automatic_optimization = not isinstance(network, GAN)
    data = SimpleNamespace(batch_size=batch_size, input_shape=(1, 64, 64))
    return SimpleNamespace(datamodule=data, task=network, regime=regime)


@pytest.fixture
def able(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)


def cures(made, device="cuda"):
    text = told(CFG, made, torch.device(device))
    head, _, rest = text.partition(" does not fit in memory; ")
    assert head == f"a batch of {made.datamodule.batch_size} samples of 1 x 64 x 64 values"
    return rest.removeprefix("try in this order: ").split("; ")


def test_all_that_may_help_is_told_in_order_of_cost(able):
    assert cures(parts()) == [BF16, HALF, AGAIN, SMALLER]


def test_bf16_is_told_for_gpus_that_have_it(able, monkeypatch):
    assert cures(parts(), "cpu") == [HALF, AGAIN, SMALLER]
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert cures(parts()) == [HALF, AGAIN, SMALLER]


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed", "bf16-true"])
def test_what_is_on_is_not_told(able, precision):
    assert cures(parts(precision=precision)) == [HALF, AGAIN, SMALLER]
    assert cures(parts(gradient_checkpointing=True)) == [BF16, HALF, SMALLER]


def test_what_is_impossible_is_not_told(able):
    assert cures(parts(batch_size=1)) == [BF16, AGAIN, SMALLER]
    assert cures(parts(compile=True)) == [BF16, HALF, SMALLER]
    assert cures(parts(torch.nn.Linear(2, 2))) == [BF16, HALF, SMALLER]
    assert cures(parts(GAN((1, 32, 32), 2, width=2))) == [BF16, "regime.batch_size=4", SMALLER]


def test_steps_stay_those_of_the_whole_batch():
    assert cures(parts(batch_size=7, accumulate=3), "cpu")[0] == "regime.batch_size=4 with regime.accumulate=6"


def test_the_only_cure_is_told_without_an_order():
    text = told(CFG, parts(torch.nn.Linear(2, 2), batch_size=1), torch.device("cpu"))
    assert text == f"a batch of 1 samples of 1 x 64 x 64 values does not fit in memory; {SMALLER}"
