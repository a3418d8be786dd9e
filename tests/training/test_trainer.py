"""What any user of Lightning expects of a training: its steps, its hooks, its arguments."""

import sys

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from medfit.__main__ import main
from medfit.errors import UserError
from medfit.train import train
from medfit.training.fast import FastTrainer
from medfit.training.parts import prepare
from medfit.training.trainer import ELSEWHERE, BestWeights, fit, make_trainer

MLP = ["dataset=breast_cancer", "model=mlp", "regime.epochs=3", "regime.batch_size=100", "regime.patience=null"]
GAN = ["dataset=mni_slices", "model=gan", "model.width=4", "preprocessing.size=28", "task.grid_size=0"]


class Counting(Callback):
    """Counts the hooks that Lightning calls."""

    def __init__(self):
        self.calls = []

    def on_train_batch_end(self, trainer, task, outputs, batch, number):
        self.calls.append("batch")
        assert torch.is_tensor(batch[0]) and len(batch[0]) <= 100

    def on_validation_epoch_end(self, trainer, task):
        self.calls.append("validation")

    def on_before_optimizer_step(self, trainer, task, optimizer):
        self.calls.append("step")


def test_hooks_of_batches_steps_and_validations_fire_as_often_as_there_are_any(compose):
    parts, watch = prepare(compose(*MLP)), Counting()
    trainer = make_trainer(parts, [watch])
    fit(trainer, parts)
    batches = 3 * len(parts.datamodule.train_batches)
    assert batches == 12
    assert trainer.global_step == watch.calls.count("batch") == watch.calls.count("step") == batches
    assert watch.calls.count("validation") == 3
    assert {"train/loss", "val/loss", "val/auroc"} <= trainer.callback_metrics.keys()


def test_two_players_count_their_steps(compose):
    parts, watch = prepare(compose(*GAN, "regime.epochs=2", "regime.batch_size=32")), Counting()
    trainer = make_trainer(parts, [watch])
    fit(trainer, parts)
    assert watch.calls.count("batch") == 2 * len(parts.datamodule.train_batches)
    assert trainer.global_step == 2 * watch.calls.count("batch")


def test_the_fast_loop_is_taken_only_where_nothing_needs_a_step(compose):
    small = prepare(compose(*MLP))
    assert isinstance(make_trainer(small, [BestWeights(small.task)]), FastTrainer)
    assert type(make_trainer(small, [Counting()])) is Trainer
    for own in ("regime.speed=plain", "regime.trainer.limit_train_batches=2"):
        parts = prepare(compose(*MLP, own))
        assert type(make_trainer(parts)) is Trainer, own


def test_the_trainers_arguments_reach_it(compose):
    parts = prepare(compose(*MLP, "regime.trainer.limit_train_batches=2", "regime.trainer.val_check_interval=1"))
    trainer = make_trainer(parts)
    fit(trainer, parts)
    assert trainer.global_step == 6 and trainer.val_check_interval == 1


def test_a_dry_run_of_one_batch_comes_to_its_end(compose):
    scores = train(compose(*MLP, "regime.trainer.fast_dev_run=true"))
    assert "val/auroc" in scores


def test_an_argument_that_the_trainer_has_not_is_told_with_the_nearest(compose):
    with pytest.raises(UserError, match=r"unknown key 'regime.trainer.fast_dev_rum'.*'regime.trainer.fast_dev_run'"):
        compose(*MLP, "regime.trainer.fast_dev_rum=true")


@pytest.mark.parametrize(("name", "place"), ELSEWHERE.items())
def test_an_argument_that_has_another_place_in_the_config_is_told(compose, name, place):
    values = {"deterministic": "true", "callbacks": "[]", "logger": "false", "accelerator": "cpu", "precision": "16"}
    parts = prepare(compose(*MLP, f"regime.trainer.{name}={values.get(name, 1)}"))
    with pytest.raises(UserError, match=f"regime.trainer.{name}: give {place}"):
        make_trainer(parts)


def test_arguments_that_leave_no_validation_score_are_told(compose):
    with pytest.raises(UserError, match=r"regime.trainer: .*no val/"):
        train(compose(*MLP, "regime.trainer.limit_val_batches=0"))


def test_a_callback_of_lightnings_own_saves_checkpoints_that_can_be_loaded(compose, tmp_path):
    saving = "regime.callbacks.keep={_target_: lightning.pytorch.callbacks.ModelCheckpoint}"
    cfg = compose(
        *MLP, saving, f"regime.callbacks.keep.dirpath={tmp_path / 'kept'}", "regime.callbacks.keep.save_last=true"
    )
    train(cfg)
    state = torch.load(tmp_path / "kept" / "last.ckpt", weights_only=False)
    assert state["global_step"] == 12
    parts = prepare(cfg)
    parts.task.load_state_dict(state["state_dict"])
    assert isinstance(parts.regime.callbacks["keep"], ModelCheckpoint)


def test_a_callback_of_ones_own_is_given_by_its_class(compose, tmp_path, monkeypatch):
    (tmp_path / "my_callbacks.py").write_text(
        "from lightning.pytorch.callbacks import Callback\n\n\n"
        "class Stop(Callback):\n"
        "    def __init__(self, after: int) -> None:\n"
        "        self.after = after\n\n"
        "    def on_train_batch_end(self, trainer, task, outputs, batch, number):\n"
        "        trainer.should_stop = trainer.global_step >= self.after\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = ["regime.callbacks.stop={_target_: my_callbacks.Stop}", "regime.callbacks.stop.after=5"]
    parts = prepare(compose(*MLP, *own))
    trainer = make_trainer(parts)
    fit(trainer, parts)
    assert trainer.global_step == 5
    with pytest.raises(UserError, match=r"regime.callbacks.stop.after"):
        compose(*MLP, own[0], "regime.callbacks.stop.after=many")
    sys.modules.pop("my_callbacks")


def test_what_a_run_logs_of_callbacks_and_arguments_composes_it_again(compose, client):
    own = [
        "regime.callbacks.rate={_target_: lightning.pytorch.callbacks.LearningRateMonitor}",
        "regime.trainer.limit_train_batches=2",
    ]
    cfg = compose(*MLP, *own)
    train(cfg)
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    kept = [f"{name}={value}" for name, value in run.data.params.items() if name.startswith("regime.")]
    assert compose(*MLP[:2], *kept).regime == cfg.regime


def test_the_command_line_takes_the_trainers_arguments(output_dir, capsys):
    lines = ["experiment=", *MLP, f"output_dir={output_dir}", "tracking.plots=false"]
    assert main(["train", *lines, "regime.trainer.max_epochs=2"]) == 2
    assert capsys.readouterr().err == "medfit: regime.trainer.max_epochs: give regime.epochs\n"
