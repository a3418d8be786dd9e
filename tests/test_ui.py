import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from medfit import sweep, ui
from medfit.terminal import serving
from medfit.tracking.store import Store
from medfit.train import train


@pytest.mark.slow
def test_the_runs_table_shows_trials_by_score_with_what_tells_them_apart(compose, client):
    cfg = compose("regime=smoke", "sweep=smoke", "dataset=breast_cancer")
    sweep.sweep(cfg)
    page = ui.page(Store(cfg), "breast_cancer")
    experiment = client.get_experiment_by_name("breast_cancer")
    assert page.startswith(f"#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning")
    view = json.loads(experiment.tags["mlflow.sharedViewState.medfit"])
    assert view["orderByKey"] == "metrics.`val/cross_entropy`"
    assert view["orderByAsc"] is True
    assert "params.`regime.optimizer.lr`" in view["selectedColumns"]
    assert "metrics.`val/auroc`" in view["selectedColumns"]
    assert "params.`seed`" not in view["selectedColumns"]
    assert len(client.search_runs([experiment.experiment_id], view["searchFilter"])) == 3


def test_without_runs_the_list_of_experiments_is_shown(compose):
    assert "workflowType=machine_learning" in ui.page(Store(compose()), "no_such_experiment")


def test_where_no_experiment_is_named_the_latest_runs_are_shown(compose, client):
    for dataset in ("diabetes", "breast_cancer", "diabetes"):
        train(compose(f"dataset={dataset}", "regime=smoke"))
        experiment = client.get_experiment_by_name(dataset)
        assert ui.page(Store(compose()), None).startswith(f"#/experiments/{experiment.experiment_id}/runs")


@pytest.mark.slow
def test_the_server_answers_on_loopback_and_ends_with_ctrl_c(output_dir, launch):
    with socket.socket() as probe:
        probe.bind((serving.HOST, 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "medfit", "ui", f"output_dir={output_dir}", f"tracking.ui_port={port}"]
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    process = launch(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        assert link.startswith(f"http://127.0.0.1:{port}/#/experiments")
        with urllib.request.urlopen(link.split("#")[0], timeout=20) as answer:
            assert answer.status == 200
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    with socket.socket() as probe:
        assert probe.connect_ex((serving.HOST, port)) != 0
