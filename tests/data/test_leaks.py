from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_iris, load_wine

from leaking_tables import about, coin, few, found, records, rng, table, thirds
from medfit.config.compose import compose
from medfit.config.instantiate import load_dataset
from medfit.data.datasets.images import Images
from medfit.data.datasets.series import Series
from medfit.data.image import Image
from medfit.data.kinds import images as images_kind
from medfit.data.kinds import table as table_kind
from medfit.data.leaks import scan
from medfit.data.splits import Split

SHARED = Path(__file__).parents[3] / "shared" / "data"


def series(x, y=None):
    names = [str(c) for c in range(len(x[0]))]
    return Series(x=x, channels=names, **about(coin(len(x)) if y is None else y))


def images(arrays, masks=None, reader=None):
    masks = [None] * len(arrays) if masks is None else masks
    readers = [reader or (lambda x=x, mask=mask: Image(x, mask)) for x, mask in zip(arrays, masks, strict=True)]
    names = [f"{k}.png" for k in range(len(arrays))]
    if masks[0] is not None:
        kind = {"name": "made", "task": "segmentation", "target_names": ["none", "some"]}
        return Images(names=names, readers=readers, channels=["c"], **kind)
    return Images(names=names, readers=readers, channels=["c"], **about(coin(len(arrays))))


def pictures(num=60, size=(28, 28), seed=0):
    """Faces of one kind: a common picture, and each one's own smooth deviations."""
    common = np.cumsum(np.cumsum(rng(99).normal(size=size), 0), 1)
    own = np.cumsum(rng(seed).normal(size=(num, *size)), 2)
    return [(common + part)[None].astype(np.float32) for part in own]


def waves(num=80, channels=1, length=140, seed=0):
    return rng(seed).normal(size=(num, channels, length)).cumsum(axis=2).astype(np.float32)


def test_unrelated_rows_share_nothing():
    assert found(records(table())) == []


@given(st.integers(1, 8), st.sampled_from(["val", "test"]), st.integers(0, 10**6))
@few
def test_copied_rows_are_counted(count, split, seed):
    x, rows = table(seed=seed), thirds(300)
    x.iloc[rows[split][:count]] = x.iloc[rows["train"][:count]].to_numpy()
    word = {"val": "validation", "test": "test"}[split]
    one = f"1 {word} row is identical to a training row"
    assert found(records(x)) == [one if count == 1 else f"{count} {word} rows are identical to training rows"]


@given(st.integers(2, 8), st.integers(0, 10**6))
@few
def test_rows_that_rounding_parts_are_nearly_identical(count, seed):
    x, rows = table(seed=seed) * [1, 10, 100, 1e4, 1e-3, 5] + 1000, thirds(300)
    noise = rng(seed + 1).uniform(-4e-4, 4e-4, (count, 6)) * x.std().to_numpy()
    x.iloc[rows["test"][:count]] = x.iloc[rows["train"][:count]].to_numpy() + noise
    assert found(records(x)) == [f"{count} test rows are nearly identical to training rows"]


def mixed(num_rows=300):
    x = table(num_rows, 3).assign(word=rng(1).choice(list("abcd"), num_rows), yes=rng(2).integers(0, 2, num_rows) * 1.0)
    x.loc[rng(3).random(num_rows) < 0.2, ["c1", "word"]] = np.nan
    return x, {"c0": "numeric", "c1": "numeric", "c2": "numeric", "word": "categorical", "yes": "boolean"}


def test_rows_of_mixed_columns_with_missing_cells_are_compared():
    x, kinds = mixed()
    assert found(records(x, kinds=kinds)) == []
    x.loc[[2, 5, 8]] = x.loc[[0, 3, 6]].to_numpy()
    x.loc[[11, 14]] = x.loc[[9, 12]].to_numpy()
    x.loc[[11, 14], "c0"] += 1e-5
    expected = [f"{n} test rows are {how}identical to training rows" for n, how in ((3, ""), (2, "nearly "))]
    assert found(records(x.astype({"c0": float, "c1": float, "c2": float, "yes": float}), kinds=kinds)) == expected


