import functools

import numpy as np
import pytest

from medfit.data.datasets import image_checks
from medfit.data.datasets.images import Images
from medfit.data.image import Image
from medfit.errors import UserError

X = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
MASK = np.zeros((3, 4), dtype=np.uint8)
MASK[0, 0] = 1


def made(*given, task="segmentation", **more):
    more = {"channels": ["t1"], "target_names": ["background", "tumour"] if task == "segmentation" else []} | more
    names = [f"file{number}.png" for number in range(len(given))]
    readers = [functools.partial(lambda image: image, image) for image in given]
    return Images(names=names, readers=readers, name="fake", task=task, **more)


def refused(*given, **more):
    with pytest.raises(UserError) as caught:
        made(*given, **more)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    return str(caught.value)


def test_images_of_any_sizes_are_kept_as_read():
    data = made(Image(X, MASK, (1.0, 2.0)), Image(X[:, :2], MASK[:2]))
    assert (len(data), data.num_dimensions, data[1][1].shape) == (2, 2, (0,))
    assert data.image(0).spacing_mm == (1.0, 2.0)
    assert data.schema()[0] == {"name": "t1", "kind": "image", "role": "feature", "unit": ""}


def test_images_beyond_the_memory_are_read_again(monkeypatch):
    monkeypatch.setattr(image_checks, "RESIDENT_SHARE", 0)
    data = made(Image(X, MASK))
    assert data._kept == {}
    assert np.array_equal(data[0][0].x, X)


@pytest.mark.parametrize("other", [Image(X + 1, MASK), Image(X, 1 - MASK), Image(X, MASK, (1.0, 1.0))])
def test_any_other_value_mask_or_spacing_is_another_fingerprint(other):
    assert made(Image(X, MASK)).fingerprint() != made(other).fingerprint()


def test_the_same_images_have_the_same_fingerprint():
    assert made(Image(X, MASK)).fingerprint() == made(Image(X.copy(), MASK.copy())).fingerprint()


def test_images_for_generation_need_no_masks():
    assert made(Image(X), task="generation").y.shape == (1, 0)


def test_no_images_are_refused():
    assert "there are no images" in refused()


def test_another_number_of_channels_is_refused():
    assert "file1.png: 2 channels of 3 x 4 pixels do not fit" in refused(
        Image(X, MASK), Image(np.repeat(X, 2, 0), MASK)
    )


def test_another_number_of_dimensions_is_refused():
    assert "file1.png: 1 channels of 3 x 4 x 1" in refused(Image(X, MASK), Image(X[..., None], MASK[..., None]))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(wrong):
    assert "file0.png: holds values that are no finite numbers" in refused(Image(np.where(X == 5, wrong, X), MASK))


def test_a_mask_of_another_size_is_refused():
    assert "file0.png: the image has 3 x 4 pixels, its mask 2 x 4" in refused(Image(X, MASK[:2]))


def test_an_image_without_a_mask_is_refused():
    assert "file0.png: the image has 3 x 4 pixels, its mask none" in refused(Image(X))


def test_a_number_that_no_class_has_is_refused():
    assert "file0.png: its mask holds the number 2; the classes have 0 to 1" in refused(Image(X, 2 * MASK))


def test_an_empty_mask_is_refused():
    assert "file1.png: its mask is empty" in refused(Image(X, MASK), Image(X, 0 * MASK))


def test_an_empty_mask_is_kept_if_wished():
    assert len(made(Image(X, MASK), Image(X, 0 * MASK), empty_masks="keep")) == 2


def test_nothing_but_empty_masks_are_refused():
    assert "every mask is empty" in refused(Image(X, 0 * MASK), empty_masks="keep")


def test_values_of_8_bits_among_larger_ones_are_told(capsys):
    small, large = Image((9 * X).astype(np.uint8), MASK), Image((900 * X).astype(np.uint16), MASK)
    made(small, small)
    made(large, large)
    assert "8 bits" not in capsys.readouterr().out
    made(small, large, large)
    assert "1 of 3 images have values of 8 bits" in " ".join(capsys.readouterr().out.split())


def test_a_fourth_axis_is_told_where_nobody_names_the_channels(capsys):
    volumes = Image(np.ones((5, 3, 4, 2), dtype=np.float32))
    assert made(volumes, task="generation", channels=[f"c{n}" for n in range(5)]).num_dimensions == 3
    made(Image(volumes.x[:1]), Image(X[None]), task="generation", channels=None)
    assert "fourth axis" not in capsys.readouterr().out
    made(volumes, task="generation", channels=None)
    assert "volumes have a fourth axis, which is taken for 5 channels" in capsys.readouterr().out
