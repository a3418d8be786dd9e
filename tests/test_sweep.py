import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from medfit import sweep
from medfit.config import folders
from medfit.config.compose import compose as compose_config
from medfit.deployment import best_trial
from medfit.errors import UserError
from medfit.search import trials
from medfit.study import best
from medfit.workers import fork_server

SMALL = ["sweep=smoke", "regime=smoke", "regime.epochs=3"]


def trials_of(client):
    ids = [e.experiment_id for e in client.search_experiments()]
    return client.search_runs(ids, "tags.kind = 'trial'", max_results=1000)


def test_a_sweep_is_a_parent_run_with_a_child_for_each_trial(compose, client):
    study = sweep.sweep(compose(*SMALL))
    ids = [e.experiment_id for e in client.search_experiments()]
    (parent,) = client.search_runs(ids, "tags.kind = 'sweep'")
    children = trials_of(client)
    assert parent.info.status == "FINISHED"
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    by_number = {int(run.data.tags["trial"]): run for run in children}
    for trial in study.trials:
        run = by_number[trial.number]
        assert run.info.status == "FINISHED"
        assert run.data.metrics["val/cross_entropy"] == pytest.approx(trial.value)
        assert float(run.data.params["regime.optimizer.lr"]) == trial.params["regime.optimizer.lr"]
    assert {f.path for f in client.list_artifacts(parent.info.run_id)} >= {"study.html", "trials.csv", "best.yaml"}


