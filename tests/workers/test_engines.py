import importlib.util
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from medfit import sweep
from medfit.config import folders
from medfit.config.instantiate import load_dataset
from medfit.errors import UserError
from medfit.search import trials
from medfit.search.space import read_space
from medfit.study import repair, storage
from medfit.study.trial_plan import TrialPlan
from medfit.terminal.progress import SweepDisplay
from medfit.tracking import process
from medfit.tracking.store import Store
from medfit.workers import job, job_supervisor, ray_engine, submitit_engine
from medfit.workers.job import STOP, JobOutcome, JobStop

SMALL = ["dataset=breast_cancer", "regime=smoke", "sweep=smoke", "regime.accelerator=cpu", "sweep.workers=1"]
LOCAL = ["sweep/engine=submitit", "sweep.engine.cluster=local", "sweep.engine.num_jobs=2"]
SLOW = [  # trials of 22 steps an epoch
    *("model._target_=faulty.Faulty", "+model.fault=slow", "sweep/pruner=none", "regime.epochs=4"),
    *("regime.batch_size=16", "sweep.space.regime.batch_size=null"),
]
SERVERS = ["sweep.storage=postgresql+psycopg://me@host/studies", "tracking.uri=http://host:5000"]


class Acting(SweepDisplay):
    """A display that does something when it sees a trial that has begun its second epoch, and has others to go."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__(sweep.SILENT)
        self._act, self._acted = act, False

    def update(self, state):
        if not self._acted and any(0 < worker.epoch < worker.num_epochs - 1 for worker in state.workers):
            self._acted = True
            self._act()


@pytest.fixture
def slow(monkeypatch):
    """Overrides of a network whose training takes long enough to be cut off."""
    folder = str(folders.ROOT / "benchmarks")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", folder, prepend=os.pathsep)
    return SLOW


@pytest.fixture
def submitted(monkeypatch):
    """The jobs and actors that are submitted."""
    found = []

    def spied(submit):
        return lambda self, count: found.extend(submit(self, count)) or found[-count:]

    for jobs in (submitit_engine.Batch, ray_engine.Actors):
        monkeypatch.setattr(jobs, "submit", spied(jobs.submit))
    return found


def check(study, cfg):
    done = trials.done(study)
    assert len(done) == cfg.sweep.num_trials
    assert {trial.state for trial in done} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert len({trial.user_attrs["run_id"] for trial in done}) == len(done)
    assert repair.disagreements(study, Store(cfg)) == []


def none_runs(cfg):
    study = sweep.open_study(cfg, read_space(cfg), load_dataset(cfg))
    assert not study.get_trials(states=[TrialState.RUNNING])
    assert repair.disagreements(study, Store(cfg)) == []
    return study


@pytest.mark.slow
@pytest.mark.parametrize("server", [False, True])
def test_jobs_share_a_study(compose, request, submitted, server):
    address = [f"sweep.storage={request.getfixturevalue('postgres')()}"] if server else []
    cfg = compose(*SMALL, *LOCAL, *address, "sweep.num_trials=10", "sweep.workers=2")
    study = sweep.sweep(cfg)
    check(study, cfg)
    assert len(submitted) == 2
    assert len({trial.user_attrs["worker"] for trial in study.trials}) > 2
    assert all(one.done() for one in submitted)


@pytest.mark.slow
def test_a_job_that_is_killed_is_replaced_and_its_trial_tried_again(compose, slow, submitted):
    cfg = compose(*SMALL, *LOCAL, *slow, "sweep.num_trials=3", "sweep.engine.num_jobs=1")
    study = sweep.sweep(cfg, Acting(lambda: submitit_engine._kill(int(submitted[0].job_id))))
    check(study, cfg)
    assert len(submitted) == 2
    assert any("repeats" in trial.user_attrs for trial in study.trials)


@pytest.mark.slow
def test_a_job_that_is_preempted_hands_its_trial_back_and_gets_another_turn(compose, slow, submitted):
    cfg = compose(*SMALL, *LOCAL, *slow, "sweep.num_trials=3", "sweep.engine.num_jobs=1")

    def preempt():
        submitit_engine.psutil.Process(int(submitted[0].job_id)).children()[0].send_signal(signal.SIGUSR2)

    study = sweep.sweep(cfg, Acting(preempt))
    check(study, cfg)
    (cut,) = study.get_trials(states=[TrialState.FAIL])
    assert cut.user_attrs["failure"] == "it was interrupted" and cut.user_attrs["cut_off"]
    assert len(submitted) == 1
    assert "Requeued job" in submitted[0].stdout()


@pytest.mark.slow
def test_ctrl_c_lets_the_jobs_end_their_trials(compose, slow, submitted, interruptible):
    cfg = compose(*SMALL, *LOCAL, *slow, "sweep.num_trials=30")
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(cfg, Acting(lambda: signal.raise_signal(signal.SIGINT)))
    study = none_runs(cfg)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert all(one.done() and one.result() == JobOutcome() for one in submitted)


@pytest.mark.slow
def test_ctrl_c_twice_ends_the_jobs_at_once(compose, slow, submitted, interruptible):
    cfg = compose(*SMALL, *LOCAL, *slow, "regime.epochs=1000", "sweep.num_trials=2")
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(cfg, Acting(lambda: [signal.raise_signal(signal.SIGINT) for _ in range(2)]))
    study = none_runs(cfg)
    failed = study.get_trials(states=[TrialState.FAIL])
    assert failed and any(trial.user_attrs["cut_off"] for trial in failed)
    assert all(one.done() for one in submitted)


@pytest.mark.slow
def test_an_actor_that_is_killed_is_replaced(compose, slow, submitted):
    cfg = compose(*SMALL, *slow, "sweep.num_trials=3", "sweep/engine=ray", "sweep.engine.num_actors=1")
    study = sweep.sweep(cfg, Acting(lambda: sys.modules["ray"].kill(submitted[0].actor)))
    check(study, cfg)
    assert len(submitted) == 2
    assert any("repeats" in trial.user_attrs for trial in study.trials)
    assert not sys.modules["ray"].is_initialized()


@pytest.mark.parametrize("engine", ["submitit", "ray"])
def test_a_missing_package_is_named(compose, monkeypatch, engine):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=rf"sweep/engine={engine} needs the package {engine}: pip install 'medfit\[clus"
    ):
        sweep.sweep(compose(*SMALL, f"sweep/engine={engine}"))


@pytest.mark.mostly_slow
@pytest.mark.parametrize("engine", [["sweep/engine=submitit"], ["sweep/engine=ray", "sweep.engine.address=auto"]])
def test_sqlite_files_are_refused_on_several_machines(compose, client, engine):
    with pytest.raises(UserError, match=r"give sweep.storage=postgresql\+psycopg://.* tracking.uri=http://host:5000 "):
        sweep.sweep(compose(*SMALL, *engine))
    with pytest.raises(UserError, match=r"give tracking.uri=http://host:5000 "):
        sweep.sweep(compose(*SMALL, *engine, SERVERS[0]))
    assert not client.search_runs([e.experiment_id for e in client.search_experiments()])


def test_a_machine_without_slurm_is_told(compose, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="sweep.engine.cluster=slurm: there is no SLURM here"):
        sweep.sweep(compose(*SMALL, *SERVERS, "sweep/engine=submitit"))


def test_no_workers_but_this_process_are_refused(compose):
    with pytest.raises(UserError, match="sweep.workers=0 means this process; sweep/engine=ray needs 1 or more"):
        sweep.sweep(compose(*SMALL, "sweep.workers=0", "sweep/engine=ray"))


class Stillborn:
    """Jobs that end as soon as they are submitted."""

    def __init__(self, outcome):
        self.outcome_, self.count = outcome, 0

    def submit(self, count):
        self.count += count
        return list(range(self.count - count, self.count))

    def state(self, job):
        return "ended"

    def outcome(self, job):
        return self.outcome_


@pytest.fixture
def watched(compose, monkeypatch):
    """Returns a supervisor of two jobs at a time."""
    monkeypatch.setattr(job_supervisor, "REFRESH_S", 0.0)

    def make(jobs):
        cfg = compose(*SMALL)
        space = read_space(cfg)
        study = sweep.open_study(cfg, space, load_dataset(cfg))
        return job_supervisor.JobSupervisor(
            study, TrialPlan(cfg, space, "parent"), SweepDisplay(sweep.SILENT), jobs, "command", 2
        )

    return make


@pytest.mark.slow
def test_jobs_that_only_die_are_not_replaced_for_ever(watched):
    jobs = Stillborn(JobOutcome("No module named 'medfit' (jobs/1_0_log.err)"))
    with pytest.raises(UserError, match=r"the jobs end before they have run a trial; the last one: No module.*log.err"):
        watched(jobs).run()
    assert jobs.count == 6


def test_a_mistake_that_any_job_would_meet_ends_the_sweep(watched):
    jobs = Stillborn(JobOutcome("sweep.workers=9: there are 2 GPUs", final=True))
    with pytest.raises(UserError, match=r"^sweep.workers=9: there are 2 GPUs$"):
        watched(jobs).run()
    assert jobs.count == 2


def told(minutes, attrs=(), longest=0.0, passed=0.0):
    """Returns how a job is stopped, after some seconds of its time."""
    stop = JobStop("command", {}, minutes)
    stop._started -= passed
    trial = SimpleNamespace(duration=SimpleNamespace(total_seconds=lambda: longest))
    stop.look(SimpleNamespace(attrs=dict(attrs), done=[trial]))
    return stop


def test_a_job_goes_on_while_its_time_is_enough_for_the_longest_trial():
    assert told(240, longest=600, passed=239 * 60 - 600 - job.MARGIN_S).count == 0
    assert told(None, longest=600, passed=1e9).count == 0


def test_a_job_begins_no_trial_that_might_not_end_in_time():
    assert told(240, longest=600, passed=240 * 60 - 600).count == 1


def test_a_job_uses_half_its_time_however_long_trials_are():
    assert told(240, longest=1e5, passed=110 * 60).count == 0
    assert told(240, longest=1e5, passed=130 * 60).count == 1


def test_a_job_hears_its_own_command_alone():
    assert told(None, {STOP: ["command", 2]}).now
    assert told(None, {STOP: ["another", 2]}).count == 0


def test_a_trial_that_is_cut_off_for_want_of_time_has_had_an_attempt():
    assert told(240, passed=239 * 60).why.retry == "attempt"
    assert told(240, passed=60).why is None


@pytest.mark.slow
def test_a_trial_that_several_machines_find_abandoned_is_repeated_once(compose, postgres, monkeypatch):
    cfg = compose(*SMALL, f"sweep.storage={postgres()}")
    study = sweep.open_study(cfg, read_space(cfg), load_dataset(cfg))
    with storage.quiet():
        study.ask().set_user_attr("worker", f"{process.identity().split('/')[0]}/1/another")
    retry = repair._retry

    def slowly(*args):
        time.sleep(0.5)
        return retry(*args)

    monkeypatch.setattr(repair, "_retry", slowly)
    studies = [storage.load(cfg, study.study_name) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda one: repair.repair(one, cfg), studies))
    assert sorted(map(len, found)) == [0, 0, 1]
    assert [trial.state.name for trial in study.trials] == ["FAIL", "WAITING"]
