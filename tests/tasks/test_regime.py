import dataclasses
import math

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from each_step import EachStep
from medfit.errors import UserError
from medfit.search.space import read_space
from medfit.tasks.regime import AdversarialRegime, Regime, adam, cosine_with_warmup
from medfit.train import train
from medfit.training.parts import prepare


def rates(total_steps, warmup, lr=2.0):
    """The rate of each step, and the one after the last."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = cosine_with_warmup(optimizer, total_steps, warmup)
    found = []
    for _ in range(total_steps + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


class Rates(EachStep):
    """Notes the rate that each step is taken with."""

    def __init__(self):
        self.found = []

    def note(self, trainer, task, optimizer):
        self.found.append((trainer.current_epoch, optimizer.param_groups[0]["lr"]))


def rates_of_training(compose, *overrides):
    """The breast cancer data's 341 training samples in batches of 100: four steps an epoch, for three epochs."""
    fixed = [
        "dataset=breast_cancer",
        "model=linear",
        "regime.epochs=3",
        "regime.batch_size=100",
        "regime.patience=null",
    ]
    noted = Rates()
    train(compose(*fixed, "regime/optimizer=sgd", "regime.optimizer.lr=1.0", *overrides), callbacks=[noted])
    return noted.found


def test_cosine_starts_with_the_first_part_of_the_warm_up():
    assert rates(100, 0.1)[0] == pytest.approx(2.0 * 1 / 10)


def test_warm_up_is_linear():
    assert rates(100, 0.1)[:10] == pytest.approx([2.0 * (step + 1) / 10 for step in range(10)])


def test_cosine_has_the_full_rate_at_the_end_of_the_warm_up():
    assert rates(100, 0.1)[9:11] == pytest.approx([2.0, 2.0])


def test_cosine_has_half_the_rate_halfway_down():
    assert rates(100, 0.1)[55] == pytest.approx(1.0)


def test_cosine_has_the_hand_value_a_quarter_down():
    assert rates(100, 0.2)[40] == pytest.approx(2.0 * (1 + math.sqrt(0.5)) / 2)


def test_cosine_ends_at_zero():
    assert rates(100, 0.1)[100] == pytest.approx(0, abs=1e-12)


def test_last_step_of_the_cosine_still_learns():
    assert 0 < rates(100, 0.1)[99] < 0.01


def test_cosine_without_warm_up_starts_at_the_full_rate():
    assert rates(100, 0.0)[0] == 2.0


def test_cosine_never_rises_after_the_warm_up():
    after = rates(50, 0.3)[15:]
    assert after == sorted(after, reverse=True)


@pytest.mark.parametrize("total_steps", [1, 2, 3])
def test_cosine_of_a_few_steps_is_within_bounds(total_steps):
    assert all(0 < rate <= 2.0 for rate in rates(total_steps, 0.5)[:-1])


def test_cosine_steps_each_step(compose):
    found = rates_of_training(compose, "regime/scheduler=cosine", "regime.scheduler.warmup=0.25")
    assert [rate for _, rate in found] == pytest.approx(rates(12, 0.25, lr=1.0)[:12])


def test_scheduler_without_total_steps_steps_each_epoch(compose):
    overrides = ["regime/scheduler=step", "regime.scheduler.step_size=1", "regime.scheduler.gamma=0.1"]
    found = rates_of_training(compose, *overrides)
    assert found == [(epoch, pytest.approx(0.1**epoch)) for epoch in range(3) for _ in range(4)]


@pytest.mark.slow
def test_constant_schedule_keeps_the_rate(compose):
    assert {rate for _, rate in rates_of_training(compose, "regime/scheduler=constant")} == {1.0}


@pytest.mark.slow
def test_training_without_a_schedule_keeps_the_rate(compose):
    assert {rate for _, rate in rates_of_training(compose, "regime/scheduler=constant", "regime.scheduler=null")} == {
        1.0
    }


@pytest.mark.slow
def test_plateau_lowers_the_rate_when_the_monitored_score_stands_still(compose):
    overrides = ["regime/scheduler=plateau", "regime.scheduler.patience=0", "regime.optimizer.lr=1e-6"]
    found = rates_of_training(compose, *overrides)
    assert found == [(epoch, pytest.approx(rate)) for epoch, rate in enumerate([1e-6, 1e-6, 1e-7]) for _ in range(4)]


