"""Arrays in HDF5 files, those of MATLAB 7.3 among them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from medfit.errors import UserError

OWN = ("#refs#", "#subsystem#")  # where MATLAB keeps what cells and objects point to
PACKED = ("scale_factor", "add_offset")  # of netCDF, whose files are HDF5
PLAIN = ("double", "single", "logical", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class Hdf5Arrays(Mapping[str, np.ndarray]):
    """The arrays of a file by name, ``group/name`` in a group; each is read when it is asked for.

    MATLAB writes axes in the reverse order, letters as numbers, and cells as pointers: an array comes as MATLAB shows
    it, without axes of length 1, as those of older ``.mat`` files do.

    Args:
        file: In HDF5.
        where: The config path that names it, for the error.

    Attributes:
        shapes: Of each array.

    Raises:
        UserError: h5py is not installed, or it can't read the file.
    """

    def __init__(self, file: Path, where: str) -> None:
        self.file, self.where = file, where
        self.shapes: dict[str, tuple[int, ...]] = {}
        with self._opened() as opened:
            opened.visititems(self._note)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.shapes:
            raise KeyError(name)
        with self._opened() as opened:
            try:
                return _value(opened, opened[name])
            except ValueError as error:
                reason = "is not in UTF-8" if isinstance(error, UnicodeError) else error
                raise UserError(f"{self.where}: '{name}' in '{self.file.name}' {reason}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def _note(self, name: str, item: Any) -> None:
        if hasattr(item, "shape") and not name.startswith(OWN) and item.shape is not None:
            shape = item.shape
            self.shapes[name] = (tuple(n for n in shape[::-1] if n != 1) or (1,)) if _of_matlab(item) else shape

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """Gives the open file, and tells of the reader's errors as the file's."""
        try:
            import h5py  # late: not all have it
        except ImportError as error:
            raise UserError(
                f"{self.where}: '{self.file.name}' is an HDF5 file (as MATLAB's of version 7.3 are), which needs the "
                "package h5py: pip install 'medfit[formats]'"
            ) from error
        try:
            with h5py.File(self.file, "r") as opened:
                yield opened
        except (OSError, RuntimeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0][:120]
            raise UserError(f"{self.where}: '{self.file.name}' can't be read ({reason})") from error


def _of_matlab(item: Any) -> str:
    """Returns MATLAB's class of an array; empty where something else wrote it."""
    kind = item.attrs.get("MATLAB_class", b"")
    return kind.decode() if isinstance(kind, bytes) else str(kind)


def _value(opened: Any, item: Any) -> np.ndarray:
    """Returns an array as its program shows it; raises ValueError, with the end of a sentence, where that is unsure."""
    if kind := _of_matlab(item):
        return np.atleast_1d(_matlab(opened, item, kind).squeeze())
    if packed := [name for name in PACKED if name in item.attrs]:
        raise ValueError(f"is packed (it has the attribute {packed[0]}, as netCDF's arrays have): unpack it first")
    import h5py  # late: not all have it

    if h5py.check_string_dtype(item.dtype) is not None:
        return np.atleast_1d(item.asstr()[()]).astype(str)
    if item.dtype.kind not in "biuf":
        raise ValueError("holds neither numbers nor words")
    return np.atleast_1d(item[()])


def _matlab(opened: Any, item: Any, kind: str) -> np.ndarray:
    """Returns an array of one of MATLAB's classes, with its axes as MATLAB has them."""
    if item.attrs.get("MATLAB_empty"):
        return np.empty(tuple(int(n) for n in np.ravel(item[()])))  # what is stored is the shape
    if kind == "cell":
        return _cells(opened, item)
    if kind == "char":
        return _words(item[()].T)
    if kind not in PLAIN or item.dtype.kind not in "biuf":
        raise ValueError(f"is of MATLAB's class {kind}{' (complex)' if kind in PLAIN else ''}, which is not read")
    return item[()].T


def _cells(opened: Any, item: Any) -> np.ndarray:
    """Returns cells of one word or one number each."""
    found = [_value(opened, opened[pointer]) for pointer in item[()].T.ravel()]
    if any(value.size != 1 for value in found) or len({value.dtype.kind in "US" for value in found}) > 1:
        raise ValueError("has cells that hold neither a word each nor a number each")
    return np.array([value.ravel()[0] for value in found]).reshape(item.shape[::-1])


def _words(codes: np.ndarray) -> np.ndarray:
    """Returns the rows of a MATLAB array of letters (rows, letters), without the blanks that fill them up."""
    rows = codes.reshape(codes.shape[0], -1).astype("<u2")
    return np.array([row.tobytes().decode("utf-16-le").rstrip(" \0") for row in rows])
