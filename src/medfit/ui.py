"""``medfit ui``: MLflow's pages, bound to this machine, opened at the runs table."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig

from medfit.errors import UserError
from medfit.terminal.console import say
from medfit.terminal.serving import HOST, free_port, open_page
from medfit.tracking.store import Store

START_S = 120
VIEW = "medfit"
TRAININGS = "tags.kind != 'sweep' AND tags.kind != 'evaluation'"
NUM_RUNS = 200
NUM_SCORES = 5
NUM_PARAMS = 8


def main(cfg: DictConfig) -> None:
    """Starts MLflow's server (unless ``tracking.uri`` is one); says the link, and opens it where there is a display."""
    store = Store(cfg)
    if not store.local:
        open_page(f"{store.uri}/{page(store, cfg.experiment)}")
        return
    port = free_port(cfg.tracking.ui_port)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri, "--host", HOST]
    command += ["--port", str(port), "--workers", "1"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(server, port)
        open_page(f"http://{HOST}:{port}/{page(store, cfg.experiment)}")
        say("Ctrl-C ends it.")
        server.wait()
    finally:
        server.terminate()
        server.wait()


def page(store: Store, name: str | None) -> str:
    """Returns the path of an experiment's runs table (of the latest run's if none has that name).

    The table shows single trainings, the best first, with the scores and the params that tell them apart. MLflow
    keeps such views as tags of the experiment.
    """
    found = store.client.get_experiment_by_name(name) if name else None
    if found is None:
        ids = [experiment.experiment_id for experiment in store.client.search_experiments()]
        latest = store.client.search_runs(ids, max_results=1, order_by=["attributes.start_time DESC"])
        found = store.client.get_experiment(latest[0].info.experiment_id) if latest else None
    if found is None:
        return "#/experiments?workflowType=machine_learning"
    runs = store.client.search_runs([found.experiment_id], TRAININGS, max_results=NUM_RUNS)
    store.client.set_experiment_tag(found.experiment_id, f"mlflow.sharedViewState.{VIEW}", json.dumps(view(runs)))
    return f"#/experiments/{found.experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def view(runs: Sequence[Any]) -> dict[str, Any]:
    """Returns the state of MLflow's runs table for some runs, the latest first: filter, order and columns.

    The order is by the monitored score: sorted so, MLflow lists a sweep's trials without folding them away.
    """
    settings = runs[0].data.params if runs else {}
    monitor = settings.get("task.monitor", "").strip("'")
    named = [f"val/{name}" for name in settings.get("task.metrics", "").strip("[]").split(",") if name]
    scores = dict.fromkeys(name for name in [monitor, *named] if name)
    differing = [name for name, values in _values(runs).items() if len(values) > 1]
    return {
        "searchFilter": TRAININGS,
        "orderByKey": f"metrics.`{monitor}`" if monitor else "attributes.start_time",
        "orderByAsc": settings.get("task.mode") == "min",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": [
            "attributes.`Duration`",
            *(f"metrics.`{name}`" for name in list(scores)[:NUM_SCORES]),
            *(f"params.`{name}`" for name in differing[:NUM_PARAMS]),
        ],
    }


def _values(runs: Sequence[Any]) -> dict[str, set[str]]:
    """Returns the values that each param takes."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, value in run.data.params.items():
            values.setdefault(name, set()).add(value)
    return values


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise UserError("MLflow's server did not start")
