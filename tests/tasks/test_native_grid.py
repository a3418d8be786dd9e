import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from medfit.data.preprocessing.intensity import resize
from medfit.tasks.native_grid import class_numbers, linear, nearest

sizes = st.integers(2, 3).flatmap(lambda axes: st.tuples(*[st.tuples(*[st.integers(1, 9)] * axes)] * 2))


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_classes_have_the_largest_interpolated_probability(both):
    old, new = both
    output = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, *old)).astype(np.float32))
    mode = "bilinear" if len(old) == 2 else "trilinear"
    shares = F.interpolate(output.softmax(dim=1), new, mode=mode)
    made = class_numbers(output, new)
    if old == new:
        assert torch.equal(made, output.argmax(dim=1))
    chosen = shares.gather(1, made[:, None])[:, 0]
    assert made.shape == (2, *new)
    torch.testing.assert_close(chosen, shares.amax(dim=1))


def test_a_border_comes_back_where_it_was():
    labels = torch.tensor([[0] * 6 + [1] * 6])
    coarse = labels[:, 1::3]  # 3 mm instead of 1 mm
    made = class_numbers(100.0 * F.one_hot(coarse, 2).movedim(-1, 1)[:, :, None], (1, 12))[:, 0]
    assert torch.equal(made, labels)


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_masks_are_resampled_as_the_preprocessing_does(both):
    old, new = both
    mask = np.random.default_rng(0).integers(0, 3, old, dtype=np.uint8)
    made = nearest(torch.from_numpy(mask)[None].long(), new)[0].numpy()
    np.testing.assert_array_equal(made, resize(mask[None], new, nearest=True)[0])


@pytest.mark.parametrize("size", [(4, 6), (3, 4, 5)])
def test_nothing_is_changed_on_the_same_grid(size):
    x, labels = torch.rand(1, 2, *size), torch.randint(3, (1, *size))
    assert linear(x, size) is x and nearest(labels, size) is labels
