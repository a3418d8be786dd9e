"""Whatever a server stores tells neither where a user's files lie nor who a patient is."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import DictConfig

from medfit.explain import explain
from medfit.tasks.classification import Binary
from medfit.tracking import provenance
from medfit.tracking.store import Store
from medfit.train import train
from mlflow_server import Server

WARD, PATIENT = "nevesdraw"[::-1], "rellumqz"[::-1]  # backwards, as this file may be in the diff that a server gets
SECRETS = re.compile(f"(?i){WARD}|{PATIENT}".encode())


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Forty patients with names, in a folder that tells where they were treated."""
    path = tmp_path / WARD / "clinic.csv"
    path.parent.mkdir()
    rng = np.random.default_rng(0)
    rows = {"patient": [f"{PATIENT}{i}" for i in range(40)], "age": rng.normal(60, 9, 40), "ill": np.arange(40) % 2}
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture(autouse=True)
def code(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that has not been committed, as of an experiment's config."""
    state = {"commit": "c", "dirty": "true", "diff": f"+dataset: {{path: {table}}}"}
    monkeypatch.setattr(provenance, "code", lambda: state)


@pytest.fixture
def composed(table: Path, server: Server, compose: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    def with_secrets(*overrides: str) -> DictConfig:
        dataset = ["dataset=table", f"dataset.path={table}", "dataset.target=ill", "dataset.patient=patient"]
        return compose(*dataset, f"tracking.uri={server.uri}", "regime=smoke", "model=linear", *overrides)

    return with_secrets


def told(server: Server) -> list[str]:
    """What a server's files hold of the secrets; the database is one of them."""
    files = [path for path in server.folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    return [path.name for path in files if SECRETS.search(path.read_bytes()) or SECRETS.search(path.name.encode())]


def of_seed(store: Store, seed: int) -> Any:
    """The run of this seed: other tests' are in the server, too."""
    (found,) = (run for run in store.runs_of_kind(["run", "sweep"]) if run.data.params.get("seed") == str(seed))
    return found


def test_a_run_and_its_explanations_tell_no_path_and_no_patient(composed, server, output_dir):
    cfg = composed("seed=901", "tracking.plots=true")
    train(cfg)
    store = Store(cfg)
    run = of_seed(store, 901)
    asked = composed(f"explain.run={run.info.run_id}", "explain.num_samples=8")
    assert explain(asked)["num_samples"] == 8  # the path is found again
    assert told(server) == []
    diff = store.artifact(run.info.run_id, "code.diff", str(output_dir), "").read_text()
    assert re.fullmatch(r"\+dataset: \{path: clinic\.csv#[0-9a-f]{8}\}", diff)


def test_a_failure_is_told_without_its_words_which_stay_here(composed, server, table, output_dir, monkeypatch):
    def broken(self, output, target):
        raise ValueError(f"{table.with_name('3.png')} can't be read: '{PATIENT}3'")

    monkeypatch.setattr(Binary, "loss", broken)
    with pytest.raises(ValueError, match=PATIENT):
        train(cfg := composed("seed=902"))
    store = Store(cfg)
    run = of_seed(store, 902)
    words = output_dir / "failures" / f"{run.info.run_id}.txt"
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == f"ValueError; its words: failures/{words.name} in the output folder"
    places = store.artifact(run.info.run_id, "failure.txt", str(output_dir), "").read_text()
    assert places.startswith("ValueError\n") and "test_privacy.py" in places and "/" not in places
    assert f"can't be read: '{PATIENT}3'" in words.read_text() and words.stat().st_mode & 0o077 == 0
    assert told(server) == []


@pytest.mark.parametrize(
    ("failure", "tag"),
    [
        (f"UserError: {WARD}/3.png can't be read", "UserError"),
        ("it took longer than sweep.trial_timeout_s=6", "it took longer than sweep.trial_timeout_s=6"),
    ],
)
def test_a_trials_failure_is_told_a_server_without_its_words(composed, failure, tag):
    store = Store(composed())
    run_id = store.make_run(store.experiment_id("closed"), "a run", {})
    store.close(run_id, "FAILED", failure)
    assert store.client.get_run(run_id).data.tags["failure"] == tag


def test_a_study_named_by_a_path_is_found_again_and_hidden_from_its_first_run_on(composed, server, table):
    cfg, study = composed("seed=903"), f"clinic dataset.path='{table}'"
    train(cfg, tags={"kind": "sweep", "study": study, "mlflow.runName": f"sweep {study}"})
    store = Store(cfg)
    run = of_seed(store, 903)
    assert run.data.tags["study"] == study
    assert [found.info.run_id for found in store.runs_of(run.info.experiment_id, {"study": study})] == [run.info.run_id]
    stored = store.client.get_run(run.info.run_id)
    assert WARD not in str(stored.to_dictionary())
    assert re.search(r"dataset.path='clinic\.csv#[0-9a-f]{8}'", stored.data.tags["study"])
    assert told(server) == []


def test_a_study_of_before_paths_were_hidden_is_found(composed, server, table):
    cfg, study = composed("seed=904"), f"dataset.path={table}"
    train(cfg)
    store = Store(cfg)
    experiment = store.experiment_id("before")
    run = store.client.create_run(experiment, tags={"study": study})
    assert [found.info.run_id for found in store.runs_of(experiment, {"study": study})] == [run.info.run_id]
    store.client.delete_tag(run.info.run_id, "study")
