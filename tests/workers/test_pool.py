import contextlib
import os
import pydoc
import signal
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import Trial, TrialState

from medfit import sweep
from medfit.errors import UserError
from medfit.search import trials
from medfit.study import repair, storage
from medfit.tracking.store import Store
from medfit.workers import pool
from medfit.workers.pool import REFRESH_S

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SHORT = ["dataset=breast_cancer", "regime=smoke", "sweep=smoke", "sweep/sampler=random", "sweep/pruner=none"]
FAULTY = [*SHORT, "model._target_=faulty.Faulty", "+model.fault=none"]


@pytest.fixture(autouse=True)
def faulty(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def faults(tmp_path):
    """Makes the first trials have these faults, in order."""

    def chosen(*kinds):
        (tmp_path / "start.csv").write_text("\n".join(["model.fault", *kinds]))
        choices = ",".join(dict.fromkeys(kinds))
        return [f"+sweep.space.model.fault.choices=[{choices}]", f"sweep.start=[{tmp_path}/start.csv]", f"sweep.num_trials={len(kinds)}"]  # fmt: skip

    return chosen


def assert_whole(study, cfg):
    """Every place is done once, nothing runs or waits, and study and runs agree trial for trial."""
    store = Store(cfg)
    assert len(trials.done(study)) == cfg.sweep.num_trials
    assert {trial.state for trial in study.trials} <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    assert sorted(trials.place(t, study.trials) for t in trials.counted(study.trials)) == list(
        range(cfg.sweep.num_trials)
    )
    assert repair.disagreements(study, store) == []
    assert store.running() == []


def wait_for(rows):
    """Returns once there are any; after a minute in any case."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(rows()):
        time.sleep(0.005)


def of_fault(study, kind):
    return [trial for trial in study.trials if trial.params.get("model.fault") == kind]


@pytest.mark.mostly_slow
@pytest.mark.parametrize("workers", [1, 3])
def test_workers_bring_a_study_to_its_number_of_trials(compose, workers):
    cfg = compose(*SHORT, f"sweep.workers={workers}", "sweep.num_trials=7")
    study = sweep.sweep(cfg)
    assert_whole(study, cfg)
    assert len(study.trials) == 7
    assert len({trial.user_attrs["worker"] for trial in study.trials}) == workers


@pytest.mark.slow
def test_one_worker_proposes_as_this_process_would(compose, tmp_path):
    one, here = (sweep.sweep(compose(*SHORT, f"sweep.workers={n}", f"output_dir={tmp_path / str(n)}")) for n in (1, 0))
    assert [(t.params, t.value) for t in one.trials] == [(t.params, t.value) for t in here.trials]


def test_a_fault_fails_its_trial_alone_and_its_reason_is_kept_in_study_and_run(compose, client, faults):
    cfg = compose(*FAULTY, *faults("raise", "none", "diverge", "none"), "sweep.workers=2")
    study = sweep.sweep(cfg)
    assert_whole(study, cfg)
    for kind, reason in (
        ("raise", "RuntimeError: a fault on purpose"),
        ("diverge", "DivergedError: the training loss"),
    ):
        for trial in of_fault(study, kind):
            assert trial.state is TrialState.FAIL
            assert trial.user_attrs["failure"].startswith(reason)
            run = client.get_run(trial.user_attrs["run_id"])
            assert run.info.status == "FAILED" and run.data.tags["failure"].startswith(reason)
    assert all(trial.state is TrialState.COMPLETE for trial in of_fault(study, "none"))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "reason"), [("kill", "ended by SIGKILL"), ("exit", "ended with status 3")])
def test_a_worker_that_dies_is_replaced_and_its_trial_repeated_a_few_times(compose, client, faults, kind, reason):
    cfg = compose(*FAULTY, *faults("none", kind, "none"), "sweep.workers=1", "sweep.num_retries=1")
    study = sweep.sweep(cfg)
    assert_whole(study, cfg)
    dead = of_fault(study, kind)
    assert [trials.place(trial, study.trials) for trial in dead] == [1, 1]
    assert dead[0].params == dead[1].params
    for trial in dead:
        assert reason in trial.user_attrs["failure"]
        assert reason in client.get_run(trial.user_attrs["run_id"]).data.tags["failure"]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "noted", "ends"), [("none", "scores", 1), ("raise", "failure", 2)])
def test_a_trial_whose_end_cannot_be_written_for_a_while_is_ended_later(compose, faults, kind, noted, ends):
    cfg = compose(*FAULTY, *faults("none", kind), "sweep.workers=1")
    path = Path(cfg.output_dir) / "optuna.db"
    running = "SELECT 1 FROM trials WHERE number = 1 AND state = 'RUNNING'"
    over = f"SELECT 1 FROM trials JOIN trial_user_attributes USING (trial_id) WHERE number = 1 AND key = '{noted}'"

    def refuse():
        wait_for(lambda: path.parent.glob(path.name))
        with contextlib.closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            wait_for(lambda: connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'trial_user_attributes'"))
            wait_for(lambda: connection.execute(running))
            connection.execute(
                "CREATE TRIGGER refuse BEFORE UPDATE ON trials BEGIN INSERT INTO missing VALUES (1); END"
            )
            wait_for(lambda: connection.execute(over))
            time.sleep(REFRESH_S + 0.5)
            connection.execute("DROP TRIGGER refuse")

    thread = threading.Thread(target=refuse)
    thread.start()
    study = sweep.sweep(cfg)
    thread.join()
    assert_whole(study, cfg)
    assert len(of_fault(study, kind)) == ends + (kind == "none")
    assert len({trial.user_attrs["worker"] for trial in study.trials}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("place", ["medfit.study.budget.Budget.refresh", "medfit.study.repair.repair"])
def test_a_sweep_goes_on_when_its_study_could_not_be_visited_for_a_moment(compose, faults, monkeypatch, place):
    cfg = compose(*FAULTY, *faults("none", "slow", "none"), "sweep.workers=1")
    module, name = place.rsplit(".", 1)
    visit, calls = pydoc.locate(place), []

    def fail_once(*args):
        calls.append(args)
        if len(calls) == 3:  # the first ones are the command's own
            raise StorageInternalError("away")
        return visit(*args)

    monkeypatch.setattr(pydoc.locate(module), name, fail_once)
    monkeypatch.setattr(pool, "PAUSE_S", 0.5)
    monkeypatch.setattr(pool, "REFRESH_S", 0.1)
    assert_whole(sweep.sweep(cfg), cfg)
    assert len(calls) > 3


@pytest.mark.slow
def test_a_trial_that_hangs_is_ended_and_not_repeated(compose, faults):
    cfg = compose(*FAULTY, *faults("none", "hang", "none"), "sweep.workers=2", "sweep.trial_timeout_s=6")
    study = sweep.sweep(cfg)
    assert_whole(study, cfg)
    (hung,) = of_fault(study, "hang")
    assert "longer than sweep.trial_timeout_s=6" in hung.user_attrs["failure"]


@pytest.mark.slow
def test_a_trial_that_takes_too_much_memory_is_repeated_once_with_half_the_batch(compose, client, faults):
    cfg = compose(*FAULTY, *faults("none", "memory"), "sweep.workers=1", "sweep.trial_memory_gib=1.5")
    study = sweep.sweep(cfg)
    assert_whole(study, cfg)
    first, second = of_fault(study, "memory")
    for trial in (first, second):
        assert "sweep.trial_memory_gib=1.5" in trial.user_attrs["failure"]
    params = client.get_run(second.user_attrs["run_id"]).data.params
    assert int(params["regime.batch_size"]) == first.params["regime.batch_size"] / 2
    assert params["regime.accumulate"] == "2"


@pytest.mark.slow
def test_a_sweep_of_which_every_worker_dies_stops_and_says_why(compose, faults):
    cfg = compose(*FAULTY, *faults(*["kill"] * 20), "sweep.workers=2")
    with pytest.raises(
        UserError, match="no trial finished; the last one failed with: its process was ended by SIGKILL"
    ):
        sweep.sweep(cfg)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_leaves_nothing_running_and_the_same_command_goes_on(compose, client, faults, interruptible, times):
    cfg = compose(*FAULTY, *faults(*["slow"] * 5), "regime.epochs=6", "sweep.workers=2")

    def interrupt():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not Store(cfg).running()[1:]:
            time.sleep(0.1)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(cfg)
    thread.join()
    assert Store(cfg).running() == []
    states = Counter(
        run.info.status
        for run in client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'trial'")
    )
    assert ("KILLED" in states) == (times == 2)
    assert states["FINISHED"] >= (times == 1)
    assert_whole(sweep.sweep(cfg), cfg)


@pytest.mark.slow
def test_a_sweep_in_a_scripts_background_does_not_hear_ctrl_c(compose, faults, interruptible):
    cfg = compose(*FAULTY, *faults(*["slow"] * 5), "regime.epochs=3", "sweep.workers=2")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sent = []

    def interrupt():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not Store(cfg).running()[1:]:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)
        sent.append(len(Store(cfg).running()))

    thread = threading.Thread(target=interrupt)
    thread.start()
    study = sweep.sweep(cfg)
    thread.join()
    assert sent[0] > 1
    assert_whole(study, cfg)


@pytest.mark.parametrize("noted", ["run_id", "scores"])
def test_a_trial_that_was_given_to_another_worker_is_let_go(compose, client, monkeypatch, noted):
    cfg = compose(*SHORT, "sweep.workers=0", "sweep.num_trials=2")
    set_attr, given_up = Trial.set_user_attr, []

    def give_up_first(trial, key, value):
        set_attr(trial, key, value)
        if key == noted and not given_up:
            given_up.append(trial.number)
            with storage.quiet():
                study = storage.load(cfg, trial.study.study_name)
            repair.give_up(study, study.trials[0], repair.LOST, cfg)

    monkeypatch.setattr(Trial, "set_user_attr", give_up_first)
    study = sweep.sweep(cfg)
    assert_whole(study, cfg)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert study.trials[1].user_attrs["repeats"] == 0
    run = client.get_run(study.trials[0].user_attrs["run_id"])
    assert (run.info.status, run.data.tags["failure"]) == ("KILLED", "its trial was given to another worker")
