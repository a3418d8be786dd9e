"""Commands that are killed while they train: typed again, they end as if nothing had happened."""

import os
import signal
import sys
import time
from collections import defaultdict

import psutil
import pytest
import torch
from mlflow import MlflowClient

BASE = ["experiment=", "dataset=breast_cancer", "regime.accelerator=cpu", "tracking.plots=false"]
LONG = ["regime.epochs=120", "regime.patience=null", "model.dropout=0.3", "regime.checkpoint_every_min=1e-3"]
SWEEP = ["sweep", *BASE, *LONG, "sweep/sampler=random", "sweep/pruner=none", "sweep.workers=1", "sweep.threads=1"]
EVALUATE = ["evaluate", *BASE, *LONG]


@pytest.fixture
def command(launch, monkeypatch):
    """Starts a command whose results lie in a folder."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def begun(arguments, output):
        return launch([sys.executable, "-m", "medfit", *arguments, f"output_dir={output}"])

    return begun


def to_the_end(command, arguments, output):
    assert command(arguments, output).wait(timeout=300) == 0
    assert not (output / "states").exists()


def without(arguments, others):
    """Returns arguments but for those of the same names as others."""
    names = {other.partition("=")[0] for other in others}
    return [argument for argument in arguments if argument.partition("=")[0] not in names]


def states(process, output, number=1):
    """Waits for the states of a number of trainings, and returns their paths."""
    found = set()
    while len(found) < number:
        found |= set((output / "states").glob("*.state"))
        assert process.poll() is None
        time.sleep(0.002)
    return found


def kill_in_training(process, output, number):
    """Kills a command, and all that it started, in the training that is the one of that number."""
    states(process, output, number)
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        one.kill()
    process.wait()


def runs(output, kind):
    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    ids = [one.experiment_id for one in client.search_experiments()]
    return client, client.search_runs(ids, f"tags.kind = '{kind}'", max_results=1000)


def curves(client, run):
    names = set(run.data.metrics) - {"fit_duration_s"}
    return {name: sorted((p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)) for name in names}


def weights(client, run, folder):
    path = client.download_artifacts(run.info.run_id, "checkpoint/best.ckpt", str(folder))
    return torch.load(path, weights_only=True)["state_dict"]


def assert_as_if_nothing_had_happened(output, whole, kind, which, folder):
    """Compares the finished trainings of one kind with those of a command that nothing happened to.

    Args:
        output: With the results of the command that was killed.
        whole: With those of the other one.
        kind: Of the trainings' runs.
        which: Returns what is a training's alone.
        folder: For weights.
    """
    found = []
    for number, place in enumerate((output, whole)):
        client, all_runs = runs(place, kind)
        finished = {which(run): run for run in all_runs if run.info.status == "FINISHED"}
        assert len(finished) == sum(run.info.status == "FINISHED" for run in all_runs)
        assert "RUNNING" not in {run.info.status for run in all_runs}
        found.append({key: (curves(client, run), client, run, folder / str(number)) for key, run in finished.items()})
    one, other = found
    assert one.keys() == other.keys()
    for key, (curve, *where) in one.items():
        curve_of_whole, *where_whole = other[key]
        assert curve == curve_of_whole
        for path in (where[-1], where_whole[-1]):
            path.mkdir(exist_ok=True)
        kept, kept_of_whole = weights(*where), weights(*where_whole)
        assert all(torch.equal(value, kept_of_whole[name]) for name, value in kept.items())


def resumed(output, kind):
    """The finished runs that went on from a state."""
    return [run for run in runs(output, kind)[1] if "medfit.resumed" in run.data.tags and run.info.status == "FINISHED"]


def by_params(run):
    return tuple(sorted(run.data.params.items()))


def by_fold_and_seed(run):
    return run.data.tags["fold"], run.data.tags["seed"]


@pytest.mark.slow
def test_a_sweep_goes_on_with_its_trial_from_the_last_state(command, output_dir, tmp_path):
    arguments, whole = [*SWEEP, "sweep.num_trials=2"], tmp_path / "whole"
    kill_in_training(command(arguments, output_dir), output_dir, 2)
    to_the_end(command, arguments, output_dir)
    to_the_end(command, arguments, whole)
    assert_as_if_nothing_had_happened(output_dir, whole, "trial", by_params, tmp_path)
    assert len(resumed(output_dir, "trial")) == 1
    statuses = defaultdict(list)
    for run in runs(output_dir, "trial")[1]:
        statuses[run.data.tags["trial"]].append(run.info.status)
    assert sorted(statuses.values()) == [["FAILED"], ["FINISHED"], ["FINISHED"]]


@pytest.mark.slow
@pytest.mark.parametrize("asks", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]], ids=["term", "int"])
def test_a_sweep_that_is_asked_to_end_writes_the_state_of_its_training_before(command, output_dir, asks):
    seldom = ["regime.epochs=100000", "regime.checkpoint_every_min=0.05"]
    process = command([*without(SWEEP, seldom), *seldom, "sweep.num_trials=1"], output_dir)
    (path,) = states(process, output_dir)
    written, started = path.stat().st_mtime, time.time()
    for number in asks:
        os.kill(process.pid, number)
        time.sleep(0.1)
    assert process.wait(timeout=30) == 130
    assert written < started < path.stat().st_mtime < started + 3
    (run,) = runs(output_dir, "trial")[1]
    assert run.info.status == "KILLED"


@pytest.mark.slow
def test_a_sweep_goes_on_with_the_fold_of_its_trial(command, output_dir, tmp_path):
    arguments, whole = [*SWEEP, "sweep.num_trials=1", "sweep.folds=2"], tmp_path / "whole"
    kill_in_training(command(arguments, output_dir), output_dir, 2)
    to_the_end(command, arguments, output_dir)
    to_the_end(command, arguments, whole)
    last = [run for run in runs(output_dir, "trial")[1] if run.info.status == "FINISHED"]
    assert [run.data.metrics for run in last] == [run.data.metrics for run in runs(whole, "trial")[1]]
    assert [run.data.tags["fold"] for run in resumed(output_dir, "fold")] == ["1"]
    finished = [run for run in runs(output_dir, "fold")[1] if run.info.status == "FINISHED"]
    assert [run.data.tags["mlflow.parentRunId"] for run in finished] == [last[0].info.run_id] * 2


@pytest.mark.slow
@pytest.mark.parametrize("several", [["evaluate.num_seeds=2"], ["evaluate.num_seeds=1", "evaluate.num_folds=2"]])
def test_an_evaluation_goes_on_with_its_seed_or_fold_in_the_same_run(command, output_dir, tmp_path, several):
    arguments, whole = [*EVALUATE, *several], tmp_path / "whole"
    kill_in_training(command(arguments, output_dir), output_dir, 2)
    to_the_end(command, arguments, output_dir)
    to_the_end(command, arguments, whole)
    assert_as_if_nothing_had_happened(output_dir, whole, "seed", by_fold_and_seed, tmp_path)
    assert len(runs(output_dir, "seed")[1]) == 2
    assert len(resumed(output_dir, "seed")) == 1
    (one,), (other,) = (runs(place, "evaluation")[1] for place in (output_dir, whole))
    assert one.data.metrics == other.data.metrics
