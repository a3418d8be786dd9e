"""What a finished model's files say of themselves, so that nothing but a whole model of this format is loaded."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medfit.errors import UserError
from medfit.terminal.console import say
from medfit.version import VERSION

FORMAT = 1  # of the files; another one is refused
ABOUT = "model.json"


def write_about(folder: Path, about: Mapping[str, Any], files: Sequence[Path]) -> None:
    """Writes what a model says of itself, and what tells whether its files are as they were written.

    Args:
        folder: Of the model.
        about: What JSON can hold.
        files: In the folder, with what the model is made of.
    """
    digests = {path.relative_to(folder).as_posix(): _digest(path) for path in files}
    told = {"format": FORMAT, "medfit": VERSION, **about, "files": digests}
    (folder / ABOUT).write_text(json.dumps({**told, "checksum": _checksum(told)}, indent=1))


def read_about(folder: Path, name: str) -> dict[str, Any]:
    """Returns what :func:`write_about` wrote of a model, having made sure that its files are as they were written.

    Args:
        folder: Of the model.
        name: Of the model, for errors.

    Raises:
        UserError: there is no such file, it is of another format, or a file is missing or not as it was written.
    """
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text())
        checksum, written = about.pop("checksum", None), about["format"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{name}: holds no finished model of medfit ({ABOUT} is missing or broken)") from error
    if written != FORMAT:
        raise UserError(f"{name}: is of format {written}, but medfit {VERSION} reads format {FORMAT}; train again")
    if checksum != _checksum(about):
        raise UserError(f"{name}: its file {ABOUT} is not as it was written")
    if about["medfit"] != VERSION:
        say(f"Warning: {name}: was made by medfit {about['medfit']}; this is {VERSION}, whose networks may differ.")
    del about["format"]
    for file, digest in about.pop("files").items():
        if not (folder / file).is_file():
            raise UserError(f"{name}: its file {file} is missing")
        if _digest(folder / file) != digest:
            raise UserError(f"{name}: its file {file} is not as it was written")
    return about


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _checksum(about: Mapping[str, Any]) -> str:
    """Returns a digest of plain values."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
