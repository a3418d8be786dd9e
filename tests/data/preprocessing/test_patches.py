import re
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
from medfit.data.preprocessing.patch_places import pad
from medfit.data.preprocessing.patches import PLANES, PatchPreprocessing
from medfit.data.splits import Split
from medfit.errors import UserError

ROWS = [0, 1, 2]


def prepared_by(steps, rows):
    return steps.prepared(steps.fit(rows))


class Counting:
    """Reads an image, and counts how often."""

    def __init__(self, image):
        self.image, self.times = image, 0

    def __call__(self):
        self.times += 1
        return self.image


def images(size=(20, 24), num=3, spacing=None, mark=True):
    """Images of noise with a marked block each."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(num):
        mask = np.zeros(size, np.uint8)
        if mark:
            mask[tuple(slice(1 + number, 4 + number) for _ in size)] = 1
            mask[tuple(slice(5 + number, 6 + number) for _ in size)] = 2
        made.append(Image(rng.normal(100, 20, (2, *size)).astype(np.float32) + number, mask, spacing))
    return made


def numbered(size, marked):
    """An image whose values are its voxels' numbers, with some voxels marked."""
    mask = np.zeros(size, np.uint8)
    for place in marked:
        mask[place] = 1
    return [Image(np.arange(np.prod(size), dtype=np.float32).reshape(1, *size), mask)]


def data_set(made, readers=None, **about):
    readers = readers or [partial(lambda image: image, image) for image in made]
    return Images(
        name="made",
        names=[f"{number}.nii" for number in range(len(made))],
        readers=readers,
        channels=[f"c{number}" for number in range(len(made[0].x))],
        task="segmentation",
        target_names=["background", "organ", "tumour"],
        empty_masks="keep",
        **about,
    )


def steps(made, **options):
    return PatchPreprocessing(data_set(made), **{"scaling": "none", **options})


def patches(made, rows=ROWS, **options):
    return prepared_by(steps(made, **options), rows)


def taken(made, num=200, rows=(0,), seed=0, **options):
    """Patches of training."""
    part = patches(made, rows, patches_per_image=num, **options).training(rows)
    return part.batch(torch.arange(len(part)), seed)


def place_of(patch, size):
    """Where a patch of a numbered image begins."""
    return np.unravel_index(int(patch.flatten()[0]), size)


def little_memory(monkeypatch, available):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=available))


# Patches


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_patches_are_parts_of_the_image_with_their_part_of_the_mask(data):
    dimensions = data.draw(st.sampled_from([2, 3]))
    size = data.draw(st.tuples(*[st.integers(1, 9)] * dimensions))
    patch = data.draw(st.tuples(*[st.integers(1, 9)] * dimensions))
    made = images(size, 1)
    made[0].x[:] = np.arange(1, 1 + np.prod(size)).reshape(size)
    made[0].mask[:] = made[0].x[0].astype(int) % 3
    x, y = taken(made, 6, patch_size=patch, foreground=data.draw(st.sampled_from([0.0, 0.5, 1.0])))
    assert x.shape == (6, 2, *patch) and y.shape == (6, *patch)
    inside = x[:, 0] > 0
    assert (inside.flatten(1).sum(dim=1) == np.prod(np.minimum(size, patch))).all()
    assert torch.equal(y[inside], x[:, 0][inside].long() % 3) and not y[~inside].any()


def test_patches_lie_anywhere():
    x, _ = taken(numbered((10, 12), [(0, 0)]), 600, patch_size=[4, 4], foreground=0.0)
    begins = {place_of(patch, (10, 12)) for patch in x}
    assert begins == {(row, column) for row in range(7) for column in range(9)}


@pytest.mark.parametrize("marked", [(2, 3), (9, 11), (0, 0), (5, 6)])
def test_patches_of_the_foreground_hold_the_marked_voxel(marked):
    _, y = taken(numbered((10, 12), [marked]), 20, patch_size=[4, 6], foreground=1.0)
    assert (y.flatten(1).sum(dim=1) == 1).all()


