import numpy as np
import pytest
from sklearn.cluster import KMeans

from medfit.evaluation.mask_baselines import MeanMask, Otsu, bands, resized
from medfit.evidence import segmentation as evidence

SIZE = (24, 32)


def dice(preds, target, num_classes):
    return evidence.overlaps(evidence.counts(preds, target, num_classes))["dice"]


def square(start, side=8, size=SIZE):
    mask = np.zeros(size, dtype=np.uint8)
    mask[start : start + side, start : start + side] = 1
    return mask


def picture(mask, values, noise=3.0, seed=0):
    rng = np.random.default_rng(seed)
    return (np.array(values, dtype=np.float32)[mask] + rng.normal(0, noise, mask.shape)).astype(np.float32)


def layered(size=SIZE):
    """Three classes beside each other."""
    mask = np.zeros(size, dtype=np.uint8)
    mask[:, 10:20], mask[:, 20:] = 1, 2
    return mask


@pytest.mark.parametrize("values", [(10, 100), (100, 10)])
def test_otsu_finds_what_is_brighter_or_darker(values):
    train = [(picture(square(s), values, seed=s)[None], square(s)) for s in (2, 5)]
    found = Otsu(2).fit(train).predict(picture(square(9), values, seed=9)[None])
    np.testing.assert_array_equal(found, square(9))


def test_otsu_needs_no_common_scale():
    train = [(picture(square(2), (10, 100))[None], square(2))]
    found = Otsu(2).fit(train).predict(7 * picture(square(9), (10, 100), seed=1)[None] - 300)
    np.testing.assert_array_equal(found, square(9))


@pytest.mark.parametrize("values", [(0, 50, 100), (100, 0, 50), (50, 100, 0)])
def test_otsu_gives_each_band_its_class(values):
    mask = layered()
    otsu = Otsu(3).fit([(picture(mask, values)[None], mask)])
    np.testing.assert_array_equal(otsu.predict(picture(mask, values, seed=1)[None]), mask)


def test_otsu_takes_the_channel_that_tells():
    mask = square(5)
    noise = np.random.default_rng(1).normal(size=SIZE).astype(np.float32)
    train = [(np.stack([noise, picture(mask, (0, 90))]), mask)]
    assert Otsu(2).fit(train).channel == 1


def test_thresholds_are_those_of_one_dimensional_k_means():
    values = picture(layered(), (0, 50, 120), noise=8)
    labels = KMeans(3, n_init=10, random_state=0).fit(values.reshape(-1, 1))
    order = np.argsort(np.argsort(labels.cluster_centers_[:, 0]))
    assert (bands(values, 3) == order[labels.labels_].reshape(values.shape)).mean() > 0.995


@pytest.mark.parametrize("value", [0, 3])
def test_image_of_one_value_is_one_band(value):
    assert not bands(np.full(SIZE, value, dtype=np.float32), 3).any()


def test_two_values_in_three_bands_stay_apart():
    found = bands(square(5).astype(np.float32), 3)
    assert len(np.unique(found)) == 2


def test_empty_training_masks_give_empty_predictions():
    train = [(picture(square(4), (0, 90))[None], np.zeros(SIZE, dtype=np.uint8))]
    assert not Otsu(2).fit(train).predict(train[0][0]).any()
    assert not MeanMask(2).fit(train).predict(train[0][0]).any()


def test_mean_mask_of_shifted_squares_is_what_most_have():
    masks = [square(s) for s in (4, 6, 8)]
    found = MeanMask(2).fit([(m[None], m) for m in masks]).predict(np.zeros((1, *SIZE)))
    np.testing.assert_array_equal(found, np.sum(masks, axis=0) >= 2)


def test_mean_mask_does_not_look_at_the_image():
    mean = MeanMask(2).fit([(m[None], m) for m in map(square, (4, 6, 8))])
    images = np.random.default_rng(0).normal(size=(2, 1, *SIZE))
    np.testing.assert_array_equal(*map(mean.predict, images))


def test_mean_mask_fits_the_size_of_an_image():
    mask = square(8, side=8, size=(24, 24))
    found = MeanMask(2).fit([(mask[None], mask)]).predict(np.zeros((1, 48, 48)))
    assert dice(found, square(16, side=16, size=(48, 48)), 2)[0] > 0.95


def test_mean_mask_of_volumes_has_every_class():
    mask = np.zeros((12, 14, 10), dtype=np.uint8)
    mask[2:6, 3:9], mask[7:11, 3:9] = 1, 2
    found = MeanMask(3).fit([(mask[None], mask)] * 2).predict(np.zeros((1, 12, 14, 10)))
    np.testing.assert_array_equal(found, mask)


def test_map_of_the_same_size_is_not_touched():
    values = np.random.default_rng(0).random(SIZE).astype(np.float32)
    np.testing.assert_array_equal(resized(values, SIZE), values)
