import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

import medfit
from medfit import doctor, sweep
from medfit.config import cache_place
from medfit.data.cache_entry import Entry
from medfit.data.disk_cache import DiskCache
from medfit.errors import UserError
from medfit.register import register
from medfit.search import trials
from medfit.study import storage
from medfit.tracking.run import create_run
from medfit.tracking.store import Store, _experiment
from medfit.train import train

SMALL = ["dataset=breast_cancer", "sweep=smoke", "regime=smoke"]


def gone():
    """The name of a process that has ended."""
    code = "from medfit.tracking.process import identity; print(identity())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def abandon(study, cfg, worker):
    """A trial, its run and a training, as killed processes leave them."""
    store = Store(cfg)
    trial = study.ask()
    trial.set_user_attr("worker", worker)

    tags = {"kind": "trial", "trial": str(trial.number), "study": study.study_name, "medfit.process": worker}
    of_trial = create_run(store, "breast_cancer", "trial", tags)
    alone = create_run(store, "breast_cancer", "alone", {"kind": "run", "medfit.process": worker})
    return trial.number, of_trial.id, alone.id


def test_what_killed_processes_left_running_is_ended_in_study_and_tracking(compose, client, capsys):
    cfg = compose(*SMALL)
    name = sweep.sweep(cfg).study_name
    with storage.quiet():
        number, of_trial, alone = abandon(storage.load(cfg, name), cfg, gone())
    doctor.main(cfg)
    study = storage.load(cfg, name)
    assert study.trials[number].state is TrialState.FAIL
    assert study.trials[number].user_attrs["failure"] == "its process ended without a word"
    assert len(trials.done(study)) == cfg.sweep.num_trials
    assert client.get_run(of_trial).info.status == "FAILED"
    assert client.get_run(alone).info.status == "KILLED"
    assert Store(cfg).running() == []
    assert "All is well." in capsys.readouterr().out


@pytest.fixture
def logged(compose):
    """Logs a finished run with an artifact into a folder's store, and returns its id."""

    def log(folder):
        run = create_run(Store(compose(f"output_dir={folder}")), "breast_cancer", "one", {"kind": "run"})
        run.log_files({"note.txt": folder.name})
        run.end("FINISHED")
        return run.id

    return log


def read(folder, run_id, to):
    to.mkdir(exist_ok=True)
    found = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").download_artifacts(run_id, "note.txt", str(to))
    return Path(found).read_text()


def test_a_moved_folder_is_told_and_mended(compose, output_dir, logged, tmp_path, capsys):
    before = logged(output_dir)
    moved = output_dir.rename(tmp_path / "mövéd runs")
    _experiment.cache_clear()
    with pytest.raises(UserError, match="copied or moved; medfit doctor mends that"):
        logged(moved)
    assert not output_dir.exists()
    doctor.main(compose(f"output_dir={moved}"))
    assert "Mended    the artifacts of 'breast_cancer' are looked for here" in capsys.readouterr().out
    _experiment.cache_clear()
    assert read(moved, before, tmp_path / "got") == "runs"
    assert read(moved, logged(moved), tmp_path / "got") == moved.name
    doctor.main(compose(f"output_dir={moved}"))
    assert "All is well." in capsys.readouterr().out
    assert not output_dir.exists()


def test_a_copied_folder_has_what_was_written_to_the_old_place_since(compose, output_dir, logged, tmp_path):
    before = logged(output_dir)
    copy = Path(shutil.copytree(output_dir, tmp_path / "copy"))
    since = MlflowClient(f"sqlite:///{copy / 'mlflow.db'}").create_run(
        MlflowClient(f"sqlite:///{copy / 'mlflow.db'}").get_experiment_by_name("breast_cancer").experiment_id
    )
    (tmp_path / "note.txt").write_text("since")
    MlflowClient(f"sqlite:///{copy / 'mlflow.db'}").log_artifact(since.info.run_id, str(tmp_path / "note.txt"))
    doctor.main(compose(f"output_dir={copy}"))
    assert read(copy, since.info.run_id, tmp_path / "got") == "since"
    assert (copy / "artifacts" / "breast_cancer" / since.info.run_id).is_dir()
    assert read(output_dir, before, tmp_path / "got") == "runs"


def test_the_finished_models_of_a_moved_folder_are_found_again(compose, client, output_dir, tmp_path):
    train(compose("model=linear", "regime=smoke", "tracking.models=true"))
    run_id = client.search_logged_models(["1"])[0].source_run_id
    register(compose(f"register.model={run_id}", "register.name=masses"))
    moved = output_dir.rename(tmp_path / "moved")
    doctor.main(compose(f"output_dir={moved}"))
    for address in (run_id, "models:/masses/1"):
        assert medfit.load_model(address, f"output_dir={moved}").about["run_id"] == run_id
    version = MlflowClient(f"sqlite:///{moved / 'mlflow.db'}").get_model_version("masses", 1)
    assert str(output_dir) not in version.source