def test_patches_of_the_foreground_are_centred_on_it():
    _, y = taken(numbered((30, 30, 30), [(14, 15, 16)]), 5, patch_size=[7, 8, 9], foreground=1.0)
    assert {tuple(mask.nonzero()[0].tolist()) for mask in y} == {(3, 4, 4)}


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_as_many_patches_as_asked_are_centred_on_the_foreground(share):
    _, y = taken(numbered((200, 200), [(100, 100)]), 400, patch_size=[5, 5], foreground=share)
    assert y.flatten(1).any(dim=1).float().mean().item() == pytest.approx(share, abs=0.07)


def test_all_marked_voxels_are_centres_alike():
    marked = [(5, 5), (5, 6), (5, 9), (30, 5)]
    x, _ = taken(numbered((40, 40), marked), 800, patch_size=[1, 1], foreground=1.0)
    found, counts = np.unique(x.flatten(), return_counts=True)
    assert found.tolist() == sorted(40 * row + column for row, column in marked)
    np.testing.assert_allclose(counts, 200, atol=50)


def test_an_image_without_foreground_gives_patches_from_anywhere():
    x, y = taken([*numbered((8, 8), []), *numbered((8, 8), [(0, 0)])], 100, patch_size=[4, 4], foreground=1.0)
    assert len({place_of(patch, (8, 8)) for patch in x}) > 15 and not y.any()


def test_smaller_images_are_padded_with_zeros_on_both_sides():
    x, y = taken(images((4, 5), 1), 1, patch_size=[8, 8])
    inner = (..., slice(2, 6), slice(1, 6))
    assert np.array_equal(x[0][inner], images((4, 5), 1)[0].x)
    outside = torch.ones(8, 8, dtype=torch.bool)
    outside[inner] = False
    assert not x[..., outside].any() and not y[..., outside].any()


def test_each_image_gives_as_many_patches_as_asked():
    assert len(patches(images(), patches_per_image=5).training(ROWS)) == 15


def test_each_patch_is_of_its_image():
    made = images()
    for number, image in enumerate(made):
        image.x[:] = number
    part = patches(made, patches_per_image=2, patch_size=[8, 8]).training([2, 0])
    assert part.batch(torch.arange(4), 0)[0].amax(dim=(1, 2, 3)).tolist() == [2, 2, 0, 0]


def test_the_same_seed_gives_the_same_patches():
    one, other = (taken(images(), rows=ROWS, num=5, seed=3, patch_size=[4, 4]) for _ in range(2))
    assert all(torch.equal(*parts) for parts in zip(one, other, strict=True))


def test_another_seed_gives_other_patches():
    one, other = (taken(images(), rows=ROWS, num=5, seed=seed, patch_size=[4, 4])[0] for seed in (1, 2))
    assert not torch.equal(one, other)


def test_each_epoch_has_patches_of_its_own():
    part = partial(PatchPreprocessing, patches_per_image=9, patch_size=[4, 4])
    batches = DataModule(Prepared(data_set(images(num=10)), part, Split()), None, 0).train_batches
    (one, _), (other, _) = next(iter(batches)), next(iter(batches))
    assert not torch.equal(one, other)


def test_masks_are_class_numbers_for_the_loss():
    x, y = taken(images(), 1)
    assert x.dtype == torch.float32 and y.dtype == torch.int64


@pytest.mark.parametrize(("size", "expected"), [((3, 4), (6, 7)), ((9, 9), (9, 9)), ((6, 7), (6, 7))])
def test_padding_fills_up_to_a_size(size, expected):
    made = pad(torch.ones(2, *size), (6, 7))
    assert made.shape == (2, *expected) and made.sum() == 2 * np.prod(size)


