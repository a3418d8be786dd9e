"""Why a run failed, and how much of it a server is told: an error's words may name a file, a folder or a patient."""

import os
import re
import traceback
from contextlib import suppress
from pathlib import Path

from medfit.errors import causes

FOLDER = "failures"  # in the output folder: what a server is not told
LONGEST = 500  # characters of the tag


def told(error: BaseException, run_id: str, folder: Path, local: bool) -> tuple[str, str]:
    """Returns what a run's tag and its file tell of an error: all of it where the store is on this machine.

    A server gets the kinds of the errors and the places in the code; all else is kept in the output folder, for its
    owner alone to read.

    Args:
        error: That ended the run.
        run_id: The run.
        folder: The output folder.
        local: Whether the store is on this machine.
    """
    words, whole = f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error))
    if not local:
        with suppress(OSError):  # a full disk, which may be the error itself
            _keep(folder / FOLDER / f"{run_id}.txt", whole)
        words, whole = f"{outline(words)}; its words: {FOLDER}/{run_id}.txt in the output folder", _places(error)
    return words[:LONGEST], whole


def outline(failure: str) -> str:
    """Returns the kind of an error without its words; what is no error's, as of a worker that was ended, as it is."""
    kind = re.match(r"([A-Z]\w*): ", failure)
    return kind[1] if kind else failure


def _places(error: BaseException) -> str:
    """Returns the kinds of an error and of its causes, and where in the code they came from."""
    lines = []
    for one in causes(error):
        lines.append(type(one).__name__)
        for frame in traceback.extract_tb(one.__traceback__):
            lines.append(f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}")
    return "\n".join(lines) + "\n"


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
