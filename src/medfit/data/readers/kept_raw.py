"""Image files that are decoded once, where the config asks for a cache on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path

from medfit.data import disk_cache
from medfit.data.cache_entry import Entry
from medfit.data.readers.raw_images import RawImage


def kept(files: Sequence[Path], how: str, read: Callable[[], RawImage]) -> RawImage:
    """Returns what files hold, from the disk where they were decoded before.

    Args:
        files: All that are read.
        how: Names the reader.
        read: Reads them.
    """
    entry = disk_cache.of_files(files, how, lambda: _entry(read()))
    spacing_mm, arrays = entry.facts["spacing_mm"], entry.arrays
    known = None if spacing_mm is None else tuple(spacing_mm)
    return RawImage(arrays["x"], known, arrays.get("affine"), arrays.get("own_affine"))


def _entry(raw: RawImage) -> Entry:
    arrays = {"x": raw.x, "affine": raw.affine, "own_affine": raw.own_affine}
    present = {name: array for name, array in arrays.items() if array is not None}
    return Entry(present, {"spacing_mm": None if raw.spacing_mm is None else list(raw.spacing_mm)})