@pytest.mark.slow
def test_the_test_split_is_never_scored(compose, client):
    sweep.sweep(compose(*SMALL))
    for run in trials_of(client):
        assert not [name for name in run.data.metrics if name.startswith("test")]
        assert [f.path for f in client.list_artifacts(run.info.run_id, "predictions")] == ["predictions/val.csv"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_study(compose, tmp_path):
    one = sweep.sweep(compose(*SMALL, f"output_dir={tmp_path / 'one'}"))
    two = sweep.sweep(compose(*SMALL, f"output_dir={tmp_path / 'two'}"))
    assert [(t.params, t.value) for t in one.trials] == [(t.params, t.value) for t in two.trials]


@pytest.mark.slow
def test_another_seed_gives_another_study(compose):
    one, two = (sweep.sweep(compose(*SMALL, f"seed={seed}")) for seed in (1, 2))
    assert [t.params for t in one.trials] != [t.params for t in two.trials]


def test_the_same_command_again_goes_on_to_the_number_of_trials(compose, client):
    before = [t.params for t in sweep.sweep(compose(*SMALL, "sweep.num_trials=2")).trials]
    second = sweep.sweep(compose(*SMALL, "sweep.num_trials=4"))
    assert [t.params for t in second.trials[:2]] == before
    assert len({str(t.params) for t in second.trials}) == 4
    assert len(trials_of(client)) == 4


@pytest.mark.slow
def test_another_question_is_another_study(compose):
    one, two = sweep.sweep(compose(*SMALL)), sweep.sweep(compose(*SMALL, "model.widths=[4]"))
    assert one.study_name != two.study_name


@pytest.mark.slow
def test_a_bad_trial_is_pruned_and_its_run_says_so(compose, client):
    cfg = compose(
        "regime.epochs=8", "regime.patience=null", "sweep.num_trials=4", "sweep.pruner.n_startup_trials=1",
        "sweep.pruner.n_warmup_steps=1", "sweep/sampler=random", "seed=3",
    )  # fmt: skip
    study = sweep.sweep(cfg)
    pruned = study.get_trials(states=[TrialState.PRUNED])
    assert pruned
    runs = {int(run.data.tags["trial"]): run for run in trials_of(client)}
    for trial in study.trials:
        run = runs[trial.number]
        assert run.info.status == "FINISHED"
        assert run.data.tags["pruned"] == str(trial.state is TrialState.PRUNED).lower()
        assert (run.data.metrics["num_epochs"] < 8) == (trial.state is TrialState.PRUNED)


def test_a_failing_trial_is_one_failed_trial_and_the_sweep_goes_on(compose, client):
    cfg = compose(
        "dataset=diabetes", "regime=smoke", "regime/optimizer=sgd", "sweep/sampler=random", "sweep.num_trials=8",
        "~sweep.space.regime.optimizer.lr", "+sweep.space.regime.optimizer.lr.choices=[1e-3,1e30]",
    )  # fmt: skip
    study = sweep.sweep(cfg)
    states = {t.params["regime.optimizer.lr"]: t.state for t in study.trials}
    assert states == {1e-3: TrialState.COMPLETE, 1e30: TrialState.FAIL}
    assert len(study.trials) == 8
    failed = {t.number for t in study.get_trials(states=[TrialState.FAIL])}
    assert {int(run.data.tags["trial"]) for run in trials_of(client) if run.info.status == "FAILED"} == failed


@pytest.mark.slow
def test_a_sweep_of_which_nothing_works_stops_and_says_why(compose):
    cfg = compose(
        "dataset=diabetes", "regime=smoke", "regime/optimizer=sgd", "sweep.num_trials=20",
        "sweep.space.regime.optimizer.lr.low=1e30", "sweep.space.regime.optimizer.lr.high=1e31",
    )  # fmt: skip
    with pytest.raises(UserError, match="no trial finished; the last one failed with: DivergedError"):
        sweep.sweep(cfg)
    (summary,) = optuna.get_all_study_summaries(f"sqlite:///{folders.output_dir(cfg) / 'optuna.db'}")
    assert summary.n_trials == 3


@pytest.mark.parametrize("objective", ["test/auroc", "train/loss", "auroc"])
def test_an_objective_of_another_split_is_refused(compose, client, objective):
    with pytest.raises(UserError, match="is no validation metric; a sweep must not see other splits"):
        sweep.sweep(compose(*SMALL, f"sweep.objective={objective}"))
    assert not client.search_runs([e.experiment_id for e in client.search_experiments()])


def test_an_objective_that_is_not_logged_is_refused_with_the_list(compose):
    with pytest.raises(UserError, match=r"'val/aurok' is not logged; did you mean 'val/auroc'\? \(logged: val/loss"):
        sweep.sweep(compose(*SMALL, "sweep.objective=val/aurok"))


@pytest.mark.slow
def test_an_objective_to_be_large_is_maximised(compose):
    study = sweep.sweep(compose(*SMALL, "task.monitor=val/auroc", "task.mode=max"))
    assert study.best_value == max(t.value for t in study.trials)


def test_a_studies_file_that_is_no_database_is_told(compose, output_dir):
    (output_dir / "optuna.db").write_text("not a database " * 100)
    with pytest.raises(UserError, match="can't be used .file is not a database"):
        sweep.sweep(compose(*SMALL))


def test_the_best_values_land_in_the_experiment_and_train_by_one_command(compose, experiments, capsys):
    from medfit.train import train

    cfg = compose(*SMALL, "model.widths=[6]", experiment="heart_disease_diagnosis")
    sweep.main(cfg)
    shown = capsys.readouterr().out
    assert "make evaluate EXPERIMENT=heart_disease_diagnosis/best" in shown
    assert "Best of 3 trials (3 finished)" in shown
    study = sweep.sweep(cfg)
    again = compose(experiment="heart_disease_diagnosis/best")
    assert again.model.widths == [6]
    assert again.regime.epochs == 3
    assert again.regime.optimizer.lr == study.best_params["regime.optimizer.lr"]
    assert train(again)["val/cross_entropy"] == pytest.approx(study.best_value)


@pytest.mark.slow
def test_a_sweep_without_an_experiment_says_the_whole_next_command(compose, capsys):
    sweep.main(compose(*SMALL, "dataset=breast_cancer", "model.widths=[8,4]"))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Next")]
    command = line.split("medfit evaluate ")[1]
    assert "dataset=breast_cancer" in command
    assert "'model.widths=[8,4]'" in command  # as a shell takes it
    assert "regime.optimizer.lr=" in command
    assert "sweep" not in command


@pytest.mark.slow
def test_another_data_set_within_an_experiment_is_kept_in_its_best(compose):
    cfg = compose(*SMALL, "model=linear", experiment="heart_disease_diagnosis")
    text = best.as_yaml(cfg, sweep.sweep(cfg))
    assert "- override /model: linear" in text
    assert "- heart_disease_diagnosis/config" in text


@pytest.mark.slow
def test_an_interrupted_sweep_keeps_what_was_finished_and_goes_on(output_dir, client, compose, launch):
    overrides = [f"output_dir={output_dir}", "tracking.plots=false", "sweep.num_trials=6", "regime.epochs=20"]
    overrides += ["experiment=", "dataset=breast_cancer", "regime.accelerator=cpu"]
    command = [sys.executable, "-m", "medfit", "sweep", *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = launch(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(trials_of(client)) < 3:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    states = [run.info.status for run in trials_of(client)]
    assert "RUNNING" not in states
    assert states.count("FINISHED") >= 2
    study = sweep.sweep(compose_config(overrides))
    assert len(trials.done(study)) == 6
    assert len({str(t.params) for t in trials.done(study)}) == 6
    (parent,) = client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'sweep'")
    assert parent.info.status == "FINISHED"


@pytest.mark.slow
def test_the_first_trial_can_have_the_configs_own_values(compose):
    own = ["regime.optimizer.lr=3e-3", "model.dropout=0.1", "regime.batch_size=64", "regime.l1=1e-4"]
    study = sweep.sweep(compose(*SMALL, *own, "sweep.start=[own]", "sweep.num_trials=2"))
    first, second = study.trials
    assert first.params["regime.optimizer.lr"] == 3e-3 and first.params["regime.batch_size"] == 64
    assert second.params["regime.optimizer.lr"] != 3e-3


@pytest.mark.slow
def test_a_sweep_that_goes_on_does_not_start_with_the_own_values_again(compose):
    own = [*SMALL, "sweep.start=[own]"]
    sweep.sweep(compose(*own, "sweep.num_trials=1"))
    study = sweep.sweep(compose(*own, "sweep.num_trials=2"))
    assert study.trials[1].params != study.trials[0].params


def plots(client):
    """Returns the plots' files of each trial's run, with their sizes and times."""
    found = {}
    for run in trials_of(client):
        folder = Path(run.info.artifact_uri.removeprefix("file://")) / "plots"
        files = {file.name: file.stat() for file in folder.glob("*")}
        found[run.info.run_id] = {name: (stat.st_size, stat.st_mtime_ns) for name, stat in files.items()}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_of_a_sweeps_trials_the_best_has_plots_drawn_once(compose, client, workers):
    own = [*SMALL, f"sweep.workers={workers}", "sweep/pruner=none", "sweep.num_trials=2", "tracking.plots=true"]
    best_run = sweep.sweep(compose(*own)).best_trial.user_attrs["run_id"]
    drawn = plots(client)
    assert [run_id for run_id, files in drawn.items() if files] == [best_run]
    assert {"learning_curves.png", "val_roc.png"} <= drawn[best_run].keys()
    assert all(size > 1000 for size, _ in drawn[best_run].values())
    sweep.sweep(compose(*own))
    assert plots(client) == drawn


@pytest.mark.parametrize("part", ["sampler", "pruner", "engine"])
def test_a_part_that_is_null_is_refused_with_the_way_to_choose_one(compose, part):
    with pytest.raises(UserError, match=f"^sweep.{part}: is needed; choose one by sweep/{part}=...$"):
        sweep.sweep(compose(f"sweep.{part}=null"))


@pytest.mark.parametrize(("wanted", "count"), [("true", 1), ("false", 0)])
def test_what_the_best_trial_takes_is_imported_while_trials_run(compose, wanted, count):
    fork_server.dismiss()
    cfg = compose("sweep.workers=1", f"tracking.models={wanted}")
    with sweep._ready_to_finish(cfg):
        assert fork_server._IDLE == []  # no worker takes it
    idle = list(fork_server._IDLE)
    assert len(idle) == count
    with fork_server.helping() as helper:
        helper.begin(eval, "'skops.io' in __import__('sys').modules")
        assert helper.result() is bool(count) and idle == [helper] * count


def test_a_helper_that_was_ended_meanwhile_is_done_without(compose, monkeypatch):
    monkeypatch.setattr(best_trial, "import_ahead", os.abort)
    with sweep._ready_to_finish(compose("sweep.workers=1", "tracking.models=true")):
        pass
    with fork_server.helping() as helper:
        helper.begin(len, "ab")
        assert helper.result() == 2
