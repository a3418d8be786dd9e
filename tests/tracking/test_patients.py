import numpy as np
import pytest

from medfit.tracking.patients import NAMED, Taught, among, taught

NAMES = np.array(["anna", "bert", "bert", "carl"])
NUMBERS = np.arange(4)


def told(folder, groups, fingerprint="a", before=None, all_known=True):
    return Taught.of_file(taught(folder, fingerprint, groups, before, all_known).to_file())


def test_named_patients_are_found_in_any_data(tmp_path):
    then = told(tmp_path, NAMES)
    assert among(tmp_path, then, "b", np.array(["dora", "bert", "anna", "bert"])) == (2, True)
    assert among(tmp_path, then, "b", np.array(["dora"])) == (0, True)


def test_names_are_nowhere_to_be_read(tmp_path):
    held = taught(tmp_path, "a", NAMES, None, True).to_file()
    assert list(held["scopes"]) == [NAMED] and len(held["scopes"][NAMED]) == 3
    assert not any(name in str(held) for name in NAMES)


def test_numbers_of_rows_are_of_the_same_data_alone(tmp_path):
    then = told(tmp_path, NUMBERS)
    assert among(tmp_path, then, "a", np.array([3, 9])) == (1, True)
    assert among(tmp_path, then, "b", np.array([3, 9])) == (0, False)
    assert among(tmp_path, then, "b", NAMES) == (0, False)


def test_hashes_of_another_folder_tell_nothing(tmp_path):
    (tmp_path / "other").mkdir()
    assert among(tmp_path / "other", told(tmp_path, NAMES), "a", NAMES) == (0, False)


def test_what_taught_the_source_of_a_source_counts_too(tmp_path):
    first = told(tmp_path, NAMES)
    second = told(tmp_path, np.array(["dora"]), before=first)
    assert among(tmp_path, second, "b", np.array(["anna", "dora", "eva"])) == (2, True)


@pytest.mark.parametrize("how", ["file", "folder", "data"])
def test_a_source_of_which_not_all_is_known_never_leaves_all_known(tmp_path, how):
    (tmp_path / "other").mkdir()
    before = {"file": None, "folder": told(tmp_path / "other", NAMES), "data": told(tmp_path, NUMBERS)}[how]
    then = told(tmp_path, np.array(["dora"]), before=before, all_known=how != "file")
    assert among(tmp_path, then, "b", np.array(["eva"])) == (0, False)
    assert among(tmp_path, then, "b", np.array(["dora"])) == (1, False)
