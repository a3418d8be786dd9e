from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from medfit.data.datasets.records import Records
from medfit.data.datasets.table import Table
from medfit.data.splits import SPLITS, Split, check_patients, proof
from medfit.errors import UserError

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def dataset(groups, classes=None, given_split=None):
    """A data set of one feature, with classes (two or more) or without."""
    num_rows = len(groups)
    values = np.zeros(num_rows, dtype=int) if classes is None else np.asarray(classes)
    task = "regression" if classes is None else "multiclass"
    y = values[:, None].astype(np.float32) if classes is None else values
    return Records(
        name="made",
        x=pd.DataFrame({"a": np.arange(num_rows, dtype=float)}),
        y=y,
        task=task,
        target_names=["t"] if classes is None else [str(c) for c in range(values.max() + 1)],
        groups=np.asarray(groups),
        given_split=None if given_split is None else np.asarray(given_split),
    )


def singles(num_patients, num_positive=None):
    """A data set of one row a patient."""
    classes = None if num_positive is None else np.arange(num_patients) < num_positive
    return dataset(np.arange(num_patients), None if classes is None else classes.astype(int))


def patients(rows, data):
    return {name: set(data.groups[chosen].tolist()) for name, chosen in rows.items()}


def equal(one, other):
    return all(np.array_equal(one[name], other[name]) for name in SPLITS)


@st.composite
def cohorts(draw, classed=None):
    """Data sets of 8 to 30 patients with one to four rows each, in any order."""
    num_patients = draw(st.integers(8, 30))
    repeats = draw(st.lists(st.integers(1, 4), min_size=num_patients, max_size=num_patients))
    groups = draw(st.permutations(np.repeat(np.arange(num_patients) * 7, repeats).tolist()))
    classes = None
    if draw(st.booleans()) if classed is None else classed:
        classes = draw(st.lists(st.integers(0, 2), min_size=len(groups), max_size=len(groups)))
    return dataset(groups, classes)


@st.composite
def splits(draw):
    """Splits of any shares and seed, at random or in folds."""
    val = draw(st.floats(0.05, 0.45))
    return Split(
        val=val,
        test=draw(st.floats(0.05, 0.5)),
        seed=draw(st.integers(0, 2**32 - 1)),
        stratify=draw(st.booleans()),
        num_folds=draw(st.sampled_from([None, 2, 3, 5])),
        fold=draw(st.integers(0, 1)),
        val_folds=draw(st.sampled_from([None, 2, 3, 5])),
        val_fold=draw(st.integers(0, 1)),
    )


def divided(split, data, usable=None):
    """Returns the split, for data that can be divided so: tiny classes may not."""
    try:
        return split(data, usable)
    except UserError as error:
        assert "are in both" not in str(error)
        assume(False)


@quick
@given(cohorts(), splits())
def test_no_patient_is_in_two_splits(data, split):
    train, val, test = patients(divided(split, data), data).values()
    assert not (train & val or train & test or val & test)


@quick
@given(cohorts(), splits(), st.randoms(use_true_random=False))
def test_every_usable_sample_is_in_one_split_and_no_other_sample_in_any(data, split, random):
    usable = np.array([random.random() < 0.8 for _ in range(len(data))])
    rows = divided(split, data, usable)
    assert np.sort(np.concatenate(list(rows.values()))).tolist() == np.flatnonzero(usable).tolist()


@quick
@given(cohorts(), splits())
def test_the_same_seed_gives_the_same_split(data, split):
    assert equal(divided(split, data), split(data))


@quick
@given(cohorts(), splits(), st.data())
def test_more_rows_of_a_patient_go_where_the_patient_is(data, split, draw):
    more = draw.draw(st.lists(st.sampled_from(sorted(set(data.groups.tolist()))), max_size=10))
    unclassed = dataset([*data.groups, *more])
    before, after = divided(split, dataset(data.groups)), split(unclassed)
    assert patients(before, dataset(data.groups)) == patients(after, unclassed)


@quick
@given(cohorts(), splits())
def test_what_the_rows_hold_beside_class_and_patient_does_not_matter(data, split):
    rows = divided(split, data)
    data.x["a"] = -data.x["a"]
    assert equal(rows, split(data))