def test_a_model_that_was_written_to_the_old_place_since_is_copied(compose, client, output_dir, tmp_path):
    train(compose("model=linear", "regime=smoke", "tracking.models=true"))
    run_id = client.search_logged_models(["1"])[0].source_run_id
    copy = Path(shutil.copytree(output_dir, tmp_path / "copy"))
    (models,) = (copy / "artifacts").glob("*/models")
    (model,) = models.iterdir()
    shutil.rmtree(model)
    doctor.main(compose(f"output_dir={copy}"))
    shutil.rmtree(output_dir)
    assert medfit.load_model(run_id, f"output_dir={copy}").about["run_id"] == run_id


def test_artifacts_that_are_gone_are_told(compose, output_dir, logged, capsys):
    run_id = logged(output_dir)
    shutil.rmtree(output_dir / "artifacts")
    doctor.main(compose())
    said = " ".join(capsys.readouterr().out.split())
    assert f"1 finished runs have no artifacts, as {run_id}" in said
    assert "All is well." not in said


def test_a_deleted_experiment_is_told_with_the_way_out(compose, output_dir, client, logged, capsys):
    logged(output_dir)
    number = client.get_experiment_by_name("breast_cancer").experiment_id
    client.delete_experiment(number)
    _experiment.cache_clear()
    with pytest.raises(UserError, match=f"mlflow experiments restore --experiment-id {number}"):
        logged(output_dir)
    doctor.main(compose())
    assert f"restore --experiment-id {number}" in " ".join(capsys.readouterr().out.split())


def test_a_study_of_another_program_is_left_alone(compose, capsys):
    cfg = compose(*SMALL, "sweep.name=theirs")
    with storage.quiet():
        theirs = optuna.create_study(storage=storage.open_storage(cfg), study_name="theirs")
        theirs.add_trial(optuna.create_trial(value=0.5))
        theirs.ask()
    doctor.main(cfg)
    said = " ".join(capsys.readouterr().out.split())
    assert "the study 'theirs' was not begun by medfit" in said
    assert storage.load(cfg, "theirs").trials[1].state is TrialState.RUNNING
    with pytest.raises(UserError, match="'theirs' was not begun by medfit"):
        sweep.sweep(cfg)
    assert len(storage.load(cfg, "theirs").trials) == 2


@pytest.mark.slow
def test_a_database_that_is_gone_is_told(compose, output_dir):
    def doctored():  # a process of its own: this one holds the databases open
        command = [sys.executable, "-m", "medfit", "doctor", f"output_dir={output_dir}"]
        return " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())

    sweep.sweep(compose(*SMALL))
    for file in list(output_dir.glob("mlflow.db*")):
        file.rename(output_dir / f"away-{file.name}")
    said = doctored()
    assert "has no runs in" in said and "All is well." not in said
    for file in list(output_dir.glob("away-*")):
        file.replace(output_dir / file.name.removeprefix("away-"))
    for file in list(output_dir.glob("optuna.db*")):
        file.unlink()
    said = doctored()
    assert "has runs, but is not in" in said and "All is well." not in said


def test_what_still_runs_is_left_alone(compose, client):
    cfg = compose(*SMALL)
    run = create_run(Store(cfg), "breast_cancer", "mine", {"kind": "run"})
    elsewhere = create_run(Store(cfg), "breast_cancer", "far", {"kind": "run", "medfit.process": "0123456789ab/1/1"})
    doctor.main(cfg)
    assert client.get_run(run.id).info.status == "RUNNING"
    assert client.get_run(elsewhere.id).info.status == "RUNNING"


@pytest.mark.slow
def test_a_trial_and_a_run_that_disagree_are_told(compose, client, capsys):
    cfg = compose(*SMALL)
    study = sweep.sweep(cfg)
    client.set_terminated(study.trials[0].user_attrs["run_id"], "FAILED")
    doctor.main(cfg)
    said = capsys.readouterr().out
    assert "trial 0 is COMPLETE, its runs ['FAILED']" in said
    assert "1 trials and runs disagree." in said


def test_it_tells_how_large_the_cache_is_and_where_it_lies(compose, output_dir, capsys):
    doctor.main(compose())
    assert "Cache" not in capsys.readouterr().out
    cache = DiskCache(cache_place.Place(output_dir / "cache", 10**9))
    for number in range(3):
        cache.kept(number, lambda: Entry({"x": np.zeros(2**18)}))
    doctor.main(compose())
    told = " ".join(capsys.readouterr().out.split())
    assert "Cache 3 decoded files, 0.00586 GiB, in" in told and "which you may delete" in told
