"""Arrays of numbers in files of NumPy, MATLAB and HDF5."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medfit.data.readers.hdf5_files import Hdf5Arrays
from medfit.errors import UserError

HDF5 = (".h5", ".hdf5", ".hdf")
ENDINGS = (".npy", ".npz", ".mat", *HDF5)
ONLY = "x"  # the name of the array of a file that names none


def read_arrays(file: Path, where: str) -> Mapping[str, np.ndarray]:
    """Returns the arrays of a file by name; that of an ``.npy`` file is named ``x``.

    Args:
        file: ``.npy``, ``.npz``, ``.mat`` or, as those of MATLAB 7.3 are, HDF5.
        where: The config path that names it, for the error.

    Raises:
        UserError: the file is not there, not of its format, or holds pickled objects.
    """
    if not file.is_file():
        raise UserError(f"{where}: there is no file '{file}'")
    suffix = file.suffix.lower()
    if suffix not in ENDINGS:
        raise UserError(f"{where}: '{file}' has none of the endings {', '.join(ENDINGS)}")
    if suffix in HDF5:
        return Hdf5Arrays(file, where)
    try:
        return _read_matlab(file) if suffix == ".mat" else _read_numpy(file)
    except NotImplementedError:  # how scipy says that it is of version 7.3
        return Hdf5Arrays(file, where)
    except Exception as error:  # each reader has its own kinds
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise UserError(f"{where}: '{file.name}' can't be read ({reason})") from error


def _read_numpy(file: Path) -> dict[str, np.ndarray]:
    held = np.load(file, allow_pickle=False)  # a pickle would run code
    if isinstance(held, np.ndarray):
        return {ONLY: held}
    with held:
        return {name: held[name] for name in held.files}


def _read_matlab(file: Path) -> dict[str, np.ndarray]:
    from scipy.io import loadmat  # late: a quick start

    arrays = loadmat(file, squeeze_me=True)
    return {name: np.atleast_1d(value) for name, value in arrays.items() if not name.startswith("__")}


def pick(arrays: Mapping[str, np.ndarray], name: str, file: Path, where: str) -> np.ndarray:
    """Returns the array of a name.

    Args:
        arrays: By name.
        name: Of the one meant.
        file: That holds them.
        where: The config path of the name.

    Raises:
        UserError: there is no such array.
    """
    if name not in arrays:
        shapes = arrays.shapes if isinstance(arrays, Hdf5Arrays) else {key: of.shape for key, of in arrays.items()}
        held = ", ".join(f"{key} {shape}" for key, shape in list(shapes.items())[:8])
        raise UserError(f"{where}: '{file.name}' has no array '{name}'; it holds {held or 'none'}")
    return arrays[name]
