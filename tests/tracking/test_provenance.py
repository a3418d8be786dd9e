import subprocess
from importlib.metadata import version

import pytest
import torch

from medfit.tracking import provenance


@pytest.fixture
def repository(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True)

    (tmp_path / "code.py").write_text("old = 1\n")
    (tmp_path / "patients.csv").write_text("name\nAda\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.code.cache_clear()
    yield tmp_path
    provenance.code.cache_clear()


def test_a_clean_tree_has_a_commit_and_no_diff(repository):
    state = provenance.code()
    assert len(state["commit"]) == 40
    assert state["dirty"] == "false"
    assert state["diff"] == ""


def test_a_dirty_tree_shows_changed_and_new_code_but_no_data(repository):
    (repository / "code.py").write_text("new = 2\n")
    (repository / "added.yaml").write_text("fresh: 3\n")
    (repository / "patients.csv").write_text("name\nGrace\n")
    (repository / "cohort.txt").write_text("name\nGrace\n")
    state = provenance.code()
    assert state["dirty"] == "true"
    assert "+new = 2" in state["diff"]
    assert "+fresh: 3" in state["diff"]
    assert "Grace" not in state["diff"]


def test_a_folder_without_repository_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.code.cache_clear()
    assert provenance.code() == {"commit": "unknown", "dirty": "unknown", "diff": ""}
    provenance.code.cache_clear()


def test_versions_are_those_installed():
    assert provenance.environment()["versions"]["optuna"] == version("optuna")


def test_the_threads_are_those_that_a_process_has_now(monkeypatch):
    monkeypatch.setattr(provenance, "_SEEN", {**provenance.environment(), "threads": 64})
    assert provenance.environment()["threads"] == torch.get_num_threads() != 64
