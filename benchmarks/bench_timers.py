"""Timers around functions of other modules, put on for a while and taken off again."""

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Place = tuple[Any, str]  # a module or class, and a function's name in it


class Waits:
    """The time that a thread spends in some functions; a call from within another counts once.

    Attributes:
        seconds: In which the thread that made this waited for them.
        elsewhere: Processor seconds that they took in other threads.
        calls: Of them, by name.
    """

    def __init__(self) -> None:
        self._thread, self._inside = threading.get_ident(), threading.local()
        self._lock = threading.Lock()
        self.seconds = self.elsewhere = 0.0
        self.calls: dict[str, int] = {}

    def timed(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Returns a function that does the same, and whose time is counted."""

        @functools.wraps(call)
        def counted(*args: Any, **kwargs: Any) -> Any:
            if getattr(self._inside, "on", False):
                return call(*args, **kwargs)
            here = threading.get_ident() == self._thread
            clock = time.perf_counter if here else time.thread_time
            self._inside.on, began = True, clock()
            try:
                return call(*args, **kwargs)
            finally:
                self._inside.on = False
                self._add(name, clock() - began, here)

        return counted

    def _add(self, name: str, seconds: float, here: bool) -> None:
        with self._lock:
            self.calls[name] = self.calls.get(name, 0) + 1
            if here:
                self.seconds += seconds
            else:
                self.elsewhere += seconds


@contextmanager
def replaced(
    places: Sequence[Place], make: Callable[[Callable[..., Any], str], Callable[..., Any]]
) -> Iterator[list[str]]:
    """Replaces functions, gives the names of those that are not there, and puts all back.

    Args:
        places: Where they are; a class's method is replaced where the class itself defines it.
        make: Takes a function and its name, and gives what stands in for it.
    """
    there = [(owner, name) for owner, name in places if name in vars(owner) and callable(getattr(owner, name))]
    before = [(owner, name, vars(owner)[name]) for owner, name in there]
    try:
        for owner, name, call in before:
            label = f"{getattr(owner, '__name__', owner)}.{name}"
            plain = call.__func__ if isinstance(call, staticmethod) else call
            stand_in = make(plain, label)
            setattr(owner, name, staticmethod(stand_in) if isinstance(call, staticmethod) else stand_in)
        yield [f"{getattr(owner, '__name__', owner)}.{name}" for owner, name in places if (owner, name) not in there]
    finally:
        for owner, name, call in before:
            setattr(owner, name, call)


class Nested:
    """The time of this thread in parts of which some call others: each without those within it.

    Attributes:
        seconds: By part.
        calls: By part, of those that came from another part.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._stack: list[tuple[str, float]] = []  # parts, and since when each has been timed
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    def add(self, part: str, seconds: float) -> None:
        """Adds time to a part."""
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds

    def timed(self, call: Callable[..., Any], part: str) -> Callable[..., Any]:
        """Returns a function that does the same, and whose time is its part's."""

        @functools.wraps(call)
        def counted(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread or (self._stack and self._stack[-1][0] == part):
                return call(*args, **kwargs)
            self._enter(part)
            try:
                return call(*args, **kwargs)
            finally:
                self._leave()

        return counted

    def _enter(self, part: str) -> None:
        now = time.perf_counter()
        if self._stack:
            outer, since = self._stack[-1]
            self.add(outer, now - since)
        self._stack.append((part, now))
        self.calls[part] = self.calls.get(part, 0) + 1

    def _leave(self) -> None:
        now = time.perf_counter()
        part, since = self._stack.pop()
        self.add(part, now - since)
        if self._stack:
            self._stack[-1] = (self._stack[-1][0], now)
