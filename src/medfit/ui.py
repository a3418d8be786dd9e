"""``medfit ui``: MLflow's pages, bound to this machine, opened at the runs table."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from urllib.parse import quote

from omegaconf import DictConfig

from medfit.console import say
from medfit.errors import UserError
from medfit.tracking import Store

HOST = "127.0.0.1"
START_S = 60


def main(cfg: DictConfig) -> None:
    """Starts MLflow's server (unless ``tracking.uri`` is one) and says, and where there is a display opens, the link."""
    store = Store(cfg)
    if not store.local:
        _open(f"{store.uri}/{page(store, cfg.experiment)}")
        return
    port = free_port(cfg.tracking.ui_port)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri, "--host", HOST]
    command += ["--port", str(port), "--workers", "1"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(server, port)
        _open(f"http://{HOST}:{port}/{page(store, cfg.experiment)}")
        say("Ctrl-C ends it.")
        server.wait()
    finally:
        server.terminate()
        server.wait()


def page(store: Store, experiment: str | None) -> str:
    """Returns the path of an experiment's runs table (of the latest experiment if None has runs)."""
    found = store.client.get_experiment_by_name(experiment) if experiment else None
    if found is None:
        latest = store.client.search_experiments(max_results=1, order_by=["last_update_time DESC"])
        found = latest[0] if latest else None
    if found is None:
        return "#/experiments?workflowType=machine_learning"
    order = quote("attributes.start_time", safe="")
    return f"#/experiments/{found.experiment_id}/runs?workflowType=machine_learning&orderByKey={order}&orderByAsc=false"


def free_port(wanted: int) -> int:
    """Returns the first free port from the wanted one on.

    Raises:
        UserError: fifty ports in a row are taken.
    """
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise UserError(f"tracking.ui_port: {wanted} and the 49 ports after it are taken")


def _wait(server: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise UserError("MLflow's server did not start")


def _open(url: str) -> None:
    say(url)
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("darwin", "win32"):
        webbrowser.open(url)
