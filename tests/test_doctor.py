import subprocess
import sys

import pytest
from optuna.trial import TrialState

from medfit import doctor, sweep
from medfit.search import trials
from medfit.study import storage
from medfit.tracking.run import create_run
from medfit.tracking.store import Store

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
