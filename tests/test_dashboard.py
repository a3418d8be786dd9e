import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import optuna
import pytest
from optuna.storages import RDBStorage

from medfit import dashboard
from medfit.errors import UserError
from medfit.terminal import serving


@pytest.fixture
def storage(output_dir):
    return RDBStorage(f"sqlite:///{output_dir / 'optuna.db'}")


@pytest.fixture
def number(storage):
    """Begins a study of some trials, and returns its number."""

    def begin(name, num_trials=0):
        study = optuna.create_study(storage=storage, study_name=name)
        for _ in range(num_trials):
            study.add_trial(optuna.create_trial(value=0.5))
        return study._study_id

    return begin


def test_the_latest_study_is_shown_where_no_experiment_is_named(storage, number, compose):
    number("heart_rate")
    latest = number("diabetes")
    assert dashboard.page(storage, compose()) == f"/dashboard/studies/{latest}"


def test_an_experiments_latest_study_is_shown_and_none_of_another_with_a_longer_name(storage, number, compose):
    number("heart_rate")
    latest = number("heart_rate model=linear")
    number("heart_rate_two")
    assert dashboard.page(storage, compose(experiment="heart_rate")) == f"/dashboard/studies/{latest}"


def test_a_study_is_found_by_the_name_chosen_for_it(storage, number, compose):
    wanted = number("mine")
    number("breast_cancer")
    assert dashboard.page(storage, compose("sweep.name=mine")) == f"/dashboard/studies/{wanted}"


def test_without_a_study_the_command_that_starts_one_is_told(storage, number, compose):
    with pytest.raises(UserError, match=r"^there is no study to show yet; medfit sweep starts one$"):
        dashboard.page(storage, compose())
    number("diabetes")
    with pytest.raises(UserError, match="medfit sweep experiment=heart_rate starts one"):
        dashboard.page(storage, compose(experiment="heart_rate"))


@pytest.mark.slow
def test_the_page_and_its_data_are_served_on_loopback_until_ctrl_c(output_dir, number, launch):
    wanted = number("breast_cancer", num_trials=2)
    with socket.socket() as probe:
        probe.bind((serving.HOST, 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "medfit", "dashboard", f"output_dir={output_dir}", f"tracking.ui_port={port}"]
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    process = launch(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        assert link == f"http://127.0.0.1:{port}/dashboard/studies/{wanted}"
        with urllib.request.urlopen(link, timeout=20) as answer:
            assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]  # nothing from elsewhere
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies/{wanted}", timeout=20) as answer:
            assert len(json.load(answer)["trials"]) == 2
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "medfit: interrupted; what was finished is kept\n"
    with socket.socket() as probe:
        assert probe.connect_ex((serving.HOST, port)) != 0
