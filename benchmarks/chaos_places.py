"""What a round may be played on: an MLflow server that can be stopped, a disk that can be filled."""

import contextlib
import functools
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from chaos_round import kill_all, tree

HOST = "127.0.0.1"
START_S = 120
MIB = 2**20
DISK_MIB = 32


class Server:
    """A real ``mlflow server`` with a database of its own, that can go away and come back.

    Args:
        folder: For its database, artifacts and log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, _free_port()
        self.uri = f"http://{HOST}:{self.port}"
        folder.mkdir(parents=True)

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        quick = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("a") as log:
            self.process = psutil.Popen(command, stdout=log, stderr=log, env={**os.environ, **quick})
        deadline = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(
                    f"MLflow's server did not start:\n{(self.folder / 'server.log').read_text()[-2000:]}"
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """Ends it at once."""
        kill_all(tree(self.process))
        self.process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2):
            return True
        return False


class Places:
    """What the rounds share, made when first needed.

    Args:
        folder: For it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server: Server | None = None

    def __enter__(self) -> "Places":
        return self

    def __exit__(self, *_: object) -> None:
        if self._server:
            self._server.stop()

    @functools.cached_property
    def template(self) -> Path:
        """An empty tracking database: making one takes seconds, copying it none."""
        from medfit.config.compose import compose
        from medfit.tracking.store import Store

        store = Store(compose([f"output_dir={self.folder / 'template'}"]))
        return store.folder / "mlflow.db"

    @property
    def server(self) -> Server:
        """The tracking server, running."""
        if self._server is None:
            self._server = Server(self.folder / "server")
            self._server.start()
        return self._server


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mounts a small disk on a folder, and takes it away in the end."""
    folder.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


def can_mount(folder: Path) -> bool:
    """Tells whether small disks can be made here."""
    try:
        with small_disk(folder / "probe"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def fill(folder: Path) -> Path:
    """Fills a disk to the last page, and returns the file that does."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(MIB)) == MIB:  # a short write is the last one
            pass
    return path


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _free_port() -> int:
    """Returns a port that the system gives to no other program while the server is away."""
    for port in random.sample(range(10_000, 30_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) != 0:
                return port
    raise RuntimeError("no port is free")
