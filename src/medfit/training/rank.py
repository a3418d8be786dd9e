"""A further device's process of a training: run as a module, it trains its part, writes nothing and says nothing.

The process that started it (:mod:`medfit.training.rank_processes`) holds its standard input; this one ends with that.
"""

import os
import pickle
import signal
import sys
import threading
from pathlib import Path
from typing import Any

REASON = "rank{}.reason"  # file of why a process ended, in a user's words


def main(folder: Path, rank: int) -> int:
    """Trains, as a device of a number; returns the exit status.

    Args:
        folder: Holds the config; why this process ends is written there.
        rank: Of this device.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # the first device hears of these, and ends this one
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    ready = os.dup(1)
    os.dup2(2, 1)
    try:
        from medfit.training import rank_training  # late: the first device may end meanwhile

        rank_training.train(pickle.loads((folder / "config.pkl").read_bytes()), lambda: os.write(ready, b"\n"))
    except BaseException as error:
        written = folder / f"{rank}.tmp"
        written.write_text(_told(error))
        written.rename(folder / REASON.format(rank))  # is there as a whole
        raise
    return 0


def _told(error: BaseException) -> str:
    from medfit.errors import UserError  # late, as all of medfit

    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {str(error).strip() or 'no words'}"


def _end_with_the_first() -> None:
    os.read(0, 1)
    os._exit(1)


def _arguments(given: list[str]) -> tuple[Any, ...]:
    return Path(given[0]), int(given[1])


if __name__ == "__main__":
    sys.exit(main(*_arguments(sys.argv[1:])))
