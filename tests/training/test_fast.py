"""What makes trainings faster changes no result, and what a trial does is counted."""

import math
from collections import Counter

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from mlflow import MlflowClient
from torch import nn

import medfit.tracking.run
import medfit.train
from kept_curves import Curves
from medfit import sweep
from medfit.data import leaks
from medfit.data.datamodule import Prepared
from medfit.data.preprocessing.arrays import Rows
from medfit.data.preprocessing.patch_batches import _Images
from medfit.tasks.regime import Regime
from medfit.train import train
from medfit.training import fast
from medfit.training.hardware import COMPILED_STEPS, prepare_model, prepare_optimizer, suiting_threads
from medfit.training.parts import prepare
from medfit.training.trainer import fit, make_trainer

FAMILIES = {
    "mlp": ["dataset=breast_cancer", "model.dropout=0.3", "regime.l1=1e-3", "regime.batch_size=50"],
    "linear": ["dataset=diabetes", "model=linear", "regime.accumulate=2", "regime.gradient_clip=0.1"],
    "cnn1d": ["dataset=ecg5000", "model.widths=[4,4,4]", "preprocessing.jitter=0.1", "preprocessing.shift=0.2"],
    "unet": [
        "dataset=mni_tissue",
        "model.widths=[4,8]",
        "preprocessing.patch_size=[32,32]",
        "preprocessing.patches_per_image=1",
        "preprocessing.augmentation.rotation_degrees=10",
    ],
    "gan": ["dataset=mni_slices", "model=gan", "model.width=4", "preprocessing.size=28", "task.grid_size=0"],
}


LONG = ["regime.epochs=3", "regime.patience=null", "regime.fused=false"]


def history(compose, *overrides):
    watch = Curves()
    train(compose(*overrides, "regime.epochs=3", "regime.patience=null"), callbacks=[watch])
    return watch.found


def alike(one, other):
    """Whether the scores of all epochs are the same but for rounding."""
    assert len(one) == len(other) == 3 and one[0].keys() == other[0].keys()
    return all(
        math.isclose(epoch[name], again[name], rel_tol=2e-3, abs_tol=1e-4) or (math.isnan(epoch[name]))
        for epoch, again in zip(one, other, strict=True)
        for name in epoch
    )


@pytest.mark.mostly_slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_fast_loop_gives_the_same_losses_and_weights_as_lightnings_own(compose, family):
    made = []
    for speed, kind in (("auto", fast.FastTrainer), ("plain", L.Trainer)):
        parts = prepare(compose(*FAMILIES[family], *LONG, f"regime.speed={speed}"))
        watch = Curves()
        trainer = make_trainer(parts, [watch])
        assert type(trainer) is kind
        fit(trainer, parts)
        made.append((watch.found, parts.task.state_dict()))
    (losses, weights), (own_losses, own_weights) = made
    assert alike(losses, own_losses)
    for name, weight in weights.items():
        assert torch.allclose(weight.double(), own_weights[name].double(), rtol=1e-3, atol=2e-4), name


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_losses_are_the_same_for_data_that_do_not_stay_in_memory(compose, family, monkeypatch):
    resident = history(compose, *FAMILIES[family])
    monkeypatch.setattr(Rows, "resident", False)
    monkeypatch.setattr(_Images, "resident", False)
    for epoch, again in zip(resident, history(compose, *FAMILIES[family]), strict=True):
        assert again == pytest.approx(epoch, nan_ok=True, rel=1e-6)


def test_a_callback_asks_the_fast_loop_what_it_would_ask_the_task(compose):
    class Asking(Callback):
        def on_train_epoch_end(self, trainer, task):
            self.found = task.monitor, list(task.state_dict()), task.model

    parts, callback = prepare(compose(*FAMILIES["mlp"], "regime.epochs=1")), Asking()
    trainer = make_trainer(parts, [callback])
    assert isinstance(trainer, fast.FastTrainer)
    fit(trainer, parts)
    assert callback.found == (parts.task.monitor, list(parts.task.state_dict()), parts.task.model)


# What makes it fast


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD])
@pytest.mark.parametrize(("options", "expected"), [({}, True), ({"speed": "plain"}, None), ({"fused": False}, None)])
def test_optimisers_that_can_update_all_weights_at_once_do(optimizer, options, expected):
    made = prepare_optimizer(optimizer(nn.Linear(2, 2).parameters(), lr=0.1), regime(**options))
    assert made.param_groups[0]["fused"] == expected


def test_an_optimiser_that_knows_no_such_kernel_is_left_alone():
    made = prepare_optimizer(torch.optim.RMSprop(nn.Linear(2, 2).parameters()), regime())
    assert "fused" not in made.param_groups[0]


def regime(**options):
    return Regime(optimizer=torch.optim.SGD, scheduler=None, epochs=1, batch_size=None, **options)


class Compiled(nn.Sequential):
    """Notes how it is asked to be compiled."""

    mode = None

    def compile(self, mode):
        self.mode = mode