def test_row_with_another_category_is_another_row():
    x, kinds = mixed()
    x.loc[2] = x.loc[0].to_numpy()
    x.loc[2, "word"] = "another"
    assert found(records(x.astype({"c0": float, "c1": float, "c2": float, "yes": float}), kinds=kinds)) == []


def test_rows_that_a_split_repeats_are_no_leak():
    rows = thirds(300)
    assert found(records(table()), rows | {"train": np.repeat(rows["train"], 3)}) == []


def test_copies_within_a_split_are_no_leak():
    x = table()
    x.iloc[3:30:3] = x.iloc[[0]].to_numpy()
    assert found(records(x)) == []


@pytest.mark.parametrize("seed", range(40))
def test_tables_of_few_answers_hold_equal_rows_by_chance(seed):
    random = rng(seed)
    num_rows, width = random.integers(60, 900), random.integers(1, 10)
    illness = random.normal(size=(num_rows, 1))
    answers = np.round(
        (illness * random.random() + random.normal(size=(num_rows, width))) * random.integers(1, 5, width)
    )
    x = np.c_[answers, answers.sum(axis=1)] if seed % 2 else answers
    assert found(records(pd.DataFrame(x).add_prefix("item"), coin(num_rows, seed + 1))) == []


def test_copies_stand_out_from_what_chance_makes_alike():
    x = pd.DataFrame(rng(0).integers(0, 5, (600, 12)).astype(float)).add_prefix("item")
    x.iloc[2:62:3] = x.iloc[0:60:3].to_numpy()
    assert found(records(x)) == ["20 test rows are identical to training rows"]


def test_empty_rows_say_nothing():
    x = table(300, 20)
    x.iloc[rng(1).permutation(300)[:100], 1:] = np.nan
    x["c0"] = 0.0 + (x.index % 2)
    assert found(records(x)) == []


def test_number_of_pairs_by_chance_is_what_unrelated_rows_give():
    sizes = [4, 6, 10]
    one, other = (np.stack([rng(s + k).integers(0, n, 2000) for k, n in enumerate(sizes)], axis=1) for s in (0, 50))
    alike = (one[:, None] == other[None]).all(axis=2).sum()
    assert table_kind.chance(one, other) == pytest.approx(2000**2 / 240, rel=0.1)
    assert table_kind.chance(one, other) == pytest.approx(alike, rel=0.1)


@pytest.mark.parametrize("channels", [1, 3])
def test_copied_series_are_counted(channels):
    x = waves(channels=channels)
    assert found(series(x)) == []
    x[[2, 5, 8]] = x[[0, 3, 6]]
    assert found(series(x)) == ["3 test series are identical to training series"]


@given(st.floats(0.1, 10), st.floats(-100, 100), st.floats(-0.1, 0.1), st.integers(0, 10**6))
@few
def test_series_in_another_unit_with_an_offset_and_a_drift_are_nearly_identical(scale, offset, drift, seed):
    x = waves(seed=seed)
    noise = rng(seed + 1).normal(0, 0.002, x.shape) * x.std(axis=2, keepdims=True)
    x[2] = scale * (x + noise)[0] + offset + drift * np.arange(140)
    assert found(series(x)) == ["1 test series is nearly identical to a training series"]


def test_series_of_many_lengths_are_compared():
    x = [part[:, : 100 + k] for k, part in enumerate(waves())]
    assert found(series(x)) == []
    x[2], x[5] = x[0].copy(), 2 * x[3]
    expected = [f"1 test series is {how}identical to a training series" for how in ("", "nearly ")]
    assert found(series(x)) == expected


def test_gaps_in_series_do_not_hide_a_copy():
    x = waves()
    x[0, 0, 10:20] = np.nan
    x[2] = 2 * x[0] + 1
    assert found(series(x)) == ["1 test series is nearly identical to a training series"]


