"""Files of several trainings as one model, before their training: what counts is that a file does what they do."""

import json
from dataclasses import replace
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
import torch

from image_packages import MASKS
from medfit.data.preprocessing.table import FittedTable
from medfit.deployment import export
from medfit.deployment.ensemble import Ensemble
from medfit.deployment.export_files import FORMATS
from medfit.deployment.export_mean import Recoded
from medfit.deployment.packing import packed
from medfit.errors import UserError
from medfit.evidence.decisions import Decisions
from medfit.training.parts import prepare
from small_data import IMAGES, write_masks

SETTINGS = [("model=mlp",), ("model=linear", "preprocessing.scaling=robust"), ("model=mlp", "split.num_folds=2")]
FIRST, SECOND = ("split.num_folds=2", "split.fold=0"), ("split.num_folds=2", "split.fold=1")


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    made = pd.DataFrame({"age": rng.normal(60, 10, 80), "stage": rng.choice(["I", "II"], 80), "yes": np.arange(80) % 2})
    made.loc[5, "stage"], made.loc[::7, "age"] = "A", None  # few training splits have the rare level, first by name
    return made


@pytest.fixture
def mean_of(compose, tmp_path):
    """Networks before their training, as one model."""

    def made(data, settings):
        members = []
        for number, overrides in enumerate(settings):
            cfg = compose(*data, f"seed={number}", *overrides)
            members.append(packed(cfg, prepare(cfg), {}, f"run{number}", str))
        return Ensemble.of(members, Decisions(thresholds={"yes": 0.5}), "parent")

    return made


@pytest.fixture
def of_table(mean_of, tmp_path, table):
    def made(*settings, target="yes"):
        path = tmp_path / "clinic.csv"
        table.to_csv(path, index=False)
        return mean_of(["dataset=table", f"dataset.path={path}", f"dataset.target={target}"], settings)

    return made


def said(path):
    with ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("medfit.json"))
        return json.loads(archive.read(name))


def numbers(path, rows):
    """Rows as a file's own words say that it takes them."""
    made = []
    for column in said(path)["inputs"][0]["columns"]:
        cells = rows[column["name"]]
        codes = {level: float(code) for code, level in enumerate(column.get("levels", ()))}
        made.append(cells.map(lambda cell, codes=codes: codes.get(cell, -1.0)) if codes else cells)
    return torch.tensor(np.stack(made, axis=1).astype(float))


def run(path, form, cells):
    return FORMATS[form].open(path)({"cells": cells})[:, 0].numpy()


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_gives_the_mean_though_trainings_know_other_levels(of_table, table, tmp_path, form):
    mean = of_table(*SETTINGS)
    assert all(isinstance(one.fitted, FittedTable) for one in mean.singles)
    known = {tuple(one.about["expected"]["columns"][1]["levels"]) for one in mean.singles}
    assert known == {("A", "I", "II"), ("I", "II")}
    found = export.write_model(mean, form, tmp_path / "model.bin", tmp_path)
    assert found.samples == "validation samples" and found.count > 5 and found.difference < 1e-5
    plain = tmp_path / "plain.pt2"
    export.write_model(mean, "torch_export", plain, tmp_path)
    rows = table.drop(columns="yes")
    rows.loc[[0, 1], "stage"] = "IX"
    assert said(plain)["inputs"][0]["columns"][1]["levels"] == ["A", "I", "II"]
    assert said(plain)["mean_of"] == ["run0", "run1", "run2"] and said(plain)["decisions"]["thresholds"] == {"yes": 0.5}
    expected = mean.predict(rows)["probability/yes"]
    assert run(tmp_path / "model.bin", form, numbers(plain, rows)) == pytest.approx(expected.to_numpy(), abs=1e-6)
    assert expected.nunique() > 60


def test_where_data_are_gone_made_up_rows_check_it(of_table, tmp_path):
    mean = of_table(*SETTINGS)
    changed = tuple(replace(one, about={**one.about, "data_sha256": "other"}) for one in mean.members)
    other = Ensemble.of(changed, mean.decisions, "parent")
    found = export.write_model(other, "torch_export", tmp_path / "m.pt2", tmp_path)
    assert found.samples == "made-up samples" and "have changed" in found.note and found.difference < 1e-5


def test_what_one_training_needs_the_file_needs(of_table, table, tmp_path):
    mean = of_table(("model=mlp", "preprocessing.missing=knn", "tracking.patients_in_models=true"), ("model=linear",))
    path = tmp_path / "m.pt2"
    export.write_model(mean, "torch_export", path, tmp_path)
    assert said(path)["inputs"][0]["needed"] == ["age"]
    rows = table.drop(columns="yes")
    assert (np.isnan(run(path, "torch_export", numbers(path, rows))) == rows["age"].isna()).all()


def test_numbers_are_compared_in_the_smallest_spread_of_a_trainings_targets(of_table, tmp_path, monkeypatch):
    mean = of_table(("model=linear",), ("model=linear", *SECOND), target="age")
    mean.members[1].task.std.fill_(0.001)
    scales = []
    checked = export._checked
    monkeypatch.setattr(
        export, "_checked", lambda run, source, scale: scales.append(scale) or checked(run, source, scale)
    )
    export.write_model(mean, "torch_export", tmp_path / "m.pt2", tmp_path)
    assert scales[0].tolist() == pytest.approx([0.001])


@pytest.mark.parametrize("form", FORMATS)
def test_samples_that_all_trainings_prepare_alike_have_one_file(mean_of, tmp_path, form):
    lines = ["model=resnet", "model.depth=10", "model.width=2"]
    mean = mean_of([*IMAGES.write(tmp_path), *lines, "preprocessing.scaling=train"], [(), ()])
    found = export.write_model(mean, form, tmp_path / "m.bin", tmp_path)
    assert found.samples == "validation samples" and found.difference < 1e-5
    x = torch.randn(3, *mean.singles[0].about["input_shape"], generator=torch.Generator().manual_seed(0))
    made = FORMATS[form].open(tmp_path / "m.bin")({"x": x})
    own = [one.outputs(x) for one in mean.singles]
    assert made.numpy() == pytest.approx(((own[0] + own[1]) / 2).numpy(), abs=1e-5)
    assert not torch.allclose(own[0], own[1], atol=1e-4)


def test_what_no_file_can_be_the_mean_of_is_refused_in_a_line(mean_of, tmp_path):
    lines = [*IMAGES.write(tmp_path), "model=resnet", "model.depth=10", "model.width=2", "preprocessing.scaling=train"]
    told = "^export.model: each of its trainings has learnt a preparation of its own .* images takes them prepared"
    with pytest.raises(UserError, match=told):
        export.write_model(mean_of(lines, [FIRST, SECOND]), "torch_export", tmp_path / "m.pt2", tmp_path)
    masks = mean_of([*write_masks(tmp_path / "own", 8), *MASKS], [(), ()])
    with pytest.raises(UserError, match="^export.model: the mean of several trainings' masks is made of whole images"):
        export.write_model(masks, "torch_export", tmp_path / "m.pt2", tmp_path)
    assert not list(tmp_path.glob("*.pt2"))


def test_a_code_that_is_no_level_is_one_that_is_not_known():
    codes = torch.tensor([[0.0], [1.0], [2.0], [-1.0], [0.5], [torch.nan]], dtype=torch.float64)
    made = Recoded([1.0, -1.0])(codes)[:, 0]
    assert made[:5].tolist() == [1.0, -1.0, -1.0, -1.0, -1.0] and made[5].isnan()
