"""Files as h5py and MATLAB 7.3 write them: the right values, in the axes of the program that wrote them."""

import h5py
import numpy as np
import pytest

from medfit.data.readers.array_files import pick, read_arrays
from medfit.errors import UserError

X = np.arange(24.0).reshape(4, 2, 3)


class Matlab:
    """Writes a ``.mat`` file of version 7.3 as ``save -v7.3`` does: axes reversed, letters as codes, cells by pointer."""

    def __init__(self, file):
        self.path = file
        with h5py.File(file, "w", userblock_size=512):
            pass
        with file.open("r+b") as opened:
            head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(116)
            opened.write(head + bytes(8) + b"\x00\x02IM")

    def add(self, name, values, kind):
        """Adds an array in MATLAB's axes, at least two."""
        with h5py.File(self.path, "r+") as file:
            item = file.create_dataset(name, data=np.asarray(values).T)
            item.attrs["MATLAB_class"] = np.bytes_(kind)
        return self

    def word(self, name, *rows):
        """Adds a char array, its rows filled up with blanks."""
        width = max(map(len, rows))
        codes = [list(np.frombuffer(row.ljust(width).encode("utf-16-le"), "<u2")) for row in rows]
        return self.add(name, np.array(codes, dtype=np.uint16), "char")

    def cells(self, name, *members):
        """Adds a column of cells, which are arrays of other names."""
        with h5py.File(self.path, "r+") as file:
            pointers = np.array([[file[member].ref for member in members]], dtype=h5py.ref_dtype)
            file.create_dataset(name, data=pointers, dtype=h5py.ref_dtype).attrs["MATLAB_class"] = np.bytes_("cell")
        return self

    def empty(self, name, *shape):
        with h5py.File(self.path, "r+") as file:
            item = file.create_dataset(name, data=np.array(shape, dtype=np.uint64))
            item.attrs["MATLAB_class"], item.attrs["MATLAB_empty"] = np.bytes_("double"), np.uint8(1)
        return self


@pytest.fixture
def mat(tmp_path):
    return Matlab(tmp_path / "a.mat")


def read(file):
    return read_arrays(file, "dataset.path")


def refused(file, name):
    with pytest.raises(UserError) as caught:
        read(file)[name]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_arrays_of_python_come_as_they_are(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["y"], file["one"] = X, np.array([0, 1, 0, 1]), 3.5
        file["set/who"] = ["ä", "b", "c", "d"]
        file["fixed"] = np.array([b"a", b"bc"])
        file["yes"] = np.array([True, False])
    arrays = read(tmp_path / "a.h5")
    assert np.array_equal(arrays["x"], X) and arrays["y"].tolist() == [0, 1, 0, 1] and arrays["one"].tolist() == [3.5]
    assert arrays["set/who"].tolist() == ["ä", "b", "c", "d"] and arrays["set/who"].dtype.kind == "U"
    assert arrays["fixed"].tolist() == ["a", "bc"] and arrays["yes"].tolist() == [True, False]
    assert set(arrays) == {"x", "y", "one", "set/who", "fixed", "yes"} and len(arrays) == 6
    with pytest.raises(KeyError):
        arrays["no"]


def test_arrays_of_matlab_come_in_matlabs_axes(mat):
    mat.add("x", X, "double").add("y", [[0], [1], [0], [1]], "double").add("ill", np.uint8([[1, 0, 1, 0]]), "logical")
    mat.add("s/x", X + 1, "single")
    arrays = read(mat.path)
    assert np.array_equal(arrays["x"], X) and np.array_equal(arrays["s/x"], X + 1)
    assert arrays["y"].tolist() == [0, 1, 0, 1] and arrays["ill"].tolist() == [1, 0, 1, 0]
    with h5py.File(mat.path) as file:
        assert file["x"].shape == (3, 2, 4)  # as it lies there


def test_words_of_matlab_are_letters_again(mat):
    mat.word("who", "Zoë", "B", "c d")
    mat.word("#refs#/a", "sinus").word("#refs#/b", "AF").cells("rhythm", "#refs#/a", "#refs#/b", "#refs#/a")
    arrays = read(mat.path)
    assert arrays["who"].tolist() == ["Zoë", "B", "c d"]
    assert arrays["rhythm"].tolist() == ["sinus", "AF", "sinus"] and set(arrays) == {"who", "rhythm"}


def test_cells_of_numbers_are_numbers(mat):
    mat.add("#refs#/a", [[2.5]], "double").add("#refs#/b", [[-1.0]], "double").cells("age", "#refs#/b", "#refs#/a")
    assert read(mat.path)["age"].tolist() == [-1, 2.5]


def test_what_is_empty_has_no_values(mat):
    assert read(mat.empty("x", 0, 3).path)["x"].shape == (0, 3)


def test_what_matlab_means_otherwise_is_refused(mat):
    mat.add("#refs#/a", [[1.0, 2.0]], "double").word("#refs#/b", "w").add("#refs#/c", [[1.0]], "double")
    mat.cells("long", "#refs#/a").cells("mixed", "#refs#/b", "#refs#/c").add("when", np.uint32([[1, 2]]), "string")
    complex_ = np.array([[(1.0, 2.0)]], dtype=[("real", "f8"), ("imag", "f8")])
    mat.add("z", complex_, "double")
    told = "dataset.path: '{}' in 'a.mat' "
    assert (
        refused(mat.path, "long") == told.format("long") + "has cells that hold neither a word each nor a number each"
    )
    assert refused(mat.path, "mixed").startswith(told.format("mixed") + "has cells")
    assert refused(mat.path, "when") == told.format("when") + "is of MATLAB's class string, which is not read"
    assert refused(mat.path, "z") == told.format("z") + "is of MATLAB's class double (complex), which is not read"


def test_what_python_means_otherwise_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["pairs"] = X, np.zeros(2, dtype=[("a", "f8"), ("b", "f8")])
        file["x"].attrs["scale_factor"] = 0.1
        file["latin"] = np.array([b"\xe4"])
    assert refused(tmp_path / "a.h5", "x").startswith(
        "dataset.path: 'x' in 'a.h5' is packed (it has the attribute scale"
    )
    assert refused(tmp_path / "a.h5", "pairs") == "dataset.path: 'pairs' in 'a.h5' holds neither numbers nor words"
    assert refused(tmp_path / "a.h5", "latin") == "dataset.path: 'latin' in 'a.h5' is not in UTF-8"


def test_an_array_that_is_not_there_is_told_with_those_that_are(mat):
    arrays = read(mat.add("x", X, "double").add("y", [[0], [1]], "double").path)
    with pytest.raises(
        UserError, match=r"^dataset.target: 'a.mat' has no array 'z'; it holds x \(4, 2, 3\), y \(2,\)$"
    ):
        pick(arrays, "z", mat.path, "dataset.target")
