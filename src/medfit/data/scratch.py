"""Series that outgrow memory, in a file without a name: it is gone when the process ends, however it ends."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil

from medfit.errors import UserError

SHARE = 0.25  # of the free memory that series may take
LEFT_FREE = 2**28  # bytes of the disk
GIB = 2**30


def folder() -> Path:
    """Returns where such files lie: TMPDIR, else the system's folder for large ones, which is no part of memory."""
    large = Path("/var/tmp")
    return large if "TMPDIR" not in os.environ and os.access(large, os.W_OK) else Path(tempfile.gettempdir())


def lies_on_disk(x: Any) -> bool:
    """Tells whether series lie in a file."""
    return isinstance(x if isinstance(x, np.ndarray) else next(iter(x), None), np.memmap)


def empty_on_disk(shape: tuple[int, ...]) -> np.memmap:
    """Returns a float32 array in a file, whose values are nought.

    Raises:
        UserError: the disk has no room for it.
    """
    size = int(np.prod(shape)) * 4
    with _file(size) as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # or else a full disk would end the process later
            else:
                file.truncate(size)
        except OSError as error:
            raise _no_room(size) from error
        return np.memmap(file, dtype=np.float32, mode="r+", shape=shape)


class Held:
    """Series, held in memory until they outgrow it, then in a file that is open until this is left.

    Args:
        memory_gib: That they may take; None for a quarter of what is free.
    """

    def __init__(self, memory_gib: float | None) -> None:
        self.most_bytes = int(memory_gib * GIB if memory_gib else SHARE * psutil.virtual_memory().available)
        self.nbytes = 0
        self._held: list[np.ndarray] = []
        self._shapes: list[tuple[int, ...]] = []
        self._opened: IO[bytes] | None = None

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._opened:
            self._opened.close()

    def add(self, series: np.ndarray) -> None:
        """Takes in a series, float32 in the shape (channels, length).

        Raises:
            UserError: the disk has no room for it.
        """
        self.nbytes += series.nbytes
        self._shapes.append(series.shape)
        self._held.append(series)
        if self.nbytes > self.most_bytes or self._opened:
            self._write()

    def series(self) -> np.ndarray | list[np.ndarray]:
        """Returns all series, in one array where they lie in a file and have one shape."""
        if self._opened is None:
            return self._held
        self._opened.flush()
        flat = np.memmap(self._opened, dtype=np.float32, mode="r+")
        if len(set(self._shapes)) == 1:
            return flat.reshape(len(self._shapes), *self._shapes[0])
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), self._shapes, strict=True)]

    def told(self) -> str:
        """Returns what to say of series that lie in a file, behind a semicolon."""
        if self._opened is None:
            return ""
        return (
            f"; they take {self.nbytes / GIB:.3g} GiB, more than dataset.memory_gib ({self.most_bytes / GIB:.3g}), and "
            f"lie in a file in {folder()} while this runs; prepared, they take as much there again"
        )

    def _write(self) -> None:
        size = sum(series.nbytes for series in self._held)
        self._opened = self._opened or _file(size)
        try:
            if shutil.disk_usage(folder()).free < size + LEFT_FREE:
                raise _no_room(size)
            for series in self._held:
                self._opened.write(np.ascontiguousarray(series).data)
        except OSError as error:
            raise _no_room(size) from error
        self._held = []


def _file(size: int) -> IO[bytes]:
    """Returns a new file without a name, which nobody else can open."""
    try:
        if shutil.disk_usage(folder()).free < size + LEFT_FREE:
            raise _no_room(size)
        return tempfile.TemporaryFile(dir=folder())
    except OSError as error:
        raise _no_room(size) from error


def _no_room(size: int) -> UserError:
    return UserError(
        f"dataset.memory_gib: series outgrow it, and '{folder()}' has no room for {size / GIB:.3g} GiB of them; set "
        "TMPDIR to a folder of a larger disk, or raise dataset.memory_gib"
    )
