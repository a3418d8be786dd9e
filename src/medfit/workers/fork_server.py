"""Where worker processes come from: a process that has imported what they need, once, and copies itself."""

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import Any

from medfit.errors import UserError

MOST_CALLS = 3  # of what a helper is to do, each of the first ones in a process that was killed


@functools.cache
def context() -> BaseContext:
    """Returns how processes are started; anew each time where there is no forking."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    chosen.set_forkserver_preload(["medfit.workers.preload"])
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


class Helper:
    """A process that has the imports which this one lacks, and works for it until it ends."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.connection, there = context().Pipe()
        self.process = context().Process(target=_serve, args=(there,), daemon=True)  # type: ignore[attr-defined]
        self.process.start()
        there.close()

    def begin(self, function: Callable[..., Any], *arguments: Any, talks: bool = False) -> None:
        """Lets it call a function of a module.

        Args:
            function: To call.
            *arguments: To call it with.
            talks: Whether the function has the connection for itself, as its first argument, and its result is lost.
        """
        self._call = function, arguments, talks
        self._ask()

    def result(self) -> Any:
        """Returns what the function does; if its process is killed, another calls it again.

        Raises:
            UserError: the function raised it, or its process ended without a word, time and again if it was killed.
        """
        for call in range(1, MOST_CALLS + 1):
            with suppress(EOFError, OSError):
                result, error = self.connection.recv()
                break
            self.process.join()
            status = self.process.exitcode or 0
            if status >= 0 or call == MOST_CALLS:
                raise UserError(f"a process that helps ended with status {status}")
            self.connection.close()
            self._start()
            self._ask()
        if error is not None:
            raise error
        return result

    def _ask(self) -> None:
        with suppress(OSError):  # the process has ended, as will be noticed
            self.connection.send(self._call)

    def end(self) -> None:
        """Ends the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()


_IDLE: list[Helper] = []


def helper() -> Helper:
    """Returns an idle helper, which may have data in memory; else a new one."""
    while _IDLE:
        if (found := _IDLE.pop()).process.is_alive():
            return found
    return Helper()


@contextmanager
def helping(keep: bool = False, new: bool = False) -> Iterator[Helper]:
    """Gives a helper for a while.

    Args:
        keep: Whether it is idle then, for the next one who needs a helper; else it ends.
        new: Whether no idle one will do, as those are meant for others.
    """
    found = Helper() if new else helper()
    try:
        yield found
    except BaseException:
        found.end()
        raise
    if keep:
        _IDLE.append(found)
    else:
        found.end()


def dismiss() -> None:
    """Ends the helpers that are idle."""
    while _IDLE:
        _IDLE.pop().end()


def end_with_parent() -> None:
    """Ends this process when its parent ends, however that comes about."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _serve(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked decides what Ctrl-C means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    with suppress(EOFError):
        while True:
            function, arguments, talks = connection.recv()
            if talks:
                function(connection, *arguments)
                continue
            try:
                connection.send((function(*arguments), None))
            except UserError as error:
                connection.send((None, error))


def give_up() -> None:
    """Ends the imports at once, as they are not needed: the process would end after them, and hold the terminal."""
    if pid := getattr(forkserver._forkserver, "_forkserver_pid", None):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
