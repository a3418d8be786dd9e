"""Several devices' processes: started by a training, watched, and ended with it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from medfit.errors import UserError
from medfit.train import train
from medfit.training.rank_processes import RankProcesses
from two_devices import TWO

MLP = ["dataset=breast_cancer", "regime=smoke", "regime.batch_size=50"]
DIES = "regime.callbacks.dies={_target_: two_devices.Dies, how: %s}"


def of_devices():
    """Returns the processes of further devices that this one has started."""
    found = psutil.process_iter(["pid", "cmdline"])
    own = {one.pid for one in psutil.Process().children(recursive=True)}
    return [one for one in found if one.pid in own and "medfit.training.rank" in (one.info["cmdline"] or ())]


def all_runs(client):
    return client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])


def test_a_training_on_two_devices_is_one_run_with_each_sample_once(compose, client, capfd):
    scores = train(compose(*MLP, *TWO, "regime.precision=64-true"), splits=("val", "test"))
    (run,) = all_runs(client)
    assert run.info.status == "FINISHED" and run.data.tags["devices"] == "2"
    said = capfd.readouterr()
    assert "Note: 2 devices train together: regime.batch_size is 50 on each, 100 samples make a batch." in said.out
    assert "sync_dist" not in said.err and not of_devices()
    assert not {"LOCAL_RANK", "MASTER_PORT", "WORLD_SIZE"} & set(os.environ)
    alone = train(compose(*MLP, "regime.precision=64-true", "regime.batch_size=100"), splits=("val", "test"))
    assert scores == pytest.approx(alone, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "reason"), [
    ("killed", r"killed by SIGKILL, as a system does whose memory is full"),
    ("refused", r"model: it is tired"),
    ("broken", r"ValueError: it is broken"),
])  # fmt: skip
def test_a_process_that_dies_ends_the_run_with_its_reason(compose, client, how, reason):
    with pytest.raises(
        UserError, match=rf"the process of device 1 \(of 0 to 1\) ended, so the training did: {reason}$"
    ):
        train(compose(*MLP, *TWO, "regime.epochs=50", DIES % how))
    (run,) = all_runs(client)
    assert run.info.status == "FAILED" and "process of device 1" in run.data.tags["failure"]
    assert not of_devices()


def test_a_process_that_can_not_begin_is_told(compose, monkeypatch):
    monkeypatch.setattr("medfit.training.rank_processes.sys.executable", "/bin/false")
    with (
        pytest.raises(UserError, match=r"device 1 \(of 0 to 2\) ended, so the training did: status 1$"),
        RankProcesses(compose(*MLP), 3, lambda error: None),
    ):
        pytest.fail("there are no processes")


STUCK = """
import sys, time
from pathlib import Path
import medfit.training.rank_processes as own
own.STUCK_S = 0.3
sys.executable = sys.argv[1]
with own.RankProcesses({}, 2, lambda error: print(error, flush=True)):
    time.sleep(600)
"""


@pytest.mark.slow
def test_a_process_that_waits_for_a_dead_one_for_ever_is_ended(tmp_path):
    dies = tmp_path / "dies"
    dies.write_text("#!/bin/sh\necho ready\nsleep 0.5\necho it is broken >&2\nexit 3\n")
    dies.chmod(0o700)
    ended = subprocess.run([sys.executable, "-c", STUCK, dies], capture_output=True, text=True, timeout=100)
    assert ended.returncode == 2
    assert ended.stdout == "the process of device 1 (of 0 to 1) ended, so the training did: it is broken\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_all_processes(output_dir, client, number):
    options = ["experiment=", f"output_dir={output_dir}", "tracking.plots=false", "tracking.models=false"]
    command = subprocess.Popen(
        [sys.executable, "-m", "medfit", "train", *options, *MLP, *TWO, "regime.epochs=100000", "regime.batch_size=1"],
        start_new_session=True,
    )
    first, last = psutil.Process(command.pid), time.monotonic() + 200
    while not (curve := [run for run in all_runs(client) if "train/loss" in run.data.metrics]):
        assert time.monotonic() < last and command.poll() is None
        time.sleep(0.3)
    others = first.children(recursive=True)
    assert others
    command.send_signal(number)
    assert command.wait(60) == (-9 if number == signal.SIGKILL else 130)
    _, alive = psutil.wait_procs(others, timeout=20)
    assert not alive
    status = client.get_run(curve[0].info.run_id).info.status
    assert status == ("RUNNING" if number == signal.SIGKILL else "KILLED")
