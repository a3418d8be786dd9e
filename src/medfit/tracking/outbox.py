"""What a tracking server is not told at once, as it is away: kept on disk, in order."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from medfit.terminal.console import say
from medfit.tracking.operations import OPERATIONS, guarded, meaning, perform, refused, trouble

AWAY = "away"  # a file that says that a run's writes wait because the server was away
RETRY_S = 10.0  # the shortest time between two tries of a server that is away
POLL_S = 0.002  # between two tries of a lock that is held for a moment
SHARE = 0.1  # of a run's time that such tries may take
PROBE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "3"}


class Outbox:
    """The writes that wait for a store; behind a run's first one all later ones wait too, so that none overtakes.

    A write lies in ``outbox/<run>/<number>.json``, its files in a folder beside it.

    Args:
        folder: Where results go; the outbox is made in it when first needed.
        uri: The server's; writes that wait for another one are left alone.
        client: Returns MLflow's.

    Attributes:
        away: Whether the server was away when something was last sent.
    """

    def __init__(self, folder: Path, uri: str, client: Callable[[], Any]) -> None:
        self.folder, self._client = folder / "outbox", client
        parts = urlsplit(uri)
        self.uri = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")  # without a password
        self._next_try = 0.0
        self.away = False

    def write(self, run_id: str, operation: str, payload: list[Any], files: Path) -> None:
        """Sends a write, or keeps it while the server is away."""
        if self.holds(run_id):
            self.keep(run_id, operation, payload, files)
            if operation == "end" or time.monotonic() >= self._next_try:
                self._try(run_id)
            return
        try:
            perform(self._client(), run_id, operation, payload, files)
        except trouble() as error:
            if refused(error):
                raise
            self.keep(run_id, operation, payload, files)
            (self.folder / run_id / AWAY).touch()
            self._next_try = time.monotonic() + RETRY_S
            say(f"{self.uri} is away ({meaning(error)}): run {run_id} is kept in {self.folder}, and sent later")

    def holds(self, run_id: str) -> bool:
        """Tells whether writes of a run wait."""
        return bool(self._waiting(run_id))

    def runs(self) -> list[str]:
        """Returns the runs with writes that wait for this server, the longest waiting first."""
        found = []
        for folder in self.folder.glob("[0-9a-f]*/"):  # a run's id is a hexadecimal number
            with suppress(FileNotFoundError):  # another process has just sent it
                for first in self._waiting(folder.name)[:1]:
                    write = _read(first)
                    if write is None or write["uri"] == self.uri:  # a broken one is set aside by whoever sends
                        found.append((first.stat().st_mtime, folder.name))
        return [run_id for _, run_id in sorted(found)]

    def send(self, run_ids: list[str], wait_s: float = -1) -> int:
        """Sends what waits of some runs; returns how many of them the server, which was away, now has as a whole.

        Args:
            run_ids: The runs.
            wait_s: How long to wait for another process that sends; -1 for as long as it takes.
        """
        sent = 0
        if run_ids:
            with suppress(Timeout), FileLock(self.folder / ".sending", timeout=wait_s):
                for run_id in run_ids:
                    self.away = not self._answers()
                    if self.away:
                        break
                    sent += self._send(run_id)
        return sent

    def _try(self, run_id: str) -> None:
        started = time.monotonic()
        self.send([run_id], wait_s=0)
        now = time.monotonic()
        self._next_try = now + max(RETRY_S, (now - started) / SHARE)

    def _answers(self) -> bool:
        with _environment(PROBE), suppress(*trouble()):
            self._client().search_experiments(max_results=1)
            return True
        return False

    def _send(self, run_id: str) -> bool:
        """Sends what waits of a run, which may grow meanwhile; returns whether the server was away, and took it all."""
        took_all = bool(self._waiting(run_id))  # another process may have been quicker
        was_away = (self.folder / run_id / AWAY).exists()
        while waiting := self._waiting(run_id):
            for path in waiting:
                if (write := _read(path)) is None:
                    self._set_aside(run_id, path, f"a part of what run {run_id} logged is broken")
                    took_all = False
                    continue
                if write["uri"] != self.uri:
                    return False
                try:
                    perform(self._client(), run_id, write["operation"], write["payload"], path.with_suffix(""))
                except trouble() as error:
                    if not refused(error):
                        self.away = True
                        return False
                    told = f"{self.uri} refuses what run {run_id} logged ({meaning(error)})"
                    self._set_aside(run_id, path, told if took_all else None)
                    took_all = False
                else:
                    path.unlink()
                    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
        self._tidy(run_id)
        return took_all and was_away

    def _set_aside(self, run_id: str, path: Path, why: str | None) -> None:
        """Moves a write out of the way, and says why if there is a reason to."""
        aside = self.folder / "refused" / f"{run_id}-{time.time_ns()}.json"
        aside.parent.mkdir(exist_ok=True)
        path.rename(aside)
        if path.with_suffix("").exists():
            path.with_suffix("").rename(aside.with_suffix(""))
        if why:
            say(f"{why}; it lies in {aside.parent}")

    def keep(self, run_id: str, operation: str, payload: list[Any], files: Path) -> None:
        """Keeps a write under the run's next number; being killed in here leaves nothing that would be sent.

        Args:
            run_id: The run.
            operation: See :func:`medfit.tracking.operations.perform`, as with the rest.
            payload: The operation's.
            files: The operation's.
        """
        text = json.dumps({"uri": self.uri, "operation": operation, "payload": payload})
        folder = self.folder / run_id
        with guarded(f"tracking.uri: {self.uri} is away, and {self.folder}"), self._changing():
            folder.mkdir(exist_ok=True)
            path = folder / f"{max((int(old.stem) for old in folder.glob('[0-9]*')), default=0) + 1:06}.json"
            with _whole(folder) as making:
                _write(making, text)
                if files != Path():
                    shutil.copytree(files, making.with_suffix(".files")).rename(path.with_suffix(""))
                making.rename(path)

    def _tidy(self, run_id: str) -> None:
        with self._changing():
            if not self.holds(run_id):
                shutil.rmtree(self.folder / run_id, ignore_errors=True)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keeps other processes from adding to a folder that is about to go."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".changing", poll_interval=POLL_S):
            yield

    def _waiting(self, run_id: str) -> list[Path]:
        return sorted((self.folder / run_id).glob("[0-9]*.json"), key=lambda path: int(path.stem))


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Gives the path of a file to be made; if that fails, nothing of it stays, nor of its folder of files."""
    making = folder / f".{os.getpid()}"
    shutil.rmtree(making.with_suffix(".files"), ignore_errors=True)  # of a process of that number that was killed
    try:
        yield making
    except BaseException:
        making.unlink(missing_ok=True)
        shutil.rmtree(making.with_suffix(".files"), ignore_errors=True)
        raise


def _read(path: Path) -> dict[str, Any] | None:
    """Returns a write that was kept; None if it is broken, as a power cut leaves one, or of another medfit."""
    with suppress(ValueError):
        write: dict[str, Any] = json.loads(path.read_bytes())
        if write["operation"] in OPERATIONS:
            return write
    return None


def _write(path: Path, text: str) -> None:
    """Writes a file, and waits until the disk has it, in case the power fails."""
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