# Size of patches


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(20, 24)], (32, 32)),
        ([(32, 48)], (32, 48)),
        ([(20, 50), (40, 24)], (48, 64)),
        ([(300, 8)], (256, 16)),
        ([(20, 24, 9)], (32, 32, 16)),
        ([(8, 100, 30)], (16, 96, 32)),
    ],
)
def test_without_a_size_a_patch_is_the_largest_image_in_multiples_of_16(sizes, expected):
    made = [images(size, 1)[0] for size in sizes]
    assert steps(made).patch_size == expected


def test_the_size_of_a_patch_follows_resampling_and_the_plane():
    made = images((40, 20, 10), 1, (1.0, 2.0, 3.0))
    assert steps(made, spacing_mm=[2.0, 1.0, 1.0]).patch_size == (32, 48, 32)
    assert steps(made, spacing_mm=[2.0, 1.0, 1.0], slices="coronal").patch_size == (32, 32)


def test_the_input_shape_is_that_of_a_patch():
    assert patches(images(), patch_size=[8, 10]).input_shape == (2, 8, 10)


@pytest.mark.parametrize(("slices", "needed"), [(None, 3), ("axial", 2)])
def test_a_patch_of_another_number_of_axes_is_refused(slices, needed):
    with pytest.raises(UserError, match=rf"preprocessing\.patch_size: expected {needed} numbers, not 4"):
        steps(images((8, 8, 8)), slices=slices, patch_size=[8] * 4)


# Slices


@pytest.mark.parametrize("plane", PLANES)
def test_a_volume_is_cut_into_the_planes_slices(plane):
    (image,) = images((8, 9, 10), 1)
    part = patches([image], [0], slices=plane, patch_size=[16, 16]).training([0])
    x, y = part.batch(torch.arange(len(part)), 0)
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    assert len(part) == (8, 9, 10)[axis]
    for number in range(len(part)):
        cut, mask = image.x.take(number, axis + 1), image.mask.take(number, axis)
        np.testing.assert_array_equal(x[number], pad(torch.from_numpy(cut), (16, 16)))
        np.testing.assert_array_equal(y[number], pad(torch.from_numpy(mask), (16, 16)))


@pytest.mark.parametrize("plane", PLANES)
def test_a_whole_volume_has_its_slices_in_order_with_their_spacing(plane):
    (image,) = images((8, 9, 10), 1, (1.0, 2.0, 3.0))
    x, y, _, (spacing,) = patches([image], [0], slices=plane).evaluation([0]).batch(torch.tensor([0]))
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    back = np.moveaxis(x[0].numpy(), 1, axis + 1)
    np.testing.assert_array_equal(back, image.x)
    np.testing.assert_array_equal(np.moveaxis(y[0].numpy(), 0, axis), image.mask)
    assert spacing == {0: (1, 2, 3), 1: (2, 1, 3), 2: (3, 1, 2)}[axis]


def test_each_slice_gives_as_many_patches_as_asked():
    assert len(patches(images((8, 9, 10)), slices="axial", patches_per_image=4).training(ROWS)) == 3 * 10 * 4


def test_patches_of_a_slice_are_around_its_own_foreground():
    made = numbered((20, 20, 3), [(4, 5, 0), (15, 16, 1)])
    part = patches(made, [0], slices="axial", patch_size=[5, 5], foreground=1.0).training([0])
    _, y = part.batch(torch.arange(3), 0)
    assert [mask.nonzero().tolist() for mask in y] == [[[2, 2]], [[2, 2]], []]


def test_slices_of_flat_images_are_refused():
    with pytest.raises(UserError, match=r"preprocessing\.slices: these images are no volumes"):
        steps(images(), slices="axial")


# Spacing


