"""Two devices with half the batch are one device: the same losses, scores and weights."""

import random

import numpy as np
import pytest
import torch
from lightning import Trainer

from medfit.data.batches import Shuffled
from medfit.errors import UserError
from medfit.evaluate import evaluate
from medfit.sweep import sweep
from medfit.train import main, train
from medfit.training import state_file
from medfit.training.checkpoints import Checkpoints
from medfit.training.ddp import one_device, own_rank
from medfit.training.parts import prepare
from medfit.training.several_devices import SeveralDevices, in_words
from medfit.training.state_file import StateError
from medfit.training.trainer import make_trainer
from small_data import write_table
from two_devices import TWO, Second, trained, trained_on_two

LONG = ["regime.epochs=3", "regime.patience=null", "regime.precision=64-true"]
FAMILIES = {  # what is trained, batch sizes of a device of two, and the samples of the epoch's last batch
    "rest": (["dataset=breast_cancer", "model.normalisation=layer", "regime.accumulate=2"], 13, 3),
    "weights": (["dataset=breast_cancer", "task.class_weight=balanced", "regime.l1=1e-3", "regime.gradient_clip=1"], 30, 41),
    "plateau": (["dataset=diabetes", "regime/scheduler=plateau", "regime.optimizer.lr=0.1"], 64, None),
    "several validation batches": (["dataset.target=ill"], 700, None),
    "series": (["dataset=ecg5000", "model.widths=[4,4,4]", "model.freeze=[blocks.?.1.*]"], 64, None),
    "segmentation": (
        ["dataset=mni_tissue", "model.widths=[4,8]", "preprocessing.size=32", "task.loss=cross_entropy"],
        4,
        None,
    ),
    "all at once": (["dataset=breast_cancer"], None, None),
}  # fmt: skip
GAN = [
    "dataset=mni_slices", "model=gan", "model.width=4", "model.discriminator_norm=none", "preprocessing.size=28",
    "task.grid_size=0", "task.loss=wasserstein_gp", "regime.discriminator_steps=2", "regime.epochs=2",
    "regime.precision=64-true", "regime.batch_size=4",
]  # fmt: skip
MLP = ["dataset=breast_cancer", "regime=smoke"]


def check_equal(one, other, tolerance=1e-9):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=tolerance, atol=tolerance, msg=name, check_dtype=False)


@pytest.mark.parametrize("family", [
    "rest", *(pytest.param(family, marks=pytest.mark.slow) for family in FAMILIES if family != "rest")
])  # fmt: skip
def test_two_devices_with_half_the_batch_are_one(compose, monkeypatch, tmp_path, family):
    overrides, batch_size, last = FAMILIES[family]
    if family == "several validation batches":
        overrides = [*write_table(tmp_path, num_rows=6000), *overrides]
    whole, half = ("null", "null") if batch_size is None else (2 * batch_size, batch_size)
    one, curves, best = trained(compose(*overrides, *LONG, f"regime.batch_size={whole}"))
    cfg = compose(*overrides, *LONG, *TWO, f"regime.batch_size={half}")
    two, curves_of_two, best_of_two = trained_on_two(cfg, monkeypatch)
    assert len(curves) == 3
    for epoch, found in zip(curves, curves_of_two, strict=True):
        assert found == pytest.approx(epoch, rel=1e-6, nan_ok=True)
    check_equal(one.task.state_dict(), two.task.state_dict())
    check_equal(best, best_of_two)
    if last is not None:
        assert len(one.datamodule.rows["train"]) % whole == last
    if family == "several validation batches":
        assert one.datamodule.num_val_batches == 3


def step(task, loss, weights, batches, states, optimizer):
    """Takes a step of one player with both devices' gradients, each of which draws from its own generator."""
    for device, x in enumerate(batches):
        torch.set_rng_state(states[device])
        (weights[device] * loss(x, None)).backward()
        states[device] = torch.get_rng_state()
    optimizer.step()
    for parameter in task.parameters():
        parameter.grad = None