@quick
@given(cohorts(), st.integers(2, 5), st.integers(0, 2**32 - 1), st.booleans())
def test_every_patient_is_in_the_test_split_of_one_fold(data, num_folds, seed, stratify):
    folds = [
        divided(Split(seed=seed, stratify=stratify, num_folds=num_folds, fold=fold), data) for fold in range(num_folds)
    ]
    tested = [who for rows in folds for who in patients(rows, data)["test"]]
    assert sorted(tested) == sorted(set(data.groups.tolist()))


def val_folds_of(split, data, num_folds):
    return [divided(replace(split, val_folds=num_folds, val_fold=fold), data) for fold in range(num_folds)]


@quick
@given(cohorts(), splits(), st.integers(2, 5))
def test_every_patient_who_is_not_tested_is_in_the_validation_split_of_one_fold(data, split, num_folds):
    folds = val_folds_of(split, data, num_folds)
    validated = [who for rows in folds for who in patients(rows, data)["val"]]
    assert sorted(validated) == sorted(set(data.groups.tolist()) - patients(folds[0], data)["test"])


@quick
@given(cohorts(), splits(), st.integers(2, 5))
def test_validation_folds_leave_the_test_split_alone(data, split, num_folds):
    tested = divided(replace(split, val_folds=None), data)["test"]
    assert all(np.array_equal(rows["test"], tested) for rows in val_folds_of(split, data, num_folds))


@quick
@given(cohorts(classed=True), splits(), st.sampled_from(["over", "under"]))
def test_sampling_leaves_validation_and_test_rows_alone(data, split, sampling):
    plain = divided(split, data)
    sampled = Split(**{**split.__dict__, "sampling": sampling})(data)
    assert np.array_equal(plain["val"], sampled["val"]) and np.array_equal(plain["test"], sampled["test"])


@quick
@given(cohorts(classed=True), splits())
def test_over_sampling_repeats_training_rows_until_classes_are_equal(data, split):
    plain = divided(split, data)["train"]
    sampled = Split(**{**split.__dict__, "sampling": "over"})(data)["train"]
    counts = np.unique(data.strata[sampled], return_counts=True)[1]
    assert set(sampled) == set(plain)
    assert set(counts) == {np.unique(data.strata[plain], return_counts=True)[1].max()}


@quick
@given(cohorts(classed=True), splits())
def test_under_sampling_leaves_out_training_rows_until_classes_are_equal(data, split):
    plain = divided(split, data)["train"]
    sampled = Split(**{**split.__dict__, "sampling": "under"})(data)["train"]
    counts = np.unique(data.strata[sampled], return_counts=True)[1]
    assert set(sampled) <= set(plain) and len(set(sampled)) == len(sampled)
    assert set(counts) == {np.unique(data.strata[plain], return_counts=True)[1].min()}


@pytest.mark.parametrize("val, test", [(0.2, 0.2), (0.1, 0.3), (0.25, 0.5)])
def test_each_split_gets_its_share_of_the_patients(val, test):
    rows = Split(val=val, test=test)(singles(200))
    assert [len(rows[name]) for name in SPLITS] == pytest.approx(
        [200 * (1 - val - test), 200 * val, 200 * test], abs=1.001
    )


