"""Where worker processes come from: a process that has imported what they need, once, and copies itself."""

import functools
import multiprocessing
import os
import signal
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.context import BaseContext


@functools.cache
def context() -> BaseContext:
    """Returns how processes are started; anew each time where there is no forking."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    chosen.set_forkserver_preload(["medfit.study.preload"])
    return chosen


def warm_up() -> None:
    """Begins the imports beside this process's own; a terminal that is closed ends neither process."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # else its thread would be copied, too
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if context().get_start_method() == "forkserver":
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: no traceback of its imports
        forkserver.ensure_running()
        signal.signal(signal.SIGINT, before)


def give_up() -> None:
    """Ends the imports at once, as they are not needed: the process would end after them, and hold the terminal."""
    if pid := getattr(forkserver._forkserver, "_forkserver_pid", None):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
