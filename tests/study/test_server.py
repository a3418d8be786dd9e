import signal
import subprocess
import sys
from multiprocessing import forkserver

import psutil
import pytest

from medfit.study import server

PRELOADED = """
import gc, sys
from medfit.study import preload
print(gc.isenabled(), gc.get_freeze_count() > 100_000, sys.modules.keys() >= set(preload.NAMES))
"""


@pytest.mark.skipif(server.context().get_start_method() != "forkserver", reason="there is no forking here")
def test_imports_that_are_not_needed_end_at_once(monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    before = signal.getsignal(signal.SIGHUP)
    server.warm_up()
    pid = forkserver._forkserver._forkserver_pid
    server.give_up()
    signal.signal(signal.SIGHUP, before)
    assert not psutil.pid_exists(pid)
    server.give_up()  # when there is nothing to end


def test_all_that_a_first_trial_needs_is_imported_and_garbage_collected_afterwards():
    shown = subprocess.run([sys.executable, "-c", PRELOADED], capture_output=True, text=True, check=True).stdout
    assert shown == "True True True\n"
