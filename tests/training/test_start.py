import json
import pickle
from pathlib import Path

import pytest
import torch
from omegaconf import open_dict
from safetensors.torch import save_file

from medfit.errors import UserError
from medfit.evaluate import evaluate
from medfit.sweep import sweep
from medfit.tracking.store import Store
from medfit.train import train
from medfit.training.parts import prepare
from medfit.training.started import in_words

MLP = ["dataset=breast_cancer", "model=mlp", "regime.epochs=1", "regime.batch_size=100", "model.widths=[8,8]"]
GAN = ["dataset=mni_slices", "model=gan", "model.width=4", "preprocessing.size=28", "task.grid_size=0"]


@pytest.fixture
def source(compose, client):
    """A training that has ended: its run and its weights."""
    train(compose(*MLP, "seed=7"))
    run = client.search_runs(["1"])[0]
    return run, weights_of(client, run)


def weights_of(client, run):
    path = client.download_artifacts(run.info.run_id, "checkpoint/best.ckpt")
    return torch.load(path, weights_only=True)["state_dict"]


def same(task, weights, beginning="model."):
    state = task.state_dict()
    return {name: torch.equal(state[name], weights[name]) for name in state if name.startswith(beginning)}


def test_a_training_starts_from_another_ones_best_weights_and_records_them(compose, client, source):
    run, weights = source
    cfg = compose(*MLP, f"model.init_from={run.info.run_id}")
    assert all(same(prepare(cfg).task, weights).values())
    assert not all(same(prepare(cfg, trained=True).task, weights).values())
    train(cfg)
    new = next(one for one in client.search_runs(["1"]) if one.info.run_id != run.info.run_id)
    assert new.data.tags["init_from.run"] == new.data.tags["init_from"] == run.info.run_id
    assert len(new.data.tags["init_from.sha256"]) == 64
    assert new.data.params["model.init_from"] == run.info.run_id
    proof = json.loads(Path(client.download_artifacts(new.info.run_id, "data/split.json")).read_text())
    assert in_words(proof["init_from"]) == (
        f"the weights of run {run.info.run_id}, trained on breast_cancer: 3 of 3 layers as they are"
    )
    assert "init_from" not in prepare(compose(*MLP)).datamodule.proof


def test_other_classes_and_features_are_new_and_told(compose, source, capsys):
    run, weights = source
    made = prepare(compose("dataset=heart_disease", *MLP[1:], f"model.init_from={run.info.run_id}")).task
    fits = same(made, weights) if made.model.layers[0].weight.shape == weights["model.layers.0.weight"].shape else {}
    assert not fits
    assert torch.equal(made.model.layers[3].weight, weights["model.layers.3.weight"])
    assert not torch.equal(made.model.layers[6].weight, weights["model.layers.6.weight"])
    told = " ".join(capsys.readouterr().out.split())
    assert "1 of 3 layers as they are; new, as outputs or features differ: layers.0, layers.6" in told


@pytest.mark.parametrize("suffix", ["ckpt", "safetensors"])
def test_a_file_of_weights_is_taken(compose, source, tmp_path, suffix):
    weights = {k: v for k, v in source[1].items() if k.startswith("model.")}
    path = tmp_path / f"other.{suffix}"
    save_file(weights, path) if suffix == "safetensors" else torch.save({"state_dict": weights, "epoch": 3}, path)
    parts = prepare(compose(*MLP, f"model.init_from={path}"))
    assert all(same(parts.task, weights).values())
    assert parts.datamodule.proof["init_from"]["from"] == f"file other.{suffix}"
    assert str(tmp_path) not in json.dumps(parts.datamodule.proof)


class Code:
    """Something that loading would run."""

    def __reduce__(self):
        return (print, ("run",))


def write(path, what):
    match what:
        case "code":
            torch.save({"state_dict": {}, "extra": Code()}, path)
        case "cut":
            torch.save({"a.weight": torch.ones(1000)}, path)
            path.write_bytes(path.read_bytes()[:2000])
        case "pickle":
            path.write_bytes(pickle.dumps(Code()))
        case "words":
            path.write_text("no weights")
        case "none":
            torch.save({"epoch": 3}, path)


