"""MLflow servers that tests switch off and on, and a run that is told something of every kind."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import mlflow.server
import numpy as np
from mlflow import MlflowClient
from werkzeug.serving import make_server

from medfit.tracking.run import Run

IMAGE = np.zeros((8, 8, 3), dtype=np.uint8)


def free_port() -> int:
    """A port that the system gives to no other program while its server is away."""
    for port in random.SystemRandom().sample(range(10_000, 30_000), 100):  # whatever a test has seeded
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError


class Server:
    """MLflow's own pages in a thread, that can be switched off and on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.is_on = False
        self.on()

    def on(self) -> None:
        wait_for(self._starts)  # the port may be held for a moment
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def off(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.is_on = False

    def _starts(self) -> bool:
        with suppress(SystemExit):
            self._server = make_server("127.0.0.1", self.port, mlflow.server.app, threaded=True)
            self.is_on = True
        return self.is_on


def start_server(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    where = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([*command, *where], stdout=log, stderr=log, start_new_session=True)
    wait_for(lambda: listens(port))
    return process


def stop_server(process: subprocess.Popen[bytes], port: int) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not listens(port))


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Data:
    name, source = "clinic", "a drawer"

    def __len__(self) -> int:
        return 3

    def schema(self) -> list[dict[str, str]]:
        return [{"name": "age", "kind": "numeric"}]

    def fingerprint(self) -> str:
        return "f" * 64


def log_everything(run: Run, steps: range) -> None:
    run.log_params({"seed": 1, "model": "mlp"})
    run.log_dataset(Data(), {"patients": 3})
    for step in steps:
        run.log_metrics({"train/loss": 1 / (step + 1), "val/loss": 2.0}, step)
        run.flush()
        run.set_tag("last", str(step))
        run.log_image("samples", IMAGE, step)
    run.log_files({"config.yaml": "seed: 1\n", "plots/facts.json": {"a": 1}})


def assert_whole(client: MlflowClient, run_id: str, steps: range, status: str = "FINISHED") -> None:
    """All of :func:`log_everything` is there, and once."""
    found = client.get_run(run_id)
    assert found.info.status == status
    assert found.data.params == {"seed": "1", "model": "mlp"}
    assert found.data.tags["last"] == str(steps[-1])
    for name in ("train/loss", "val/loss"):
        assert [point.step for point in client.get_metric_history(run_id, name)] == list(steps)
    assert [used.dataset.name for used in found.inputs.dataset_inputs] == ["clinic"]
    assert [(tag.key, tag.value) for used in found.inputs.dataset_inputs for tag in used.tags] == [
        ("mlflow.data.context", "train, val")
    ]
    images = [Path(file.path).name for file in client.list_artifacts(run_id, "images")]
    assert sorted(int(name.split("+")[2]) for name in images if name.endswith(".png")) == list(steps)
    assert len(images) == 2 * len(steps)
    names = {file.path for folder in ("", "plots", "data") for file in client.list_artifacts(run_id, folder)}
    assert {"config.yaml", "plots/facts.json", "data/schema.json", "data/split.json"} <= names


def leftovers(folder: Path) -> list[str]:
    return [str(path) for path in (folder / "outbox").rglob("*") if path.name not in (".sending", ".changing")]
