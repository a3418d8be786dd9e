import pytest
import torch
from lightning.pytorch.callbacks import Callback

from medfit.errors import UserError
from medfit.training.fast import FastTrainer
from medfit.training.parts import prepare
from medfit.training.trainer import fit, make_trainer

CNN = ["dataset=ecg5000", "model=cnn1d", "model.widths=[4,4]", "model.kernel_sizes=[5,3]", "regime.batch_size=500"]
MLP = ["dataset=breast_cancer", "model=mlp", "model.widths=[8]", "regime.batch_size=100", "regime.patience=null"]
GAN = ["dataset=mni_slices", "model=gan", "model.width=4", "preprocessing.size=28", "task.grid_size=0"]
LOOPS = {"fast": [], "plain": ["regime.speed=plain"]}


class Rates(Callback):
    """Notes the rates of each group after each epoch."""

    def __init__(self):
        self.seen = []

    def on_train_epoch_end(self, trainer, task):
        self.seen.append([group["lr"] for group in trainer.optimizers[0].param_groups])


def trained(cfg, *callbacks):
    """Returns a task, and its network's state before and after training."""
    parts = prepare(cfg)
    before = {name: value.clone() for name, value in parts.task.model.state_dict().items()}
    trainer = make_trainer(parts, callbacks)
    assert isinstance(trainer, FastTrainer) == (cfg.regime.speed == "auto")
    fit(trainer, parts)
    return parts.task, before, {name: value.cpu() for name, value in parts.task.model.state_dict().items()}


@pytest.mark.parametrize("loop", LOOPS)
def test_frozen_layers_stay_as_they_are_statistics_decay_and_penalties_included(compose, loop):
    decay = ["regime.optimizer.weight_decay=0.5", "regime.l2=0.1", "regime.l1=0.1"]
    cfg = compose(*CNN, *LOOPS[loop], *decay, "regime.epochs=2", "model.freeze=[blocks.0.*]")
    _, before, after = trained(cfg)
    same = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert same == {name for name in before if name.startswith("blocks.0")}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("schedule", ["cosine", "step"])
def test_a_schedule_scales_the_last_layers_rate_as_the_other(compose, loop, schedule):
    rates = ["regime.optimizer.lr=1e-3", "regime.optimizer.head_lr=5e-2", f"regime/scheduler={schedule}"]
    steps = ["regime.scheduler.step_size=1"] if schedule == "step" else []
    watch = Rates()
    _, before, after = trained(compose(*MLP, *LOOPS[loop], *rates, *steps, "regime.epochs=3"), watch)
    first = [group for group in watch.seen if group[0] > 0]
    assert all(last == pytest.approx(50 * other) for other, last in first) and len({o for o, _ in first}) > 1
    moved = {name: (after[name] - before[name]).abs().max() for name in before}
    assert moved["layers.3.weight"] > 5 * moved["layers.0.weight"]


def test_without_a_rate_of_its_own_the_last_layer_is_no_group(compose):
    task = prepare(compose(*MLP, "regime/scheduler=constant")).task
    assert len(task.configure_optimizers()["optimizer"].param_groups) == 1


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_each_optimiser_has_a_rate_for_the_last_layer(compose, optimizer):
    cfg = compose(*MLP, f"regime/optimizer={optimizer}", "regime.optimizer.head_lr=0.3", "regime/scheduler=constant")
    groups = prepare(cfg).task.configure_optimizers()["optimizer"].param_groups
    assert [len(group["params"]) for group in groups] == [2, 2]
    assert groups[1]["lr"] == 0.3 and groups[0]["lr"] == cfg.regime.optimizer.lr


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["model=linear"], "regime.optimizer.head_lr: the last layer is all that is trained"),
        (["model.freeze=[layers.3.*]"], "regime.optimizer.head_lr: this network has no last layer of its own"),
    ],
)
def test_a_rate_of_no_layer_is_refused(compose, overrides, told):
    base = [line for line in MLP if "widths" not in line] if "model=linear" in overrides else MLP
    with pytest.raises(UserError, match=f"^{told}"):
        prepare(compose(*base, *overrides, "regime.optimizer.head_lr=0.1"))


def test_a_rate_below_nought_is_refused(compose):
    with pytest.raises(UserError, match="^regime.optimizer.head_lr: input should be greater than 0"):
        compose(*MLP, "regime.optimizer.head_lr=0")


def test_a_frozen_part_of_a_player_stays_frozen_through_the_game(compose):
    _, before, after = trained(compose(*GAN, "regime.epochs=1", "model.freeze=[discriminator.*.0.*]"))
    frozen = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert frozen and all(name.startswith("discriminator") for name in frozen)
    assert any(name.startswith("discriminator") for name in before.keys() - frozen)


def test_a_player_that_is_all_frozen_is_refused(compose):
    with pytest.raises(UserError, match="^model.freeze: nothing of the discriminator is left to train"):
        prepare(compose(*GAN, "model.freeze=[discriminator.*]"))


def test_what_is_frozen_is_recorded_and_told(compose, capsys):
    proof = prepare(compose(*MLP, "model.freeze=[layers.0.*]")).datamodule.proof
    assert proof["frozen"] == {"patterns": ["layers.0.*"], "of": 30 * 8 + 8 + 9, "weights": 30 * 8 + 8}
    told = " ".join(capsys.readouterr().out.split())
    assert "248 of 257 weights are frozen (layers.0.*), as they were drawn at random: model.init_from=" in told