def test_flat_series_say_nothing():
    x = waves()
    x[:20] = 0
    assert found(series(x)) == []


def test_copied_images_are_counted():
    arrays = pictures()
    assert found(images(arrays)) == []
    arrays[2], arrays[5] = arrays[0].copy(), arrays[3].copy()
    assert found(images(arrays)) == ["2 test images are identical to training images"]


@pytest.mark.parametrize("size", [(28, 28), (9, 40), (20, 24, 18)])
def test_images_of_another_brightness_and_with_noise_are_nearly_identical(size):
    flat = pictures(size=(size[0], int(np.prod(size[1:]))))
    arrays = [x.reshape(1, *size) for x in flat]
    arrays[2] = (3 * arrays[0] + 50 + rng(1).normal(0, 0.02 * arrays[0].std(), arrays[0].shape)).astype(np.float32)
    assert found(images(arrays)) == ["1 test image is nearly identical to a training image"]


def test_image_in_another_size_is_nearly_identical():
    arrays = pictures(size=(32, 32))
    arrays[2] = np.kron(arrays[0], np.ones((1, 2, 2), dtype=np.float32))
    assert found(images(arrays)) == ["1 test image is nearly identical to a training image"]


def test_black_images_say_nothing():
    arrays = pictures()
    arrays[:12] = [np.zeros_like(arrays[0])] * 12
    assert found(images(arrays)) == []


def test_images_with_masks_are_compared():
    arrays = pictures()
    arrays[2] = arrays[0].copy()
    masks = [np.ones(x.shape[1:], dtype=np.uint8) for x in arrays]
    assert found(images(arrays, masks)) == ["1 test image is identical to a training image"]


def test_images_that_take_long_to_read_are_left_out_with_a_note(monkeypatch):
    arrays = pictures()
    arrays[2] = arrays[0].copy()
    arrays[50] = arrays[48].copy()
    data = images(arrays)
    clock = iter(range(1000))
    monkeypatch.setattr(images_kind.time, "perf_counter", lambda: next(clock))
    result = scan(data, thirds(60))
    assert result.findings == ["1 test image is identical to a training image"]
    assert result.notes == ["only 11 of 60 images were compared, as reading them takes long"]


@pytest.mark.mostly_slow(fast=3)
@pytest.mark.parametrize("name", ["breast_cancer", "diabetes", "heart_disease", "heart_rate", "ecg5000"])
@pytest.mark.parametrize("seed", [0, 1])
def test_bundled_data_have_no_leak(name, seed):
    cfg = compose(["experiment=", f"dataset={name}"])
    data = load_dataset(cfg)
    assert scan(data, Split(seed=seed)(data)) == ([], [])


@pytest.mark.parametrize("load", [load_iris, load_wine, load_digits])
def test_other_known_data_have_no_leak(load):
    x, y = load(return_X_y=True)
    data = records(pd.DataFrame(x).add_prefix("c"), y, "multiclass", names=[str(k) for k in np.unique(y)])
    assert found(data, Split()(data)) == []


@pytest.mark.skipif(not SHARED.exists(), reason="the data sets that are not bundled are not there")
def test_pneumonia_mnist_has_the_same_images_in_two_splits():
    folder = SHARED / "medmnist"
    data = load_dataset(compose(["experiment=", "dataset=pneumonia_mnist", f"dataset.root={folder}"]))
    rows = Split()(data)
    seen = {data.image(row).x.tobytes() for row in rows["train"]}
    again = sum(data.image(row).x.tobytes() in seen for row in rows["val"])
    assert found(data, rows) == [f"{again} validation images are identical to training images"]


@pytest.mark.skipif(not SHARED.exists(), reason="the data sets that are not bundled are not there")
def test_hippocampus_has_no_leak():
    cfg = compose(["experiment=", "dataset=hippocampus", f"dataset.root={SHARED / 'msd_hippocampus'}"])
    data = load_dataset(cfg)
    assert found(data, Split()(data)) == []
