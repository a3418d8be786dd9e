import signal
import subprocess
import sys
import time

import pytest

from medfit import sweep
from medfit.config.compose import compose
from medfit.search import trials
from medfit.study import repair, storage
from medfit.tracking.store import Store

OVERRIDES = ["experiment=", "dataset=breast_cancer", "regime=smoke", "tracking.plots=false", "regime.accelerator=cpu"]
OVERRIDES += ["sweep.sampler.n_startup_trials=3", "sweep.pruner.n_startup_trials=3", "sweep.num_trials=8"]


def start(output_dir, *overrides):
    command = [sys.executable, "-m", "medfit", "sweep", *OVERRIDES, f"output_dir={output_dir}", *overrides]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def composed(output_dir):
    return compose([*OVERRIDES, f"output_dir={output_dir}", "sweep.workers=0"])


def by_place(study):
    return [t.params for t in sorted(trials.counted(study.trials), key=lambda t: trials.place(t, study.trials))]


def assert_whole(study, output_dir):
    store = Store(composed(output_dir))
    assert len(trials.done(study)) == 8
    assert repair.disagreements(study, store) == []
    assert store.running() == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_that_is_killed_and_resumed_proposes_what_an_uninterrupted_one_does(output_dir, tmp_path, number):
    process = start(output_dir)
    for line in process.stdout:
        if line.startswith("trial 4/8"):
            break
    time.sleep(0.3)  # into the next trial
    process.send_signal(number)
    process.communicate(timeout=60)
    resumed = sweep.sweep(composed(output_dir))
    whole = sweep.sweep(composed(tmp_path / "whole"))
    assert by_place(resumed) == by_place(whole)
    assert [t.value for t in trials.done(whole)] == pytest.approx(
        [t.value for t in sorted(trials.done(resumed), key=lambda t: trials.place(t, resumed.trials))]
    )
    assert_whole(resumed, output_dir)


@pytest.mark.slow
def test_the_same_command_in_a_second_terminal_joins_and_both_end_with_the_study(output_dir):
    commands = [start(output_dir) for _ in range(2)]
    said = [process.communicate(timeout=240)[0] for process in commands]
    assert [process.returncode for process in commands] == [0, 0], said
    cfg = composed(output_dir)
    (name,) = storage.open_storage(cfg).get_all_studies()
    study = storage.load(cfg, name.study_name)
    assert_whole(study, output_dir)
    workers = {trial.user_attrs["worker"] for trial in trials.done(study)}
    assert len(workers) == 2
    assert all("Best of 8 trials" in text for text in said)


@pytest.mark.slow
def test_a_closed_terminal_does_not_end_a_sweep(output_dir):
    process = start(output_dir)
    for line in process.stdout:
        if line.startswith("trial 1/8"):
            break
    process.send_signal(signal.SIGHUP)
    process.stdout.close()
    process.wait(timeout=120)
    cfg = composed(output_dir)
    (found,) = storage.open_storage(cfg).get_all_studies()
    assert_whole(storage.load(cfg, found.study_name), output_dir)
