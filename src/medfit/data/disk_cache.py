"""What was decoded of files, kept on disk from one command to the next.

An entry is a file, named by a hash of what it was made of: files (their paths, sizes and times), settings and code. It
is written under another name first, so a reader never sees half of one, and read with its checksum. Where there is no
room for more, those that were used longest ago go.
"""

import functools
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from medfit.config import cache_place
from medfit.data.cache_entry import Entry, opened, packed
from medfit.errors import UserError
from medfit.terminal.console import say

ENDING, UNFINISHED = ".kept", ".part"
KEPT_SHARE = 0.9  # of the limit, once it was reached
SCANNED_SHARE = 0.05  # of the limit that is written before the folder is looked at again: others may write, too
LEFT_FREE = 2**28  # bytes of the disk
ABANDONED_S = 3600  # after which an unfinished file is nobody's any more
LIBRARIES = ("numpy", "scipy", "torch", "monai", "nibabel", "pydicom", "imagecodecs", "pillow", "wfdb", "pyedflib")


@dataclass(frozen=True)
class DataCache:
    """Where decoded data are kept, for later commands.

    Args:
        folder: None for ``cache`` in ``output_dir``.
        limit_gib: Of all that is kept; 0 keeps nothing.
    """

    folder: str | None = None
    limit_gib: Annotated[float, Field(ge=0)] = 0.0


class DiskCache:
    """Entries in a folder.

    Args:
        place: The folder, and the limit of all entries together.

    Raises:
        UserError: the folder can't be made.
    """

    def __init__(self, place: cache_place.Place) -> None:
        self.folder, self.limit = place.folder, place.limit_bytes
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"data_cache.folder: cannot make '{self.folder}' ({error.strerror})") from error
        self._sound = set[str]()  # entries whose checksum was right
        self._unscanned = -1  # bytes that may be written before the folder is looked at
        self._told = False

    def kept(self, of: Any, make: Callable[[], Entry]) -> Entry:
        """Returns what is made of something, from the disk where it lies there.

        Args:
            of: All that it depends on but for medfit's code, as plain values.
            make: Makes it.
        """
        key = hashlib.blake2b(json.dumps([_code(), of], sort_keys=True).encode(), digest_size=20).hexdigest()
        found = self._read(key)
        if found is None:
            self._write(key, found := make())
        return found

    def _read(self, key: str) -> Entry | None:
        """Returns an entry; None where there is none, or none that is whole."""
        path = self.folder / f"{key}{ENDING}"
        try:
            entry = opened(path, checked=key not in self._sound)
            os.utime(path)  # it is used
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError):  # cut short, damaged, or of another form
            path.unlink(missing_ok=True)
            return None
        self._sound.add(key)
        return entry

    def _write(self, key: str, entry: Entry) -> None:
        """Keeps an entry, if there is room."""
        content = packed(entry)
        size = sum(map(len, content))
        if size > self.limit:
            return
        try:
            if self._unscanned < size:
                self.tidy(size)
            self._unscanned -= size
            if shutil.disk_usage(self.folder).free < size + LEFT_FREE:
                raise OSError("there is no room on the disk")
            self._write_file(self.folder / f"{key}{ENDING}", content)
        except OSError as error:
            if not self._told:
                say(f"Note: data_cache: nothing more is kept ({error.strerror or error})")
            self._told = True

    def _write_file(self, path: Path, content: Sequence[bytes | memoryview]) -> None:
        """Writes a file that is whole, or not there, at any time."""
        number, name = tempfile.mkstemp(suffix=UNFINISHED, dir=self.folder)  # for its owner alone to read
        try:
            with os.fdopen(number, "wb") as file:
                file.writelines(content)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def tidy(self, more: int = 0) -> None:
        """Removes what was used longest ago, until the limit is kept, and what nobody finished.

        Args:
            more: Bytes that are to be written.
        """
        now, kept = time.time(), []
        for path, stat in _files(self.folder):
            if path.suffix == ENDING:
                kept.append((stat.st_mtime_ns, stat.st_size, path))
            elif now - stat.st_mtime > ABANDONED_S:
                path.unlink(missing_ok=True)
        total = more + sum(size for _, size, _ in kept)
        if total > self.limit:
            for _, size, path in sorted(kept):
                path.unlink(missing_ok=True)
                total -= size
                if total <= KEPT_SHARE * self.limit:
                    break
        self._unscanned = more + min(max(0, self.limit - total), int(SCANNED_SHARE * self.limit))


@functools.lru_cache(maxsize=1)
def _cache(place: cache_place.Place) -> DiskCache:
    return DiskCache(place)


def current() -> DiskCache | None:
    """Returns the cache that the config asked for; None where it asked for none."""
    place = cache_place.chosen()
    return None if place is None else _cache(place)


def of_files(files: Sequence[Path], how: Any, make: Callable[[], Entry]) -> Entry:
    """Returns what is made of files, from the disk where it was made before of the same ones.

    A file is the same while its path, size, number, and times of writing and of change are: to hash it would take as
    long as to read it.

    Args:
        files: All that are read.
        how: All else that it depends on, but for medfit's code, as plain values.
        make: Makes it.
    """
    cache = current()
    if cache is None or not files or (states := _states(files)) is None:
        return make()

    def unchanged() -> Entry:
        made = make()
        if _states(files) != states:
            raise _ChangedError(made)
        return made

    try:
        return cache.kept([states, how], unchanged)
    except _ChangedError as changed:  # while it was read: what it is of, nobody can say
        return changed.made


class _ChangedError(Exception):
    """A file was written to while it was read."""

    def __init__(self, made: Entry) -> None:
        self.made = made


def usage(folder: Path) -> tuple[int, int]:
    """Returns how many entries lie in a folder, and their bytes."""
    sizes = [stat.st_size for path, stat in _files(folder) if path.suffix == ENDING]
    return len(sizes), sum(sizes)


def _files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Returns a cache's own files, finished or not."""
    found = []
    with os.scandir(folder) as entries:
        for one in entries:
            if one.name.endswith((ENDING, UNFINISHED)):
                try:
                    found.append((Path(one.path), one.stat()))
                except FileNotFoundError:  # another process was faster
                    continue
    return found


def _states(files: Sequence[Path]) -> list[Any] | None:
    """Returns what tells files from what they were; None where one is not there, which whoever reads it will say."""
    try:
        return [
            [str(path.resolve()), stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns]
            for path in files
            for stat in [path.stat()]
        ]
    except OSError:
        return None


@functools.cache
def _code() -> list[str]:
    """Returns what tells the code that reads and prepares from that of another time."""
    digest = hashlib.blake2b(digest_size=20)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return [digest.hexdigest(), *map(_version, LIBRARIES)]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
