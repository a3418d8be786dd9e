"""The process that sends what workers keep for the tracking server, beside their trainings."""

import contextlib
import time
from multiprocessing.connection import Connection

from omegaconf import DictConfig

from medfit.errors import StoreError
from medfit.store import Store
from medfit.study import server

LOOK_S = 0.05  # between two looks at what is kept
PAUSE_S = 5.0  # before a store that is away is tried again
GRACE_S = 1.0  # for what it sends when it is stopped


class Sender:
    """Sends what is kept until it is stopped; what is left then is sent by this process.

    Args:
        cfg: The sweep's config.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self._cfg = cfg
        self._start()

    def look(self) -> None:
        """Starts another process if this one has been killed, not at once again if that is so soon."""
        if not self._helper.process.is_alive() and time.monotonic() - self._started > PAUSE_S:
            self._helper.end()
            self._start()

    def stop(self) -> None:
        """Ends the sending; its process, which has MLflow open, is idle then."""
        connection = self._helper.connection
        with contextlib.suppress(OSError, EOFError):  # it has died
            connection.send("stop")
            if connection.poll(GRACE_S) and connection.recv() == "stopped":
                server.idle(self._helper)
                return self._send_rest()
        self._helper.end()  # whatever it does: a write that is done twice has the effect of once
        return self._send_rest()

    def _start(self) -> None:
        self._helper, self._started = server.Helper(), time.monotonic()
        self._helper.begin(_send, self._cfg, talks=True)

    def _send_rest(self) -> None:
        with contextlib.suppress(StoreError):  # it stays kept, and is sent by whoever opens the store next
            Store(self._cfg).send_kept()


def _send(connection: Connection, cfg: DictConfig) -> None:
    store, pause = None, 0.0
    while not connection.poll(pause):
        try:
            store = store or Store(cfg)
            store.send_kept()
            pause = PAUSE_S if store.away else LOOK_S
        except StoreError:
            pause = PAUSE_S
    connection.recv()
    connection.send("stopped")
