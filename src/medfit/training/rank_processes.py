"""The processes of a training's further devices: started, watched, and ended with it."""

import os
import pickle
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from omegaconf import DictConfig
from torch import distributed

from medfit.errors import UserError, interruption
from medfit.training import ddp
from medfit.training.parts import Parts
from medfit.training.rank import REASON
from medfit.training.several_devices import environment_kept, together

LOOK_S = 0.2  # from one look at the processes to the next
END_S = 30.0  # in which they end when all is trained
SEEN_S = 10.0  # in which a process that ended, and so broke the others' talk, is seen to have ended
STUCK_S = 20.0  # in which this process notices by itself that another one has ended; it may wait for it


class RankProcesses:
    """The processes of a training's further devices, on this machine; to be used in a ``with``.

    Args:
        cfg: The training's.
        count: Devices, this process's among them.
        give_up: Is given why the training ends where this process waits for ever for one that has ended; it tells it.
            Then this process ends.
    """

    def __init__(self, cfg: DictConfig, count: int, give_up: Callable[[UserError], None]) -> None:
        self._cfg, self._count, self._give_up = cfg, count, give_up
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._over = threading.Event()
        self._kept = ExitStack()

    def __enter__(self) -> "RankProcesses":
        """Starts them, and returns when all are ready.

        Raises:
            UserError: one has ended.
        """
        self._kept.enter_context(environment_kept())
        self._folder = Path(self._kept.enter_context(TemporaryDirectory(prefix="medfit-")))
        try:
            self._start()
            self._wait_until_ready()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Ends them.

        Raises:
            UserError: the training ended because one of them had.
        """
        self._over.set()
        try:
            if error is None:
                self._wait(END_S, lambda: all(child.poll() is not None for child in self._children.values()))
            elif isinstance(error, RuntimeError) and not interruption(error):  # as of a talk that broke off
                self._wait(SEEN_S, lambda: self._dead() is not None)
                if (dead := self._dead()) is not None:
                    raise self._why(dead)
        finally:
            self._end()

    def _start(self) -> None:
        (self._folder / "config.pkl").write_bytes(pickle.dumps(self._cfg))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port()), "NODE_RANK": "0"}
        os.environ.update(place, LOCAL_RANK="0", WORLD_SIZE=str(self._count))
        own = {"PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
        for rank in range(1, self._count):
            with (self._folder / f"rank{rank}.txt").open("wb") as told:
                self._children[rank] = subprocess.Popen(
                    [sys.executable, "-P", "-m", "medfit.training.rank", str(self._folder), str(rank)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=told,
                    env=os.environ | own | {"LOCAL_RANK": str(rank)},
                    start_new_session=True,  # Ctrl-C is this process's to hear
                )

    def _wait_until_ready(self) -> None:
        with selectors.DefaultSelector() as selector:
            for rank, child in self._children.items():
                assert child.stdout is not None
                selector.register(child.stdout, selectors.EVENT_READ, rank)
            waited_for = set(self._children)
            while waited_for:
                for key, _ in selector.select(LOOK_S):
                    selector.unregister(key.fileobj)
                    if not os.read(key.fd, 1):
                        self._children[key.data].wait()
                        raise self._why(key.data)
                    waited_for.discard(key.data)

    def _watch(self) -> None:
        """Looks after the processes; ends this one where it waits for one that has ended."""
        while self._dead() is None:
            if self._over.wait(LOOK_S):
                return
        if self._over.wait(STUCK_S):  # this process has noticed
            return
        with suppress(Exception):
            group: Any = distributed.group.WORLD
            group.abort()
        if not self._over.wait(STUCK_S):
            dead = self._dead()
            assert dead is not None
            self._give_up(self._why(dead))
            self._end()
            os._exit(2)

    def _dead(self) -> int | None:
        """Returns the number of a device whose process has failed, or is about to end and has said why."""
        told = (rank for rank, child in self._children.items() if child.poll() or self._reason(rank).exists())
        return next(told, None)

    def _reason(self, rank: int) -> Path:
        return self._folder / REASON.format(rank)

    def _why(self, rank: int) -> UserError:
        """Returns why a process ended, in a line; what else it said is the error's cause."""
        reason, status = self._reason(rank), self._children[rank].returncode
        said = (self._folder / f"rank{rank}.txt").read_text(errors="replace")
        if reason.exists():
            words = reason.read_text().splitlines()[0]
        elif status < 0:
            name = signal.Signals(-status).name
            words = f"killed by {name}" + (", as a system does whose memory is full" if name == "SIGKILL" else "")
        else:
            words = (said.strip().splitlines() or [f"status {status}"])[-1]
        error = UserError(
            f"the process of device {rank} (of 0 to {self._count - 1}) ended, so the training did: {words}"
        )
        error.__cause__ = RuntimeError(said) if said.strip() else None
        return error

    def _end(self) -> None:
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait()
            for pipe in (child.stdin, child.stdout):
                assert pipe is not None
                pipe.close()
        self._kept.close()

    def _wait(self, seconds: float, until: Callable[[], bool]) -> None:
        """Waits for something, at most so long."""
        last = time.monotonic() + seconds
        while not until() and time.monotonic() < last:
            time.sleep(LOOK_S / 4)


@contextmanager
def all_devices(
    cfg: DictConfig, trainer: L.Trainer, parts: Parts, give_up: Callable[[UserError], None]
) -> Iterator[None]:
    """Lets a trainer train on all its devices, by processes that are started here unless srun or torchrun did.

    Args:
        cfg: The training's.
        trainer: Lightning's.
        parts: What is trained.
        give_up: See :class:`RankProcesses`.
    """
    start = trainer.world_size > 1 and not ddp.started_by_others(trainer)
    with together(trainer, parts, cfg.seed):
        if not start:
            yield
            return
        with RankProcesses(cfg, trainer.world_size, give_up):
            yield
