"""A training that was interrupted and goes on ends as one that was not, to the last digit."""

import random

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from medfit.data.preprocessing import arrays
from medfit.training import state_file
from medfit.training.checkpoints import Checkpoints
from medfit.training.parts import prepare
from medfit.training.state import draw_from, random_states
from medfit.training.trainer import BestWeights, fit, make_trainer

LONG = ["regime.epochs=4", "regime.patience=null"]
FAMILIES = {
    "mlp": ["dataset=breast_cancer", "model.dropout=0.3", "regime.l1=1e-3", "regime.batch_size=50", *LONG],
    "linear": ["dataset=diabetes", "model=linear", "regime.accumulate=2", "regime.gradient_clip=0.1", *LONG],
    "plateau": [
        "dataset=breast_cancer", "regime/scheduler=plateau", "regime.scheduler.patience=0", "regime.epochs=6",
        "regime.patience=3", "regime.optimizer.lr=0.1",
    ],
    "cnn1d": [
        "dataset=ecg5000", "model.widths=[4,4,4]", "preprocessing.jitter=0.1", "preprocessing.shift=0.2", *LONG,
    ],
    "unet": [
        "dataset=mni_tissue", "model.widths=[4,8]", "preprocessing.patch_size=[32,32]",
        "preprocessing.patches_per_image=1", "preprocessing.augmentation.rotation_degrees=10", *LONG,
    ],
    "gan": [
        "dataset=mni_slices", "model=gan", "model.width=4", "preprocessing.size=28", "task.grid_size=0",
        "regime.discriminator_steps=2", *LONG[:1],
    ],
}  # fmt: skip


class Clock:
    """Tells a time that grows with each look, so that states fall due wherever they are looked for."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


class Curves(Callback):
    """Keeps what each epoch reached, as a run does."""

    def __init__(self):
        self.found = {}

    def on_train_epoch_end(self, trainer, module):
        rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.found[trainer.current_epoch] = scores | {"rates": rates}


def train(cfg, resumed=None, stop_after=None, step=1e-9):
    """Trains; returns the task's weights, the best ones, the curves and the states that were kept."""
    parts, kept, curves = prepare(cfg), [], Curves()

    def keep(content, epoch):
        kept.append(content)
        if stop_after is not None and len(kept) == stop_after:
            raise KeyboardInterrupt

    checkpoints = Checkpoints(parts.datamodule.order, 1, keep, Clock(step))
    checkpoints.resumed = resumed
    best = BestWeights(parts.task)
    trainer = make_trainer(parts, [best, curves], checkpoints=checkpoints)
    if stop_after is None:
        fit(trainer, parts)
    else:
        with pytest.raises(SystemExit):
            fit(trainer, parts)
    return parts.task.state_dict(), best.weights, curves.found, kept


def read(content, tmp_path):
    state_file.write_packed(tmp_path / "a.state", {}, content)
    return state_file.read(tmp_path / "a.state").body


def check_equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("speed", ["auto", "plain"])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(compose, tmp_path, family, speed):
    cfg = compose(*FAMILIES[family], f"regime.speed={speed}", "regime.fused=false")
    weights, best, curves, none = train(cfg)
    assert not none
    *_, early, kept = train(cfg, stop_after=3 if speed == "plain" else 5, step=3600)
    *last, _ = train(cfg, resumed=read(kept[-1], tmp_path))
    check_equal(weights, last[0])
    check_equal(best, last[1])
    assert last[2] and early | last[2] == curves


@pytest.mark.parametrize("epoch_start", [True, False])
def test_a_state_taken_right_after_going_on_within_an_epoch_is_as_good(compose, tmp_path, epoch_start):
    cfg = compose(*FAMILIES["mlp"], "regime.fused=false")
    weights, _, curves, _ = train(cfg)
    *_, kept = train(cfg, stop_after=5, step=3600)
    *_, again = train(cfg, resumed=read(kept[-1], tmp_path), stop_after=1 if epoch_start else 3, step=3600)
    *last, _ = train(cfg, resumed=read(again[-1], tmp_path))
    check_equal(weights, last[0])
    assert curves == last[2]


def test_an_interruption_within_a_validation_waits_for_the_state_before_it(compose, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MOST_SAMPLES", 40)
    cfg = compose(*FAMILIES["mlp"], "regime.fused=false")
    weights, _, curves, _ = train(cfg)
    parts, kept, validated = prepare(cfg), [], []
    num_batches = len(parts.datamodule.batches("val"))
    assert num_batches > 1
    checkpoints = Checkpoints(parts.datamodule.order, 1, lambda content, epoch: kept.append(content), Clock(0.01))
    checkpoints.every_s = 1e9
    monkeypatch.setattr(Checkpoints, "_grace", 0.0)
    plain = parts.task.validation_step

    def stop(batch, number):
        if len(validated) == num_batches:  # in the second epoch
            checkpoints.stopping = True
            torch.rand(3)  # whatever a validation draws
        validated.append(number)
        return plain(batch, number)

    monkeypatch.setattr(parts.task, "validation_step", stop)
    with pytest.raises(SystemExit):
        fit(make_trainer(parts, checkpoints=checkpoints), parts)
    state = read(kept[-1], tmp_path)
    assert len(kept) == 1 and state["order"]["done"] > 0
    *last, _ = train(cfg, resumed=state)
    check_equal(weights, last[0])
    assert last[2] == {epoch: found for epoch, found in curves.items() if epoch >= 1}


def test_random_states_go_on_where_they_were():
    kept = random_states()
    drawn = [(random.random(), np.random.rand(), float(torch.rand(()))) for _ in range(2)]
    draw_from(kept)
    assert (random.random(), np.random.rand(), float(torch.rand(()))) == drawn[0]


def test_what_can_t_be_stored_is_told_and_ends_no_training(compose, capsys):
    class Odd(Callback):
        def state_dict(self):
            return {"kept": self}

    parts, kept = prepare(compose(*FAMILIES["mlp"])), []
    checkpoints = Checkpoints(parts.datamodule.order, 1, lambda *told: kept.append(told), Clock(3600))
    fit(make_trainer(parts, [Odd()], checkpoints=checkpoints), parts)
    assert not kept
    assert capsys.readouterr().out.count("The training's state can't be kept: it holds what can't be stored") == 1
