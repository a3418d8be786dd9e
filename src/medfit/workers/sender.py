"""What sends what workers keep for the tracking store, beside their trainings."""

import contextlib
import threading

from omegaconf import DictConfig

from medfit.errors import UserError
from medfit.tracking.store import Store

LOOK_S = 0.05  # between two looks at what is kept
PAUSE_S = 5.0  # before a store that is away is tried again
GRACE_S = 1.0  # for what it sends when it is stopped


class Sender:
    """Sends what is kept, in a thread, until it is stopped; what is left then is sent by who stops it.

    Args:
        cfg: The sweep's config.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self._cfg = cfg
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)  # a server may keep it waiting
        self._thread.start()

    def stop(self) -> None:
        """Ends the sending."""
        self._stopped.set()
        self._thread.join(GRACE_S)
        with contextlib.suppress(UserError):  # it stays kept, and is sent by whoever opens the store next
            Store(self._cfg).send_kept()

    def _send(self) -> None:
        store, pause = None, 0.0
        while not self._stopped.wait(pause):
            try:
                store = store or Store(self._cfg)
                store.send_kept()
                pause = PAUSE_S if store.away else LOOK_S
            except UserError:  # it is away, or refuses
                pause = PAUSE_S
