import types
from functools import partial

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from medfit.config.compose import compose
from medfit.data.datamodule import DataModule, Prepared
from medfit.data.datasets.breast_cancer import BreastCancer
from medfit.data.datasets.images import Images
from medfit.data.image import Image
from medfit.data.preprocessing.augmentation import Augmentation
from medfit.data.preprocessing.image import ImagePreprocessing
from medfit.data.splits import Split
from medfit.errors import UserError
from medfit.train import train

NUM, TRAIN = 10, np.arange(6)


def prepared_by(steps, rows):
    return steps.prepared(steps.fit(rows))


def data_set(arrays, spacings=None, **about):
    """Images in memory, of two classes."""
    spacings = spacings or [None] * len(arrays)
    readers = [partial(Image, x, None, spacing) for x, spacing in zip(arrays, spacings, strict=True)]
    given = {"name": "made", "task": "multiclass", "target_names": ["a", "b"], "y": np.arange(len(arrays)) % 2}
    names = [f"{number}.png" for number in range(len(arrays))]
    channels = [f"c{number}" for number in range(len(arrays[0]))]
    return Images(names=names, readers=readers, channels=channels, **(given | about))


def noise(num=NUM, shape=(2, 8, 6), seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return [(rng.normal(100, 20, shape) + 3 * number).astype(dtype) for number in range(num)]


def prepared(arrays, rows=TRAIN, spacings=None, **options):
    """All images as the data module gets them."""
    made = prepared_by(ImagePreprocessing(data_set(arrays, spacings), **options), rows)
    return made[:][0].numpy()


@st.composite
def options(draw):
    """Settings of any combination."""
    return {
        "size": draw(st.sampled_from([None, 5, [4, 9]])),
        "fit": draw(st.sampled_from(["stretch", "pad"])),
        "window": draw(st.sampled_from([None, [80, 120]])),
        "scaling": draw(st.sampled_from(["unit", "per_image", "train", "none"])),
        "spacing_mm": draw(st.sampled_from([None, [2.0, 0.7]])),
    }


@settings(max_examples=25, deadline=None)
@given(options(), st.sampled_from([np.uint8, np.int16, np.float64]))
def test_every_image_becomes_finite_float32(chosen, dtype):
    x = prepared(noise(dtype=dtype), spacings=[(1.0, 1.0)] * NUM, **chosen)
    assert x.dtype == np.float32 and x.shape[:2] == (NUM, 2) and np.isfinite(x).all()


@settings(max_examples=25, deadline=None)
@given(options())
def test_what_other_images_hold_never_changes_the_training_images(chosen):
    mine, other = noise(), noise()
    other[len(TRAIN) :] = [1e3 * image for image in noise(seed=1)[len(TRAIN) :]]
    before, after = (prepared(x, spacings=[(1.0, 1.0)] * NUM, **chosen) for x in (mine, other))
    np.testing.assert_array_equal(before[TRAIN], after[TRAIN])


@settings(max_examples=25, deadline=None)
@given(options())
def test_the_data_set_is_left_as_it_was(chosen):
    data = data_set(noise(), [(1.0, 1.0)] * NUM)
    prepared_by(ImagePreprocessing(data, **chosen), TRAIN)
    assert all(np.array_equal(data.image(i).x, x) for i, x in enumerate(noise()))


def test_train_scaling_is_scikit_learns_over_the_training_images():
    x = np.stack(noise())
    columns = x.transpose(0, 2, 3, 1).reshape(NUM, -1, 2)
    scaler = StandardScaler().fit(columns[TRAIN].reshape(-1, 2))
    expected = scaler.transform(columns.reshape(-1, 2)).reshape(NUM, 8, 6, 2).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(prepared(noise(), scaling="train"), expected, atol=1e-4)


def test_train_scaling_comes_after_the_window():
    x = np.stack(noise()).clip(80, 120)
    mean, std = x[TRAIN].mean(axis=(0, 2, 3), keepdims=True), x[TRAIN].std(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(prepared(noise(), scaling="train", window=[80, 120]), (x - mean) / std, atol=1e-4)


def test_each_image_is_scaled_alone():
    x = prepared(noise(), scaling="per_image")
    np.testing.assert_allclose(x.mean(axis=(2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=(2, 3)), 1, rtol=1e-4)


def test_by_default_bytes_go_from_0_to_255():
    x = noise(dtype=np.uint8)
    np.testing.assert_allclose(prepared(x), np.stack(x) / np.float32(255), rtol=1e-6)


def test_targets_are_kept():
    y = prepared_by(ImagePreprocessing(data_set(noise())), TRAIN)[:][1]
    assert y.dtype == torch.int64 and y.tolist() == [0, 1] * 5


def test_all_images_are_usable():
    usable = ImagePreprocessing(data_set(noise())).usable()
    assert usable.dtype == bool and usable.tolist() == [True] * NUM


# Size and spacing


def test_one_number_is_a_size_along_all_axes():
    assert prepared(noise(), size=5).shape[2:] == (5, 5)
    assert prepared(noise(shape=(1, 6, 7, 8)), size=5).shape[2:] == (5, 5, 5)


def test_a_size_by_axis_is_taken():
    assert prepared(noise(), size=[4, 9]).shape[2:] == (4, 9)


def test_stretching_fills_the_size():
    x = np.zeros((1, 4, 8), np.float32)
    x[:, :, 4:] = 1
    made = prepared([x, x], [0], size=8)[0, 0]
    assert made[:, :3].max() == 0 and made[:, 5:].min() == 1


@pytest.mark.parametrize(
    ("shape", "inner"), [((4, 8), (slice(2, 6), slice(8))), ((8, 4), (slice(8), slice(2, 6)))]
)  # fmt: skip
def test_padding_keeps_the_proportions(shape, inner):
    x = np.random.default_rng(0).uniform(1, 2, (1, *shape)).astype(np.float32)
    made = prepared([x, x], [0], size=8, fit="pad", scaling="none")[0, 0]
    np.testing.assert_array_equal(made[inner], x[0])
    made[inner] = x.min()
    assert (made == x.min()).all()


def test_padding_scales_to_the_longest_side():
    x = np.full((1, 10, 5), 3.0, np.float32)
    x[:, 0, 0] = 1
    made = prepared([x, x], [0], size=[20, 20], fit="pad", scaling="none")[0, 0]
    assert (made[:, 5:15] > 1.5).mean() > 0.98 and (made[:, :5] == made.min()).all()


def test_padding_an_extreme_shape_leaves_a_pixel():
    assert prepared([np.ones((1, 200, 1), np.float32)] * 2, [0], size=8, fit="pad").shape == (2, 1, 8, 8)


def test_another_spacing_makes_another_size():
    made = prepared(noise(), spacings=[(1.0, 1.0)] * NUM, spacing_mm=[2.0, 0.5])
    assert made.shape[2:] == (4, 12)


def test_images_of_several_spacings_become_one_size():
    arrays = [np.ones((1, 8, 8), np.float32), np.ones((1, 4, 16), np.float32)]
    assert prepared(arrays, [0], [(1.0, 1.0), (2.0, 0.5)], spacing_mm=[1.0, 1.0]).shape == (2, 1, 8, 8)


def test_images_of_several_sizes_are_refused_by_name():
    arrays = [np.ones((1, 8, 8)), np.ones((1, 8, 8)), np.ones((1, 8, 9))]
    with pytest.raises(
        UserError, match=r"^2\.png: 8 x 9 pixels, but the first image has 8 x 8; set preprocessing\.size"
    ):
        prepared(arrays, [0])


def test_a_size_makes_images_of_several_sizes_one():
    arrays = [np.ones((1, 8, 8)), np.ones((1, 8, 8)), np.ones((1, 8, 9))]
    assert prepared(arrays, [0], size=8).shape == (3, 1, 8, 8)


def test_a_size_of_another_number_of_axes_is_refused():
    with pytest.raises(UserError, match=r"preprocessing\.size: expected one number or 2, not 3"):
        ImagePreprocessing(data_set(noise()), size=[4, 4, 4])


def test_an_image_that_does_not_say_its_spacing_is_refused_by_name():
    with pytest.raises(UserError, match=r"^1\.png: does not say its own spacing"):
        prepared(noise(2), [0], [(1.0, 1.0), None], spacing_mm=[2.0, 2.0])


def test_a_spacing_of_another_number_of_axes_is_refused():
    with pytest.raises(UserError, match=r"preprocessing\.spacing_mm: expected 2 numbers, not 3"):
        prepared(noise(), spacings=[(1.0, 1.0)] * NUM, spacing_mm=[1.0, 1.0, 1.0])


def test_a_window_that_is_none_is_refused():
    with pytest.raises(UserError, match=r"preprocessing\.window"):
        ImagePreprocessing(data_set(noise()), window=[3, 1])


def test_more_than_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=3 * 2**20))
    data = data_set([np.ones((1, 8, 8), np.uint8)] * 4)
    with pytest.raises(UserError, match=r"take 0\.0 GiB.*set a smaller preprocessing\.size"):
        prepared_by(ImagePreprocessing(data, size=512), [0])


def test_data_without_images_are_refused():
    with pytest.raises(
        UserError, match="preprocessing=image: breast_cancer holds records, which take preprocessing=table"
    ):
        ImagePreprocessing(BreastCancer())


def test_images_with_masks_are_refused():
    readers = [partial(Image, np.ones((1, 4, 4)), np.ones((4, 4), np.uint8))] * 2
    data = Images(
        name="made", names=["a", "b"], readers=readers, channels=["c"], task="segmentation", target_names=["x", "y"]
    )
    with pytest.raises(UserError, match="take preprocessing=patches"):
        ImagePreprocessing(data)


@pytest.mark.parametrize("wrong", ["size=0", "size=[4,-1]", "spacing_mm=[0,1]", "fit=crop", "scaling=z"])
def test_a_value_out_of_range_is_refused(wrong):
    with pytest.raises(UserError, match=r"preprocessing\."):
        compose(["dataset=mni_slices", "preprocessing=image", f"preprocessing.{wrong}"])


# Augmentation


def test_training_batches_are_augmented_and_stored_images_are_not():
    made = prepared_by(ImagePreprocessing(data_set(noise()), augmentation=Augmentation(noise=1.0)), TRAIN)
    x, y = made[list(TRAIN)]
    changed, same = made.augment(x, y)
    assert not torch.equal(changed, x) and torch.equal(same, y)
    assert torch.equal(made[list(TRAIN)][0], x)


def test_by_default_a_batch_stays():
    made = prepared_by(ImagePreprocessing(data_set(noise())), TRAIN)
    x, y = made[[0, 1]]
    assert torch.equal(made.augment(x, y)[0], x)


def test_the_data_module_takes_images():
    data = DataModule(Prepared(data_set(noise()), partial(ImagePreprocessing, size=16), Split()), 4, 0)
    x, y = next(iter(data.train_batches))
    assert data.input_shape == (2, 16, 16) and x.shape == (4, 2, 16, 16) and y.shape == (4,)


@pytest.mark.slow
def test_a_residual_network_learns_images_from_the_config(compose, monkeypatch):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = [
        (rng.normal(100, 20, (1, 12, 12)) + 60 * (np.arange(12) < 6) * label).clip(0, 255).astype(np.uint8)
        for label in y
    ]
    monkeypatch.setattr("medfit.training.parts.load_dataset", lambda cfg: data_set(x))
    cfg = compose("dataset=mni_slices", "model=resnet", "model.depth=10", "model.width=4", "preprocessing=image", "task=multiclass", "regime=smoke", "regime.epochs=20", "regime.batch_size=12", "regime.optimizer.lr=0.01", "preprocessing/augmentation=light")  # fmt: skip
    assert train(cfg)["val/accuracy"] > 0.8