def by_hand(cfg, epochs):
    """Trains two players as two devices do, in one process; returns the task."""
    devices = [prepare(cfg), prepare(cfg)]
    for number, parts in enumerate(devices):
        parts.datamodule.divide(number, 2, True)
    task, orders = devices[0].task.double(), [parts.datamodule.order for parts in devices]
    task.log_mean = lambda *_: None
    of_generator, of_discriminator = task.configure_optimizers()
    for epoch in range(epochs):
        states = []
        for number in range(2):
            words = np.random.SeedSequence([cfg.seed, epoch, number]).generate_state(3)
            states.append(torch.manual_seed(int(words[2])).get_state())
        both = zip(*(parts.datamodule.train_batches for parts in devices), strict=True)
        for number, batches in enumerate(both):
            images = [x.double() for x, _ in batches]
            weights = [order.num_own(number) / orders[0].num_together(number) for order in orders]
            assert sum(weights) == pytest.approx(1)
            step(task, task.discriminator_loss, weights, images, states, of_discriminator)
            task._num_steps += 1
            if task._num_steps % 2 == 0:
                task.model.discriminator.requires_grad_(False)
                step(task, task.generator_loss, weights, images, states, of_generator)
                task.model.discriminator.requires_grad_(True)
                task.average.update_parameters(task.model.generator)
    return task


@pytest.mark.slow
def test_two_players_take_the_steps_of_both_devices_gradients(compose, monkeypatch):
    made = by_hand(compose(*GAN), epochs=2)
    two, curves, _ = trained_on_two(compose(*GAN, *TWO), monkeypatch)
    assert len(two.datamodule.rows["train"]) % 8 not in (0, 1)
    check_equal(dict(made.named_parameters()), dict(two.task.named_parameters()), tolerance=1e-7)
    assert {"train/discriminator_loss", "train/loss", "val/frechet"} <= curves[-1].keys()


@pytest.mark.slow
def test_masks_of_a_pretraining_are_those_of_one_device_in_validation(compose, monkeypatch, tmp_path):
    overrides = [*write_table(tmp_path, num_rows=6000), "dataset.target=ill", "task=masked", "regime.epochs=1"]
    two, curves, _ = trained_on_two(compose(*overrides, *TWO, "regime.batch_size=700"), monkeypatch)
    trainer = make_trainer(one_device(two))
    scored = two.task.scores(*two.task.join(trainer.predict(two.task, two.datamodule.batches("val"))))
    assert curves[-1]["val/loss"] == pytest.approx(scored["loss"], rel=1e-5)


class Clock:
    """Tells a time at which each epoch's state is due."""

    now = 0.0

    def __call__(self):
        self.now += 3600
        return self.now


@pytest.mark.slow
def test_two_devices_that_were_interrupted_end_as_if_they_had_not_been(compose, monkeypatch, tmp_path):
    cfg = compose(*MLP, *TWO, "regime.epochs=4", "model.dropout=0.5", "regime.batch_size=50")
    whole, curves, best = trained_on_two(cfg, monkeypatch)
    kept = []

    def keep(content, epoch):
        kept.append(content)
        if len(kept) == 2:
            raise KeyboardInterrupt

    with pytest.raises(SystemExit), Second(monkeypatch, cfg):
        trained(cfg, checkpoints=lambda parts: Checkpoints(parts.datamodule.order, 1, keep, Clock()))
    state_file.write_packed(tmp_path / "a.state", {}, kept[-1])
    state = state_file.read(tmp_path / "a.state").body

    def resumed(parts):
        checkpoints = Checkpoints(parts.datamodule.order, every_min=0)
        checkpoints.resumed = state
        return checkpoints

    again, later, best_again = trained_on_two(cfg, monkeypatch, checkpoints=resumed)
    assert 0 < len(later) < 4 and later == curves[-len(later) :]
    check_equal(whole.task.state_dict(), again.task.state_dict(), tolerance=0)
    check_equal(best, best_again, tolerance=0)
    with pytest.raises(StateError, match=r"trained on 2 devices, not on 1: regime.trainer.devices=2"):
        trained(compose(*MLP), checkpoints=resumed)


