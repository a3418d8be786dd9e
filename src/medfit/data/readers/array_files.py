"""Arrays of numbers in files of NumPy and MATLAB."""

from pathlib import Path

import numpy as np

from medfit.errors import UserError

ENDINGS = (".npy", ".npz", ".mat")
HDF5 = (".h5", ".hdf5", ".hdf")
ONLY = "x"  # the name of the array of a file that names none
CONVERT = "numpy.savez('x.npz', **{k: v[()] for k, v in h5py.File(FILE).items()})"  # in Python


def read_arrays(file: Path, where: str) -> dict[str, np.ndarray]:
    """Returns the arrays of a file by name; that of an ``.npy`` file is named ``x``.

    Args:
        file: ``.npy``, ``.npz`` or ``.mat`` (before version 7.3).
        where: The config path that names it, for the error.

    Raises:
        UserError: the file is not there, not of its format, or holds pickled objects or HDF5, which are not read.
    """
    if not file.is_file():
        raise UserError(f"{where}: there is no file '{file}'")
    suffix = file.suffix.lower()
    if suffix in HDF5:
        raise _hdf5(file, where)
    if suffix not in ENDINGS:
        raise UserError(f"{where}: '{file}' has none of the endings {', '.join(ENDINGS)}")
    try:
        return _read_matlab(file) if suffix == ".mat" else _read_numpy(file)
    except NotImplementedError as error:  # how scipy says so
        raise _hdf5(file, where) from error
    except Exception as error:  # each reader has its own kinds
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise UserError(f"{where}: '{file.name}' can't be read ({reason})") from error


def _hdf5(file: Path, where: str) -> UserError:
    return UserError(
        f"{where}: '{file.name}' is an HDF5 file (as MATLAB's of version 7.3 are), which is not read; turn it into one "
        f"of NumPy: {CONVERT}"
    )


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


def pick(arrays: dict[str, np.ndarray], name: str, file: Path, where: str) -> np.ndarray:
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
        held = ", ".join(f"{key} {value.shape}" for key, value in list(arrays.items())[:8])
        raise UserError(f"{where}: '{file.name}' has no array '{name}'; it holds {held or 'none'}")
    return arrays[name]