@pytest.mark.parametrize("other", [(1.2, 1.0), None])
def test_differing_spacings_are_refused_by_name(other):
    made = [*images(spacing=(1.0, 1.0), num=2), *images(spacing=other, num=1)]
    told = "at an unknown distance" if other is None else "1.2 x 1 mm"
    with pytest.raises(
        UserError, match=rf"^2\.nii: its voxels are {re.escape(told)} apart.*set preprocessing\.spacing_mm"
    ):
        steps(made)


def test_a_first_image_of_unknown_spacing_is_told():
    with pytest.raises(UserError, match=r"^1\.nii: .* those of the first image at an unknown distance"):
        steps([*images(num=1), *images(spacing=(1.0, 1.0), num=1)])


def test_spacings_that_hardly_differ_are_taken():
    steps([*images(spacing=(1.0, 1.0), num=1), *images(spacing=(1.04, 0.97), num=1)])


def test_differing_spacings_are_resampled_to_one():
    made = [*images(spacing=(1.0, 1.0), num=1), *images(spacing=(2.0, 0.5), num=1)]
    prepared = patches(made, [0], spacing_mm=[1.0, 1.0])
    assert [tuple(prepared.image_and_mask(row)[1].shape) for row in (0, 1)] == [(20, 24), (40, 12)]
    assert [prepared.source.spacing(row) for row in (0, 1)] == [(1, 1), (1, 1)]


@pytest.mark.parametrize("available", [2**30, 0])
@pytest.mark.parametrize("plane", [None, "axial", "coronal"])
def test_scores_are_of_the_masks_as_they_were_read(plane, available, monkeypatch):
    (image,) = images((8, 9, 10), 1, (1.0, 2.0, 3.0))
    made = steps([image], slices=plane, spacing_mm=[2.0, 2.0, 6.0])
    little_memory(monkeypatch, available)
    part = prepared_by(made, [0]).evaluation([0])
    for _ in range(2):
        x, y, _, (spacing,) = part.batch(torch.tensor([0]))
        axis = {None: 0, "axial": 2, "coronal": 1}[plane]
        assert np.moveaxis(x[0].numpy(), 1, axis + 1).shape == (2, 4, 9, 5)
        np.testing.assert_array_equal(np.moveaxis(y[0].numpy(), 0, axis), image.mask)
        assert y.dtype == torch.int64 and spacing == {0: (1, 2, 3), 1: (2, 1, 3), 2: (3, 1, 2)}[axis]


def test_native_masks_that_are_kept_count_as_memory():
    prepared = patches(images((8, 9), 1, (1.0, 1.0)), [0], spacing_mm=[2.0, 2.0])
    prepared.evaluation([0]).batch(torch.tensor([0]))
    x, mask = prepared.image_and_mask(0)
    assert prepared.nbytes == x.nbytes + mask.nbytes + 8 * 9


def test_images_whose_masks_differ_in_size_are_scored_apart():
    made = [*images((8, 8), 1, (1.0, 1.0)), *images((4, 4), 1, (2.0, 2.0)), *images((4, 4), 1, (2.0, 2.0))]
    part = patches(made, [0], spacing_mm=[2.0, 2.0], patch_size=[4, 4]).evaluation([0, 1, 2])
    assert [places.tolist() for places in part.in_order()] == [[0], [1, 2]]
    assert [tuple(part.batch(places)[1].shape) for places in part.in_order()] == [(1, 8, 8), (2, 4, 4)]


def test_an_image_that_does_not_say_its_spacing_is_refused_by_name():
    with pytest.raises(UserError, match=r"^1\.nii: does not say its own spacing"):
        steps([*images(spacing=(1.0, 1.0), num=1), *images(num=1)], spacing_mm=[1.0, 1.0])


def test_a_spacing_of_another_number_of_axes_is_refused():
    with pytest.raises(UserError, match=r"preprocessing\.spacing_mm: expected 2 numbers, not 3"):
        steps(images(spacing=(1.0, 1.0)), spacing_mm=[1.0, 1.0, 1.0])


