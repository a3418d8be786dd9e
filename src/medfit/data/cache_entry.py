"""An entry of the cache on disk, as a file: its checksum, what it holds, and its arrays."""

import functools
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = "medfit-cache-1"
ALIGNED = 64  # bytes
MAPPED = 2**20  # bytes from which an entry stays on disk until its values are used


@dataclass(frozen=True)
class Entry:
    """What is kept.

    Args:
        arrays: By name, of any shapes and number types.
        facts: Plain values, as JSON holds them.
    """

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any] = field(default_factory=dict)


def packed(entry: Entry) -> list[bytes | memoryview]:
    """Returns an entry's bytes: a line with the checksum and the length of the next; what it holds; arrays, aligned."""
    arrays = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in entry.arrays.items()}
    listed, parts, place = [], list[bytes | memoryview](), 0
    for name, array in arrays.items():
        listed.append([name, array.dtype.str, list(array.shape), place])
        gap = -array.nbytes % ALIGNED
        parts += [array.reshape(-1).view(np.uint8).data, bytes(gap)]
        place += array.nbytes + gap
    told = json.dumps({"arrays": listed, "facts": dict(entry.facts), "size": place}).encode()
    told += b" " * (-len(told) % ALIGNED)
    line = f"{MAGIC} {_checksum([told, *parts]):08x} {len(told):016x}".ljust(ALIGNED - 1).encode() + b"\n"
    return [line, told, *parts]


def opened(path: Path, checked: bool) -> Entry:
    """Returns the entry in a file, its values on disk until they are used where they are many.

    Args:
        path: Of the file.
        checked: Whether the checksum is looked at, for which all of the file is read.

    Raises:
        ValueError: it is cut short or damaged.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        magic, checksum, length = file.read(ALIGNED).decode().split()
        begins = ALIGNED + int(length, 16)
        if magic != MAGIC or not ALIGNED <= begins <= size:
            raise ValueError("of another form")
        told = file.read(begins - ALIGNED)
        if size != begins + (head := json.loads(told))["size"]:
            raise ValueError("cut short")
        values: np.ndarray = (
            np.asarray(np.memmap(file, dtype=np.uint8, mode="c"))[begins:]
            if size >= MAPPED
            else np.frombuffer(bytearray(file.read()), np.uint8)
        )
    if checked and _checksum([told, values.data]) != int(checksum, 16):
        raise ValueError("damaged")
    arrays = {}
    for name, kind, shape, place in head["arrays"]:
        dtype = np.dtype(kind)
        count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        arrays[name] = values[place : place + count].view(dtype).reshape(shape)
    return Entry(arrays, head["facts"])


def _checksum(parts: Sequence[bytes | memoryview]) -> int:
    return functools.reduce(lambda value, part: zlib.crc32(part, value), parts, 0)
