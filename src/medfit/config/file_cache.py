"""Files that save time and can be made again: beside Python's own bytecode, or nowhere if that can't be written."""

import os
import sys
import threading
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path


def path(name: str) -> Path:
    """Returns where a file is kept for this Python."""
    return Path(cache_from_source(__file__)).with_name(f"{name}.{sys.implementation.cache_tag}")


def read(name: str) -> bytes | None:
    """Returns what a file holds, None if there is none."""
    try:
        return path(name).read_bytes()
    except OSError:
        return None


def write(name: str, content: bytes) -> None:
    """Keeps a file, whole at once, as other processes may read or write it now."""
    made = path(f"{name}-{os.getpid()}-{threading.get_ident()}")
    with suppress(OSError):
        made.parent.mkdir(parents=True, exist_ok=True)
        try:
            made.write_bytes(content)
            made.replace(path(name))
        finally:
            made.unlink(missing_ok=True)
