"""Which process does something, whether it still runs, and what keeps it from being interrupted."""

import functools
import hashlib
import os
import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psutil

BOOT = Path("/proc/sys/kernel/random/boot_id")
NAMESPACE = Path("/proc/self/ns/pid")  # a container counts processes by itself


def identity(pid: int | None = None) -> str:
    """Returns a name of a process (this one) that none had before; of the machine it tells a hash alone."""
    pid = pid or os.getpid()
    return f"{_machine()}/{pid}/{_started(psutil.Process(pid))}"


def state(identity: str) -> Literal["runs", "gone", "elsewhere"]:
    """Returns whether a named process runs, is gone, or is another machine's (or of before a restart)."""
    where, pid, started = identity.split("/")
    if where != _machine():
        return "elsewhere"
    try:
        process = psutil.Process(int(pid))
        runs = _started(process) == started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return "gone"
    return "runs" if runs else "gone"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM wait until something short is done, which they could leave half done."""
    heard: list[signal.Signals] = []
    here = threading.current_thread() is threading.main_thread()  # which alone hears of signals
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if here and signal.getsignal(number) is not None]
    before = {number: signal.signal(number, lambda *told: heard.append(signal.Signals(told[0]))) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in heard:
            signal.raise_signal(number)


def _started(process: psutil.Process) -> str:
    """Returns when a process started, by a count that setting the clock does not change, where there is one."""
    try:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return f"{process.create_time():.1f}"


@functools.cache
def _machine() -> str:
    """Returns a hash that this start of this machine (and container) alone has."""
    boot = BOOT.read_text() if BOOT.exists() else f"{psutil.boot_time():.0f}"
    space = str(NAMESPACE.readlink()) if NAMESPACE.exists() else ""
    return hashlib.sha256(f"{platform.node()}{boot}{space}".encode()).hexdigest()[:12]