def test_the_spacing_is_that_of_the_whole_voxels():
    prepared = patches(images((7, 9), spacing=(1.0, 1.0)), spacing_mm=[2.0, 2.0])
    x, _ = prepared.image_and_mask(0)
    np.testing.assert_allclose(np.multiply(x.shape[1:], prepared.source.spacing(0)), (7, 9))


def test_an_unknown_spacing_is_one():
    assert patches(images()).about(0)[1] == (1, 1)


# Scaling


def test_train_scaling_is_scikit_learns_over_the_training_images():
    made = [*images((6, 7)), *images((9, 5))]
    columns = [image.x.reshape(2, -1).T for image in made]
    scaler = StandardScaler().fit(np.concatenate([columns[row] for row in (0, 4)]))
    prepared = patches(made, [0, 4], scaling="train")
    for row, image in enumerate(made):
        expected = scaler.transform(columns[row]).T.reshape(image.x.shape)
        np.testing.assert_allclose(prepared.image_and_mask(row)[0], expected, atol=1e-4)


def test_preparing_anew_scales_by_the_new_training_images_alone():
    prepare = steps(images(), scaling="train")
    prepared_by(prepare, [0])
    again = prepared_by(prepare, [2]).image_and_mask(2)[0]
    torch.testing.assert_close(again, patches(images(), [2], scaling="train").image_and_mask(2)[0])


def test_each_image_is_scaled_alone_by_default():
    x = prepared_by(PatchPreprocessing(data_set(images())), ROWS).image_and_mask(1)[0]
    assert x.mean(dim=(1, 2)).abs().max() < 1e-5 and x.std(dim=(1, 2), correction=0).tolist() == pytest.approx([1, 1])


def test_a_window_is_of_the_images_values():
    x = patches(images(), window=[90, 110], scaling="unit").image_and_mask(0)[0]
    np.testing.assert_allclose(x, (images()[0].x.clip(90, 110) - 90) / 20, atol=1e-6)


def test_read_only_arrays_are_taken():
    made = images()
    for image in made:
        image.x.flags.writeable = image.mask.flags.writeable = False
    assert patches(made).image_and_mask(0)[1].sum() == made[0].mask.sum()


def test_the_data_set_is_left_as_it_was():
    made = images()
    prepared = patches(made)
    for part in prepared.image_and_mask(0):
        part.zero_()
    assert np.array_equal(made[0].x, images()[0].x) and np.array_equal(made[0].mask, images()[0].mask)


# Memory


def test_prepared_images_are_kept():
    prepared = patches(images())
    assert prepared.image_and_mask(1)[0] is prepared.image_and_mask(1)[0]


def test_images_beyond_the_memory_are_prepared_again_with_equal_values(monkeypatch):
    expected = [patches(images()).image_and_mask(row) for row in ROWS]
    readers = [Counting(image) for image in images()]
    little_memory(monkeypatch, 0)
    prepared = prepared_by(PatchPreprocessing(data_set(images(), readers), scaling="none"), ROWS)
    before = readers[0].times
    for row in ROWS * 2:
        assert all(torch.equal(*parts) for parts in zip(prepared.image_and_mask(row), expected[row], strict=True))
    assert readers[0].times == before + 2


def test_as_many_images_are_kept_as_there_is_memory_for(monkeypatch):
    needed = sum(part.nbytes for part in patches(images()).image_and_mask(0))
    prepare = steps(images())
    little_memory(monkeypatch, 2.5 * needed / 0.4)
    prepared = prepared_by(prepare, ROWS)
    assert [prepared.image_and_mask(row)[0] is prepared.image_and_mask(row)[0] for row in ROWS] == [True, True, False]


def test_a_large_image_that_is_not_kept_leaves_room_for_small_ones(monkeypatch):
    prepare = steps([images((200, 200), 1)[0], *images()])
    little_memory(monkeypatch, 50_000)
    prepared = prepared_by(prepare, [0])
    assert [prepared.image_and_mask(row)[0] is prepared.image_and_mask(row)[0] for row in (0, 0, 1)] == [
        False,
        False,
        True,
    ]


