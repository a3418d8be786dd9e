import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from medfit.tracking.run import create_run
from medfit.tracking.store import Store
from mlflow_server import assert_whole, free_port, leftovers, log_everything, start_server, stop_server

WORKER = """
import sys
from omegaconf import OmegaConf
from medfit.tracking.store import Store
store = Store(OmegaConf.create({"output_dir": sys.argv[1], "tracking": {"uri": sys.argv[2]}}))
"""


@pytest.mark.slow
def test_runs_survive_a_server_that_is_killed_and_started_again(tmp_path):
    folder, results = tmp_path / "server", tmp_path / "results"
    folder.mkdir()
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    process = start_server(folder, port)
    try:
        store = Store(OmegaConf.create({"output_dir": str(results), "tracking": {"uri": uri}}))
        runs = [create_run(store, "questions", f"run {number}", {}) for number in range(3)]
        for run in runs:
            log_everything(run, range(2))
        stop_server(process, port)
        for run in runs:
            log_everything(run, range(2, 5))
            run.end("FINISHED")
        assert store.kept() == 3
        process = start_server(folder, port)
        command = [sys.executable, "-c", WORKER, str(results), uri]
        senders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        said = "".join(sender.communicate(timeout=120)[0] for sender in senders)  # at once
        assert [sender.returncode for sender in senders] == [0, 0]
        assert sum(int(word) for word in said.split() if word.isdigit()) == 3
        for run in runs:
            assert_whole(store.client, run.id, range(5))
        assert store.kept() == 0 and leftovers(results) == []
    finally:
        stop_server(process, port)
