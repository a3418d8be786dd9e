import numpy as np
import pandas as pd

from medfit.data.datasets.records import Records
from medfit.data.inspection.whole import columns, facts

NUM = 120


def made(y, task, names, **more):
    x = pd.DataFrame({"age": np.arange(NUM) / 7, "sex": ["m", "f"] * (NUM // 2)})
    about = {"facts": pd.DataFrame({"site": ["Ulm"] * NUM, "mrn": ["secret"] * NUM}), **more}
    return Records(
        name="t", x=x, kinds={"age": "numeric", "sex": "categorical"}, y=y, task=task, target_names=names, **about
    )


def task(dataset):
    return dict(facts(dataset, None))["Task"]


def test_classes_have_their_counts():
    y = np.arange(NUM) % 3
    assert task(made(y, "multiclass", ["a", "b", "c"])) == "multiclass: a 40, b 40, c 40"
    one = (y == 0).astype(np.float32)[:, None]
    assert task(made(one, "binary", ["sick"])) == "binary: sick 40 of 120"
    two = np.concatenate([one, 1 - one], axis=1)
    assert task(made(two, "multilabel", ["s", "t"])) == "multilabel: s 40 of 120, t 80 of 120"


def test_many_classes_are_named_in_part():
    told = task(made(np.arange(NUM) % 30, "multiclass", [f"c{n}" for n in range(30)]))
    assert told.endswith("c19 4, and 10 more")


def test_numbers_to_learn_are_told_of_many_patients_alone():
    y = (np.arange(NUM) / 3).astype(np.float32)[:, None]
    assert task(made(y, "regression", ["crp"])) == "regression: crp median 19.8, 90 % within 1.98 to 37.7"
    assert task(made(y, "regression", ["crp"], groups=np.arange(NUM) // 10)) == "regression"


def test_samples_patients_splits_and_what_is_left_out_are_counted():
    dataset = made(np.arange(NUM) % 2, "multiclass", ["a", "b"], groups=np.arange(NUM) // 2, excluded={"no target": 3})
    told = list(facts(dataset, {"train": np.arange(80), "test": np.r_[np.arange(80, NUM), 80]}))
    assert told[:2] == [("Samples", "120 records of 60 patients"), ("Left out", "3 samples: no target")]
    assert told[-2:] == [("Train", "80 samples of 40 patients"), ("Test", "40 samples of 20 patients")]


def test_columns_without_a_role_are_left_out_and_names_are_counted_alone():
    dataset = made(np.arange(NUM) % 2, "multiclass", ["a", "b"], units={"age": "years"})
    age, sex, site, mrn = columns(dataset, ["column 'sex' alone tells"])
    assert (age.role, age.kind, age.unit, sex.role, sex.kind) == (
        "feature",
        "numeric",
        "years",
        "feature",
        "categorical",
    )
    assert (sex.values, sex.suspects) == ("", "see below")
    assert (site.role, site.values, site.suspects) == ("left out", "Ulm 120", "the same in all rows")
    assert mrn.role == "left out" and "secret" not in " ".join(map(str, mrn))