@pytest.mark.parametrize(("num_samples", "batch_size", "num_ranks"), [
    (10, 2, 2), (11, 2, 2), (13, 3, 3), (7, 4, 3), (3, 2, 2), (2, 5, 4), (1, 1, 2), (50, 1, 8), (59, 4, 8),
])  # fmt: skip
def test_the_parts_of_a_batch_are_the_batch_of_one_process(num_samples, batch_size, num_ranks):
    whole = Shuffled(num_samples, batch_size * num_ranks, seed=3)
    parts = [Shuffled(num_samples, batch_size, seed=3) for _ in range(num_ranks)]
    for rank, part in enumerate(parts):
        part.divide(rank, num_ranks)
        assert len(part) == len(whole)
    for _ in range(2):
        epochs = [list(part) for part in parts]
        for number, (places, seed) in enumerate(whole):
            own = [epoch[number][0][: part.num_own(number)] for epoch, part in zip(epochs, parts, strict=True)]
            assert torch.cat(own).tolist() == places.tolist()
            assert all(len(epoch[number][0]) > 0 for epoch in epochs)
            sizes = {len(part) for part in own if len(part)}
            assert max(sizes) - min(sizes) <= 1 and (1 not in sizes or batch_size == 1 or len(places) < 2)
            assert len(places) == parts[0].num_together(number)
            seeds = [epoch[number][1] for epoch in epochs]
            assert len(set(seeds)) == num_ranks and seeds[0] == seed


def test_each_device_draws_its_own_random_numbers_of_an_epoch(compose):
    drawn = set()
    for rank in range(2):
        for epoch in range(2):
            device = object.__new__(SeveralDevices)
            device.rank, device.seed = rank, 1
            for _ in range(2):
                device.on_train_epoch_start(type("At", (), {"current_epoch": epoch}), None)
                found = random.random(), float(np.random.random()), float(torch.rand(()))
            drawn.add(found)
    assert len(drawn) == 4 and len({value for found in drawn for value in found}) == 12


@pytest.mark.parametrize(("wrong", "told"), [
    (["regime.trainer.strategy=ddp_spawn"], r"regime.trainer.strategy=ddp_spawn: medfit trains on several devices by ddp alone"),
    (["regime.trainer.strategy=fsdp"], r"regime.trainer.strategy=fsdp: .*by ddp alone"),
    (["regime.trainer.num_nodes=2"], r"regime.trainer.num_nodes=2: several machines need .* srun or torchrun"),
])  # fmt: skip
def test_what_medfit_is_not_sure_of_is_refused_in_a_line(compose, wrong, told):
    parts = prepare(compose(*MLP, *TWO, *wrong))
    with pytest.raises(UserError, match=told):
        make_trainer(parts)


