"""Writes in the background: in their order, by one thread."""

import threading
from collections import deque
from collections.abc import Callable

from medfit.errors import StoreError


class BackgroundWriter:
    """Does writes in a thread, one after the other, while the caller goes on.

    A write that fails ends the work until the failure is told, which is at the next call. What a store could not take
    waits, and is tried again with what follows; what it refuses is dropped.
    """

    def __init__(self) -> None:
        self._waiting, self._changed = deque[Callable[[], None]](), threading.Condition()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def put(self, write: Callable[[], None]) -> None:
        """Adds a write.

        Raises:
            Exception: what an earlier write failed with; this one waits, too.
        """
        with self._changed:
            self._waiting.append(write)
            self._tell()
            self._work()

    def drain(self) -> None:
        """Returns when all has been written.

        Raises:
            Exception: what a write failed with.
        """
        with self._changed:
            self._tell()
            self._work()
            self._changed.wait_for(lambda: self._thread is None)
            self._tell()

    def _tell(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _work(self) -> None:
        if self._thread is None and self._waiting:
            self._thread = threading.Thread(target=self._write, daemon=True)
            self._thread.start()

    def _write(self) -> None:
        while True:
            with self._changed:
                if not self._waiting or self._error is not None:
                    self._thread = None
                    self._changed.notify_all()
                    return
                write = self._waiting[0]
            error: Exception | None = None
            try:
                write()
            except Exception as raised:  # told in the caller's thread
                error = raised
            with self._changed:
                self._error = error
                if not isinstance(error, StoreError):
                    self._waiting.popleft()
