import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from fake_images import write_decathlon
from medfit.__main__ import main
from medfit.config import folders
from medfit.data.datasets.ecg5000 import ECG5000
from medfit.data.datasets.images import Images
from medfit.data.datasets.samples import Samples
from medfit.data.datasets.series import Series
from medfit.data.image import Image
from medfit.errors import UserError
from medfit.explain import explain
from medfit.explanations.finished_run import FinishedRun
from medfit.explanations.table import Table
from medfit.tracking.store import Store
from medfit.train import train
from medfit.training.parts import prepare

TABLE = ("dataset=breast_cancer", "model=linear", "regime=smoke", "regime.accelerator=cpu")
FAST = {"methods": "[feature_ablation]", "num_samples": 10}
SHARED = folders.ROOT.parent / "shared" / "data"


class FewBeats(Series):
    """The first beats of ECG5000."""

    def __init__(self):
        whole = ECG5000()
        super().__init__(
            x=whole.x[:90], y=(whole.y[:90] > 0).astype(np.float32)[:, None], channels=["ecg"], name="beats",
            task="binary", target_names=["unlike"], sampling_rate_hz=140.0,
        )  # fmt: skip


class Squares(Images):
    """Images or volumes that are bright at one end (class 1) or not, under noise."""

    def __init__(self, dimensions=2):
        label, rng = np.arange(40) % 2, np.random.default_rng(0)
        x = rng.random((40, 1, *[16] * dimensions), dtype=np.float32)
        x[label == 1, :, :8, :8] += 2
        super().__init__(
            names=[f"square {i}" for i in range(40)], readers=[lambda i=i: Image(x[i]) for i in range(40)],
            channels=["grey"], y=label[:, None].astype(np.float32), name="squares", task="binary",
            target_names=["bright"],
        )  # fmt: skip


@pytest.fixture
def trained(compose, client):
    """Trains, and returns the run's id."""

    def run(*overrides, data=None, splits=("val",), **arguments):
        cfg = compose(*overrides)
        if data is not None:
            cfg.dataset = OmegaConf.create({"_target_": f"{__name__}.{data}", **arguments})
        train(cfg, splits=splits)
        return client.search_runs([e.experiment_id for e in client.search_experiments()])[0].info.run_id

    return run


@pytest.fixture
def asked(compose):
    """A config that asks for explanations of a run."""

    def composed(run, **values):
        return compose(f"explain.run={run}", *(f"explain.{key}={value}" for key, value in values.items()))

    return composed


def artifacts(client, run):
    return {Path(file.path).name for file in client.list_artifacts(run, "explanations")}


def read(client, run, name, folder):
    return Path(client.download_artifacts(run, f"explanations/{name}", str(folder))).read_text()


@pytest.mark.slow
def test_figures_tables_and_a_summary_become_artifacts_of_the_run(trained, asked, client, output_dir, tmp_path):
    run = trained(*TABLE)
    asked_for = {"methods": "[feature_ablation,integrated_gradients]", "num_samples": 10, "num_cases": 2}
    summary = explain(asked(run, **asked_for))
    about_all = {
        *(f"val_{m}.{end}" for m in ("feature_ablation", "integrated_gradients") for end in ("png", "csv")),
        *("val_agreement.csv", "summary.json"),
    }
    assert artifacts(client, run) == about_all
    assert json.loads(read(client, run, "summary.json", tmp_path))["cases"] == []  # whose titles show values
    kept = output_dir / "explanations" / run
    assert {file.name for file in kept.iterdir()} == {"val_case_1.png", "val_case_2.png", "val_cases.json"}
    assert json.loads((kept / "val_cases.json").read_text()) == summary["cases"]
    assert kept.stat().st_mode & 0o077 == 0
    explain(asked(run, **asked_for, log_cases="true"))
    assert artifacts(client, run) == about_all | {"val_case_1.png", "val_case_2.png"}
    assert len(json.loads(read(client, run, "summary.json", tmp_path))["cases"]) == 2


@pytest.mark.slow
def test_a_run_stays_finished_and_as_it_was_but_for_the_checks(trained, asked, client):
    run = trained(*TABLE)
    before = client.get_run(run)
    summary = explain(asked(run, **FAST))
    after = client.get_run(run)
    assert after.info.to_proto() == before.info.to_proto()
    assert (after.data.params, after.data.tags) == (before.data.params, before.data.tags)
    added = {name: after.data.metrics[name] for name in after.data.metrics.keys() - before.data.metrics.keys()}
    about = summary["methods"]["feature_ablation"]
    assert added == {
        "explain/feature_ablation_randomised_correlation": pytest.approx(about["randomised_correlation"]),
        "explain/feature_ablation_randomised_signed_correlation": pytest.approx(about["randomised_signed_correlation"]),
    }


