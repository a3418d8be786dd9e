from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from divided_patients import dataset, divided, equal, of_sites, singles
from medfit.data.splits import SPLITS, Split, proof

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def patients(rows, data):
    return {name: set(data.groups[chosen].tolist()) for name, chosen in rows.items()}


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


@quick
@given(seed=st.integers(0, 1000))
def test_each_site_is_the_test_split_once_and_nothing_else_is(seed):
    site = np.random.default_rng(seed).permutation(np.repeat(["a", "b", "c"], [10, 15, 12]))
    for fold, name in enumerate("abc"):
        rows = Split(site="site", fold=fold, seed=seed)(of_sites(site))
        assert set(site[rows["test"]]) == {name}
        assert len(rows["test"]) == (site == name).sum()
        assert name not in set(site[np.concatenate([rows["train"], rows["val"]])])


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