@pytest.mark.parametrize("num_folds", [2, 5, 10])
def test_with_folds_validation_keeps_its_share(num_folds):
    rows = Split(val=0.2, num_folds=num_folds)(singles(200))
    assert [len(rows[name]) for name in ("val", "test")] == [40, 200 // num_folds]


def test_shares_are_of_patients_and_not_of_rows():
    data = dataset(np.repeat(np.arange(20), np.arange(1, 21)))
    assert {name: len(who) for name, who in patients(Split()(data), data).items()} == {
        "train": 12, "val": 4, "test": 4
    }  # fmt: skip


def test_shares_are_of_the_patients_that_can_be_used():
    rows = Split()(singles(100), np.arange(100) < 50)
    assert [len(rows[name]) for name in SPLITS] == [30, 10, 10]


@pytest.mark.parametrize("num_folds, size", [(2, 40), (5, 16), (10, 8)])
def test_validation_folds_share_what_the_test_split_leaves(num_folds, size):
    rows = Split(test=0.2, val_folds=num_folds)(singles(100))
    assert [len(rows[name]) for name in SPLITS] == [80 - size, size, 20]


def test_with_validation_folds_the_validation_share_plays_no_part():
    one, other = (Split(val=val, test=0.2, val_folds=5)(singles(100)) for val in (0.1, 0.9))
    assert equal(one, other)


def test_another_seed_gives_another_split():
    data = singles(100)
    assert not equal(Split(seed=0)(data), Split(seed=1)(data))


def test_stratified_splits_have_the_shares_of_the_classes():
    data = singles(100, 10)
    rows = Split(stratify=True)(data)
    assert {name: int(data.strata[chosen].sum()) for name, chosen in rows.items()} == {"train": 6, "val": 2, "test": 2}


def test_without_stratification_the_classes_play_no_part():
    plain, classed = singles(100), singles(100, 50)
    assert equal(Split(stratify=False)(plain), Split(stratify=False)(classed))


def test_stratified_folds_have_the_shares_of_the_classes():
    data = singles(100, 10)
    tests = [Split(num_folds=5, fold=fold)(data)["test"] for fold in range(5)]
    assert [int(data.strata[chosen].sum()) for chosen in tests] == [2] * 5


def test_stratified_validation_folds_have_the_shares_of_the_classes():
    data = singles(100, 25)
    validated = [Split(test=0.2, val_folds=5, val_fold=fold)(data)["val"] for fold in range(5)]
    assert [int(data.strata[chosen].sum()) for chosen in validated] == [4] * 5


def test_a_patient_with_rows_of_two_classes_counts_for_the_rarer():
    groups = np.repeat(np.arange(40), 3)
    classes = np.zeros(120, dtype=int)
    classes[::3][:10] = 1  # a single positive row in each of ten patients
    data = dataset(groups, classes)
    rows = Split()(data)
    assert {name: int(data.strata[chosen].sum()) for name, chosen in rows.items()} == {"train": 6, "val": 2, "test": 2}


def test_the_training_seed_leaves_the_split_alone(compose):
    one, other = compose("seed=0"), compose("seed=1")
    assert one.split == other.split and one.seed != other.seed


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


def test_patients_shared_by_splits_are_counted_and_never_named():
    rows = {"train": np.array([0, 1]), "val": np.array([2]), "test": np.array([3])}
    with pytest.raises(UserError, match=r"^split: 1 patients are in both train and test$"):
        check_patients(rows, np.array([4711, 5, 6, 4711]))


def test_the_proof_counts_samples_patients_and_classes():
    data = dataset([0, 0, 1, 2, 3], [0, 1, 1, 0, 1])
    facts = proof({"train": np.array([0, 1, 2]), "val": np.array([3]), "test": np.array([4])}, data)
    assert facts["patients_in_two_splits"] == 0
    assert facts["train"] == {"samples": 3, "patients": 2, "classes": {"0": 1, "1": 2}}
    assert facts["test"] == {"samples": 1, "patients": 1, "classes": {"1": 1}}


def test_the_proof_of_a_target_without_classes_counts_none():
    data = singles(10)
    assert "classes" not in proof(Split()(data), data)["train"]


def test_the_proof_tells_splits_apart_by_hash():
    data = singles(20)
    same, again, other = (proof(Split(seed=seed)(data), data)["assignment_sha256"] for seed in (0, 0, 1))
    assert same == again != other


def test_the_proof_tells_swapped_splits_apart():
    data, rows = singles(20), Split()(singles(20))
    swapped = {"train": rows["train"], "val": rows["test"], "test": rows["val"]}
    assert proof(rows, data)["assignment_sha256"] != proof(swapped, data)["assignment_sha256"]


def test_there_is_no_proof_of_a_split_that_shares_a_patient():
    data = dataset([1, 1, 2])
    with pytest.raises(UserError, match=r"^split: 1 patients are in both train and val$"):
        proof({"train": np.array([0]), "val": np.array([1]), "test": np.array([2])}, data)


def of_sites(site, classes=None, groups=None):
    """A data set with a column of sites that is no feature."""
    made = dataset(np.arange(len(site)) if groups is None else groups, classes)
    made.facts = pd.DataFrame({"site": site})
    return made


@quick
@given(seed=st.integers(0, 1000))
def test_each_site_is_the_test_split_once_and_nothing_else_is(seed):
    site = np.random.default_rng(seed).permutation(np.repeat(["a", "b", "c"], [10, 15, 12]))
    for fold, name in enumerate("abc"):
        rows = Split(site="site", fold=fold, seed=seed)(of_sites(site))
        assert set(site[rows["test"]]) == {name}
        assert len(rows["test"]) == (site == name).sum()
        assert name not in set(site[np.concatenate([rows["train"], rows["val"]])])


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


def test_the_proof_tells_what_was_read_left_out_and_divided():
    data = singles(40, num_positive=10)
    data.excluded = {"no target": 3}
    usable = np.arange(40) != 7
    rows = Split(sampling="under")(data, usable)
    flow = proof(rows, data, usable)["flow"]
    divided = len(np.unique(np.concatenate(list(rows.values()))))
    assert flow == {
        "read": 43,
        "excluded": {"no target": 3},
        "unusable": 1,
        "not_drawn": 39 - divided,
        "divided": divided,
        "patients": divided,
    }
    assert flow["not_drawn"] > 0


def test_rows_that_are_repeated_are_counted_once():
    data = singles(40, num_positive=10)
    assert proof(Split(sampling="over")(data), data)["flow"]["divided"] == 40


def test_the_proof_counts_missing_cells_of_the_columns_that_lack_any():
    data = dataset(np.arange(20))
    data.x = data.x.assign(b=[np.nan] * 3 + [1.0] * 17)
    assert proof(Split(stratify=False)(data), data)["missing"] == {"b": 3}


def test_without_a_validation_share_all_patients_but_the_tests_train():
    data = singles(40, 20)
    rows, usual = Split(val=0)(data), Split()(data)
    assert len(rows["val"]) == 0 and np.array_equal(rows["test"], usual["test"])
    assert np.array_equal(rows["train"], np.union1d(usual["train"], usual["val"]))
    facts = proof(rows, data)
    assert facts["val"] == {"samples": 0, "patients": 0, "classes": {}} and facts["flow"]["divided"] == 40


def test_without_a_validation_share_a_given_validation_split_trains_and_no_more_is_drawn_for_the_test():
    data = dataset(np.arange(10), given_split=["train"] * 4 + ["val"] * 3 + ["test"] * 3)
    rows = Split(val=0)(data)
    assert {name: chosen.tolist() for name, chosen in rows.items()} == {
        "train": [0, 1, 2, 3, 4, 5, 6], "val": [], "test": [7, 8, 9],
    }  # fmt: skip
    drawn = Split(val=0, test=0.5)(dataset(np.arange(10), given_split=["train"] * 6 + ["val"] * 4))
    assert len(drawn["test"]) == 3 and set(drawn["test"]) <= set(range(6))  # of the rest, as with a validation split


def test_validation_folds_validate_whatever_the_validation_share():
    data = singles(40, 20)
    assert equal(Split(val=0, val_folds=4, val_fold=1)(data), Split(val_folds=4, val_fold=1)(data))


@pytest.mark.parametrize("how", [{}, {"num_folds": 4}, {"val_folds": 4}])
def test_a_number_of_patients_trains_and_validates_and_the_test_split_stays(how):
    data = dataset(np.repeat(np.arange(50), 2), np.repeat(np.arange(50) % 2, 2))
    all_of_them, some = Split(**how)(data), Split(num_patients=20, **how)(data)
    assert np.array_equal(some["test"], all_of_them["test"])
    named = patients(some, data)
    assert len(named["train"] | named["val"]) == 20 and not named["train"] & named["val"]
    assert 0 < len(named["val"]) < len(named["train"])
    assert proof(some, data)["flow"]["not_drawn"] == 2 * (50 - len(named["test"]) - 20)


def test_a_given_validation_split_is_limited_as_the_training_split_is():
    data = dataset(np.arange(60), given_split=np.repeat(["train", "val", "test"], 20))
    rows = Split(num_patients=20)(data)
    assert len(rows["train"]) + len(rows["val"]) == 20 and rows["val"].min() >= 20 and rows["train"].max() < 20
    assert len(rows["test"]) == 20


def test_a_number_of_patients_keeps_the_shares_of_classes():
    rows = Split(num_patients=20)(data := singles(100, 20))
    assert data.y[np.concatenate([rows["train"], rows["val"]])].sum() == 4


@pytest.mark.parametrize("number", [40, 41])
def test_more_patients_than_there_are_is_refused(number):
    with pytest.raises(UserError, match=f"^split.num_patients={number}: there are 40 outside the test split"):
        Split(num_patients=number)(singles(50))
