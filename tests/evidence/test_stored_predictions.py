import numpy as np
import pandas as pd
import pytest

from medfit.errors import UserError
from medfit.evidence.targets.known import named


def test_a_binary_task_is_read():
    table = pd.DataFrame({"patient": ["a", "b"], "target/ill": [1.0, 0.0], "pred/ill": [0.7, 0.2]})
    found = named("binary").read(table)
    assert (found.kind.name, found.names, found.patient.tolist()) == ("binary", ["ill"], ["a", "b"])
    assert found.target[:, 0].tolist() == [1, 0]
    assert found.preds[:, 0].tolist() == [0.7, 0.2]


def test_classes_become_a_column_each_even_if_they_are_numbers():
    table = pd.DataFrame(
        {"patient": [1, 2], "target": [2, 1], "pred": [2, 1], "pred/1": [0.1, 0.9], "pred/2": [0.9, 0.1]}
    )
    assert named("multiclass").read(table).target.tolist() == [[0, 1], [1, 0]]


def segmented(**more):
    counts = {"found/a": [8, 0, 5], "predicted/a": [10, 0, 5], "true/a": [10, 4, 5]}
    return pd.DataFrame({"patient": ["p", "p", "q"], **counts, **more})


def test_a_patients_images_are_counted_together():
    found = named("segmentation").read(segmented()).by_patient()
    assert found.patient.tolist() == ["p", "q"]
    assert found.target[:, :, 0].tolist() == [[8, 10, 14], [5, 5, 5]]


def test_a_patients_distances_are_averaged_over_the_images_that_have_one():
    table = segmented(**{"hausdorff95_mm/a": [2.0, np.nan, np.nan], "surface_distance_mm/a": [1.0, 3.0, 5.0]})
    found = named("segmentation").read(table).by_patient().preds[:, :, 0]
    np.testing.assert_array_equal(found, [[2.0, 2.0], [np.nan, 5.0]])


@pytest.mark.parametrize("kind", ["multiclass", "segmentation", "binary"])
def test_columns_of_another_kind_are_refused(kind):
    with pytest.raises(UserError, match=f"not those of a {kind} task"):
        named(kind).read(pd.DataFrame({"patient": [1], "pred/x": [0.5], "found/x": [1]}))