def test_no_image_is_read_again_to_know_its_size_or_spacing(monkeypatch):
    readers = [Counting(image) for image in images((8, 9, 10), spacing=(1.0, 2.0, 3.0))]
    data = data_set(images((8, 9, 10)), readers)
    data._kept.clear()
    prepared = prepared_by(PatchPreprocessing(data, slices="axial", scaling="none"), ROWS)
    before = readers[1].times
    prepared.training(ROWS)
    prepared.about(1)
    assert readers[1].times == before


# Whole images


def test_whole_images_are_given_with_patient_and_spacing():
    data = data_set(images(spacing=(0.7, 1.3)), groups=np.array(["p9", "p1", "p9"]))
    part = prepared_by(PatchPreprocessing(data, scaling="none"), ROWS).evaluation([2, 1, 0])
    found = [part.batch(torch.tensor([place])) for place in range(3)]
    assert [x.shape for x, *_ in found] == [(1, 2, 20, 24)] * 3
    assert [patients for _, _, patients, _ in found] == [[1], [0], [1]]
    assert [spacings for *_, spacings in found] == [[(0.7, 1.3)]] * 3
    np.testing.assert_array_equal(found[0][0][0], images()[2].x)


def test_whole_images_of_many_sizes_are_given():
    made = [*images((9, 9), 1), *images((30, 12), 1)]
    part = patches(made, [0], patch_size=[16, 16]).evaluation([0, 1])
    assert [tuple(part.batch(torch.tensor([place]))[1].shape) for place in (0, 1)] == [(1, 9, 9), (1, 30, 12)]


def test_all_images_are_usable():
    assert steps(images()).usable().tolist() == [True] * 3


def test_augmentation_changes_image_and_mask_of_training_batches():
    prepared = patches(images((16, 16)), augmentation=Augmentation(flip_axes=[0]))
    x, y = prepared.training(ROWS * 5).batch(torch.arange(15), seed=0)
    made, mask = prepared.augment(x, y)
    for before, after in zip(zip(x, y, strict=True), zip(made, mask, strict=True), strict=True):
        flipped = [part.flip(-2) for part in before]
        assert any(torch.equal(after[0], a) and torch.equal(after[1], b) for a, b in (before, flipped))
    assert not torch.equal(made, x)


@pytest.mark.parametrize(
    ("plane", "expected"), [("sagittal", (2, 3)), ("coronal", (1, 3)), ("axial", (1, 2)), (None, (1, 2, 3))]
)
def test_augmentation_is_told_the_spacing_of_the_axes_that_a_patch_has(plane, expected, monkeypatch):
    told = []
    monkeypatch.setattr(Augmentation, "__call__", lambda self, x, y, spacing_mm: told.append(spacing_mm) or (x, y))
    prepared = patches(images((8, 9, 10), 1, (1.0, 2.0, 3.0)), [0], slices=plane, augmentation=Augmentation())
    prepared.augment(*prepared.training([0]).batch(torch.tensor([0]), seed=0))
    assert told == [expected]


def test_the_data_module_takes_patches():
    made = images(num=10)
    steps = partial(PatchPreprocessing, patch_size=[8, 8], patches_per_image=3)
    data = DataModule(Prepared(data_set(made), steps, Split()), 4, 0)
    x, y = next(iter(data.train_batches))
    assert data.input_shape == (2, 8, 8) and x.shape == (4, 2, 8, 8) and y.shape == (4, 8, 8)
    x, y, patients, spacings = next(iter(data.batches("val")))
    assert x.shape == (2, 2, 20, 24) and y.shape == (2, 20, 24) and len(patients) == 2 and spacings == [(1, 1)] * 2


# What is refused


