import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.preprocessing import StandardScaler

from medfit.data.image import Image
from medfit.data.preprocessing.intensity import Standard, check_spacing, check_window, resample, resize, scale
from medfit.errors import UserError

SCALINGS = ["unit", "per_image", "train", "none"]


def noise(shape=(2, 9, 11), dtype=np.float32, seed=0):
    return (np.random.default_rng(seed).normal(100, 40, shape)).clip(0, 255).astype(dtype)


def ball(radius_mm, spacing_mm, extent_mm=60.0):
    """An image and its mask of a ball, in a box with the same extent along all axes."""
    size = [round(extent_mm / s) for s in spacing_mm]
    places = [(np.arange(n) + 0.5) * extent_mm / n - extent_mm / 2 for n in size]
    squares = sum(place**2 for place in np.meshgrid(*places, indexing="ij"))
    mask = (squares <= radius_mm**2).astype(np.uint8)
    return Image(mask[None].astype(np.float32), mask, tuple(extent_mm / n for n in size))


# Scaling


def test_unit_goes_from_the_least_to_the_largest_value():
    x = noise()
    np.testing.assert_allclose(scale(x, "unit", None), (x - x.min()) / (x.max() - x.min()), rtol=1e-5)


def test_unit_keeps_the_proportion_of_channels():
    x = np.stack([np.full((3, 3), 1.0), np.full((3, 3), 5.0)])
    assert np.unique(scale(x, "unit", None)).tolist() == [0, 1]


