import re

import numpy as np
import pandas as pd
import pytest

from medfit.data.datasets.samples import Samples
from medfit.errors import UserError

SECRET = "Zebedee-4711"


class Words(Samples):
    """The least that a kind of data must say of itself."""

    def __init__(self, x=("one", "two", "three"), **about):
        super().__init__(**about)
        self.x = list(x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]

    def features(self):
        return [{"name": "word", "kind": "text"}]

    def contents(self):
        yield from (word.encode() for word in self.x)


def words(**changes):
    given = {
        "name": "made",
        "y": np.array([[0.0], [1.0], [1.0]], dtype=np.float32),
        "task": "binary",
        "target_names": ["ill"],
    }
    return Words(**{**given, **changes})


def test_the_length_is_the_number_of_targets():
    assert len(words()) == 3


def test_without_groups_each_sample_is_a_patient():
    assert words().groups.tolist() == [0, 1, 2]


def test_groups_are_kept_as_an_array():
    assert np.array_equal(words(groups=["b", "b", "a"]).groups, np.array(["b", "b", "a"]))


def test_without_a_given_split_there_is_none():
    assert words().given_split is None


def test_target_names_are_words():
    assert words(target_names=[1, 2]).target_names == ["1", "2"]


def test_without_units_there_are_none():
    assert words().units == {}


def test_units_are_a_copy():
    given = {"ill": "points"}
    made = words(units=given)
    given["ill"] = "other"
    assert made.units == {"ill": "points"}


def test_strata_of_a_binary_target_are_its_classes():
    strata = words().strata
    assert strata.tolist() == [0, 1, 1] and strata.dtype.kind == "i"


def test_strata_of_a_multiclass_target_are_its_classes():
    assert words(y=np.array([2, 0, 1]), task="multiclass").strata.tolist() == [2, 0, 1]


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_targets_without_one_class_a_sample_have_no_strata(task):
    assert words(task=task).strata is None


def test_the_schema_names_features_and_targets_with_their_units():
    made = words(units={"word": "letters"}, target_names=["ill", "old"], task="multilabel")
    assert made.schema() == [
        {"name": "word", "kind": "text", "role": "feature", "unit": "letters"},
        {"name": "ill", "kind": "multilabel", "role": "target", "unit": ""},
        {"name": "old", "kind": "multilabel", "role": "target", "unit": ""},
    ]


def test_neither_schema_nor_fingerprint_holds_a_value_or_a_patient():
    made = words(x=[SECRET, "two", "three"], groups=[SECRET, "b", "c"])
    assert SECRET not in str(made.schema()) and re.fullmatch("[0-9a-f]{64}", made.fingerprint())


CHANGES = {
    "a value": {"x": ["one", "two", "four"]},
    "the order of samples": {"x": ["two", "one", "three"]},
    "a target": {"y": np.array([[1.0], [1.0], [1.0]], dtype=np.float32)},
    "the order of targets": {"y": np.array([[1.0], [1.0], [0.0]], dtype=np.float32)},
    "the patients' grouping": {"groups": [0, 0, 1]},
    "a given split": {"given_split": np.array(["train", "val", "test"])},
    "the task": {"task": "multilabel"},
    "a target's name": {"target_names": ["sick"]},
    "a unit": {"units": {"word": "letters"}},
}

NO_CHANGES = {
    "the same again": {},
    "the data set's name": {"name": "other"},
    "the source": {"source": "elsewhere"},
    "patients under other names": {"groups": ["x", "a", "m"]},
    "the unit of what is not there": {"units": {"age": "years"}},
    "targets laid out otherwise in memory": {"y": np.array([[0, 9], [1, 9], [1, 9]], dtype=np.float32)[:, :1]},
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_fingerprint_changes_with(what):
    assert words(**CHANGES[what]).fingerprint() != words().fingerprint()


@pytest.mark.parametrize("what", NO_CHANGES)
def test_the_fingerprint_does_not_change_with(what):
    assert words(**NO_CHANGES[what]).fingerprint() == words().fingerprint()


def test_the_fingerprint_tells_given_splits_apart():
    one, other = (words(given_split=np.array(split)) for split in (["train", "val", "test"], ["train", "test", "val"]))
    assert one.fingerprint() != other.fingerprint()


def test_the_fingerprint_tells_swapped_patients_apart():
    assert words(groups=[0, 0, 1]).fingerprint() != words(groups=[0, 1, 1]).fingerprint()


def test_a_column_that_is_not_there_is_told_with_those_that_are():
    made = words(facts=pd.DataFrame({"site": list("aab")}))
    assert made.column("site", "here").tolist() == list("aab")
    with pytest.raises(
        UserError, match=r"here: the data set has no column 'sight'; did you mean 'site'\? \(columns: site\)"
    ):
        made.column("sight", "here")


def test_without_columns_it_is_told_too():
    with pytest.raises(UserError, match="no column 'site', nor any other"):
        words().column("site", "here")


def test_reasons_to_exclude_that_never_held_are_left_out():
    assert words(excluded={"no target": 0, "too young": 3}).excluded == {"too young": 3}
