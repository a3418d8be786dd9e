import sys

import numpy as np
import pytest
from scipy.io import savemat

from medfit.data.readers.array_files import pick, read_arrays
from medfit.errors import UserError

X = np.arange(24.0).reshape(4, 6)


def refused(file):
    with pytest.raises(UserError) as caught:
        read_arrays(file, "dataset.path")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_arrays_of_numpy_and_matlab_are_read_by_name(tmp_path):
    np.save(tmp_path / "a.npy", X)
    np.savez(tmp_path / "a.npz", x=X, y=[0, 1, 0, 1])
    savemat(tmp_path / "a.mat", {"x": X, "y": [[0, 1, 0, 1]], "who": np.array(["a", "a", "b", "b"], dtype=object)})
    for ending in ("npy", "npz", "mat"):
        assert np.array_equal(read_arrays(tmp_path / f"a.{ending}", "dataset.path")["x"], X)
    assert read_arrays(tmp_path / "a.mat", "dataset.path")["y"].tolist() == [0, 1, 0, 1]
    assert read_arrays(tmp_path / "a.mat", "dataset.path")["who"].tolist() == ["a", "a", "b", "b"]
    assert set(read_arrays(tmp_path / "a.mat", "dataset.path")) == {"x", "y", "who"}


def test_a_pickle_is_not_run(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert refused(tmp_path / "a.npy").startswith("dataset.path: 'a.npy' can't be read (")


@pytest.mark.parametrize("ending", ["h5", "hdf5", "mat"])
def test_hdf5_asks_for_its_package(tmp_path, ending, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    told = refused(damaged(tmp_path, ending))
    assert told.startswith(f"dataset.path: 'a.{ending}' is an HDF5 file (as MATLAB's of version 7.3 are)")
    assert told.endswith("needs the package h5py: pip install 'medfit[formats]'")


@pytest.mark.parametrize("ending", ["h5", "hdf5", "mat"])
def test_damaged_hdf5_is_refused(tmp_path, ending):
    assert refused(damaged(tmp_path, ending)).startswith(f"dataset.path: 'a.{ending}' can't be read (")


def damaged(folder, ending):
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" if ending == "mat" else b"\x89HDF\r\n\x1a\n"
    (folder / f"a.{ending}").write_bytes(head + bytes(600))
    return folder / f"a.{ending}"


def test_files_of_no_arrays_are_refused(tmp_path):
    (tmp_path / "a.npz").write_text("no")
    (tmp_path / "a.txt").write_text("1")
    assert refused(tmp_path / "a.npz").startswith("dataset.path: 'a.npz' can't be read (")
    assert refused(tmp_path / "a.txt").endswith("has none of the endings .npy, .npz, .mat, .h5, .hdf5, .hdf")
    assert "there is no file" in refused(tmp_path / "no.npz")


def test_an_array_that_is_not_there_is_told_with_those_that_are(tmp_path):
    with pytest.raises(UserError, match=r"^dataset.target: 'a.npz' has no array 'y'; it holds x \(4, 6\)$"):
        pick({"x": X}, "y", tmp_path / "a.npz", "dataset.target")
