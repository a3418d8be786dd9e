"""What was learnt is stored, loaded in another process, and gives the same numbers for rows without targets."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from medfit.data.datasets.images import Images
from medfit.data.datasets.records import Records
from medfit.data.datasets.series import Series
from medfit.data.image import Image
from medfit.data.preprocessing.fitted import load
from medfit.data.preprocessing.image import ImagePreprocessing
from medfit.data.preprocessing.patches import PatchPreprocessing
from medfit.data.preprocessing.series import SeriesPreprocessing
from medfit.data.preprocessing.table import TablePreprocessing
from medfit.errors import UserError

NUM, TRAIN, NEW = 60, np.arange(0, 40), [57, 41, 3]
TARGET = {"name": "made", "y": np.arange(NUM, dtype=np.float32)[:, None], "task": "regression", "target_names": ["t"]}


def table():
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(50, 10, (NUM, 4)), columns=["age", "weight", "height", "pulse"])
    x["smoker"], x["stage"] = rng.integers(0, 2, NUM) * 1.0, rng.choice(list("abc"), NUM)
    x.loc[::5, "age"], x.loc[::7, "stage"], x.loc[::6, "smoker"] = np.nan, np.nan, np.nan
    kinds = dict.fromkeys(x, "numeric") | {"smoker": "boolean", "stage": "categorical"}
    return Records(x=x, kinds=kinds, units={"age": "years"}, **TARGET)


def series(ragged=False):
    x = np.random.default_rng(1).normal(3, 2, (NUM, 2, 80)).astype(np.float32)
    x[::4, 0, 5:9] = np.nan
    parts = [part[:, : 60 + number % 20] for number, part in enumerate(x)] if ragged else x
    return Series(x=parts, channels=["I", "II"], sampling_rate_hz=50.0, **TARGET)


def images(masks=False, size=(20, 24)):
    rng = np.random.default_rng(2)
    made = [
        Image(rng.normal(90, 30, (1, *size)).astype(np.float32), (rng.random(size) > 0.7).astype(np.uint8) if masks else None,
              (1.0,) * len(size))
        for _ in range(NUM)
    ]  # fmt: skip
    about = {"name": "made", "task": "segmentation", "target_names": ["no", "yes"]} if masks else TARGET
    readers = [lambda image=image: image for image in made]
    return Images(names=[f"{n}.png" for n in range(NUM)], readers=readers, channels=["grey"], **about)


def some(data, rows):
    """Samples of their own, with nothing but what a preprocessing has to see."""
    if isinstance(data, Records):
        return SimpleNamespace(x=data.x.iloc[rows].reset_index(drop=True), kinds=data.kinds)
    if isinstance(data, Series):
        x = data.x[rows] if isinstance(data.x, np.ndarray) else [data.x[row] for row in rows]
        return SimpleNamespace(x=x, channels=data.channels, sampling_rate_hz=data.sampling_rate_hz)
    return Pictures([Image(data.image(row).x, None, data.image(row).spacing_mm) for row in rows], data.channels)


class Pictures:
    def __init__(self, made, channels):
        self.made, self.channels, self.num_dimensions = made, channels, made[0].x.ndim - 1
        self.file_names = [f"new {n}" for n in range(len(made))]

    def __len__(self):
        return len(self.made)

    def image(self, index):
        return self.made[index]


def whole(steps, fitted, rows):
    """The numbers that a training takes of these rows."""
    prepared = steps.prepared(fitted)
    return [prepared[row][0] if hasattr(prepared, "tensors") else prepared.image_and_mask(row)[0] for row in rows]


CASES = {
    "table": (table, TablePreprocessing, {}),
    "table, all missing cells marked": (table, TablePreprocessing, {"missing": "constant", "missing_indicator": True}),
    "table, neighbours": (table, TablePreprocessing, {"missing": "knn", "categories": "ordinal"}),
    "table, best": (table, TablePreprocessing, {"num_best": 3, "scaling": "quantile"}),
    "table, projected": (table, TablePreprocessing, {"pca": 0.9, "scaling": "none"}),
    "series": (series, SeriesPreprocessing, {}),
    "series, standard": (series, SeriesPreprocessing, {"scaling": "train", "band_pass_hz": [0.5, 15], "resample_hz": 40}),
    "series of many lengths": (lambda: series(True), SeriesPreprocessing, {"scaling": "train", "difference": True}),
    "series, cropped": (lambda: series(True), SeriesPreprocessing, {"length": "crop", "detrend": True}),
    "images": (images, ImagePreprocessing, {"size": 16, "fit": "pad", "window": [40, 120]}),
    "images, standard": (images, ImagePreprocessing, {"scaling": "train"}),
    "patches": (lambda: images(True), PatchPreprocessing, {}),
    "patches, standard": (lambda: images(True), PatchPreprocessing, {"scaling": "train", "spacing_mm": [2.0, 2.0]}),
    "slices": (lambda: images(True, (8, 9, 10)), PatchPreprocessing, {"scaling": "train", "slices": "coronal"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_loaded_gives_new_samples_the_numbers_that_training_took(case, tmp_path):
    make, preprocessing, options = CASES[case]
    data = make()
    steps = preprocessing(data, **options)
    fitted = steps.fit(TRAIN)
    fitted.save(tmp_path / "fitted")
    made = list(load(tmp_path / "fitted").apply(some(data, NEW)))
    expected = whole(steps, fitted, NEW)
    assert len(made) == len(NEW)
    for one, other in zip(made, expected, strict=True):
        assert one.dtype == other.dtype == torch.float32
        assert np.array_equal(one, other, equal_nan=True)


FRESH = """
import sys, numpy, pandas, types, torch
from pathlib import Path
from medfit.data.preprocessing.fitted import load
samples = types.SimpleNamespace(x=pandas.read_pickle(sys.argv[2]))
numpy.save(sys.argv[3], load(Path(sys.argv[1])).apply(samples).numpy())
"""


def test_another_process_gives_the_same_numbers(tmp_path):
    data = table()
    fitted = TablePreprocessing(data, num_best=4, missing_indicator=True).fit(TRAIN)
    fitted.save(tmp_path / "fitted")
    new = some(data, NEW)
    new.x.to_pickle(tmp_path / "new.pkl")
    files = [str(tmp_path / name) for name in ("fitted", "new.pkl", "made.npy")]
    subprocess.run([sys.executable, "-c", FRESH, *files], check=True)
    assert np.array_equal(np.load(files[2]), fitted.apply(new).numpy())


def test_names_kinds_units_and_targets_are_stored_as_plain_values(tmp_path):
    TablePreprocessing(table()).fit(TRAIN).save(tmp_path)
    stored = json.loads((tmp_path / "preprocessing.json").read_text())
    assert stored["features"] == ["age", "weight", "height", "pulse", "smoker", "stage"]
    assert stored["kinds"]["stage"] == "categorical"
    assert (stored["units"], stored["target_names"]) == ({"age": "years"}, ["t"])


def test_columns_are_found_by_their_names():
    data = table()
    fitted, new = TablePreprocessing(data).fit(TRAIN), some(data, NEW)
    turned = SimpleNamespace(x=new.x[[*new.x.columns[::-1]]].assign(unknown=1.0))
    assert torch.equal(fitted.apply(turned), fitted.apply(new))


def test_a_column_that_is_missing_is_told():
    data = table()
    new = some(data, NEW)
    with pytest.raises(UserError, match="the samples have no column 'height', which the preprocessing has learnt from"):
        TablePreprocessing(data).fit(TRAIN).apply(SimpleNamespace(x=new.x.drop(columns="height")))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"channels": ["II", "I"]}, "the samples have II, I, but the preprocessing has learnt I, II"),
        ({"channels": ["A", "I"]}, "the samples have A, I, but the preprocessing has learnt I, II"),
        ({"sampling_rate_hz": 100.0}, "the series have 100.0 Hz, but the preprocessing has learnt from 50.0 Hz"),
        ({"x": np.zeros((1, 2, 81))}, "a series has 81 samples, but the preprocessing has learnt from 80"),
        ({"x": np.zeros((1, 2, 79))}, "a series has 79 samples, but the preprocessing has learnt from 80"),
    ],
)
def test_series_unlike_those_that_were_learnt_from_are_refused(change, told):
    data = series()
    new = SimpleNamespace(**{**vars(some(data, NEW)), **change})
    with pytest.raises(UserError, match=f"^{told}$"):
        SeriesPreprocessing(data).fit(TRAIN).apply(new)


def test_series_of_another_rate_are_brought_to_the_learnt_one():
    data = series()
    fitted = SeriesPreprocessing(data, resample_hz=25).fit(TRAIN)
    twice = SimpleNamespace(x=np.repeat(data.x[NEW], 2, axis=2), channels=data.channels, sampling_rate_hz=100.0)
    assert fitted.apply(twice).shape == (3, 2, 40)


def test_voxels_at_another_distance_are_refused_where_none_is_set():
    data = images(True)
    fitted, new = PatchPreprocessing(data).fit(TRAIN), some(data, NEW)
    new.made[1] = Image(new.made[1].x, None, (2.0, 2.0))
    with pytest.raises(
        UserError, match="^new 1: its voxels are 2 x 2 mm apart, those that the preprocessing learnt from 1 x 1 mm$"
    ):
        list(fitted.apply(new))


def test_a_folder_without_one_is_told(tmp_path):
    with pytest.raises(UserError, match="holds no fitted preprocessing that can be read"):
        load(tmp_path)


def test_a_class_that_is_none_is_not_made(tmp_path):
    (tmp_path / "preprocessing.json").write_text('{"class": "pathlib.Path"}')
    with pytest.raises(UserError, match="pathlib.Path is no fitted preprocessing"):
        load(tmp_path)
