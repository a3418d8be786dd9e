"""The state of a training as one file, which is complete or not there."""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

from medfit.errors import UserError

FORMAT = 1
MAGIC = b"medfit state of a training\n"
DAMAGED = "is cut short or damaged"


class StateError(UserError):
    """A training can't go on from a state."""


class StateFile(NamedTuple):
    """What a file holds.

    Args:
        header: What the state is of, as JSON can hold it.
        body: The state: numbers, text and tensors in lists, tuples and dicts.
    """

    header: dict[str, Any]
    body: dict[str, Any]


def write(path: Path, header: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """Writes a state; the file of before stands until the new one is on the disk as a whole.

    Raises:
        OSError: there is no room for it, or no permission.
        StateError: the state holds what can't be read again without running code of the file's.
    """
    write_packed(path, header, packed(body))


def packed(body: Mapping[str, Any]) -> memoryview:
    """Returns a state as bytes.

    Raises:
        StateError: it holds what :func:`read` would refuse, as an object of a user's callback.
    """
    buffer = io.BytesIO()
    try:
        torch.save(dict(body), buffer)
        buffer.seek(0)
        torch.load(buffer, map_location="meta", weights_only=True)  # reads what is no tensor
    except OSError:
        raise
    except Exception as error:
        raise StateError(f"it holds what can't be stored ({str(error).splitlines()[0][:200]})") from error
    return buffer.getbuffer()


def write_packed(path: Path, header: Mapping[str, Any], content: memoryview) -> None:
    """Writes a state that :func:`packed` gave; see :func:`write`."""
    told = json.dumps({"format": FORMAT, **header}).encode() + b"\n"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # for its owner alone to read
    try:
        with os.fdopen(number, "wb") as file:
            file.writelines([MAGIC, _digest(told, content), told, content])
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _keep_name(path.parent)


def remove(path: Path) -> None:
    """Removes a state, and what is left of those that were being written when their process was killed."""
    for one in (path, *path.parent.glob(f".{path.name}.*")):
        one.unlink(missing_ok=True)


def read_header(path: Path) -> dict[str, Any]:
    """Returns what a state is of, without reading all of it.

    Raises:
        StateError: the file is no state, is cut short, or is of another format.
    """
    with path.open("rb") as file:
        magic, _, told = file.readline(len(MAGIC)), file.readline(65), file.readline()
    return _header(path, magic, told)


def read(path: Path) -> StateFile:
    """Returns a state, its tensors on the CPU.

    Raises:
        StateError: the file is no state, is cut short or damaged, or is of another format.
    """
    with path.open("rb") as file:
        magic, digest, told, content = file.readline(len(MAGIC)), file.readline(65), file.readline(), file.read()
    header = _header(path, magic, told)
    if digest != _digest(told, memoryview(content)):
        raise StateError(f"'{path}' {DAMAGED}")
    return StateFile(header, torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))


def _header(path: Path, magic: bytes, told: bytes) -> dict[str, Any]:
    if magic != MAGIC:
        raise StateError(f"'{path}' " + (DAMAGED if MAGIC.startswith(magic) else "is no state of a training"))
    with suppress(ValueError):
        header: dict[str, Any] = json.loads(told)
        if header["format"] != FORMAT:
            raise StateError(f"'{path}' has format {header['format']}, and this medfit reads format {FORMAT}")
        return header
    raise StateError(f"'{path}' {DAMAGED}")


def _digest(told: bytes, content: memoryview) -> bytes:
    digest = hashlib.sha256(told)
    digest.update(content)
    return digest.hexdigest().encode() + b"\n"


def _keep_name(folder: Path) -> None:
    """Waits until the disk has a folder's names, too, in case the power fails."""
    with suppress(OSError):  # where folders can't be opened
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
