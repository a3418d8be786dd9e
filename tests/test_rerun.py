"""A training of a project of its own, a copy of this one in a new repository, and the same training again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest
from mlflow import MlflowClient

from medfit import rerun as rerun_module
from medfit.__main__ import main
from medfit.again.outcome import Number
from medfit.config import folders
from medfit.errors import UserError
from medfit.evaluate import evaluate
from medfit.rerun import DIFFERS, Done, rerun
from medfit.sweep import sweep
from medfit.tracking import provenance
from medfit.train import train
from small_data import target, write_table

SOURCE = Path(rerun_module.__file__).parents[2]


def git(folder, *arguments):
    command = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = (tmp_path / "project").resolve()
    shutil.copytree(SOURCE / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(SOURCE / "conf", root / "conf")
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    for module in (folders, provenance):
        monkeypatch.setattr(module, "ROOT", root)
    provenance.code.cache_clear()
    yield root
    provenance.code.cache_clear()


@pytest.fixture
def trained(project, compose, client, tmp_path):
    """Trains on a small table, and returns the run."""

    def of(*overrides):
        own = [*write_table(tmp_path), *target("ill"), "model=mlp", "model.dropout=0.3", "regime=smoke"]
        train(compose(*own, *overrides))
        return newest(client)

    return of


def newest(client):
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids, order_by=["attributes.start_time DESC"])[0]


@pytest.fixture
def found(client):
    """Returns the runs of a kind, the latest first."""

    def of(kind):
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        return client.search_runs(ids, f"tags.kind = '{kind}'")

    return of


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def artifact(run, name):
    return Path(urlsplit(run.info.artifact_uri).path) / name


def again(compose, run, *overrides):
    return rerun(compose(f"rerun.run={run.info.run_id}", *overrides))


def temporary():
    return sorted(path.name for path in Path(os.environ.get("TMPDIR", "/tmp")).glob("medfit-rerun-*"))


def test_a_training_again_gives_equal_digits_and_is_linked(project, trained, client, output_dir, capsys):
    line = project / "src" / "medfit" / "models" / "mlp.py"
    then = line.read_text()
    line.write_text(f"{then}\n# changed before the training\n")
    run = trained()
    line.write_text("raise SystemExit('this is not the code that the run had')\n")
    here, before = git(project, "status", "--porcelain"), temporary()
    assert main(["rerun", run.info.run_id, f"output_dir={output_dir}"]) == 0
    shown = capsys.readouterr().out
    new = newest(client)
    assert new.info.run_id != run.info.run_id and new.info.status == "FINISHED"
    assert {k: v for k, v in new.data.metrics.items() if not k.endswith("_s")} == {
        k: v for k, v in run.data.metrics.items() if not k.endswith("_s")
    }
    assert "val/auroc" in new.data.metrics
    assert new.data.params == run.data.params
    assert new.data.tags["rerun.of"] == run.info.run_id and new.data.tags["kind"] == "run"
    assert run.info.run_id in new.data.tags["mlflow.note.content"]
    assert new.data.tags["mlflow.source.git.commit"] == run.data.tags["mlflow.source.git.commit"]
    assert artifact(new, "code.diff").read_text() == artifact(run, "code.diff").read_text()
    assert shown.index("Nothing that both record differs") < shown.index("Then and now")
    assert "numbers are the same to the last digit." in shown and "differs by" not in shown
    assert git(project, "status", "--porcelain") == here
    assert temporary() == before and len(git(project, "worktree", "list").splitlines()) == 1


def test_changed_packages_rows_and_code_are_each_named(project, trained, compose, tmp_path, capsys):
    run = trained()
    facts = artifact(run, "environment.json")
    environment = json.loads(facts.read_text())
    environment["versions"]["torch"] = "1.0"
    facts.write_text(json.dumps(environment))
    table = pd.read_csv(tmp_path / "clinic.csv")
    table.loc[0, "age"] += 30
    table.to_csv(tmp_path / "clinic.csv", index=False)
    (project / "conf" / "model" / "mlp.yaml").write_text("# other\n")
    done = again(compose, run, "rerun.here=true")
    numbers, causes = done.numbers, done.causes
    assert not done.same
    assert set(causes) == {"installed versions", "data", "code"}
    assert causes["installed versions"].startswith("torch 1.0 -> ")
    assert causes["code"] == "conf/model/mlp.yaml"
    assert any(not number.same for number in numbers)
    assert "Differs from then: data: " in capsys.readouterr().out


@pytest.mark.slow
def test_missing_data_are_one_line(trained, compose, tmp_path, client):
    run = trained()
    (tmp_path / "clinic.csv").unlink()
    with pytest.raises(UserError, match="clinic") as told:
        again(compose, run)
    assert "\n" not in str(told.value) and newest(client).info.run_id == run.info.run_id


def test_changes_that_a_server_keeps_do_not_run(project, trained, compose, monkeypatch):
    (project / "src" / "medfit" / "own.py").write_text("")
    run = trained()
    monkeypatch.setattr("medfit.tracking.store.is_local", lambda uri: False)
    with pytest.raises(UserError, match=r"changes to its commit \(code.diff\), which do not run here"):
        again(compose, run)


@pytest.mark.slow
def test_code_that_needs_what_is_not_installed_is_one_line(project, trained, compose, client):
    parts = project / "src" / "medfit" / "training" / "parts.py"
    parts.write_text(f"import no_such_package\n{parts.read_text()}")
    run = trained()
    with pytest.raises(UserError, match=r"can't run with what is installed here: No module named 'no_such_package'$"):
        again(compose, run)
    assert newest(client).info.run_id == run.info.run_id


@pytest.mark.slow
def test_a_sweeps_trial_comes_back(project, write_experiment, client, compose, found):
    sweep(write_experiment("sweep: {num_trials: 1}", "regime=smoke"))
    (trial,) = found("trial")
    done = again(compose, trial)
    assert all(number.then == number.now for number in done.numbers) and len(done.numbers) > 5
    assert client.get_run(done.run).data.tags["kind"] == "run"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_sweep_again_gives_equal_trials_in_a_place_of_its_own(
    project, write_experiment, found, output_dir, experiments, capsys, workers
):
    cfg = write_experiment(
        "sweep: {num_trials: 2}", "regime=smoke", f"sweep.workers={workers}", "regime.batch_size=64", "split.val=0.3"
    )
    study = sweep(cfg)
    (run,), before = found("sweep"), contents(experiments)
    assert main(["rerun", run.info.run_id, f"output_dir={output_dir}"]) == 0
    shown = capsys.readouterr().out
    assert "numbers are the same to the last digit." in shown and f"trial 1: {cfg.task.monitor}" in shown
    assert contents(experiments) == before and len(found("sweep")) == 1 and len(found("trial")) == 2
    (link,) = found("rerun")
    assert link.info.status == "FINISHED" and link.data.tags["rerun.same"] == "true"
    assert link.data.tags["rerun.of"] == run.info.run_id
    numbers = pd.read_csv(artifact(link, "numbers.csv"), dtype=str).set_index("number")
    for trial in study.trials:
        assert float(numbers.now[f"trial {trial.number}: {cfg.task.monitor}"]) == trial.value
        assert float(numbers.now[f"trial {trial.number}: regime.optimizer.lr"]) == trial.params["regime.optimizer.lr"]
    assert f"best trial: {cfg.task.monitor}" in numbers.index
    store = output_dir / link.data.tags["rerun.folder"] / "mlflow.db"
    new = MlflowClient(f"sqlite:///{store}").get_run(link.data.tags["rerun.run"])
    assert new.data.tags["rerun.of"] == run.info.run_id and new.data.tags["kind"] == "sweep"
    assert (output_dir / "reruns").stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_an_evaluation_again_gives_equal_scores_and_counts_as_an_opening(
    project, trained, compose, found, output_dir, tmp_path, capsys
):
    own = [*write_table(tmp_path), *target("ill"), "regime=smoke", "evaluate.num_seeds=1", "evaluate.num_resamples=100"]
    own += ["evaluate.num_folds=2", "evaluate.nested=true", "sweep.num_trials=1"]  # what folds are composed from
    evaluate(compose(*own))
    (run,) = found("evaluation")
    done = again(compose, run)
    assert done.same and done.causes == {}
    assert len(found("seed")) == len(found("trial")) == 2 and len(found("evaluation")) == 1
    names = {number.name for number in done.numbers}
    label = run.info.run_name
    assert {f"{label}, fold 1, seed 0: auroc", "logistic, fold 0: auroc"} <= names
    assert {f"{label}, patients_of 2 folds, metric auroc: {end}" for end in ("estimate", "low", "high")} <= names
    assert not any("opening" in name for name in names)
    (link,) = found("rerun")
    new = MlflowClient(f"sqlite:///{done.folder / 'mlflow.db'}").get_run(done.run)
    assert link.data.tags["test_opening"] == new.data.tags["test_opening"] == "2" and link.info.run_id == done.link
    assert done.folder == output_dir / link.data.tags["rerun.folder"]
    evaluate(compose(*own))
    assert "evaluation number 3" in capsys.readouterr().out

    table = pd.read_csv(tmp_path / "clinic.csv")
    table.loc[:9, "age"] += 30
    table.to_csv(tmp_path / "clinic.csv", index=False)
    assert main(["rerun", run.info.run_id, f"output_dir={output_dir}", "here=true"]) == DIFFERS
    shown = capsys.readouterr().out
    assert "What differs, and so is the cause: data (the data set's fingerprint is another)." in shown
    assert len(list((output_dir / "reruns").iterdir())) == 2


@pytest.mark.parametrize(
    ("now", "folder", "status"),
    [(0.5, None, 0), (0.5 + 1e-9, "own", 0), (0.6, None, 3), (0.6, "own", 3), ((), None, 3)],
)
def test_the_exit_status_tells_whether_numbers_differ(monkeypatch, output_dir, tmp_path, capsys, now, folder, status):
    numbers = [Number("val/auroc", 0.5, now, 1e-6)] if now else []
    done = Done("new", numbers, {}, *((tmp_path / folder, "link") if folder else ()))
    monkeypatch.setattr(rerun_module, "rerun", lambda cfg: done)
    assert main(["rerun", "f00", f"output_dir={output_dir}"]) == status
    assert ("run link tells of it here" in capsys.readouterr().out) == bool(folder)


@pytest.mark.slow
def test_a_rerun_that_does_not_begin_leaves_nothing(project, write_experiment, trained, compose, found, tmp_path):
    own = [*write_table(tmp_path), *target("ill"), "regime=smoke", "evaluate.num_seeds=1", "evaluate.num_resamples=100"]
    evaluate(compose(*own))
    (run,) = found("evaluation")
    (tmp_path / "clinic.csv").unlink()
    with pytest.raises(UserError, match="clinic"):
        again(compose, run)
    assert not found("rerun") and not list((tmp_path / "runs" / "reruns").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "number"), [("run", signal.SIGINT), ("run", signal.SIGTERM), ("sweep", signal.SIGINT)]
)
def test_an_interruption_ends_what_runs_and_removes_its_code(
    project, trained, write_experiment, found, output_dir, launch, what, number
):
    if what == "run":
        run, begun = trained(), lambda: len(found("run")) > 1
    else:
        sweep(write_experiment("sweep: {num_trials: 1}", "regime=smoke", "sweep.workers=1"))
        (run,), begun = found("sweep"), lambda: list((output_dir / "reruns").glob("*/optuna.db"))
    text = artifact(run, "config.yaml")
    text.write_text(text.read_text().replace("epochs: 2", "epochs: 100000"))
    before = temporary()
    code = (
        f"import sys; from pathlib import Path; from medfit.config import folders; from medfit.tracking import provenance\n"
        f"folders.ROOT = provenance.ROOT = Path({str(project)!r})\n"
        f"from medfit.__main__ import main; sys.exit(main(['rerun', {run.info.run_id!r}, 'output_dir={output_dir}']))"
    )
    process = launch([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    started = time.monotonic()
    while not begun() and time.monotonic() - started < 120:
        time.sleep(0.5)
    time.sleep(1 if what == "run" else 5)
    process.send_signal(number)
    assert process.wait(90) == 130
    assert (found("run") if what == "run" else found("rerun"))[0].info.status == "KILLED"
    assert temporary() == before and len(git(project, "worktree", "list").splitlines()) == 1
