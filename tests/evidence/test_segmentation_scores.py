import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion, distance_transform_edt, generate_binary_structure
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from medfit.evidence.segmentation import OVERLAPS, counts, distances_mm, mean, overlaps

SPACINGS = {2: [(1.0, 1.0), (0.5, 2.0)], 3: [(1.0, 1.0, 1.0), (0.7, 1.3, 3.0)]}
SCIKIT_LEARNS = {"dice": f1_score, "iou": jaccard_score, "sensitivity": recall_score, "precision": precision_score}


def surface(mask):
    """Voxels with a neighbour, along an axis, that is not marked or beyond the image."""
    return mask & ~binary_erosion(mask, generate_binary_structure(mask.ndim, 1))


def by_scipy(preds, target, spacing):
    """The 95 % Hausdorff and the average symmetric surface distance of two masks."""
    one, other = surface(preds), surface(target)
    ways = [distance_transform_edt(~b, sampling=spacing)[a] for a, b in ((one, other), (other, one))]
    return [max(np.percentile(way, 95) for way in ways), np.concatenate(ways).mean()]


def blobs(seed, size, num_classes=2):
    """Class numbers in patches a few voxels wide."""
    coarse = np.random.default_rng(seed).integers(0, num_classes, [-(-n // 3) for n in size])
    for axis in range(len(size)):
        coarse = coarse.repeat(3, axis=axis)
    return coarse[tuple(slice(n) for n in size)]


def cube(start, size=4, of=16):
    mask = np.zeros((of,) * len(start), dtype=np.uint8)
    mask[tuple(slice(s, s + size) for s in start)] = 1
    return mask


def ball(radius, of=31):
    grid = np.stack(np.meshgrid(*[np.arange(of) - of // 2] * 3, indexing="ij"))
    return ((grid**2).sum(axis=0) <= radius**2).astype(np.uint8)


@st.composite
def pairs(draw):
    """Two masks of the classes 0 to 2, the spacing, and neither without a class."""
    dimensions = draw(st.sampled_from([2, 3]))
    size = draw(st.tuples(*[st.integers(5, 14)] * dimensions))
    preds, target = (blobs(draw(st.integers(0, 2**32 - 1)), size, 3) for _ in range(2))
    preds[(0,) * dimensions], target[(-1,) * dimensions] = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    return preds, target, tuple(draw(st.floats(0.3, 5)) for _ in size)


# Overlaps


@pytest.mark.parametrize("name", OVERLAPS)
@pytest.mark.parametrize("seed", range(3))
def test_overlaps_are_scikit_learns(name, seed):
    preds, target = blobs(seed, (20, 25), 4), blobs(seed + 100, (20, 25), 4)
    expected = SCIKIT_LEARNS[name](target.ravel(), preds.ravel(), average=None)[1:]
    np.testing.assert_allclose(overlaps(counts(preds, target, 4))[name], expected)


def test_counts_are_those_by_hand():
    preds, target = np.array([0, 1, 1, 2, 2, 0]), np.array([1, 1, 1, 1, 2, 0])
    assert counts(preds, target, 3).tolist() == [[2, 1], [2, 2], [4, 1]]


def test_counts_of_bytes_do_not_overflow():
    mask = np.full((300, 300), 2, dtype=np.uint8)
    assert counts(mask, mask, 3)[:, 1].tolist() == [90_000] * 3


def test_overlaps_are_those_by_hand():
    found = {name: float(value[0]) for name, value in overlaps(np.array([[2], [3], [5]])).items()}
    assert found == pytest.approx({"dice": 4 / 8, "iou": 2 / 6, "sensitivity": 2 / 5, "precision": 2 / 3})


def test_a_class_that_is_neither_there_nor_predicted_has_no_overlap():
    assert all(np.isnan(value).all() for value in overlaps(np.zeros((3, 2), dtype=int)).values())


def test_a_class_that_was_missed_has_no_precision():
    found = {name: float(value[0]) for name, value in overlaps(np.array([[0], [0], [5]])).items()}
    assert np.isnan(found.pop("precision")) and set(found.values()) == {0}


def test_a_class_that_was_made_up_has_no_sensitivity():
    found = {name: float(value[0]) for name, value in overlaps(np.array([[0], [5], [0]])).items()}
    assert np.isnan(found.pop("sensitivity")) and set(found.values()) == {0}


def test_overlaps_keep_the_shape_of_the_patients():
    table = np.arange(1, 13).reshape(2, 3, 2)
    for name, value in overlaps(table).items():
        np.testing.assert_array_equal(value, [overlaps(patient)[name] for patient in table])


@settings(max_examples=25, deadline=None)
@given(pairs())
def test_dice_and_iou_do_not_mind_which_is_which(pair):
    preds, target, _ = pair
    one, other = overlaps(counts(preds, target, 3)), overlaps(counts(target, preds, 3))
    for name, mirror in {"dice": "dice", "iou": "iou", "sensitivity": "precision"}.items():
        np.testing.assert_array_equal(one[name], other[mirror])


@settings(max_examples=25, deadline=None)
@given(pairs())
def test_dice_follows_from_iou(pair):
    found = overlaps(counts(*pair[:2], 3))
    np.testing.assert_allclose(found["dice"], 2 * found["iou"] / (1 + found["iou"]))


# Distances


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_distances_are_scipys(pair):
    preds, target, spacing = pair
    found = distances_mm(preds, target, 3, spacing)
    for k in (1, 2):
        if (preds == k).any() and (target == k).any():
            np.testing.assert_allclose(found[:, k - 1], by_scipy(preds == k, target == k, spacing), rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(pairs())
def test_distances_do_not_mind_which_is_which(pair):
    preds, target, spacing = pair
    one, other = distances_mm(preds, target, 3, spacing), distances_mm(target, preds, 3, spacing)
    np.testing.assert_allclose(one, other, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(pairs(), st.integers(0, 2))
def test_distances_are_the_same_in_a_mirror(pair, axis):
    preds, target, spacing = pair
    axis %= preds.ndim
    mirrored = distances_mm(np.flip(preds, axis), np.flip(target, axis), 3, spacing)
    np.testing.assert_allclose(mirrored, distances_mm(preds, target, 3, spacing), rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(pairs())
def test_distances_follow_the_axes_when_these_change_places(pair):
    preds, target, spacing = pair
    turned = distances_mm(preds.T, target.T, 3, spacing[::-1])
    np.testing.assert_allclose(turned, distances_mm(preds, target, 3, spacing), rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(pairs(), st.floats(0.1, 10))
def test_distances_grow_with_the_spacing(pair, factor):
    preds, target, spacing = pair
    larger = distances_mm(preds, target, 3, [factor * s for s in spacing])
    np.testing.assert_allclose(larger, factor * distances_mm(preds, target, 3, spacing), rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 9), min_size=6, max_size=6))
def test_an_empty_margin_changes_nothing(seed, margins):
    preds, target = np.pad(blobs(seed, (9, 9, 9)), 1), np.pad(blobs(seed + 1, (9, 9, 9)), 1)
    widths = list(zip(margins[::2], margins[1::2], strict=True))
    larger = distances_mm(np.pad(preds, widths), np.pad(target, widths), 2, (0.7, 1.3, 3.0))
    np.testing.assert_allclose(larger, distances_mm(preds, target, 2, (0.7, 1.3, 3.0)), rtol=1e-6)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_what_touches_the_edge_has_a_surface_there(dimensions):
    full = np.ones((6,) * dimensions, dtype=np.uint8)
    inner = np.pad(np.ones((4,) * dimensions, dtype=np.uint8), 1)
    for spacing in SPACINGS[dimensions]:
        expected = by_scipy(full == 1, inner == 1, spacing)
        np.testing.assert_allclose(distances_mm(full, inner, 2, spacing)[:, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("shift", [1, 3, 7])
def test_a_shifted_cube_is_as_far_as_the_shift(shift):
    hausdorff, average = distances_mm(cube((4 + shift, 4, 4)), cube((4, 4, 4)), 2, (2.0, 1.0, 1.0))[:, 0]
    assert hausdorff == pytest.approx(2 * shift)
    assert 0 < average < hausdorff


@pytest.mark.parametrize(("axis", "expected"), [(0, 0.5), (1, 4.0)])
def test_a_shift_counts_by_the_spacing_of_its_axis(axis, expected):
    start = [6, 6]
    start[axis] += 1
    assert distances_mm(cube((6, 6)), cube(start), 2, (0.5, 4.0))[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize(("small", "large"), [(5, 8), (6, 12)])
def test_spheres_around_one_centre_are_as_far_as_their_radii(small, large):
    distances = distances_mm(ball(small), ball(large), 2, (1.5,) * 3)[:, 0]
    assert distances == pytest.approx([1.5 * (large - small)] * 2, abs=1.0)


def test_equal_masks_have_no_distance():
    mask = blobs(0, (12, 12), 3)
    assert distances_mm(mask, mask, 3, (1.0, 2.0)).tolist() == [[0, 0], [0, 0]]


def test_the_95th_percentile_forgives_a_stray_voxel():
    target = cube((20, 20), 20, of=64)
    preds = target.copy()
    preds[1, 1] = 1
    assert distances_mm(preds, target, 2, (1.0, 1.0))[0, 0] == 0


@pytest.mark.parametrize("swap", [False, True])
def test_a_class_in_one_mask_alone_is_a_diagonal_away(swap):
    pair = (np.zeros((16, 16), dtype=np.uint8), cube((4, 4)))
    preds, target = pair[::-1] if swap else pair
    assert distances_mm(preds, target, 2, (3.0, 4.0)).tolist() == [[16 * 5], [16 * 5]]


def test_a_class_in_neither_mask_has_no_distance():
    empty = np.zeros((8, 8, 8), dtype=np.uint8)
    assert np.isnan(distances_mm(empty, empty, 3, (1.0,) * 3)).tolist() == [[True] * 2] * 2


def test_each_class_has_its_own_distances():
    target = np.zeros((20, 20), dtype=np.uint8)
    target[2:6, 2:6], target[10:16, 10:16] = 1, 2
    preds = np.roll(target, 2, axis=0)
    found = distances_mm(preds, target, 3, (1.0, 1.0))
    for k in (1, 2):
        np.testing.assert_allclose(found[:, k - 1], by_scipy(preds == k, target == k, (1.0, 1.0)), rtol=1e-6)


def test_a_single_voxel_has_a_surface():
    distances = distances_mm(cube((2, 3, 4), 1), cube((4, 3, 4), 1), 2, (1.5, 1.0, 1.0))[:, 0]
    assert distances.tolist() == [3.0, 3.0]


# Means


def test_means_leave_out_what_is_not_there():
    assert mean(np.array([[1.0, np.nan], [3.0, 5.0]]), axis=0).tolist() == [2, 5]


def test_the_mean_of_nothing_is_not_there_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(mean(np.full((2, 1), np.nan), axis=0)).all()
