import json
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import mlflow.artifacts
import mlflow.server
import pytest
from lightning.pytorch.callbacks import Callback
from mlflow.exceptions import MlflowException
from omegaconf import DictConfig, OmegaConf

from medfit.errors import StoreError, UserError
from medfit.tracking import outbox
from medfit.tracking.background import BackgroundWriter
from medfit.tracking.operations import perform
from medfit.tracking.run import Run, create_run, reopen_run
from medfit.tracking.store import Store
from medfit.train import train
from mlflow_server import Server, assert_whole, leftovers, log_everything


@pytest.fixture(autouse=True)
def writes_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write is done when its call returns."""
    put = BackgroundWriter.put
    monkeypatch.setattr(BackgroundWriter, "put", lambda own, write: (put(own, write), own.drain()))


@pytest.fixture
def cfg(server: Server, tmp_path: Path) -> DictConfig:
    return OmegaConf.create({"output_dir": str(tmp_path), "tracking": {"uri": server.uri}})


@pytest.fixture
def store(cfg: DictConfig) -> Store:
    return Store(cfg)


@pytest.fixture
def run(store: Store) -> Run:
    return create_run(store, "questions", "a run", {"kind": "run"})


@pytest.mark.slow
def test_what_is_logged_while_the_server_is_away_is_sent_when_it_is_back(server, store, run, tmp_path, capsys):
    log_everything(run, range(2))
    server.off()
    log_everything(run, range(2, 4))
    before = int(time.time() * 1000)
    run.end("FINISHED")
    assert store.kept() == 1
    time.sleep(0.1)
    server.on()
    assert store.send_kept() == 1
    assert_whole(store.client, run.id, range(4))
    assert abs(store.client.get_run(run.id).info.end_time - before) < 100
    assert store.kept() == 0 and leftovers(tmp_path) == []
    assert capsys.readouterr().out.count("is away (no server answers there)") == 1


def test_metrics_keep_the_time_when_they_were_logged(server, store, run):
    server.off()
    before = int(time.time() * 1000)
    run.log_metrics({"loss": 1.0}, 0)
    run.flush()
    time.sleep(0.2)
    server.on()
    store.send_kept()
    (point,) = store.client.get_metric_history(run.id, "loss")
    assert 0 <= point.timestamp - before < 100


def test_a_model_waits_with_its_scores_and_is_there_once(server, store, run, tmp_path):
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "model.json").write_text("{}")

    run.log_metrics({"val/auroc": 0.7, "train/loss": 1.0}, 0)
    run.log_metrics({"val/auroc": 0.9}, 1)
    run.flush()
    server.off()
    run.log_model("medfit", "binary", write)
    server.on()
    store.send_kept()
    perform(store.client, run.id, "model", ["medfit", "binary"], tmp_path)  # as one that was cut off would be again
    (model,) = store.client.search_logged_models([run.experiment_id])
    assert (model.status, model.model_type, model.source_run_id) == ("READY", "binary", run.id)
    assert [(metric.key, metric.value, metric.step) for metric in model.metrics] == [("val/auroc", 0.9, 1)]
    assert len(store.client.get_metric_history(run.id, "val/auroc")) == 2
    found = mlflow.artifacts.download_artifacts(
        model.artifact_location, dst_path=str(tmp_path / "found"), tracking_uri=server.uri
    )
    assert [file.name for file in Path(found).iterdir()] == ["model.json"]


def test_that_a_model_was_tested_waits_and_is_told_once(server, store, run, tmp_path):
    def write(folder: Path) -> None:
        folder.mkdir()

    run.log_model("medfit", "binary", write)
    (model,) = store.client.search_logged_models([run.experiment_id], f"source_run_id = '{run.id}'")
    other = create_run(store, "outbox", "validation", {"kind": "validation"})
    server.off()
    other.log_tested(model.model_id, {"elsewhere/auroc": 0.8})
    server.on()
    store.send_kept()
    ((metric,),) = [store.client.get_metric_history(other.id, "elsewhere/auroc")]
    payload = [model.model_id, [["elsewhere/auroc", 0.8, metric.timestamp, 0]]]
    perform(store.client, other.id, "tested", payload, tmp_path)  # as one that was cut off would be again
    (model,) = store.client.search_logged_models([run.experiment_id], f"source_run_id = '{run.id}'")
    assert [(metric.key, metric.value, metric.run_id) for metric in model.metrics] == [
        ("elsewhere/auroc", 0.8, other.id)
    ]
    assert len(store.client.get_metric_history(other.id, "elsewhere/auroc")) == 1
    assert [used.model_id for used in store.client.get_run(other.id).inputs.model_inputs] == [model.model_id]


def test_what_was_kept_is_sent_on_the_next_start(server, cfg, run, capsys):
    server.off()
    run.set_tag("late", "yes")
    server.on()
    store = Store(cfg)
    assert "1 run that was kept while the server was away has been sent" in capsys.readouterr().out
    assert store.client.get_run(run.id).data.tags["late"] == "yes"
    Store(cfg)
    assert "kept" not in capsys.readouterr().out


def test_nothing_overtakes_what_is_kept(server, store, run, monkeypatch):
    server.off()
    run.set_tag("turn", "1")
    server.on()
    run.set_tag("turn", "2")  # too early for another try
    assert store.kept() == 1 and "turn" not in store.client.get_run(run.id).data.tags
    monkeypatch.setattr(run.store._outbox, "_next_try", 0)
    run.set_tag("turn", "3")
    assert store.kept() == 0 and store.client.get_run(run.id).data.tags["turn"] == "3"


def test_the_end_is_tried_at_once(server, store, run):
    server.off()
    run.set_tag("late", "yes")
    server.on()
    run.end("FAILED")
    assert store.kept() == 0 and store.client.get_run(run.id).info.status == "FAILED"


def test_a_server_that_is_away_is_asked_now_and_then_only(server, store, run):
    server.off()
    run.set_tag("a", "0")
    with patch.object(outbox, "perform") as performed, patch.object(store._outbox, "_answers") as asked:
        started = time.monotonic()
        for value in range(200):
            run.set_tag("a", str(value))
        assert time.monotonic() - started < outbox.RETRY_S / 2
    assert not performed.called and not asked.called


@pytest.mark.slow
def test_killed_after_each_write_before_it_is_struck_off_nothing_is_there_twice(server, store, run):
    server.off()
    log_everything(run, range(2))
    run.end("FINISHED")
    server.on()
    done = []

    def killed(*args):
        perform(*args)
        done.append(args[2])
        if len(done) % 2:  # the next start does it again, and then the next one
            raise KeyboardInterrupt

    starts = 0
    with patch.object(outbox, "perform", killed):
        while store.kept():
            starts += 1
            with suppress(KeyboardInterrupt):
                store.send_kept()
    assert starts == len(done) // 2 + 1 > 10
    assert_whole(store.client, run.id, range(2))


def test_a_deleted_run_is_set_aside_and_blocks_no_other(server, store, run, tmp_path, capsys):
    other = create_run(store, "questions", "another", {})
    server.off()
    for each in (run, other):
        each.log_files({"a.txt": "a"})
        each.set_tag("late", "yes")
        each.set_tag("later", "yes")
    server.on()
    store.client.delete_run(run.id)
    assert store.send_kept() == 1
    assert store.client.get_run(other.id).data.tags["later"] == "yes"
    assert store.kept() == 0
    refused = [json.loads(path.read_text()) for path in sorted((tmp_path / "outbox" / "refused").glob("*.json"))]
    assert [write["payload"][0] for write in refused] == ["late", "later"]  # files need no run
    assert capsys.readouterr().out.count("refuses") == 1


def test_a_refused_write_keeps_its_files(server, store, run, tmp_path):
    server.off()
    run.log_files({"a.txt": "a"})
    server.on()
    refusal = MlflowException("no", error_code=mlflow.exceptions.INVALID_PARAMETER_VALUE)
    with patch.object(outbox, "perform", side_effect=refusal):
        assert store.send_kept() == 0
    (kept,) = (tmp_path / "outbox" / "refused").glob("*/a.txt")
    assert kept.read_text() == "a" and kept.parent.with_suffix(".json").exists()


def test_a_refusal_is_told_at_once_where_nothing_is_kept(store, run):
    run.log_params({"seed": 1})
    with pytest.raises(UserError, match="Changing param values is not allowed") as told:
        run.log_params({"seed": 2})
    assert not isinstance(told.value, StoreError)
    assert store.kept() == 0


def test_without_a_server_no_run_is_made_or_goes_on(server, store, run):
    server.off()
    with pytest.raises(StoreError, match="no server answers there"):
        create_run(store, "questions", "another", {})
    with pytest.raises(StoreError, match="no server answers there"):
        reopen_run(store, run.id)
    with pytest.raises(StoreError, match="no server answers there"):
        store.running()


def test_a_run_that_the_server_does_not_have_is_not_reopened(store):
    assert reopen_run(store, "0" * 32) is None


def test_a_run_that_goes_on_is_first_sent_what_was_kept(server, store, run):
    server.off()
    run.end("FAILED")
    server.on()
    again = reopen_run(store, run.id)
    assert store.kept() == 0
    assert store.client.get_run(again.id).info.status == "RUNNING"


def test_an_abandoned_run_is_closed_behind_what_it_kept(server, store, run):
    server.off()
    run.log_metrics({"loss": 1.0}, 0)
    run.flush()
    store.close(run.id, "FAILED", "its process ended")
    server.on()
    assert run.id not in [found.info.run_id for found in store.running()]
    found = store.client.get_run(run.id)
    assert (found.info.status, found.data.tags["failure"]) == ("FAILED", "its process ended")
    assert found.data.metrics == {"loss": 1.0}


def test_an_error_of_the_server_keeps_as_well(server, store, run):
    unwell = MlflowException("the database is gone", error_code=mlflow.exceptions.TEMPORARILY_UNAVAILABLE)
    with patch.object(outbox, "perform", side_effect=unwell):
        run.set_tag("late", "yes")
    assert store.kept() == 1
    assert store.send_kept() == 1


def test_an_artifact_store_may_be_away_alone_and_blocks_no_other_run(server, store, run, capsys):
    other = create_run(store, "questions", "another", {})
    with patch.object(store.client, "log_artifacts", side_effect=RuntimeError("could not connect to the bucket")):
        run.log_files({"a.txt": "a"})
        run.set_tag("late", "yes")
        server.off()
        other.set_tag("late", "yes")
        server.on()
        assert store.send_kept() == 1
    assert "could not connect to the bucket" in capsys.readouterr().out
    assert store._outbox.runs() == [run.id]
    assert store.send_kept() == 1


def test_a_full_disk_is_told_and_leaves_nothing_to_send(server, store, run, tmp_path):
    server.off()
    with patch.object(outbox.os, "fsync", side_effect=OSError(28, "No space left on device")):
        with pytest.raises(StoreError, match=r"outbox can't be used \(the disk is full\)"):
            run.set_tag("late", "yes")
        with pytest.raises(StoreError, match="the disk is full"):
            run.log_files({"a.txt": "a"})
    assert store.kept() == 0
    assert [path for path in leftovers(tmp_path) if not path.endswith(run.id)] == []


def test_metrics_that_could_not_be_kept_are_sent_by_the_next_flush(server, store, run):
    server.off()
    run.log_metrics({"loss": 1.0}, 0)
    with (
        patch.object(outbox.os, "fsync", side_effect=OSError(28, "No space left on device")),
        pytest.raises(StoreError),
    ):
        run.flush()
    server.on()
    run.end("FINISHED")
    assert store.client.get_run(run.id).data.metrics == {"loss": 1.0}


def test_a_training_goes_on_without_its_server(server, compose):
    class PullThePlug(Callback):
        def on_train_epoch_end(self, trainer, task):
            if trainer.current_epoch == 0:
                server.off()

    cfg = compose("dataset=heart_disease", "regime=smoke", f"tracking.uri={server.uri}")
    scores = train(cfg, callbacks=[PullThePlug()], tags={"who": "the one"})
    server.on()
    store = Store(cfg)
    (found,) = store.runs_of(store.experiment_id("heart_disease"), {"who": "the one"})
    assert found.info.status == "FINISHED"
    assert scores.items() <= found.data.metrics.items()
    assert [point.step for point in store.client.get_metric_history(found.info.run_id, "train/loss")] == [0, 1]
    assert store.client.list_artifacts(found.info.run_id, "checkpoint")
