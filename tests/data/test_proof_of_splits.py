"""What a split proves: counts, hashes, and that no patient is in two."""

import numpy as np
import pytest

from divided_patients import dataset, singles
from medfit.data.splits import Split, check_patients, proof
from medfit.errors import UserError


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