@pytest.mark.slow
def test_same_seed_gives_the_same_numbers_under_the_same_names(trained, asked, client, tmp_path):
    run, found = trained(*TABLE), []
    for number in range(2):
        (folder := tmp_path / str(number)).mkdir()
        summary = explain(asked(run, methods="[shap,lime]", num_samples=2, num_cases=1))
        found.append((summary, artifacts(client, run), read(client, run, "val_lime.csv", folder)))
    assert found[0] == found[1]


@pytest.mark.slow
def test_patients_are_told_by_the_hashes_of_the_runs_predictions(trained, asked, client, tmp_path):
    run = trained(*TABLE)
    explain(asked(run, **FAST, log_cases="true"))
    summary = json.loads(read(client, run, "summary.json", tmp_path))
    known = pd.read_csv(client.download_artifacts(run, "predictions/val.csv", str(tmp_path))).patient
    assert {case["patient"] for case in summary["cases"]} <= set(known)
    assert len(summary["cases"]) == 3


def test_the_command_takes_the_run_by_itself(trained, client, output_dir, capsys):
    run = trained(*TABLE)
    assert main(["explain", run, f"output_dir={output_dir}", *(f"explain.{k}={v}" for k, v in FAST.items())]) == 0
    shown = capsys.readouterr().out
    assert f"Explanations of run {run}, 10 samples of val" in shown
    assert "artifacts below explanations/" in shown
    assert "most confident right: malignant predicted" in shown


@pytest.mark.slow
def test_an_explanation_that_ignores_the_weights_is_warned_of(trained, asked, monkeypatch, output_dir, capsys):
    def values(self, task, questions):
        return [self.raw.matrix[question.row] for question in questions]

    run = trained(*TABLE)
    monkeypatch.setattr(Table, "_feature_ablation", values)
    assert main(["explain", run, f"output_dir={output_dir}", "explain.methods=[feature_ablation]"]) == 0
    assert "Warning   feature_ablation explains untrained models much as this one" in capsys.readouterr().out


@pytest.mark.slow
def test_untrained_models_are_not_what_the_run_began_with(trained, compose):
    finished = FinishedRun(Store(compose()), trained(*TABLE), "val")
    first, again, other = (finished.untrained(seed).model.layer.weight for seed in (0, 0, 1))
    assert first.equal(again) and not first.equal(other)
    assert not first.equal(prepare(finished.cfg).task.model.layer.weight)


@pytest.mark.slow
def test_the_test_split_is_explained_once_it_is_scored(trained, asked, client):
    run = trained(*TABLE, splits=("val", "test"))
    explain(asked(run, split="test", **FAST))
    assert "test_feature_ablation.csv" in artifacts(client, run)


@pytest.mark.slow
def test_what_is_explained_is_no_part_of_a_training(trained, client):
    run = trained(*TABLE, "explain.seed=3")
    assert not any(name.startswith("explain") for name in client.get_run(run).data.params)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        ["cnn1d", "model.widths=[8,8]", "model.kernel_sizes=[5,3]"],
        ["resnet1d", "model.widths=[4,4]"],
        ["inception_time", "model.depth=3", "model.width=4"],
    ],
    ids=lambda model: model[0],
)
def test_series_are_explained(trained, asked, client, tmp_path, model):
    fixed = ["dataset=ecg5000", "task=binary", "regime=smoke", "regime.accelerator=cpu"]
    run = trained(*fixed, f"model={model[0]}", *model[1:], data="FewBeats")
    explain(asked(run, num_samples=4, num_cases=1))
    for method in ("integrated_gradients", "occlusion"):
        table = pd.read_csv(client.download_artifacts(run, f"explanations/val_{method}.csv", str(tmp_path)))
        assert list(table.columns) == ["target", "channel", "time_s", "mean_size"]
        assert len(table) == 140
        assert table.mean_size.max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("dimensions", [2, 3])
