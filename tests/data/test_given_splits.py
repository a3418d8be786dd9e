"""Splits that the data give, sites, and what is refused of a split."""

import numpy as np
import pytest

from divided_patients import dataset, equal, of_sites, singles
from medfit.data.datasets.table import Table
from medfit.data.splits import SPLITS, Split
from medfit.errors import UserError


def given_dataset(words):
    return dataset(np.arange(len(words)), given_split=words)


def test_a_given_split_is_taken_as_it_is():
    words = ["train"] * 3 + ["val"] * 2 + ["test"] * 4
    rows = Split()(given_dataset(words))
    assert {name: chosen.tolist() for name, chosen in rows.items()} == {
        "train": [0, 1, 2], "val": [3, 4], "test": [5, 6, 7, 8]
    }  # fmt: skip


@pytest.mark.parametrize("given_word, drawn", [("test", "val"), ("val", "test")])
def test_a_split_that_is_not_given_is_drawn_from_the_training_rows(given_word, drawn):
    rows = Split(val=0.25, test=0.25)(given_dataset(["train"] * 8 + [given_word] * 5))
    assert rows[given_word].tolist() == [8, 9, 10, 11, 12] and len(rows[drawn]) == 2 and len(rows["train"]) == 6


def test_with_only_training_rows_given_both_splits_are_drawn():
    rows = Split(val=0.25, test=0.25)(given_dataset(["train"] * 8))
    assert [len(rows[name]) for name in SPLITS] == [4, 2, 2]


def test_folds_pass_over_a_given_split():
    words = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    rows = Split(num_folds=2)(given_dataset(words))
    assert equal(rows, Split(num_folds=2)(singles(10)))


def test_validation_folds_keep_a_given_test_split_and_divide_the_rest():
    data = given_dataset(["train"] * 6 + ["val"] * 3 + ["test"] * 2)
    folds = [Split(val_folds=3, val_fold=fold)(data) for fold in range(3)]
    assert all(rows["test"].tolist() == [9, 10] for rows in folds)
    assert sorted(row for rows in folds for row in rows["val"]) == list(range(9))


def test_validation_folds_draw_the_test_split_as_beside_a_given_validation_split():
    data = given_dataset(["train"] * 12 + ["val"] * 4)
    assert Split(test=0.25, val_folds=3)(data)["test"].tolist() == Split(test=0.25)(data)["test"].tolist()


def test_a_given_split_with_a_patient_in_two_is_refused_without_telling_whose():
    data = dataset([4711, 4711, 4712, 4713], given_split=["train", "test", "val", "test"])
    with pytest.raises(UserError, match=r"^split: 1 patients are in both train and test$"):
        Split()(data)


@pytest.mark.parametrize("words", [["val", "test"], ["val", "val", "test", "test"]])
def test_a_given_split_without_training_rows_is_refused(words):
    with pytest.raises(UserError, match=r"^split: no samples are left for train$"):
        Split()(given_dataset(words))


def test_a_given_split_whose_test_rows_can_not_be_used_is_refused():
    data = dataset([0, 1, 2], given_split=["train", "val", "test"])
    with pytest.raises(UserError, match=r"^split: 1 patients are too few to divide$"):
        Split()(data, np.array([True, True, False]))


def test_a_split_column_of_a_table_is_followed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,t,part\n1,0,test\n2,1,test\n3,0,train\n4,1,train\n5,0,val\n6,1,val\n")
    rows = Split()(Table(str(path), "t", split="part"))
    assert {name: chosen.tolist() for name, chosen in rows.items()} == {"train": [2, 3], "val": [4, 5], "test": [0, 1]}


@pytest.mark.parametrize("val, test, taken", [(0.5, 0.5, "1.00"), (0.8, 0.4, "1.20")])
def test_shares_that_leave_nothing_to_train_on_are_refused(val, test, taken):
    message = f"^split: val and test take {taken} of the patients; leave some to train on$"
    with pytest.raises(UserError, match=message):
        Split(val=val, test=test)(singles(20))


def test_a_validation_share_that_folds_leave_no_room_for_is_refused():
    with pytest.raises(UserError, match=r"^split: val and test take 1\.00 of the patients; leave some to train on$"):
        Split(val=0.5, test=0.1, num_folds=2)(singles(20))


@pytest.mark.parametrize("num_patients", [1, 2])
def test_fewer_patients_than_splits_are_refused(num_patients):
    with pytest.raises(UserError, match=r"^split: 1 patients are too few to divide$"):
        Split()(dataset([patient for patient in range(num_patients) for _ in range(5)]))


def test_three_patients_are_enough():
    assert [len(chosen) for chosen in Split()(singles(3)).values()] == [1, 1, 1]


