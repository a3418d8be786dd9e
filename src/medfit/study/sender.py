"""The process that sends what workers keep for the tracking server, beside their trainings."""

import contextlib
import signal
import time

from omegaconf import DictConfig

from medfit.errors import StoreError
from medfit.store import Store
from medfit.study import server
from medfit.study.slot import end_with_parent

LOOK_S = 0.05  # between two looks at what is kept
PAUSE_S = 5.0  # before a store that is away is tried again


class Sender:
    """Sends what is kept until it is stopped; what is left then is sent by this process.

    Args:
        cfg: The sweep's config.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self._cfg = cfg
        self._process = server.context().Process(target=_main, args=(cfg,), daemon=True)  # type: ignore[attr-defined]
        self._process.start()

    def stop(self) -> None:
        """Ends the process, whatever it does: a write that is done twice has the effect of once."""
        self._process.kill()
        self._process.join()
        with contextlib.suppress(StoreError):  # it stays kept, and is sent by whoever opens the store next
            Store(self._cfg).send_kept()


def _main(cfg: DictConfig) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    store = None
    while True:
        try:
            store = store or Store(cfg)
            store.send_kept()
            time.sleep(PAUSE_S if store.kept() else LOOK_S)
        except StoreError:
            time.sleep(PAUSE_S)
