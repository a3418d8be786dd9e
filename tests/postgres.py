"""A private PostgreSQL server for tests, from the system's packages: its own folder, no password, nothing kept."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACKAGED = Path("/usr/lib/postgresql")  # where Debian keeps each version's own binaries, outside PATH
USER = "medfit"
START_S = 30
TRIES = 3  # another program may take the port between finding it and using it
NOT_SAFE = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]  # fast; a power cut would lose the data


def missing() -> str | None:
    """Returns why no server can be started here; None if one can."""
    if binaries() is None:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if os.geteuid() == 0 and not _known("postgres"):
        return "PostgreSQL refuses to run as root, and there is no user 'postgres'"
    return None


def binaries() -> Path | None:
    """Returns the folder of the newest installed version's binaries."""
    packaged = sorted(PACKAGED.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = packaged[-1] if packaged else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Server:
    """A running server.

    Args:
        folder: Of its data and its socket.
        port: On the loopback interface.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port, self._made = folder, port, 0

    def database(self) -> str:
        """Makes an empty database, and returns its URL as SQLAlchemy spells it."""
        import psycopg

        self._made += 1
        name = f"test_{self._made}"
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def conninfo(self) -> str:
        """Returns how libpq reaches it: by the socket in its own folder, where no other server can answer."""
        return f"host={self.folder} port={self.port} user={USER} dbname=postgres"


@contextmanager
def serve() -> Iterator[Server]:
    """Starts a server, and stops it and removes its data in the end."""
    # not in pytest's folder: where root runs the tests, the server's user could not enter it
    with tempfile.TemporaryDirectory(prefix="medfit-pg-") as name:
        folder = Path(name)
        if owner := _owner():
            shutil.chown(folder, owner, pwd.getpwnam(owner).pw_gid)
        process, server = _start(folder)
        try:
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # "fast": ends the sessions that are still open
            process.wait(START_S)


def _start(folder: Path) -> tuple[subprocess.Popen, Server]:
    options = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    _run(folder, "initdb", f"--pgdata={folder / 'data'}", f"--username={USER}", *options).wait()
    for _ in range(TRIES):
        server = Server(folder, _free_port())
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", *NOT_SAFE]
        words = [word for setting in settings for word in ("-c", setting)]
        process = _run(folder, "postgres", "-D", str(folder / "data"), "-p", str(server.port), *words)
        if _answers(process, server):
            return process, server
        process.kill()
        process.wait()
    raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()[-2000:]}")


def _run(folder: Path, program: str, *arguments: str) -> subprocess.Popen:
    """Starts a program of PostgreSQL's, as its own user where we are root."""
    found = binaries()
    assert found is not None
    owner = _owner()
    identity: dict[str, Any] = {"user": owner, "group": pwd.getpwnam(owner).pw_gid, "extra_groups": []} if owner else {}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen([found / program, *arguments], cwd=folder, stdout=log, stderr=log, **identity)


def _answers(process: subprocess.Popen, server: Server) -> bool:
    import psycopg

    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            psycopg.connect(server.conninfo()).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _owner() -> str | None:
    return "postgres" if os.geteuid() == 0 else None


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