def test_images_are_explained(trained, asked, client, dimensions):
    fixed = ["dataset=pneumonia_mnist", "regime=smoke", "regime.accelerator=cpu", "preprocessing.scaling=none"]
    run = trained(*fixed, "model.depth=10", "model.width=4", data="Squares", dimensions=dimensions)
    explain(asked(run, num_samples=2, num_cases=1))
    assert artifacts(client, run) == {"val_grad_cam.png", "val_occlusion.png", "summary.json"}


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["preprocessing.slices=axial"]], ids=["volumes", "slices"])
def test_masks_are_explained(trained, asked, client, tmp_path, more):
    root = write_decathlon(tmp_path / "Task01_Fake", num_cases=8)
    fixed = ["dataset=decathlon", f"dataset.root={root}", "model.widths=[4,8]", "task.metrics=[dice]"]
    fixed += ["regime.epochs=6", "regime.optimizer.lr=0.01", "regime.batch_size=2", "regime.accelerator=cpu"]
    run = trained(*fixed, *more)
    summary = explain(asked(run, num_samples=2, num_cases=1))
    assert artifacts(client, run) == {
        *(f"val_{method}.{end}" for method in ("grad_cam", "occlusion") for end in ("png", "csv")),
        "summary.json",
    }
    assert "within the region" in summary["methods"]["occlusion"]["gist"]


@pytest.mark.slow
def test_real_volumes_are_explained(trained, asked, client):
    root = SHARED / "msd_hippocampus"
    if not root.exists():
        pytest.skip("the hippocampus data are not here")
    fixed = ["dataset=hippocampus", f"dataset.root={root}", "model.widths=[4,8,16]", "regime.epochs=2"]
    run = trained(*fixed, "task.metrics=[dice]", "regime.accelerator=cpu", "regime.optimizer.lr=0.01")
    assert set(explain(asked(run, num_samples=2))["methods"]) == {"grad_cam", "occlusion"}


def refused(cfg, match):
    with pytest.raises(UserError, match=match) as refusal:
        explain(cfg)
    assert "\n" not in str(refusal.value)


def test_no_run_is_told_how_to_name_one(compose):
    refused(compose(), r"explain\.run is needed: give explain\.run=")


def test_unknown_run_is_refused(asked):
    refused(asked("abcd0123"), r"explain\.run: there is no run 'abcd0123'")


def test_run_without_weights_is_refused(compose, client, asked, tmp_path):
    run = client.create_run(client.create_experiment("stopped", tmp_path.as_uri())).info.run_id
    client.log_text(run, OmegaConf.to_yaml(compose(*TABLE)), "config.yaml")
    refused(asked(run), r"\(running\) has no checkpoint/best\.ckpt; it must be a training that came to its end")


def test_run_of_something_else_is_refused(client, asked, tmp_path):
    run = client.create_run(client.create_experiment("others", tmp_path.as_uri())).info.run_id
    refused(asked(run), r"has no config\.yaml")


@pytest.mark.slow
def test_generator_has_nothing_to_explain(compose, client, asked, tmp_path):
    run = client.create_run(client.create_experiment("generators", tmp_path.as_uri())).info.run_id
    cfg = compose("dataset=breast_cancer", "preprocessing=image", "model=gan")
    client.log_text(run, OmegaConf.to_yaml(cfg), "config.yaml")
    refused(asked(run), "is of task=adversarial, which predicts nothing, so there is nothing to explain")


@pytest.mark.parametrize(("method", "hint"), [("grad_cam", ""), ("sahp", "; did you mean 'shap'")])
def test_method_that_does_not_suit_the_data_is_refused_with_those_that_do(trained, asked, method, hint):
    match = rf"explain\.methods: '{method}' does not suit these data{hint}.*suited: integrated_gradients, feature_abl"
    refused(asked(trained(*TABLE), methods=f"[{method}]"), match.replace("?", r"\?"))


@pytest.mark.slow
def test_test_split_that_was_not_scored_stays_closed(trained, asked):
    refused(asked(trained(*TABLE), split="test"), r"explain\.split: run \w+ has not scored the test split")


@pytest.mark.slow
def test_data_that_have_changed_are_refused(trained, asked, monkeypatch):
    run = trained(*TABLE)
    monkeypatch.setattr(Samples, "fingerprint", lambda self: "another")
    refused(asked(run), "the data have changed since run")


@pytest.mark.parametrize(
    "override", ["explain.num_samples=1", "explain.split=all", "explain.seed=-1", "explain.methods=[]"]
)
def test_value_out_of_range_is_refused(compose, override):
    with pytest.raises(UserError, match=override.split("=")[0]):
        compose(override)
