import matplotlib.figure
import numpy as np
import pytest

from medfit.plots.overlays import MOST_PIXELS, overlay, slice_of

NAMES = ["background", "liver", "tumour"]


def volume(size=(6, 8, 10)):
    image = np.arange(np.prod(size), dtype=np.float32).reshape(size)
    return image, np.zeros(size, dtype=np.uint8), np.zeros(size, dtype=np.uint8)


def flat(size=(12, 20)):
    image, target, preds = volume((*size, 1))
    return image[..., 0], target[..., 0], preds[..., 0]


def drawn(shown, names=NAMES, title="worst patient"):
    figure = overlay(shown, names, title)
    figure.canvas.draw()
    return figure


def num_outlines(figure):
    """Outlines and fillings in the image alone, beside the truth and beside the prediction."""
    return [len(axes.collections) for axes in figure.axes]


def test_an_image_is_shown_as_it_is():
    image, target, preds = flat()
    target[2:4, 3:9], preds[5, 5] = 1, 2
    shown = slice_of(image, target, preds, (1.0, 1.0))
    np.testing.assert_array_equal(shown.target, target)
    np.testing.assert_array_equal(shown.preds, preds)
    np.testing.assert_allclose(shown.image, (image - image.min()) / np.ptp(image) * 255, atol=0.5)


def test_a_volume_is_shown_where_most_is_marked():
    image, target, preds = volume()
    target[2, :2], target[4, :3] = 1, 2
    shown = slice_of(image, target, preds, (1.0,) * 3)
    np.testing.assert_array_equal(shown.target, target[4].T[::-1])


def test_the_truth_decides_on_the_slice_however_much_is_predicted_elsewhere():
    image, target, preds = volume()
    target[2, 0, 0], preds[5, :4] = 1, 1
    np.testing.assert_array_equal(slice_of(image, target, preds, (1.0,) * 3).target, target[2].T[::-1])


def test_what_was_predicted_decides_where_nothing_is_true():
    image, target, preds = volume()
    preds[5, :4] = 1
    np.testing.assert_array_equal(slice_of(image, target, preds, (1.0,) * 3).preds, preds[5].T[::-1])


def test_a_volume_without_marks_is_shown_in_its_middle():
    image, target, preds = volume()
    image[3] += 1000 * np.arange(80).reshape(8, 10)
    shown = slice_of(image, target, preds, (1.0,) * 3)
    expected = image[3].T[::-1]
    np.testing.assert_allclose(shown.image, (expected - expected.min()) / np.ptp(expected) * 255, atol=0.5)


def test_the_last_axis_of_a_volume_ends_on_top_and_the_one_before_on_the_right():
    image, target, preds = volume()
    preds[3, -1, -1] = target[3, 0, 0] = 1
    shown = slice_of(image, target, preds, (1.0,) * 3)
    assert shown.preds[0, -1] == 1 and shown.target[-1, 0] == 1


@pytest.mark.parametrize(
    ("make", "spacing", "aspect"), [(flat, (3.0, 1.5), 2), (flat, (1.0, 1.0), 1), (volume, (9.0, 0.5, 2.0), 4)]
)
def test_pixels_are_as_high_and_wide_as_in_the_body(make, spacing, aspect):
    shown = slice_of(*make(), spacing)
    assert shown.aspect == aspect
    assert drawn(shown).axes[0].get_aspect() == aspect


def test_large_images_are_thinned_out():
    image, target, preds = flat((3 * MOST_PIXELS - 1, 40))
    target[::3] = 1
    shown = slice_of(image, target, preds, (1.0, 1.0))
    assert shown.image.shape == shown.target.shape == shown.preds.shape == (MOST_PIXELS, 14)
    assert shown.target.all()


def test_what_is_kept_is_small_and_leaves_the_volume_free():
    shown = slice_of(*volume(), (1.0,) * 3)
    assert all(part.base is None and part.dtype == np.uint8 for part in shown[:3])


def test_an_image_of_one_value_is_shown():
    image, target, preds = flat()
    assert not slice_of(np.full_like(image, 7), target, preds, (1.0, 1.0)).image.any()


def test_the_image_the_truth_and_the_prediction_stand_side_by_side():
    figure = drawn(slice_of(*flat(), (1.0, 1.0)))
    assert isinstance(figure, matplotlib.figure.Figure)
    assert [axes.get_title() for axes in figure.axes] == ["image", "true", "predicted"]
    assert figure.get_suptitle() == "worst patient"


def test_each_class_that_is_there_has_a_filling_and_an_outline():
    image, target, preds = flat()
    target[2:4, 3:9], target[6:8, 3:9], preds[2:4, 3:9] = 1, 2, 1
    assert num_outlines(drawn(slice_of(image, target, preds, (1.0, 1.0)))) == [0, 4, 2]


def test_a_class_has_one_colour_in_truth_prediction_and_legend():
    image, target, preds = flat()
    target[2:4, 3:9], preds[2:4, 3:9] = 2, 2
    figure = drawn(slice_of(image, target, preds, (1.0, 1.0)))
    colours = [axes.collections[1].get_edgecolor()[0].tolist() for axes in figure.axes[1:]]
    assert colours[0] == colours[1] == list(figure.legends[0].get_patches()[1].get_edgecolor())


def test_the_legend_names_all_classes_but_the_background():
    figure = drawn(slice_of(*flat(), (1.0, 1.0)))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["liver", "tumour"]


def test_an_outline_goes_around_its_pixels():
    image, target, preds = flat()
    target[2:5, 3:9] = 1
    figure = drawn(slice_of(image, target, preds, (1.0, 1.0)))
    box = figure.axes[1].collections[1].get_paths()[0].get_extents()
    assert (box.x0, box.x1, box.y0, box.y1) == pytest.approx((2.5, 8.5, 1.5, 4.5))


def test_an_outline_closes_at_the_images_edge():
    image, target, preds = flat()
    target[:] = 1
    figure = drawn(slice_of(image, target, preds, (1.0, 1.0)))
    box = figure.axes[1].collections[1].get_paths()[0].get_extents()
    assert (box.x0, box.x1, box.y0, box.y1) == pytest.approx((-0.5, 19.5, -0.5, 11.5))


def test_names_that_matplotlib_would_read_as_formulas_are_shown_as_they_are():
    drawn(slice_of(*flat(), (1.0, 1.0)), ["background", "a_$b", "c"])


def test_more_classes_than_colours_are_shown():
    image, target, preds = flat()
    target[0, :15] = np.arange(15)
    assert num_outlines(drawn(slice_of(image, target, preds, (1.0, 1.0)), [f"c{k}" for k in range(15)]))[1] == 28


def test_all_panels_show_the_same_part():
    image, target, preds = flat()
    target[:3] = 1  # reaches the edge
    assert (
        len({(axes.get_xlim(), axes.get_ylim()) for axes in drawn(slice_of(image, target, preds, (1.0, 1.0))).axes})
        == 1
    )