@pytest.mark.parametrize(
    ("device", "num_steps", "options", "mode"),
    [
        ("cuda", COMPILED_STEPS, {}, "reduce-overhead"),
        ("cuda", COMPILED_STEPS - 1, {}, None),
        ("cuda", COMPILED_STEPS, {"speed": "plain"}, None),
        ("cuda", COMPILED_STEPS, {"compile": False}, None),
        ("cpu", COMPILED_STEPS, {}, None),
        ("cpu", 1, {"compile": True}, "default"),
    ],
)
def test_a_model_is_compiled_where_it_is_asked_for_or_pays(device, num_steps, options, mode):
    model = Compiled(nn.Linear(2, 2))
    prepare_model(model, regime(**options), torch.device(device), num_steps)
    assert model.mode == mode


@pytest.mark.parametrize(
    ("device", "options", "flat", "solid"),
    [
        ("cpu", {}, False, False),
        ("cpu", {"channels_last": True}, True, True),
        ("cuda", {}, True, False),
        ("cuda", {"channels_last": False}, False, False),
        ("cuda", {"speed": "plain"}, False, False),
    ],
)
def test_weights_of_convolutions_lie_by_pixel_if_asked_for_or_it_pays(device, options, flat, solid):
    layers = nn.Conv2d(4, 4, 3), nn.ConvTranspose2d(4, 4, 3), nn.Conv3d(4, 4, 3), nn.ConvTranspose3d(4, 4, 3)
    model = nn.Sequential(*layers)
    before = [layer.weight.clone() for layer in layers]
    prepare_model(model, regime(**options), torch.device(device), 1)
    assert all(torch.equal(layer.weight, was) for layer, was in zip(layers, before, strict=True))
    assert [layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in layers[:2]] == [flat] * 2
    assert [layer.weight.is_contiguous(memory_format=torch.channels_last_3d) for layer in layers[2:]] == [solid] * 2


@pytest.mark.parametrize(
    ("parameters", "options", "expected"), [(4000, {}, 1), (4 * 10**6, {}, 2), (4000, {"speed": "plain"}, 2)]
)
def test_a_small_model_computes_in_one_thread(parameters, options, expected):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with suiting_threads(regime(**options), nn.Linear(parameters // 2, 2, bias=False), 32, (30,)):
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# What a trial does, counted: a guard that needs no clock


@pytest.fixture
def counted(compose, monkeypatch):
    """Counts what two trials of five epochs do, in this process."""

    def by(*overrides):
        counts = Counter()

        def count(owner, name, what=None):
            original = getattr(owner, name)

            def counting(*args, **kwargs):
                counts[what or name] += 1
                return original(*args, **kwargs)

            monkeypatch.setattr(owner, name, counting)

        cfg = compose("experiment=breast_cancer_diagnosis", "regime.epochs=5", "sweep.num_trials=2", *overrides)
        medfit.training.parts._PREPARED.clear()
        for name in ("create_run", "log_batch", "log_inputs", "log_artifacts", "set_tag", "set_terminated"):
            count(MlflowClient, name)
        count(MlflowClient, "get_experiment_by_name")
        count(MlflowClient, "__init__", "clients")
        count(Prepared, "__init__", "preparations")
        count(leaks, "scan", "leak scans")
        count(torch, "save", "checkpoints")
        count(medfit.tracking.run.Run, "log_metrics", "epochs logged")
        monkeypatch.setattr(medfit.tracking.run, "FLUSH_S", math.inf)  # as many writes on a slow machine
        sweep.sweep(cfg)
        return counts

    return by


TRIALS, SWEEPS = 2, 1


@pytest.mark.slow
def test_a_trial_makes_few_calls_of_the_tracker(counted):
    counts = counted()
    assert counts["create_run"] == counts["set_terminated"] == counts["log_inputs"] == TRIALS + SWEEPS
    assert counts["log_batch"] == 2 * (TRIALS + SWEEPS)  # params, and all metrics
    assert counts["log_artifacts"] == 2 * (TRIALS + SWEEPS)  # facts, and results
    assert counts["set_tag"] == TRIALS  # whether it was pruned
    assert counts["clients"] == 1 and counts["get_experiment_by_name"] == 1


def test_trials_share_data_and_the_leak_scan(counted):
    counts = counted()
    assert counts["preparations"] == 1 and counts["leak scans"] <= 1


@pytest.mark.slow
def test_a_trial_writes_one_checkpoint(counted):
    assert counted()["checkpoints"] == TRIALS


@pytest.mark.parametrize("batch_size", [128, 8])
def test_an_epochs_steps_wait_for_the_device_once_however_many_they_are(compose, monkeypatch, batch_size):
    waits = []
    for name in ("item", "tolist", "__float__", "__bool__", "__int__"):
        original = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda tensor, name=name, call=original: (waits.append(name), call(tensor))[1]
        )
    original = fast._Epochs._train
    found = []

    def train_epoch(*args):
        waits.clear()
        original(*args)
        found.append(list(waits))

    monkeypatch.setattr(fast._Epochs, "_train", train_epoch)
    train(compose("dataset=breast_cancer", "regime.epochs=3", f"regime.batch_size={batch_size}"))
    assert found == [["tolist"]] * 3  # the seeds of the batches, on the CPU
