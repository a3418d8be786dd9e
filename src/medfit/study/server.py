"""Where worker processes come from: a process that has imported what they need, once, and copies itself."""

import functools
import multiprocessing
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

IMPORTED = ["medfit.study.worker"]


@functools.cache
def context() -> BaseContext:
    """Returns how processes are started; anew each time where there is no forking."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    chosen.set_forkserver_preload(IMPORTED)
    return chosen


def warm_up() -> None:
    """Begins the imports beside this process's own."""
    if context().get_start_method() == "forkserver":
        forkserver.ensure_running()