def test_unit_of_bytes_goes_from_0_to_255():
    assert scale(np.array([[[51, 102]]], dtype=np.uint8), "unit", None).tolist() == [[pytest.approx([0.2, 0.4])]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_unit_of_a_window_goes_from_its_lowest_to_its_highest_value(dtype):
    x = noise(dtype=dtype)
    expected = (np.clip(x.astype(float), 80, 120) - 80) / 40
    np.testing.assert_allclose(scale(x, "unit", [80, 120]), expected, atol=1e-5)


def test_a_window_cuts_off_what_is_beyond():
    assert scale(np.array([[[-1000.0, 0.0, 3000.0]]]), "none", [-160, 240]).tolist() == [[[-160, 0, 240]]]


def test_each_image_has_mean_0_and_standard_deviation_1_by_channel():
    x = noise()
    x[1] += 1000
    made = scale(x, "per_image", None)
    np.testing.assert_allclose(made.mean(axis=(1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(made.std(axis=(1, 2)), 1, rtol=1e-4)


def test_a_window_comes_before_the_mean():
    x = noise(seed=1)
    clipped = x.clip(80, 120)
    mean, std = clipped.mean(axis=(1, 2), keepdims=True), clipped.std(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(scale(x, "per_image", [80, 120]), (clipped - mean) / std, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, -1024.0, 1e6 / 3])
@pytest.mark.parametrize("scaling", ["unit", "per_image"])
def test_an_image_of_one_value_becomes_nought(scaling, value):
    np.testing.assert_allclose(scale(np.full((2, 31, 37), value, np.float32), scaling, None), 0, atol=1e-6 * abs(value))


def test_without_scaling_values_stay():
    x = noise()
    np.testing.assert_array_equal(scale(x, "none", None), x)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(SCALINGS),
    st.sampled_from([np.uint8, np.uint16, np.int16, ">i2", np.float32, np.float64]),
    st.sampled_from([None, [80, 120]]),
    st.sampled_from([(1, 5, 6), (3, 4, 5), (2, 3, 4, 5)]),
)
def test_every_image_becomes_finite_float32_and_stays_as_it_was(scaling, dtype, window, shape):
    x = noise(shape, dtype)
    before = x.copy()
    made = scale(x, scaling, window)
    assert made.dtype == np.float32 and made.shape == shape and np.isfinite(made).all()
    assert not np.shares_memory(made, x) and np.array_equal(x, before)


@pytest.mark.parametrize("window", [[1], [1, 2, 3], [2, 1], [1, 1], []])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(UserError, match=r"preprocessing\.window: expected \[lowest, highest\], not"):
        check_window(window)


@pytest.mark.parametrize("window", [None, [-160, 240]])
def test_a_window_is_taken(window):
    check_window(window)


def test_train_is_scikit_learns_standard_scaler():
    images = [noise((2, 5, 6), seed=1), noise((2, 3, 4, 2), seed=2) * 3]
    values = np.concatenate([image.reshape(2, -1) for image in images], axis=1)
    scaler, standard = StandardScaler().fit(values.T), Standard.of(map(torch.from_numpy, images))
    for image in images:
        expected = scaler.transform(image.reshape(2, -1).T).T.reshape(image.shape)
        np.testing.assert_allclose(standard(torch.from_numpy(image)), expected, rtol=1e-4, atol=1e-5)


def test_a_channel_that_does_not_vary_in_training_is_only_centred():
    standard = Standard.of(iter([torch.full((1, 30, 30), 1000 / 3)]))
    x = torch.tensor([[[1000 / 3, 1000 / 3 + 2]]])
    torch.testing.assert_close(standard(x), torch.tensor([[[0.0, 2.0]]]), rtol=0, atol=1e-3)


def test_train_scaling_gives_float32():
    assert Standard.of([torch.rand(1, 4, 4)])(torch.rand(1, 4, 4)).dtype == torch.float32


# Sizes


@pytest.mark.parametrize("shape", [(1, 12, 10), (2, 8, 9, 10)])
@pytest.mark.parametrize("dtype", [np.uint8, ">i2", np.uint16, np.float32, np.float64])
def test_an_image_of_another_size_keeps_its_kind_of_numbers(shape, dtype):
    size = [n + 3 for n in shape[1:]]
    made = resize(noise(shape, dtype), size)
    assert made.shape == (shape[0], *size)
    assert made.dtype == (dtype if np.dtype(dtype).kind != "f" else np.float32)


def test_a_size_that_an_image_has_changes_nothing():
    x = noise()
    assert resize(x, x.shape[1:]) is x


def test_enlarging_is_scipys_linear_interpolation():
    x = noise((1, 6, 7))
    made = resize(x, (12, 14))[0]
    places = np.meshgrid(*[(np.arange(2 * n) + 0.5) / 2 - 0.5 for n in (6, 7)], indexing="ij")
    np.testing.assert_allclose(made, ndimage.map_coordinates(x[0], places, order=1, mode="nearest"), rtol=1e-4)


def test_whole_numbers_are_rounded_not_cut_off():
    x = np.array([[[0, 3], [0, 3]]], dtype=np.uint8)
    assert resize(x, (2, 4)).tolist() == [[[0, 1, 2, 3]] * 2]  # 0, 0.75, 2.25, 3


def test_shrinking_does_not_alias():
    stripes = np.tile([0.0, 100.0], 32)[None, None].repeat(64, axis=1).astype(np.float32)
    made = resize(stripes, (16, 16))[0, 4:-4, 4:-4]
    np.testing.assert_allclose(made, 50, atol=5)


@pytest.mark.parametrize("size", [(5, 7), (30, 40), (12, 3)])
def test_masks_stay_whole_class_numbers(size):
    mask = np.random.default_rng(0).choice([0, 1, 7, 255], (1, 13, 17)).astype(np.uint8)
    made = resize(mask, size, nearest=True)
    assert made.dtype == np.uint8 and set(np.unique(made)) <= {0, 1, 7, 255}


def test_arrays_that_cannot_be_written_are_taken():
    x = noise()
    x.flags.writeable = False
    assert resize(x, (4, 4)).shape == (2, 4, 4)


# Spacing


@pytest.mark.parametrize("new", [(3.0, 3.0, 3.0), (1.5, 2.0, 5.0), (1.0, 1.0, 1.0)])
def test_a_ball_stays_as_large_in_mm(new):
    made = resample(ball(20.0, (1.5, 2.0, 3.0)), new)
    volume_mm3 = made.mask.sum() * np.prod(made.spacing_mm)
    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.03)
    extents = [np.ptp(np.nonzero(made.mask)[axis]) + 1 for axis in range(3)]
    np.testing.assert_allclose(np.multiply(extents, made.spacing_mm), 40, atol=1.1 * max(*new, 3.0))


def test_a_resampled_ball_is_the_ball_at_that_spacing():
    made, expected = resample(ball(20.0, (1.5, 2.0, 3.0)), (2.0, 2.0, 2.0)), ball(20.0, (2.0, 2.0, 2.0))
    assert made.mask.shape == expected.mask.shape
    assert 2 * (made.mask & expected.mask).sum() / (made.mask.sum() + expected.mask.sum()) > 0.95


def test_image_and_mask_stay_in_place_together():
    made = resample(ball(20.0, (1.5, 2.0, 3.0)), (2.5, 2.5, 2.5))
    centres = [ndimage.center_of_mass(part) for part in (made.x[0], made.mask)]
    np.testing.assert_allclose(centres[0], centres[1], atol=0.15)
    np.testing.assert_allclose(centres[1], np.divide(made.mask.shape, 2) - 0.5, atol=0.15)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_resampling_keeps_the_extent(data):
    dimensions = data.draw(st.sampled_from([2, 3]))
    size = data.draw(st.tuples(*[st.integers(1, 9)] * dimensions))
    old, new = (data.draw(st.tuples(*[st.floats(0.2, 8)] * dimensions)) for _ in range(2))
    made = resample(Image(noise((1, *size)), np.ones(size, np.uint8), old), new)
    assert made.x.shape[1:] == made.mask.shape
    if made.mask.shape != size:
        np.testing.assert_allclose(np.multiply(made.mask.shape, made.spacing_mm), np.multiply(size, old))


def test_without_a_wanted_spacing_an_image_stays():
    image = ball(20.0, (3.0, 3.0, 3.0))
    assert resample(image, None).x is image.x


def test_an_image_that_has_the_spacing_stays():
    image = ball(20.0, (3.0, 3.0, 3.0))
    made = resample(image, [3.0, 3.0, 3.0])
    assert np.shares_memory(made.x, image.x) and np.shares_memory(made.mask, image.mask)


def test_an_image_without_mask_is_resampled():
    assert resample(Image(noise((1, 8, 8)), None, (1.0, 1.0)), (2.0, 2.0)).mask is None


def test_a_spacing_of_another_number_of_axes_is_refused():
    with pytest.raises(UserError, match=r"preprocessing\.spacing_mm: expected 2 numbers, not 3"):
        check_spacing([1.0, 1, 1], Image(noise(), None, (1.0, 1.0)), "a.png")


def test_an_image_that_does_not_say_its_spacing_is_refused_by_name():
    with pytest.raises(UserError, match=r"a\.png: does not say its own spacing"):
        check_spacing([1.0, 1], Image(noise()), "a.png")
