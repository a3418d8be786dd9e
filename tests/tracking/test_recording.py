import csv
import json
import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf

from medfit.config import folders
from medfit.errors import StoreError, UserError
from medfit.tracking import recording
from medfit.tracking.recording import pseudonyms, start_run
from medfit.tracking.store import Store
from medfit.train import train
from medfit.training.parts import prepare


@pytest.fixture
def finished(compose, client, tmp_path):
    """A finished run with plots, and its artifacts' folder."""
    cfg = compose("regime=smoke", "tracking.plots=true", experiment="heart_disease_diagnosis")
    train(cfg)
    experiment = client.get_experiment_by_name("heart_disease_diagnosis")
    (run,) = client.search_runs([experiment.experiment_id])
    return cfg, run, Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))


def test_a_run_holds_all_it_takes_to_repeat_it(finished):
    cfg, run, folder = finished
    assert run.info.status == "FINISHED"
    assert OmegaConf.load(folder / "config.yaml") == cfg
    assert run.data.params["regime.optimizer.lr"] == "0.001"
    assert run.data.params["dataset"] == "heart_disease"
    assert len(run.data.tags["mlflow.source.git.commit"]) == 40 or run.data.tags["git.dirty"] == "unknown"
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["versions"]["torch"].startswith("2.")
    assert environment["cpu_count"] > 0
    assert (folder / "checkpoint" / "best.ckpt").stat().st_size > 1000


def test_metrics_are_kept_by_epoch_under_one_naming_scheme(finished, client):
    _, run, _ = finished
    assert {"train/loss", "val/loss", "val/auroc", "val/cross_entropy"} <= set(run.data.metrics)
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train/loss")] == [0, 1]


def test_plots_are_artifacts(finished):
    _, _, folder = finished
    names = {path.name for path in (folder / "plots").iterdir()}
    assert names == {f"val_{n}.png" for n in ("roc", "precision_recall", "calibration", "confusion")} | {
        "learning_curves.png"
    }


@pytest.mark.slow
def test_the_data_set_is_an_input_with_fingerprint_and_schema(finished):
    _, run, folder = finished
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == "heart_disease"
    assert len(json.loads(used.dataset.schema)["mlflow_colspec"]) == 14
    split = json.loads((folder / "data" / "split.json").read_text())
    assert split["patients_in_two_splits"] == 0
    assert sum(split[name]["patients"] for name in ("train", "val", "test")) == 303
    assert len(split["assignment_sha256"]) == 64


def test_validation_predictions_are_keyed_by_pseudonyms(finished):
    _, _, folder = finished
    with (folder / "predictions" / "val.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["patient"] for row in rows}) == len(rows) == 61
    assert all(0 <= float(row["pred/narrowed"]) <= 1 for row in rows)
    assert not (folder / "predictions" / "test.csv").exists()


def test_nothing_of_a_patient_reaches_the_tracker(compose, client, tmp_path, capsys):
    path = tmp_path / "clinic.csv"
    secret = " ".join(["Ottoline", "Quirk"])  # in pieces, as this file may be in the code's diff
    rows = [f"{secret} {i},{1000.5 + i},{i % 2}" for i in range(60)]
    path.write_text("name,rare_measure,outcome\n" + "\n".join(rows) + "\n")
    train(
        compose(
            "dataset=table", f"dataset.path={path}", "dataset.target=outcome", "dataset.patient=name", "regime=smoke"
        )
    )
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    folder = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path / "down")))
    logged = str(run.to_dictionary()) + capsys.readouterr().out
    logged += "".join(p.read_text(errors="replace") for p in folder.rglob("*") if p.is_file())
    assert "clinic.csv" in logged
    assert secret not in logged
    assert str(1000.5 + 17) not in logged


def test_pseudonyms_are_alike_here_and_of_no_use_elsewhere(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    here, again = (pseudonyms(tmp_path / "a", "clinic", ["p1", "p2", "p1"]) for _ in range(2))
    assert here == again
    assert here[0] == here[2] != here[1]
    assert not set(here) & set(pseudonyms(tmp_path / "b", "clinic", ["p1", "p2"]))
    assert (tmp_path / "a" / "salt").stat().st_mode & 0o077 == 0


def test_a_failing_run_is_failed_with_its_facts(compose, client, monkeypatch):
    from medfit.tasks.classification import Binary

    def broken(self, output, target):
        raise RuntimeError("the plug was pulled")

    monkeypatch.setattr(Binary, "loss", broken)
    with pytest.raises(RuntimeError, match="plug"):
        train(compose("regime=smoke"))
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert run.info.status == "FAILED"
    assert "the plug was pulled" in run.data.tags["failure"]
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {"config.yaml", "environment.json", "failure.txt", "data"} <= names
    assert "regime.optimizer.lr" in run.data.params


def test_a_patient_has_another_pseudonym_in_each_data_set(tmp_path):
    one, other = (pseudonyms(tmp_path, name, ["p1", "p2"]) for name in ("clinic", "hospital"))
    assert not set(one) & set(other)


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")]
)
def test_what_ended_a_run_is_its_status(compose, client, error, status):
    cfg = compose("regime=smoke")
    parts = prepare(cfg)
    facts = (parts.datamodule.dataset, parts.datamodule.proof)
    with pytest.raises(error), start_run(cfg, *facts, {"kind": "run"}) as run:
        raise error("the plug was pulled")
    found = client.get_run(run.id)
    assert found.info.status == status
    assert ("failure" in found.data.tags) == (status == "FAILED")