def test_fewer_patients_than_folds_are_refused():
    with pytest.raises(UserError, match=r"^split\.num_folds=5: 4 patients are too few to divide$"):
        Split(num_folds=5)(singles(4))


def test_fewer_patients_than_validation_folds_are_refused():
    with pytest.raises(UserError, match=r"^split\.val_folds=9: 8 patients are too few to divide$"):
        Split(test=0.2, val_folds=9)(singles(10))


def test_as_many_patients_as_folds_are_enough():
    assert [len(chosen) for chosen in Split(num_folds=5)(singles(5)).values()] == [3, 1, 1]


def test_a_fold_beyond_the_last_is_refused():
    with pytest.raises(UserError, match=r"^split\.fold=5: the last of 5 folds is 4$"):
        Split(num_folds=5, fold=5)(singles(20))


def test_a_validation_fold_beyond_the_last_is_refused():
    with pytest.raises(UserError, match=r"^split\.val_fold=5: the last of 5 folds is 4$"):
        Split(val_folds=5, val_fold=5)(singles(20))


def test_a_class_of_too_few_patients_for_the_validation_folds_is_refused_with_a_way_out():
    message = r"^split: 16 patients can't be divided \(a class has 4 patients for 5 folds\); split\.stratify=false"
    with pytest.raises(UserError, match=message):
        Split(val_folds=5)(singles(20, 5))


def test_a_class_of_too_few_patients_for_the_folds_is_refused_with_a_way_out():
    message = r"^split: 20 patients can't be divided \(a class has 3 patients for 5 folds\); split\.stratify=false"
    with pytest.raises(UserError, match=message):
        Split(num_folds=5)(singles(20, 3))


def test_a_class_of_one_patient_is_refused_with_a_way_out():
    with pytest.raises(UserError, match=r"^split: 20 patients can't be divided \(.+\); split\.stratify=false divides"):
        Split()(singles(20, 1))


def test_without_stratification_no_such_way_out_is_offered():
    with pytest.raises(UserError) as error:
        Split(val=0.01, test=0.98)(singles(3))
    assert "stratify" not in str(error.value)


def test_a_split_of_a_single_class_is_refused_with_a_way_out():
    message = r"^split: (val|test|train) holds a single class in its \d+ samples; try another split\.seed$"
    with pytest.raises(UserError, match=message):
        Split(stratify=False)(singles(30, 1))


@pytest.mark.parametrize("sampling", ["over", "under"])
def test_sampling_a_target_without_classes_is_refused(sampling):
    with pytest.raises(UserError, match=rf"^split\.sampling={sampling} needs a target of classes$"):
        Split(sampling=sampling)(singles(20))


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize(
    "override, path",
    [
        ("split.val=-0.1", "split.val"),
        ("split.test=1", "split.test"),
        ("split.seed=-1", "split.seed"),
        ("split.sampling=upper", "split.sampling"),
        ("split.num_folds=1", "split.num_folds"),
        ("split.fold=-1", "split.fold"),
        ("split.val_folds=1", "split.val_folds"),
        ("split.val_fold=-1", "split.val_fold"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_config(compose, override, path):
    with pytest.raises(UserError, match=rf"^{path}: "):
        compose(override)


def test_a_site_of_one_class_may_be_tested():
    site, classes = np.repeat(["a", "b"], [10, 40]), np.r_[np.ones(10, dtype=int), np.arange(40) % 2]
    assert len(Split(site="site", fold=0)(of_sites(site, classes))["test"]) == 10


def test_sites_pass_over_a_given_test_split():
    site = np.repeat(["a", "b"], 20)
    made = of_sites(site)
    made.given_split = np.tile(["test", "train"], 20)
    assert set(site[Split(site="site", fold=1)(made)["test"]]) == {"b"}


@pytest.mark.parametrize(
    ("site", "groups", "fold", "told"),
    [
        (["a", "b"] * 20, None, 2, "the last of the 2 sites is 1"),
        (["a", "b"] * 20, np.arange(40) // 2, 0, "20 patients of 'a' were seen at other sites too"),
        (["a"] * 40, None, 0, "'site' has one value"),
        ([None, *["a", "b"] * 20], None, 0, "'site' is missing in 1 samples"),
        ([str(i) for i in range(101)], None, 0, "101 values, more than sites can be"),
    ],
)
def test_what_makes_no_sites_is_told(site, groups, fold, told):
    with pytest.raises(UserError, match=told):
        Split(site="site", fold=fold)(of_sites(site, groups=groups))


def test_a_column_of_sites_that_is_not_there_is_told():
    with pytest.raises(UserError, match="split.site: the data set has no column 'sit'; did you mean 'site'"):
        Split(site="sit")(of_sites(["a", "b"] * 20))
