import numpy as np
import pytest

from medfit.plots.generation import MOST_PAIRS, as_pixels, enlarged, nearest, samples, tile


def images(count, channels=1, height=4, width=6):
    return np.random.default_rng(0).random((count, channels, height, width)).astype(np.float32)


def test_pixels_are_rounded_and_cut_off():
    assert as_pixels(np.array([[[-0.5, 0.0, 0.5, 1.0, 2.0]]])).tolist() == [[0, 0, 128, 255, 255]]


@pytest.mark.parametrize(("channels", "shape"), [(1, (4, 6)), (3, (4, 6, 3)), (4, (4, 6))])
def test_pixels_are_grey_or_coloured(channels, shape):
    assert as_pixels(images(1, channels)[0]).shape == shape


def test_tiles_lie_row_by_row():
    x = images(6)
    whole = tile(x, 3)
    assert whole.shape == (8, 18)
    assert np.array_equal(whole[4:, 6:12], as_pixels(x[4]))


def test_last_row_is_filled_with_black():
    assert (tile(images(5), 3)[4:, 12:] == 0).all()


@pytest.mark.parametrize(
    ("shape", "least", "side"), [((4, 8), 9, (12, 24)), ((4, 4, 3), 8, (8, 8, 3)), ((4, 4), 4, (4, 4))]
)
def test_an_enlarged_image_is_of_squares(shape, least, side):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    large = enlarged(pixels, least)
    assert large.shape == side
    times = side[0] // shape[0]
    np.testing.assert_array_equal(large[times - 1 :: times, ::times], pixels)


def test_coloured_tiles_stay_coloured():
    assert tile(images(4, 3), 2).shape == (8, 12, 3)


def test_samples_stand_beside_as_many_real_images():
    left, right = samples(images(9), images(4)).axes
    assert (left.get_title(), right.get_title()) == ("generated", "real")
    assert left.images[0].get_array().shape == right.images[0].get_array().shape == (8, 12)


def test_nearest_pairs_come_first():
    generated, training = images(12), images(12)[::-1]
    distances = np.arange(12.0)[::-1]
    (axes,) = nearest(generated, training, distances).axes
    shown = axes.images[0].get_array()
    assert shown.shape == (8, 6 * MOST_PAIRS)
    assert np.array_equal(shown[:4, :6], as_pixels(generated[11]))
    assert np.array_equal(shown[4:, :6], as_pixels(training[11]))
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"{d}.00" for d in range(MOST_PAIRS)]