def test_regime_cannot_be_changed():
    regime = Regime(optimizer=torch.optim.SGD, scheduler=None, epochs=1, batch_size=None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        regime.epochs = 2


def test_batch_size_of_none_is_the_whole_training_split(compose):
    found = rates_of_training(compose, "regime/scheduler=constant", "regime.batch_size=null")
    assert [epoch for epoch, _ in found] == [0, 1, 2]


class Weights(Callback):
    """Notes the last weights."""

    def on_train_end(self, trainer, task):
        self.found = torch.cat([parameter.detach().flatten() for parameter in task.parameters()])


def weights_after(compose, *overrides):
    """Of an MLP without dropout and normalisation, on 384 training samples: 6 batches of 64, with one order."""
    fixed = ["dataset=breast_cancer", "split.test=0.1", "split.val=0.225", "model.widths=[16,8]", "regime.epochs=3"]
    noted = Weights()
    train(compose(*fixed, "regime.precision=64-true", "regime.l1=1e-3", *overrides), callbacks=[noted])
    return noted.found


def test_accumulated_batches_train_as_one_of_their_size(compose):
    halves = weights_after(compose, "regime.batch_size=32", "regime.accumulate=2")
    whole = weights_after(compose, "regime.batch_size=64")
    assert torch.allclose(halves, whole, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(weights_after(compose, "regime.batch_size=32"), whole, rtol=1e-2)


@pytest.mark.mostly_slow
@pytest.mark.parametrize("accumulate, num_steps", [(2, 2), (3, 2), (4, 1), (9, 1)])
def test_schedule_counts_the_steps_and_not_the_accumulated_batches(compose, accumulate, num_steps):
    overrides = ["regime/scheduler=cosine", "regime.scheduler.warmup=0.25", f"regime.accumulate={accumulate}"]
    found = rates_of_training(compose, *overrides)
    assert [epoch for epoch, _ in found] == [epoch for epoch in range(3) for _ in range(num_steps)]
    total = 3 * num_steps
    assert [rate for _, rate in found] == pytest.approx(rates(total, 0.25, lr=1.0)[:total])


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize(
    "override",
    [
        "regime.l1=-1",
        "regime.epochs=0",
        "regime.batch_size=0",
        "regime.accumulate=0",
        "regime.gradient_clip=0",
        "regime.patience=0",
        "regime.precision=8",
        "regime.accelerator=abacus",
        "regime.scheduler.warmup=1",
    ],
)
def test_value_out_of_range_is_refused(compose, override):
    with pytest.raises(UserError, match=override.split("=")[0]):
        compose("dataset=breast_cancer", override)


def test_patience_ends_a_training_that_does_not_improve(compose):
    overrides = ["regime.patience=2", "regime.epochs=50", "regime.optimizer.lr=1e-30", "regime/scheduler=constant"]
    noted = Rates()
    train(compose("dataset=breast_cancer", "model=linear", *overrides), callbacks=[noted])
    assert noted.found[-1][0] == 2


def test_gradient_is_clipped_to_the_norm(compose):
    overrides = ["regime.gradient_clip=0.01", "regime/optimizer=sgd", "regime.optimizer.lr=1.0", "regime.epochs=1"]
    overrides += ["regime.batch_size=null", "regime/scheduler=constant"]
    cfg = compose("dataset=breast_cancer", "model=linear", *overrides)

    class Norm(EachStep):
        def note(self, trainer, task, optimizer):
            self.found = torch.cat([p.grad.flatten() for p in task.parameters()]).norm().item()

    norm = Norm()
    train(cfg, callbacks=[norm])
    assert norm.found == pytest.approx(0.01, rel=1e-3)


def adversarial(**kwargs):
    given = {"generator_optimizer": torch.optim.SGD, "discriminator_optimizer": torch.optim.SGD}
    return AdversarialRegime(**(given | {"epochs": 1, "batch_size": None} | kwargs))


def test_adversarial_regime_has_all_that_a_training_reads():
    read = {"epochs", "batch_size", "patience", "precision", "accelerator", "deterministic", "gradient_clip"}
    read |= {"accumulate"}
    names = {field.name for field in dataclasses.fields(AdversarialRegime)}
    assert read < names
    assert read < {field.name for field in dataclasses.fields(Regime)}
    assert adversarial().gradient_clip is None and adversarial().accumulate == 1


def test_adversarial_regime_has_no_optimizer_for_a_single_model():
    with pytest.raises(UserError, match="regime=adversarial has no optimiser for a single model"):
        _ = adversarial().optimizer


def test_adversarial_regime_of_a_supervised_task_is_refused_before_training(compose):
    with pytest.raises(UserError, match="regime=adversarial has no optimiser for a single model") as refusal:
        prepare(compose("dataset=breast_cancer", "model=linear", "regime=adversarial"))
    assert "\n" not in str(refusal.value)


def test_adam_by_single_betas_is_torchs():
    weight = torch.nn.Parameter(torch.ones(2))
    group = adam([weight], lr=0.1, beta1=0.5, beta2=0.9).param_groups[0]
    expected = torch.optim.Adam([weight], lr=0.1, betas=(0.5, 0.9)).param_groups[0]
    assert group == expected


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    "override",
    [
        "regime.generator_optimizer.lr=0",
        "regime.discriminator_optimizer.beta1=1",
        "regime.generator_optimizer.beta2=-0.1",
        "regime.discriminator_steps=0",
        "regime.accumulate=2",
        "regime.gradient_clip=1",
        "regime.epochs=0",
    ],
)
def test_value_out_of_an_adversarial_regimes_range_is_refused(compose, override):
    with pytest.raises(UserError, match=override.split("=")[0]):
        compose("dataset=breast_cancer", "model=gan", override)


@pytest.mark.slow
def test_an_adversarial_models_sweep_searches_both_optimizers(compose):
    space = read_space(compose("dataset=breast_cancer", "model=gan"))
    assert set(space) == {
        "regime.generator_optimizer.lr",
        "regime.generator_optimizer.beta1",
        "regime.discriminator_optimizer.lr",
        "regime.discriminator_optimizer.beta1",
        "regime.batch_size",
        "regime.discriminator_steps",
    }
