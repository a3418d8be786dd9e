"""The code that a run had, in a temporary git worktree; the working tree stays as it is."""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from medfit.again.recorded import WHERE, Recorded
from medfit.config import folders
from medfit.errors import UserError
from medfit.tracking import process
from medfit.tracking.provenance import CODE

COMMIT = re.compile(r"[0-9a-f]{40,64}")
HERE = "rerun.here=true takes today's code"
NO_PART = ("tests/", "benchmarks/")  # of what a run does


@contextmanager
def checked_out(recorded: Recorded) -> Iterator[Path]:
    """Gives the project's folder as it was when a run began, without what git ignores but for ``data``.

    Raises:
        UserError: there is no such code in this repository.
    """
    root = folders.ROOT
    _check(recorded, root)
    prefix = _git(root, "rev-parse", "--show-prefix").stdout.strip()
    with TemporaryDirectory(prefix="medfit-rerun-") as folder:
        tree = Path(folder).resolve() / "code"
        try:
            _add(recorded, root, tree)
            _apply(recorded, tree, prefix)
            _link_data(root / "data", tree / prefix / "data")
            yield tree / prefix
        finally:
            with process.uninterrupted():
                _git(root, "worktree", "remove", "--force", str(tree))


def changed(before: Path, now: Path) -> list[str]:
    """Returns the paths of code and configs that differ between two folders of the project."""
    then, today = _contents(before), _contents(now)
    return sorted(path for path in then.keys() | today.keys() if then.get(path) != today.get(path))


def _check(recorded: Recorded, root: Path) -> None:
    """Makes sure that a run's commit is in this repository.

    Raises:
        UserError: it is not.
    """
    if _git(root, "rev-parse", "--git-dir").returncode:
        raise UserError(
            f"{WHERE}: the project's folder '{root}' is no git repository (or there is no git), so that the code of "
            f"run {recorded.id} is not at hand; {HERE}"
        )
    if not COMMIT.fullmatch(recorded.commit):
        raise UserError(f"{WHERE}: run {recorded.id} recorded no commit, as its project was in no repository; {HERE}")
    if _git(root, "cat-file", "-e", f"{recorded.commit}^{{commit}}").returncode:
        raise UserError(
            f"{WHERE}: the commit {recorded.commit[:12]} of run {recorded.id} is not in this repository; fetch it from "
            f"where the run was made (git fetch), or {HERE}"
        )


def _add(recorded: Recorded, root: Path, tree: Path) -> None:
    made = _git(root, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--detach", str(tree), recorded.commit)
    if made.returncode:
        why = made.stderr.strip().splitlines()[-1:] or ["git gave no reason"]
        raise UserError(f"{WHERE}: the commit {recorded.commit[:12]} can't be checked out ({why[0]})")


def _apply(recorded: Recorded, tree: Path, prefix: str) -> None:
    """Changes the code as it was changed from its commit.

    Raises:
        UserError: the diff does not fit, or there is no medfit in that code.
    """
    if recorded.diff:
        into = [f"--directory={prefix.rstrip('/')}"] if prefix else []
        done = _git(tree, "apply", "--whitespace=nowarn", *into, "-", text=recorded.diff)
        if done.returncode:
            raise UserError(
                f"{WHERE}: the changes of run {recorded.id} to its commit {recorded.commit[:12]} (code.diff) can't be "
                f"applied to it; {HERE}"
            )
    if not (tree / prefix / "src" / "medfit" / "train.py").is_file():
        raise UserError(
            f"{WHERE}: the commit {recorded.commit[:12]} of run {recorded.id} holds no code of medfit, which was "
            f"installed; {HERE}"
        )


def _link_data(own: Path, there: Path) -> None:
    """Lets the code find the data in the project's folder, which git ignores."""
    for path in own.iterdir() if own.is_dir() else ():
        there.mkdir(exist_ok=True)  # a folder, as git ignores no link of this name
        if not (there / path.name).exists():
            (there / path.name).symlink_to(path)


def _contents(root: Path) -> dict[str, str]:
    """Returns the hashes of a project's code and configs, by their paths."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *CODE).stdout.split("\0")
    paths = [path for path in listed if path and not path.startswith(NO_PART) and (root / path).is_file()]
    return {path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in paths}


def _git(root: Path, *arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, errors="replace")
    except OSError as error:  # there is no git
        return subprocess.CompletedProcess(command, 1, "", str(error))
