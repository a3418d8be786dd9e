"""What is done again, in a process of its own, with code of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from medfit.again import driver
from medfit.config import folders
from medfit.errors import UserError
from medfit.tracking import process

LONGEST_END_S = 60  # until what is interrupted has stored what it had


class Again:
    """What is done again in a process of its own.

    Args:
        child: The process, that :mod:`medfit.again.driver` runs in.
    """

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child

    def tell(self, content: Mapping[str, Any]) -> None:
        """Tells the process something."""
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, and the answer tells why
            self._child.stdin.write(json.dumps(content) + "\n")
            self._child.stdin.flush()

    def finish(self) -> str | None:
        """Lets the process do its work; returns the id of the new run, if the process tells it."""
        self.tell({"begin": True})
        run: str | None = self.answer()["run"]
        return run

    def answer(self) -> dict[str, Any]:
        """Returns what the process tells next.

        Raises:
            KeyboardInterrupt: it was interrupted.
            UserError: it tells of a user's mistake, or ended without a word.
        """
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            status = self._child.wait()
            if status == 130:
                raise KeyboardInterrupt
            raise UserError(f"rerun: its process ended with status {status}; what it said stands above")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise UserError(told["error"])
        return told


@contextmanager
def started(project: Path, asked: Mapping[str, Any]) -> Iterator[Again]:
    """Starts what is done again, which ends when this does: it is interrupted if it runs then.

    Args:
        project: The folder whose code runs.
        asked: What the process is told first, as :mod:`medfit.again.driver` takes it.
    """
    package = Path(__file__).parents[1] if project == folders.ROOT else project / "src" / "medfit"
    places = [str(package.parent), *(_moved(place, project) for place in sys.path)]
    child = subprocess.Popen(
        [sys.executable, "-P", driver.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
        start_new_session=True,  # Ctrl-C is told by the end of its input, once
    )
    try:
        again = Again(child)
        again.tell({"package": str(package.resolve()), **asked})
        yield again
        child.wait()
    finally:
        with process.uninterrupted():
            _end(child)


def _moved(place: str, project: Path) -> str:
    """Returns where modules of a place of today's are for a project's folder; installed packages stay."""
    path = Path(place or ".").resolve()
    own = path.is_relative_to(folders.ROOT) and path.is_dir() and "site-packages" not in path.parts
    return str(project / path.relative_to(folders.ROOT) if own else path)


def _end(child: "subprocess.Popen[str]") -> None:
    """Ends a process, and waits for its end."""
    assert child.stdin is not None and child.stdout is not None
    with suppress(BrokenPipeError):
        child.stdin.close()
    try:
        child.wait(LONGEST_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()