@pytest.mark.parametrize(("tasks", "told"), [
    ({"SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1"}, r"regime: .*`devices=2`.*`--ntasks-per-node=1` does not match"),
    ({"SLURM_NTASKS": "3"}, r"regime: .*`--ntasks=3`.*Use `--ntasks-per-node=3` instead"),
])  # fmt: skip
def test_a_job_of_another_number_of_processes_is_refused(compose, monkeypatch, tasks, told):
    for name, value in {**tasks, "SLURM_JOB_NAME": "job", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_NODEID", "0")
    parts = prepare(compose(*MLP, *TWO))
    with pytest.raises(UserError, match=told):
        make_trainer(parts)


def test_two_players_without_a_strategy_are_refused(compose):
    parts = prepare(compose(*GAN, *TWO[:2]))
    with pytest.raises(UserError, match=r"a generator and a discriminator need regime.trainer.strategy=ddp"):
        make_trainer(parts)


@pytest.mark.slow
def test_a_weight_that_the_loss_does_not_depend_on_is_told_with_the_strategy_for_it(compose, monkeypatch):
    cfg = compose(*MLP, *TWO, "regime.batch_size=50")
    cfg.model = {"_target_": "two_devices.Idle", "_partial_": True}
    with (
        pytest.raises(UserError, match=r"regime.trainer.strategy=ddp_find_unused_parameters_true"),
        Second(monkeypatch, cfg),
    ):
        trained(cfg)
    cfg.regime.trainer.strategy = "ddp_find_unused_parameters_true"
    trained_on_two(cfg, monkeypatch)


@pytest.mark.slow
def test_other_data_on_another_machine_are_refused(compose, monkeypatch):
    cfg, other = compose(*MLP, *TWO), compose(*MLP, *TWO, "split.seed=7")
    with (
        pytest.raises(UserError, match=r"dataset: device 1 has other data, or another split of them"),
        Second(monkeypatch, other),
    ):
        trained(cfg)


@pytest.mark.parametrize("name", ["RANK", "SLURM_PROCID", "LOCAL_RANK"])
def test_a_process_knows_its_number_from_whoever_started_it(monkeypatch, name):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv(name, "3")
    assert own_rank({"devices": 2}) == 3 and own_rank({"num_nodes": 2}) == 3
    assert own_rank({}) == own_rank({"devices": 1, "strategy": "ddp"}) == 0


def test_a_process_too_many_trains_nothing_by_itself(compose, client, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(UserError, match=r"1 process\(es\) are to train, but this one is another"):
        main(compose(*MLP, "regime.trainer.devices=auto", "regime.accelerator=cpu"))
    assert not [run for e in client.search_experiments() for run in client.search_runs([e.experiment_id])]


def test_several_devices_take_lightnings_own_loop(compose):
    trainer = make_trainer(prepare(compose(*MLP, *TWO)))
    assert type(trainer) is Trainer and trainer.world_size == 2
    assert type(make_trainer(one_device(prepare(compose(*MLP, *TWO))))) is Trainer


SAID = "2 devices train together: regime.batch_size is 8 on each, 16 samples make a batch"
SERIES = ["dataset=ecg5000", "model.widths=[4,4,4]"]
ALONE_NORMALISED = "batch normalisation sees each device's part alone"
MASKS = ["dataset=mni_tissue", "model.widths=[4,8]", "preprocessing.size=32"]


@pytest.mark.parametrize(("overrides", "more"), [
    (SERIES, f"; {ALONE_NORMALISED}"),
    ([*SERIES, "regime.trainer.sync_batchnorm=true"], ""),
    ([*SERIES, "model.freeze=[blocks.?.1.*]"], ""),
    ([*SERIES, "task=masked"], f"; {ALONE_NORMALISED}; task=masked takes the mean over what is hidden of each device's part of a batch"),
    (MASKS, "; task.loss=dice_cross_entropy takes the overlap on each device's part of a batch"),
    ([*MASKS, "task.loss=focal"], ""),
])  # fmt: skip
def test_what_is_not_as_on_one_device_is_said(compose, overrides, more):
    parts = prepare(compose(*overrides, *TWO, "regime.batch_size=8"))
    trainer = make_trainer(parts)
    parts.datamodule.divide(0, 2, True)
    assert in_words(trainer, parts) == SAID + more


ALONE = r"each training of a sweep or an evaluation takes one \(regime.trainer.devices=1\)"


@pytest.mark.parametrize("command", [sweep, evaluate])
def test_a_sweep_and_an_evaluation_take_one_device_and_begin_nothing(compose, client, command):
    with pytest.raises(UserError, match=ALONE):
        command(compose(*MLP, *TWO))
    assert not [run for e in client.search_experiments() for run in client.search_runs([e.experiment_id])]


@pytest.mark.parametrize("kind", ["trial", "fold", "seed"])
def test_one_of_many_trainings_takes_one_device(compose, client, kind):
    with pytest.raises(UserError, match=ALONE):
        train(compose(*MLP, *TWO), tags={"kind": kind})
    assert not [run for e in client.search_experiments() for run in client.search_runs([e.experiment_id])]
