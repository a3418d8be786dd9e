import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mlflow.entities import RunStatus

from each_step import EachStep
from medfit.config import instantiate
from medfit.config.compose import compose as compose_config
from medfit.errors import UserError
from medfit.models.linear import Linear
from medfit.tasks.supervised import Supervised
from medfit.train import train
from medfit.training import parts as parts_module
from medfit.training.parts import make_task, prepare
from medfit.training.trainer import DivergedError


def runs(client):
    ids = [e.experiment_id for e in client.search_experiments()]
    return list(client.search_runs(ids, max_results=1000))


def test_a_training_returns_the_scores_of_the_validation_split_alone(compose):
    scores = train(compose("regime=smoke"))
    assert scores["val/auroc"] > 0.8
    assert all(name.startswith("val/") for name in scores)


def test_the_same_seed_gives_the_same_scores(compose):
    cfg = compose("regime=smoke", "model.dropout=0.3")
    assert train(cfg) == train(cfg)


@pytest.mark.slow
def test_another_seed_gives_other_scores_on_the_same_split(compose):
    one, two = compose("regime=smoke", "seed=1"), compose("regime=smoke", "seed=2")
    assert train(one) != train(two)
    assert prepare(one).datamodule.proof == prepare(two).datamodule.proof


def test_the_learning_rate_walks_from_yaml_to_optimiser_and_tracker(compose, client):
    cfg = compose("regime.optimizer.lr=0.00321", "regime=smoke", "regime/scheduler=constant")
    seen = []

    class Watch(EachStep):
        def note(self, trainer, task, optimizer):
            seen.append(optimizer.param_groups[0]["lr"])

    train(cfg, callbacks=[Watch()])
    assert set(seen) == {0.00321}
    assert runs(client)[0].data.params["regime.optimizer.lr"] == "0.00321"


@pytest.mark.slow
def test_params_given_back_as_overrides_compose_the_run_again(compose, client):
    cfg = compose("regime=smoke", "model.widths=[8,4]", "regime.optimizer.lr=2e-3", "split.seed=3", "dataset=diabetes")
    train(cfg)
    params = runs(client)[0].data.params
    again = compose_config([f"{name}={value}" for name, value in params.items()])
    for section in ("seed", "split", "dataset", "model", "task", "regime", "preprocessing"):
        assert again[section] == cfg[section]


def test_the_best_epochs_weights_are_kept_not_the_last(compose, client):
    scores = train(
        compose("regime.epochs=12", "regime/optimizer=sgd", "regime.optimizer.lr=3", "task.monitor=val/brier")
    )
    history = client.get_metric_history(runs(client)[0].info.run_id, "val/brier")
    by_epoch = [point.value for point in history if point.step < 12]
    assert scores["val/brier"] == pytest.approx(min(by_epoch), rel=1e-5)
    assert by_epoch[-1] > min(by_epoch)


def test_early_stopping_waits_for_its_patience(compose, client):
    train(compose("regime.epochs=50", "regime.patience=2", "regime.optimizer.lr=0.03"))
    run = runs(client)[0]
    history = client.get_metric_history(run.info.run_id, "val/cross_entropy")[:-1]
    values = [point.value for point in history]
    assert len(values) < 50
    assert values.index(min(values)) == len(values) - 3


def test_a_mistake_stores_no_run(compose, client):
    for wrong in (["task=regression"], ["regime.optimizer.lr=-1"], ["task.monitor=val/nothing"], ["split.val=0.9"]):
        with pytest.raises(UserError):
            train(compose("dataset=breast_cancer", *wrong))
    assert runs(client) == []


def test_a_diverging_training_is_a_failed_run_with_its_reason(compose, client):
    with pytest.raises(DivergedError, match="lower learning rate"):
        train(compose("dataset=diabetes", "regime/optimizer=sgd", "regime.optimizer.lr=1e12", "regime.epochs=5"))
    (run,) = runs(client)
    assert run.info.status == RunStatus.to_string(RunStatus.FAILED)
    assert run.data.tags["failure"].startswith("DivergedError")


@pytest.mark.slow
def test_gradient_clipping_reaches_the_trainer(compose):
    free, clipped = (train(compose("regime=smoke", f"regime.gradient_clip={value}")) for value in ("null", "1e-6"))
    assert free != clipped


@pytest.mark.mostly_slow
@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_precision_is_a_config_value(compose, precision):
    assert train(compose("regime=smoke", f"regime.precision={precision}"))["val/auroc"] > 0.5


def test_an_accelerator_that_is_not_there_is_told(compose, client):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="regime: "):
        train(compose("regime=smoke", "regime.accelerator=gpu"))
    assert runs(client) == []


