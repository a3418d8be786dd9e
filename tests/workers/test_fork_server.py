import os
import signal
import subprocess
import sys
from multiprocessing import forkserver

import psutil
import pytest

from medfit.errors import UserError
from medfit.workers import fork_server

PRELOADED = """
import gc, sys
from medfit.workers import preload
print(gc.isenabled(), gc.get_freeze_count() > 100_000, sys.modules.keys() >= set(preload.NAMES))
"""


@pytest.mark.skipif(fork_server.context().get_start_method() != "forkserver", reason="there is no forking here")
def test_imports_that_are_not_needed_end_at_once(monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    before = signal.getsignal(signal.SIGHUP)
    fork_server.warm_up()
    pid = forkserver._forkserver._forkserver_pid
    fork_server.give_up()
    signal.signal(signal.SIGHUP, before)
    assert not psutil.pid_exists(pid)
    fork_server.give_up()  # when there is nothing to end


@pytest.mark.slow
def test_all_that_a_first_trial_needs_is_imported_and_garbage_collected_afterwards():
    shown = subprocess.run([sys.executable, "-c", PRELOADED], capture_output=True, text=True, check=True).stdout
    assert shown == "True True True\n"


@pytest.fixture(autouse=True)
def none_left():
    yield
    fork_server.dismiss()


def double(number):
    if number < 0:
        raise UserError("it is negative")
    return os.getpid(), 2 * number


def talk(connection, greeting):
    while (word := connection.recv()) != "end":
        connection.send(f"{greeting} {word}")


@pytest.mark.slow
def test_a_helper_is_another_process_that_answers():
    with fork_server.helping() as helper:
        helper.begin(double, 2)
        assert helper.result() == (helper.process.pid, 4) != (os.getpid(), 4)
    assert not helper.process.is_alive()


def test_an_error_of_a_helper_is_told_and_ends_it():
    with pytest.raises(UserError, match="it is negative"), fork_server.helping(keep=True) as helper:
        helper.begin(double, -1)
        helper.result()
    assert not helper.process.is_alive()


def test_what_a_helper_does_that_is_killed_another_does_again():
    with fork_server.helping() as helper:
        helper.process.kill()
        helper.process.join()
        helper.begin(double, 2)
        assert helper.result() == (helper.process.pid, 4)


def die(status):
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)


@pytest.mark.parametrize(("status", "calls"), [(-9, fork_server.MOST_CALLS), (3, 1)])
def test_a_helper_that_ends_each_time_is_told_at_once_if_nothing_killed_it(monkeypatch, status, calls):
    made = []
    start = fork_server.Helper._start
    monkeypatch.setattr(fork_server.Helper, "_start", lambda helper: (made.append(1), start(helper))[1])
    with (
        pytest.raises(UserError, match=f"a process that helps ended with status {status}"),
        fork_server.helping() as helper,
    ):
        helper.begin(die, status)
        helper.result()
    assert len(made) == calls and not helper.process.is_alive()


def test_an_idle_helper_is_who_helps_next_if_it_lives():
    with fork_server.helping(keep=True) as first:
        first.begin(double, 1)
        first.result()
    second = fork_server.helper()
    assert second is first
    second.begin(talk, "hello", talks=True)
    second.connection.send("you")
    assert second.connection.recv() == "hello you"
    second.end()
    fork_server._IDLE.append(first)
    third = fork_server.helper()
    assert third is not first and third.process.is_alive()
    third.end()


def test_idle_helpers_can_be_dismissed():
    with fork_server.helping(keep=True) as helper:
        pass
    fork_server.dismiss()
    assert not helper.process.is_alive() and fork_server._IDLE == []