def test_an_interruption_on_which_a_library_failed_is_no_failure(compose, client):
    cfg = compose("regime=smoke")
    parts = prepare(cfg)
    facts = (parts.datamodule.dataset, parts.datamodule.proof)
    with pytest.raises(ValueError, match="clean-up"), start_run(cfg, *facts, {"kind": "run"}) as run:
        try:
            raise KeyboardInterrupt
        finally:
            raise ValueError("clean-up")
    found = client.get_run(run.id)
    assert found.info.status == "KILLED" and "failure" not in found.data.tags


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_store_that_fails_too_hides_no_error(compose, output_dir, error):
    cfg = compose("regime=smoke")
    parts = prepare(cfg)
    with (
        pytest.raises(error, match="the plug was pulled"),
        start_run(cfg, parts.datamodule.dataset, parts.datamodule.proof, {"kind": "run"}),
    ):
        with closing(sqlite3.connect(output_dir / "mlflow.db")) as database:
            database.execute("ALTER TABLE runs RENAME TO gone")
        raise error("the plug was pulled")


def test_a_store_that_fails_at_the_end_is_told(compose, output_dir):
    cfg = compose("regime=smoke")
    parts = prepare(cfg)
    with (
        pytest.raises(StoreError, match=r"tracking.uri: the store .* can't be used"),
        start_run(cfg, parts.datamodule.dataset, parts.datamodule.proof, {"kind": "run"}),
        closing(sqlite3.connect(output_dir / "mlflow.db")) as database,
    ):
        database.execute("ALTER TABLE runs RENAME TO gone")


@pytest.mark.slow
def test_a_locked_store_is_told(compose, output_dir):
    cfg = compose("regime=smoke")
    holder = sqlite3.connect(output_dir / "mlflow.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(UserError, match=r"tracking.uri: the store .* can't be used \(locked by another program\)"):
            train(cfg)
    finally:
        holder.close()


def test_a_store_that_is_no_database_is_told(compose, output_dir):
    (output_dir / "mlflow.db").write_text("not a database " * 100)
    with pytest.raises(UserError, match=r"tracking.uri: the store .* can't be used"):
        Store(compose())


def test_a_server_that_is_down_is_told(compose, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"tracking.uri: the store 'http://127.0.0.1:9' can't be used"):
        Store(compose("tracking.uri=http://127.0.0.1:9"))


def test_a_failed_opening_leaves_stored_runs_untouched(compose, client):
    train(compose("regime=smoke"))
    before = [run.to_dictionary() for run in client.search_runs(["1"])]
    with pytest.raises(UserError):
        train(compose("regime=smoke", "regime.optimizer.lr=-1"))
    assert [run.to_dictionary() for run in client.search_runs(["1"])] == before
    assert folders.output_dir(compose()).exists()


def test_an_image_of_each_epoch_is_kept_with_its_step(compose, client):
    image = np.zeros((8, 8, 3), dtype=np.uint8)

    class Draw(Callback):
        def on_train_epoch_end(self, trainer, task):
            trainer.logger.log_image("samples", image, trainer.current_epoch)

    train(compose("regime=smoke"), callbacks=[Draw()])
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    names = [Path(file.path).name for file in client.list_artifacts(run.info.run_id, "images")]
    steps = sorted(re.search(r"^samples\+step\+(\d+)\+", name)[1] for name in names if name.endswith(".png"))
    assert steps == ["0", "1"]


@pytest.mark.parametrize("content", ["", "  \n", "short"])
def test_a_key_that_keeps_nothing_secret_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.setattr(recording, "SALT_TRIES", 2)
    (tmp_path / "salt").write_text(content)
    with pytest.raises(UserError, match="holds no key for patients' pseudonyms"):
        recording.pseudonyms(tmp_path, "data", ["a"])


def test_a_key_that_another_process_is_about_to_write_is_waited_for(tmp_path):
    (tmp_path / "salt").touch()
    writing = threading.Timer(0.1, (tmp_path / "salt").write_text, ["0" * 64])
    writing.start()
    [found] = recording.pseudonyms(tmp_path, "data", ["a"])
    writing.join()
    assert [found] == recording.pseudonyms(tmp_path, "data", ["a"])