def test_data_without_images_are_refused():
    with pytest.raises(
        UserError, match="preprocessing=patches: breast_cancer holds records, which take preprocessing=table"
    ):
        PatchPreprocessing(BreastCancer())


def test_images_without_masks_are_refused():
    data = Images(
        name="made", names=["a"], readers=[partial(Image, np.ones((1, 4, 4)))], channels=["c"], task="generation", target_names=[]
    )  # fmt: skip
    with pytest.raises(
        UserError, match="preprocessing=patches: made holds images without a target, which take preprocessing=image"
    ):
        PatchPreprocessing(data)


def test_a_window_that_is_none_is_refused():
    with pytest.raises(UserError, match=r"preprocessing\.window"):
        steps(images(), window=[3, 1])


@pytest.mark.parametrize(
    "wrong",
    ["slices=top", "patch_size=[0,1]", "patches_per_image=0", "foreground=1.1", "spacing_mm=[0,1]", "scaling=z"],
)
def test_a_value_out_of_range_is_refused(wrong):
    with pytest.raises(UserError, match=r"preprocessing\."):
        compose(["dataset=mni_tissue", f"preprocessing.{wrong}"])


def test_small_images_of_one_size_that_follow_each_other_are_evaluated_together():
    made = [*images((20, 24), 3), *images((40, 24), 2), *images((20, 24), 1)]
    part = patches(made, [0], patch_size=[20, 24]).evaluation(range(6))
    assert [places.tolist() for places in part.in_order()] == [[0, 1, 2], [3, 4], [5]]
    assert [len(x) for x, *_ in (part.batch(places) for places in part.in_order())] == [3, 2, 1]


def test_large_images_and_volumes_are_evaluated_one_by_one():
    large = patches(images((160, 192), 3), [0], patch_size=[10, 12]).evaluation(range(3))
    assert [len(places) for places in large.in_order()] == [1, 1, 1]
    volumes = patches(images((8, 9, 10), 2), [0]).evaluation(range(2))
    assert [len(places) for places in volumes.in_order()] == [1, 1]


def test_flat_images_of_several_sizes_are_stretched_and_scored_on_their_own_masks():
    given = [*images((20, 24), 2), *images((40, 24), 1, spacing=(0.5, 1.0))]
    made = PatchPreprocessing(data_set(given), size=[10, 12], scaling="none")
    prepared = prepared_by(made, [0])
    x, mask = prepared.image_and_mask(0)
    assert x.shape == (2, 10, 12) and mask.shape == (10, 12) and set(mask.unique().tolist()) <= {0, 1, 2}
    assert np.array_equal(mask, given[0].mask[1::2, 1::2])  # of four equally near ones, the last
    assert [tuple(prepared.native_mask(row).shape) for row in range(3)] == [(20, 24), (20, 24), (40, 24)]
    assert np.array_equal(prepared.native_mask(2), given[2].mask)
    assert made.spacing(2) == (2.0, 2.0) and made.spacing(2, native=True) == (0.5, 1.0)
    assert made.patch_size == (16, 16) and prepared.fitted.size == [10, 12]


def test_one_number_is_the_size_of_both_axes():
    assert prepared_by(PatchPreprocessing(data_set(images()), size=16), [0]).image_and_mask(0)[1].shape == (16, 16)


@pytest.mark.parametrize(
    ("given", "more", "words"),
    [
        (images((4, 5, 6)), {"size": 8}, "is of flat images"),
        (images(spacing=(1.0, 1.0)), {"size": 8, "spacing_mm": [2, 2]}, "without spacing_mm"),
        (images(), {"size": [8, 8, 8]}, "expected one number or 2, not 3"),
    ],
)
def test_a_size_that_does_not_fit_the_images_is_refused(given, more, words):
    with pytest.raises(UserError, match=f"preprocessing.size: .*{words}"):
        PatchPreprocessing(data_set(given), **more)
