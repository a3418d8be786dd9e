"""Where worker processes come from: a process that has imported what they need, once, and copies itself."""

import functools
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any

from medfit.errors import UserError


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


def call(function: Callable[..., Any], *arguments: Any, meanwhile: Sequence[str] = ()) -> Any:
    """Returns what a function of a module returns, called in a process that has the imports which this one lacks.

    Args:
        function: To call.
        *arguments: To call it with.
        meanwhile: Modules that this process imports while it waits.

    Raises:
        UserError: the function raised it, or its process ended without a word.
    """
    here, there = context().Pipe(duplex=False)
    process = context().Process(target=_answer, args=(there, function, arguments), daemon=True)  # type: ignore[attr-defined]
    process.start()
    there.close()
    try:
        for name in meanwhile:
            import_module(name)
        result, error = here.recv()
    except EOFError:
        process.join()
        raise UserError(f"the process that prepares ended with status {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
        here.close()
    if error is not None:
        raise error
    return result


def _answer(answer: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked decides what Ctrl-C means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        answer.send((function(*arguments), None))
    except UserError as error:
        answer.send((None, error))


def give_up() -> None:
    """Ends the imports at once, as they are not needed: the process would end after them, and hold the terminal."""
    if pid := getattr(forkserver._forkserver, "_forkserver_pid", None):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
