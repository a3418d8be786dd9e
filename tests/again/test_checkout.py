import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from medfit.again import checkout
from medfit.again.recorded import Recorded
from medfit.config import folders
from medfit.errors import UserError
from medfit.tracking import provenance


def git(folder, *arguments):
    command = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(params=["", "study"], ids=["whole", "subfolder"])
def project(request, tmp_path, monkeypatch):
    """A repository, and in it a project with a line of medfit's code."""
    root = tmp_path / "repository" / request.param
    (root / "src" / "medfit").mkdir(parents=True)
    (root / "src" / "medfit" / "train.py").write_text("rate = 1\n")
    (root / ".gitignore").write_text("/data/\n")
    git(tmp_path / "repository", "init", "-q")
    git(tmp_path / "repository", "add", ".")
    git(tmp_path / "repository", "commit", "-qm", "first")
    (root / "data").mkdir()
    (root / "data" / "scans.npz").write_text("scans")
    for module in (folders, provenance):
        monkeypatch.setattr(module, "ROOT", root.resolve())
    provenance.code.cache_clear()
    yield root.resolve()
    provenance.code.cache_clear()


def recorded(commit=None, diff=None):
    state = provenance.code()
    tags = {"mlflow.source.git.commit": commit or state["commit"]}
    run = SimpleNamespace(info=SimpleNamespace(run_id="abc"), data=SimpleNamespace(tags=tags))
    return Recorded(run, "", state["diff"] if diff is None else diff, {}, "", "")


def worktrees(project):
    return git(project, "worktree", "list").splitlines()


def test_the_code_is_the_runs_with_its_changes_and_nothing_here_is_touched(project):
    train, new = project / "src" / "medfit" / "train.py", project / "src" / "own.py"
    train.write_text("rate = 2\n")
    new.write_text("layers = 3\n")
    run = recorded()
    train.write_text("rate = 4\n")
    new.unlink()
    before = git(project, "status", "--porcelain"), git(project, "rev-parse", "HEAD")
    with checkout.checked_out(run) as tree:
        assert tree != project and not tree.is_relative_to(project)
        assert (tree / "src" / "medfit" / "train.py").read_text() == "rate = 2\n"
        assert (tree / "src" / "own.py").read_text() == "layers = 3\n"
        assert (tree / "data" / "scans.npz").read_text() == "scans"
        assert "data" not in git(tree, "status", "--porcelain")
        assert checkout.changed(tree, project) == ["src/medfit/train.py", "src/own.py"]
    assert before == (git(project, "status", "--porcelain"), git(project, "rev-parse", "HEAD"))
    assert train.read_text() == "rate = 4\n" and (project / "data" / "scans.npz").read_text() == "scans"
    assert not tree.exists() and len(worktrees(project)) == 1


def test_the_same_code_has_no_differences_and_tests_are_none(project):
    with checkout.checked_out(recorded()) as tree:
        (project / "tests").mkdir()
        (project / "tests" / "test_rate.py").write_text("")
        (project / "notes.txt").write_text("")
        assert checkout.changed(tree, project) == []


@pytest.mark.parametrize(
    "settings", [["diff.noprefix", "true"], ["color.ui", "always"], ["diff.mnemonicPrefix", "true"]]
)
def test_a_users_settings_of_git_spoil_no_stored_changes(project, settings):
    git(project, "config", *settings)
    (project / "src" / "medfit" / "train.py").write_text("rate = 2\n")
    with checkout.checked_out(recorded()) as tree:
        assert (tree / "src" / "medfit" / "train.py").read_text() == "rate = 2\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_temporary_code_is_removed_whatever_happens(project, error):
    with pytest.raises(error), checkout.checked_out(recorded()) as tree:
        raise error
    assert not tree.exists() and len(worktrees(project)) == 1


def test_no_hook_of_the_repository_runs(project):
    hook = git(project, "rev-parse", "--path-format=absolute", "--git-path", "hooks/post-checkout").strip()
    Path(hook).write_text(f"#!/bin/sh\ntouch {project}/ran\n")
    Path(hook).chmod(0o755)
    with checkout.checked_out(recorded()):
        assert not (project / "ran").exists()


@pytest.mark.parametrize(
    ("commit", "diff", "told"),
    [
        ("unknown", None, "recorded no commit"),
        ("--help", None, "recorded no commit"),
        ("0" * 40, None, "the commit 000000000000 of run abc is not in this repository; fetch it"),
        (None, "diff --git a/src/medfit/train.py b/src/medfit/train.py\n@@ -1 +1 @@\n-x\n+y\n", "can't be applied"),
        (None, "no diff", "can't be applied"),
    ],
)
def test_code_that_cannot_be_had_is_one_line(project, commit, diff, told):
    expected = pytest.raises(UserError, match=rf"rerun\.run: .*{told}.*rerun\.here=true")
    with expected as refused, checkout.checked_out(recorded(commit, diff)):
        pass
    assert "\n" not in str(refused.value) and len(worktrees(project)) == 1


def test_a_commit_without_medfit_is_refused(project):
    (project / "src" / "medfit" / "train.py").unlink()
    git(project, "commit", "-qam", "second")
    with pytest.raises(UserError, match="holds no code of medfit"), checkout.checked_out(recorded()):
        pass


def test_a_project_that_is_no_repository_is_refused(project, tmp_path, monkeypatch):
    run = recorded()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(folders, "ROOT", tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is no git repository"), checkout.checked_out(run):
        pass