@pytest.mark.parametrize(
    ("name", "what", "told"),
    [
        ("a.ckpt", "code", "'a.ckpt' holds more than tensors, and could run code; save its weights alone"),
        ("a.ckpt", "cut", "'a.ckpt' can't be read as weights: it was cut short, or is no such file"),
        ("a.pt", "pickle", "'a.pt' can't be read as weights"),
        ("a.ckpt", "words", "'a.ckpt' can't be read as weights"),
        ("a.safetensors", "words", "'a.safetensors' can't be read as weights"),
        ("a.ckpt", "none", "'a.ckpt' holds no weights by name"),
        ("a.h5", "words", "'a.h5' is none of the files that hold weights"),
        ("a.ckpt", "missing", "there is no file '.*a.ckpt'"),
    ],
)
def test_a_file_that_holds_no_weights_is_refused_and_runs_nothing(compose, tmp_path, capsys, name, what, told):
    write(tmp_path / name, what)
    with pytest.raises(UserError, match=f"^model.init_from: {told}"):
        prepare(compose(*MLP, f"model.init_from={tmp_path / name}"))
    assert "run" not in capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("0" * 32, "there is no run"),
        ("models:/none@champion", "no model is registered"),
        (f"models:/m-{'0' * 32}", "there is no model"),
    ],
)
def test_an_address_of_nothing_is_refused(compose, address, told):
    with pytest.raises(UserError, match=f"^model.init_from: {told}"):
        prepare(compose(*MLP, f"model.init_from='{address}'"))


def test_another_architecture_is_refused_in_a_line(compose, source):
    with pytest.raises(UserError, match="^model.init_from: 0 of .*another architecture"):
        prepare(compose("dataset=ecg5000", "model=cnn1d", f"model.init_from={source[0].info.run_id}"))


def test_a_registered_models_weights_are_those_of_its_training(compose, client):
    train(compose(*MLP, "tracking.models=true"))
    run = client.search_runs(["1"])[0]
    model = client.search_logged_models(["1"])[0]
    client.create_registered_model("masses")
    client.create_model_version("masses", model.artifact_location, run.info.run_id, model_id=model.model_id)
    client.set_registered_model_alias("masses", "champion", "1")
    parts = prepare(compose(*MLP, "seed=5", "model.init_from=models:/masses@champion"))
    assert all(same(parts.task, weights_of(client, run)).values())
    assert parts.datamodule.proof["init_from"]["run"] == run.info.run_id


def test_both_networks_of_a_gan_start_from_anothers(compose, client):
    train(compose(*GAN, "regime.epochs=1", "seed=3"))
    run = client.search_runs(["1"])[0]
    task = prepare(compose(*GAN, f"model.init_from={run.info.run_id}")).task
    weights = weights_of(client, run)
    assert all(same(task, weights, "model.generator").values())
    assert all(same(task, weights, "model.discriminator").values())
    average, generator = task.average.module.state_dict(), task.model.generator.state_dict()
    assert all(torch.equal(average[name], value) for name, value in generator.items())


def test_all_trainings_of_an_evaluation_start_from_the_same_weights(compose, client, source, tmp_path):
    path = tmp_path / "start.ckpt"
    torch.save(source[1], path)
    cfg = compose(*MLP, f"model.init_from={path}", "evaluate.num_seeds=2", "evaluate.num_resamples=100")
    evaluate(cfg)
    found = [run for run in client.search_runs(["1"]) if run.data.tags["kind"] in ("seed", "evaluation")]
    assert len(found) == 3 and len({run.data.tags["init_from.sha256"] for run in found}) == 1
    parent = next(run for run in found if run.data.tags["kind"] == "evaluation")
    torch.save({name: value * 2 if value.is_floating_point() else value for name, value in source[1].items()}, path)
    with pytest.raises(UserError, match="model.init_from: at start.ckpt lie other weights than when run"):
        train(cfg, tags={"kind": "seed", "mlflow.parentRunId": parent.info.run_id})


def test_all_trials_of_a_sweep_start_from_the_same_weights(compose, client, source):
    sweep(compose(*MLP, "sweep.num_trials=2", "sweep/pruner=none", f"model.init_from={source[0].info.run_id}"))
    found = [run for run in client.search_runs(["1"]) if run.data.tags["kind"] in ("sweep", "trial")]
    assert sorted(run.data.tags["kind"] for run in found) == ["sweep", "trial", "trial"]
    assert len({run.data.tags["init_from.sha256"] for run in found}) == 1
    assert all(run.info.status == "FINISHED" for run in found)


def test_configs_of_before_start_at_random(compose):
    cfg = compose(*MLP)
    with open_dict(cfg):
        del cfg.model["init_from"], cfg.model["freeze"]
    assert Store(cfg) and "init_from" not in prepare(cfg).datamodule.proof