def test_the_test_split_has_no_part_in_training(compose, monkeypatch):
    """Replacing all test rows by noise changes nothing that training sees or returns."""
    from medfit.data.datasets.breast_cancer import BreastCancer

    cfg = compose("regime=smoke", "preprocessing.scaling=quantile", "preprocessing.pca=5", "seed=5")
    honest = train(cfg)
    test_rows = prepare(cfg).datamodule.rows["test"]
    original = BreastCancer.__init__

    def spoiled(self):
        original(self)
        self.x.iloc[test_rows] = 1e6

    monkeypatch.setattr(BreastCancer, "__init__", spoiled)
    instantiate._load_dataset.cache_clear()
    assert train(cfg) == honest
    instantiate._load_dataset.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_is_killed_not_running(output_dir, client, launch, stop):
    overrides = [f"output_dir={output_dir}", "regime.epochs=100000", "regime.patience=null", "tracking.plots=false"]
    command = [sys.executable, "-m", "medfit", "train", *overrides]
    process = launch(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not any(run.data.metrics for run in runs(client)):
        time.sleep(0.5)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; what was finished is kept" in errors
    (run,) = runs(client)
    assert run.info.status == RunStatus.to_string(RunStatus.KILLED)
    assert "val/auroc" in run.data.metrics


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried ..."),
        MemoryError(),
    ],
    ids=["gpu", "cpu", "python"],
)
def test_a_batch_that_does_not_fit_in_memory_says_what_to_lower(compose, client, monkeypatch, error):
    def step(*_):
        raise error

    monkeypatch.setattr(Supervised, "training_step", step)
    told = (
        "a batch of 32 samples of 30 values does not fit in memory; try in this order: regime.batch_size=16 with "
        "regime.accumulate=2; lower the size of the model"
    )
    with pytest.raises(UserError, match=f"^{re.escape(told)}$"):
        train(compose("regime=smoke", "regime.accelerator=cpu"))
    assert [run.info.status for run in runs(client)] == ["FAILED"]


def test_another_error_of_the_machine_stays_itself(compose, monkeypatch):
    def step(*_):
        raise RuntimeError("a kernel is broken")

    monkeypatch.setattr(Supervised, "training_step", step)
    with pytest.raises(RuntimeError, match="a kernel is broken"):
        train(compose("regime=smoke"))


@pytest.mark.slow
def test_the_shapes_stand_beside_the_weights_and_build_the_task_again(compose, client, tmp_path):
    cfg = compose("regime=smoke", "dataset=ecg5000", "model.widths=[4]", "model.kernel_sizes=[3]", "regime.epochs=1")
    train(cfg)
    folder = Path(client.download_artifacts(runs(client)[0].info.run_id, "checkpoint", str(tmp_path)))
    shapes = json.loads((folder / "shapes.json").read_text())
    assert shapes["input_shape"] == [1, 140] and shapes["target_names"][0] == "normal"
    task = make_task(cfg, tuple(shapes["input_shape"]), shapes["target_names"], lambda: (None, torch.arange(5)))
    task.load_state_dict(torch.load(folder / "best.ckpt", weights_only=True)["state_dict"])


def test_a_model_whose_output_is_no_answer_to_the_task_is_refused(compose, monkeypatch):
    class Wide(Linear):
        def forward(self, x):
            return super().forward(x).repeat(1, 2)

    monkeypatch.setattr("medfit.models.linear.Linear", Wide)
    with pytest.raises(UserError, match=r"model: it puts out \(2,\) for each sample, but this task needs \(1,\)"):
        train(compose("model=linear", "regime=smoke"))


def test_preparing_what_does_not_fit_in_memory_says_what_to_lower(compose, client, monkeypatch):
    class Large(Linear):
        def forward(self, x):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8589934592 bytes")

    monkeypatch.setattr("medfit.models.linear.Linear", Large)
    with pytest.raises(UserError, match=r"^what this asks for does not fit in memory; lower the size of the model$"):
        train(compose("model=linear", "regime=smoke"))
    assert runs(client) == []


def test_a_task_that_does_not_fit_is_told_before_the_samples_are_prepared(compose, monkeypatch):
    monkeypatch.setattr("medfit.data.preprocessing.table.TablePreprocessing.fit", lambda *_: 1 / 0)
    with pytest.raises(UserError, match="task=regression learns regression targets, but the data set's are binary"):
        train(compose("dataset=breast_cancer", "task=regression"))


@pytest.mark.slow
def test_a_batch_of_images_that_does_not_fit_names_the_size_to_lower(compose, monkeypatch):
    def step(*_):
        raise MemoryError

    monkeypatch.setattr(Supervised, "training_step", step)
    small = ["dataset.resolution_mm=8", "dataset.slab_slices=2", "model.widths=[4,8]", "regime.batch_size=4"]
    with pytest.raises(
        UserError,
        match=r"; regime\.gradient_checkpointing=true \(a third more time\); lower the size of the model or "
        r"preprocessing\.size or preprocessing\.patch_size$",
    ):
        train(compose("dataset=mni_tissue", *small))


@pytest.mark.slow
def test_trainings_share_prepared_data_only_where_split_and_preprocessing_are_the_same(compose):
    def data(*overrides):
        return prepare(compose("dataset=breast_cancer", *overrides)).datamodule.data

    assert data("seed=1", "regime.optimizer.lr=0.5") is data("seed=2")
    assert data("split.seed=1") is not data() and data("preprocessing.pca=3") is not data()


@pytest.mark.slow
def test_large_prepared_data_make_room_for_the_next(compose, monkeypatch):
    monkeypatch.setattr(parts_module, "MOST_KEPT_BYTES", 1000)
    parts_module._PREPARED.clear()
    for seed in (1, 2, 3):
        prepare(compose("dataset=breast_cancer", f"split.seed={seed}"))
        assert len(parts_module._PREPARED) == 1
