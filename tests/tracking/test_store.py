import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from sqlite3 import connect
from unittest.mock import patch

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import BAD_REQUEST, MlflowException
from omegaconf import DictConfig, OmegaConf

from medfit.config import file_cache
from medfit.errors import StoreError, UserError
from medfit.tracking import database, process, store
from medfit.tracking.run import create_run, reopen_run
from medfit.tracking.store import Store


def config_of(folder: Path) -> DictConfig:
    return OmegaConf.create({"output_dir": str(folder), "tracking": {"uri": None}})


def ask(database: Path, pragma: str) -> str:
    with closing(connect(database)) as connection:
        return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


@pytest.fixture
def local(output_dir: Path) -> Store:
    return Store(config_of(output_dir))


def test_ctrl_c_in_the_middle_of_a_write_waits_for_its_end(local, client, monkeypatch, interruptible):
    run = create_run(local, "questions", "a run", {})
    write = store.perform

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        write(*args)

    monkeypatch.setattr(store, "perform", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.end("FINISHED")
    assert client.get_run(run.id).info.status == "FINISHED"


@pytest.fixture
def made_quickly(store_template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets MLflow copy its tables."""
    make = database._make_tables
    monkeypatch.setattr(
        database, "_make_tables", lambda path: path.write_bytes(store_template.read_bytes()) or make(path)
    )


@pytest.mark.usefixtures("made_quickly")
def test_a_new_database_takes_several_writers(tmp_path):
    opened = Store(config_of(tmp_path))
    assert ask(tmp_path / "mlflow.db", "journal_mode") == "wal"
    create_run(opened, "questions", "a run", {}).end("FINISHED")
    assert ask(tmp_path / "mlflow.db", "integrity_check") == "ok"
    assert not (tmp_path / ".making").exists()


@pytest.mark.usefixtures("made_quickly")
def test_making_a_database_that_was_cut_off_starts_anew(tmp_path):
    with patch.object(database, "_make_tables", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        Store(config_of(tmp_path))
    (tmp_path / ".making" / "mlflow.db").write_text("half a database")
    assert not (tmp_path / "mlflow.db").exists()
    create_run(Store(config_of(tmp_path)), "questions", "a run", {})


@pytest.mark.parametrize("kept", [None, b"nonsense"])
def test_tables_are_made_once_for_all_databases(kept, tmp_path, monkeypatch, store_template):
    def initialize(engine):
        connect(store_template).backup(connect(engine.url.database))

    monkeypatch.setattr(file_cache, "path", lambda name: tmp_path / name)
    if kept is not None:
        file_cache.write(f"mlflow-{mlflow.__version__}", kept)
    monkeypatch.setattr("mlflow.store.db.utils._initialize_tables", initialize)
    Store(config_of(tmp_path / "first"))
    monkeypatch.setattr("mlflow.store.db.utils._initialize_tables", None)
    monkeypatch.chdir(tmp_path)
    client = Store(config_of(tmp_path / "second")).client
    assert [e.artifact_location for e in client.search_experiments()] == [str(tmp_path / "mlruns" / "0")]


WORKER = """
import sys
from omegaconf import OmegaConf
import mlflow.store.tracking.sqlalchemy_store
from medfit.tracking.run import create_run
from medfit.tracking.store import Store
print("ready", flush=True)
sys.stdin.readline()
run = create_run(Store(OmegaConf.create({"output_dir": sys.argv[1], "tracking": {"uri": None}})), "new", "a run", {})
for step in range(20):
    run.log_metrics({"loss": 1.0}, step)
    run.flush()
run.end("FINISHED")
"""


@pytest.mark.slow
def test_processes_that_open_a_new_folder_at_once_share_one_store_and_one_experiment(tmp_path):
    command, pipe = [sys.executable, "-c", WORKER, str(tmp_path)], subprocess.PIPE
    with ExitStack() as stack:
        started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(4)]
        workers = [stack.enter_context(worker) for worker in started]
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 4
        for worker in workers:
            worker.stdin.write("\n")
            worker.stdin.flush()
        told = [worker.communicate(timeout=120)[1] for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * 4, told
    opened = Store(config_of(tmp_path))
    runs = opened.runs_of(opened.experiment_id("new"), {})
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    assert all(len(opened.client.get_metric_history(run.info.run_id, "loss")) == 20 for run in runs)


def test_an_experiment_that_another_process_makes_at_the_same_moment_is_shared(local):
    made = local.experiment_id("questions")
    found = local.client.get_experiment_by_name("questions")
    with patch.object(local.client, "get_experiment_by_name", side_effect=[None, found]):
        assert local.experiment_id("questions") == made


def test_a_data_set_that_another_process_logs_at_the_same_moment_is_shared(local):
    run = create_run(local, "questions", "a run", {})
    log_inputs, twice = local.client.log_inputs, MlflowException("UNIQUE constraint failed", error_code=BAD_REQUEST)
    with patch.object(local.client, "log_inputs", side_effect=[twice, None]) as logged:
        local.write(run.id, "input", [{"name": "a", "digest": "b", "source_type": "local", "source": "c"}, {}])
    log_inputs(*logged.call_args.args)
    assert [used.dataset.name for used in local.client.get_run(run.id).inputs.dataset_inputs] == ["a"]


def test_a_run_tells_which_process_works_on_it(local):
    run = create_run(local, "questions", "a run", {})
    assert local.client.get_run(run.id).data.tags["medfit.process"] == process.identity()
    local.client.set_tag(run.id, "medfit.process", "another")
    run.end("KILLED")
    assert reopen_run(local, run.id).id == run.id
    again = local.client.get_run(run.id)
    assert (again.data.tags["medfit.process"], again.info.status) == (process.identity(), "RUNNING")


@pytest.mark.parametrize("run_id", [None, "0" * 32, "no run"])
def test_a_run_that_is_not_there_is_not_reopened(local, run_id):
    assert reopen_run(local, run_id) is None


def test_a_deleted_run_is_not_reopened(local):
    run = create_run(local, "questions", "a run", {})
    local.client.delete_run(run.id)
    assert reopen_run(local, run.id) is None


def test_running_runs_are_found_beyond_the_first_page(local, monkeypatch):
    monkeypatch.setattr(store, "PAGE", 2)
    runs = [create_run(local, f"question {number % 3}", "a run", {}) for number in range(7)]
    runs.pop().end("FINISHED")
    assert {run.info.run_id for run in local.running()} == {run.id for run in runs}
    first = local.experiment_id("question 0")
    assert {run.info.run_id for run in local.running(first)} == {runs[0].id, runs[3].id}


def test_runs_are_found_by_their_tags(local, monkeypatch):
    monkeypatch.setattr(store, "PAGE", 2)
    runs = [create_run(local, "questions", "a run", {"kind": "trial", "study.name": "Anna's"}) for _ in range(3)]
    create_run(local, "questions", "another", {"kind": "trial", "study.name": "Bert's"})
    experiment = local.experiment_id("questions")
    found = local.runs_of(experiment, {"kind": "trial", "study.name": "Anna's"})
    assert {run.info.run_id for run in found} == {run.id for run in runs}
    assert len(local.runs_of(experiment, {"kind": "trial"})) == 4


def test_an_abandoned_run_is_closed(local):
    runs = [create_run(local, "questions", "a run", {}) for _ in range(2)]
    local.close(runs[0].id, "FAILED", "its process ended")
    local.close(runs[1].id, "KILLED")
    first, second = (local.client.get_run(run.id) for run in runs)
    assert (first.info.status, first.data.tags["failure"]) == ("FAILED", "its process ended")
    assert second.info.status == "KILLED" and "failure" not in second.data.tags
    assert first.info.end_time >= first.info.start_time


def test_a_refused_write_is_no_fault_of_the_store(local):
    run = create_run(local, "questions", "a run", {})
    local.client.delete_run(run.id)
    with pytest.raises(UserError, match="must be in the 'active' state") as told:
        run.set_tag("late", "yes")
        run.flush()
    assert not isinstance(told.value, StoreError)


def test_a_broken_database_is_the_stores_fault(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database " * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        Store(config_of(tmp_path))


@pytest.mark.parametrize("write", ["log_params", "log_metrics", "set_tag", "log_files", "log_image", "end"])
def test_any_write_tells_what_the_store_fails_with(local, write):
    run = create_run(local, "questions", "a run", {})
    with closing(connect(local.folder / "mlflow.db")) as database:
        database.execute("ALTER TABLE runs RENAME TO gone")
    arguments = {
        "log_params": [{"seed": 1}],
        "log_metrics": [{"loss": 1.0}, 0],
        "set_tag": ["late", "yes"],
        "log_files": [{"a.txt": "a"}],
        "log_image": ["samples", np.zeros((8, 8), np.uint8), 0],
        "end": ["FINISHED"],
    }
    run._flushed = 0  # metrics are sent at once
    with pytest.raises(StoreError, match="no such table: runs"):
        getattr(run, write)(*arguments[write])
        run.flush()


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file) -> None:
    with pytest.raises(OSError, match="No space left"):
        while True:
            file.write(b"0" * 4096)


@pytest.mark.usefixtures("made_quickly")
def test_a_full_disk_is_told_and_the_database_stays_sound(small_disk):
    opened = Store(config_of(small_disk))
    run, written = create_run(opened, "questions", "a run", {}), []
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        fill(filler)
        with pytest.raises(StoreError, match="the disk is full"):
            run.log_files({"a.txt": "a" * 10_000})
            run.flush()
        with pytest.raises(StoreError, match=r"tracking.uri: the store '.*' can't be used \(the disk is full\)"):
            while True:
                written.append(f"tag {len(written)}")
                run.set_tag(written[-1], "x" * 5000)
                run.flush()
        run.log_metrics({"loss": 1.0}, 0)
        with pytest.raises(StoreError, match="the disk is full"):
            run.end("FINISHED")
        with pytest.raises(StoreError, match="the disk is full"):
            create_run(opened, "questions", "another", {})
    assert ask(small_disk / "mlflow.db", "integrity_check") == "ok"
    (small_disk / "filler").unlink()
    run.end("FINISHED")
    found = opened.client.get_run(run.id)
    assert (found.info.status, found.data.metrics) == ("FINISHED", {"loss": 1.0})
    assert {name for name in found.data.tags if name.startswith("tag ")} == set(written)
    assert ask(small_disk / "mlflow.db", "integrity_check") == "ok"
