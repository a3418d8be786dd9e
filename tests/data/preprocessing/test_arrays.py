import numpy as np
import pytest
import torch

from medfit.data.preprocessing import arrays
from medfit.data.preprocessing.arrays import MOST_SAMPLES, MOST_VALUES, Arrays

X, Y = torch.arange(60.0).reshape(10, 2, 3), torch.arange(10)


def test_the_input_shape_is_that_of_a_sample():
    assert Arrays(X, Y).input_shape == (2, 3)


@pytest.mark.parametrize("rows", [[7, 2, 2], np.array([7, 2, 2]), torch.tensor([7, 2, 2])])
def test_rows_are_taken_in_their_order(rows):
    x, y = Arrays(X, Y)[rows]
    assert torch.equal(x, X[[7, 2, 2]]) and y.tolist() == [7, 2, 2]


@pytest.mark.parametrize("row", [3, np.int64(3)])
def test_a_single_row_is_a_sample(row):
    x, y = Arrays(X, Y)[row]
    assert torch.equal(x, X[3]) and y == 3


def test_a_slice_is_taken():
    x, y = Arrays(X, Y)[2:4]
    assert torch.equal(x, X[2:4]) and y.tolist() == [2, 3]


@pytest.mark.parametrize("kind", ["training", "evaluation"])
@pytest.mark.parametrize("rows", [[4, 9, 1], np.array([4, 9, 1])])
def test_places_are_counted_within_the_rows(kind, rows):
    part = getattr(Arrays(X, Y), kind)(rows)
    x, y = part.batch(torch.tensor([2, 0]))
    assert len(part) == 3 and torch.equal(x, X[[1, 4]]) and y.tolist() == [1, 4]


def test_samples_are_placed_on_another_device_only_if_it_is_a_gpu_with_room():
    made = Arrays(X, Y)
    made.place(torch.device("meta"))
    assert made.placed is made.tensors


def test_without_augmentation_a_batch_stays():
    x, y = Arrays(X, Y).augment(X[:2], Y[:2])
    assert torch.equal(x, X[:2]) and torch.equal(y, Y[:2])


def test_augmentation_changes_the_input_alone():
    x, y = Arrays(X, Y, lambda x: x + 1).augment(X[:2], Y[:2])
    assert torch.equal(x, X[:2] + 1) and torch.equal(y, Y[:2])


@pytest.mark.parametrize(
    ("num_values", "expected"), [(30, MOST_SAMPLES), (2**16, 64), (MOST_VALUES, 1), (MOST_VALUES + 1, 1)]
)
def test_fewer_large_samples_are_evaluated_at_once(num_values, expected):
    assert Arrays(torch.empty(2, num_values), Y[:2]).evaluation_batch == expected


def test_inputs_and_targets_must_be_as_many():
    with pytest.raises(ValueError, match=r"10 samples, but 3 targets"):
        Arrays(X, Y[:3])


@pytest.mark.parametrize("most", [1, 40, 10**6])
@pytest.mark.parametrize("x", [X, {"image": X, "table": X[:, 0]}], ids=["one", "parts"])
def test_batches_that_are_gathered_together_are_those_of_each(x, most, monkeypatch):
    monkeypatch.setattr(arrays, "MOST_GATHERED", most)
    part = Arrays(x, Y).training([9, 8, 7, 5, 3, 1, 0])
    plan = [(torch.tensor(places), 0) for places in ([0, 2, 4], [6, 6, 1], [3, 5, 0], [2])]
    made = list(part.batches(plan))
    assert [y.tolist() for _, y in made] == [[9, 7, 3], [0, 0, 8], [5, 1, 9], [7]]
    for (found, y), (places, _) in zip(made, plan, strict=True):
        expected = part.batch(places)[0]
        pairs = [(found, expected)] if isinstance(x, torch.Tensor) else [(found[name], expected[name]) for name in x]
        assert all(torch.equal(one, other) for one, other in pairs) and torch.equal(y, part.batch(places)[1])
