import json
import re
import shutil
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch

from image_packages import MASKS
from medfit.__main__ import main
from medfit.config import instantiate
from medfit.deployment import export as exporting
from medfit.deployment import logged
from medfit.deployment.export_files import FORMATS
from medfit.errors import UserError
from medfit.export import export
from medfit.tracking.store import Store
from medfit.train import train
from small_data import IMAGES, SERIES, write_masks

SMALL = ["model=linear", "regime=smoke", "tracking.models=true", "tracking.patients_in_models=true"]
SECRET = 987654.25  # a patient's value, and
NAME = "Z. Nobody"  # identifier


def table(num_rows=120):
    rng = np.random.default_rng(0)
    made = pd.DataFrame({"who": [f"{NAME} {k}" for k in range(num_rows)], "age": rng.normal(60, 10, num_rows)})
    made["crp"] = np.exp(rng.normal(size=num_rows))
    made["stage"] = rng.choice(["I", "II"], num_rows)
    made["yes"] = np.arange(num_rows) % 2
    made.loc[3, "crp"] = SECRET
    made.loc[rng.random(num_rows) < 0.2, "crp"] = np.nan
    return made


@pytest.fixture
def trained(compose, client, tmp_path):
    """Trains on a table, and returns the run's id."""

    def run(*overrides, target="yes"):
        path = tmp_path / "clinic" / "patients.csv"
        path.parent.mkdir(exist_ok=True)
        table().to_csv(path, index=False)
        train(compose("dataset=table", f"dataset.path={path}", f"dataset.target={target}", "dataset.patient=who", *SMALL, *overrides))  # fmt: skip
        return newest(client)

    return run


def newest(client):
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids)[0].info.run_id


def said(path):
    """What a file says of itself."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(next(n for n in archive.namelist() if n.endswith("extra/medfit.json"))))
    import onnx

    return json.loads({p.key: p.value for p in onnx.load(path).metadata_props}["medfit"])


@pytest.fixture(params=FORMATS)
def form(request):
    if request.param == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    return request.param


def test_a_file_is_what_predict_is_and_says_what_it_takes(trained, output_dir, tmp_path, form, capsys):
    run, out = trained("preprocessing.missing_indicator=true"), tmp_path / "model.bin"
    assert main(["export", run, f"format={form}", f"out={out}", f"output_dir={output_dir}"]) == 0
    told = capsys.readouterr().out
    assert re.search(
        r"^Checked   2\d validation samples: the largest difference from medfit's is \d\.\de[-+]\d\d$", told, re.M
    )
    assert "Note" not in told
    about = said(out)
    (given,), (gives,) = about["inputs"], about["outputs"]
    assert given["name"] == "cells" and given["type"] == "float64" and given["shape"] == ["batch", 3]
    assert [column["name"] for column in given["columns"]] == ["age", "crp", "stage"]
    assert given["columns"][2]["levels"] == ["I", "II"] and (gives["name"], gives["names"]) == (
        "probabilities",
        ["yes"],
    )
    assert set(about["decisions"]["thresholds"]) == {"yes"} and about["run_id"] == run
    new = tmp_path / "new.csv"
    table().to_csv(new, index=False)
    assert main(["predict", run, f"data={new}", f"out={tmp_path / 'p.csv'}", f"output_dir={output_dir}"]) == 0
    rows = table().assign(stage=lambda x: x["stage"].map({"I": 0.0, "II": 1.0}))[["age", "crp", "stage"]]
    made = FORMATS[form].open(out)({"cells": torch.tensor(rows.to_numpy(dtype=float))})
    expected = pd.read_csv(tmp_path / "p.csv")["probability/yes"]
    np.testing.assert_allclose(made[:, 0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("missing", ["median", "knn"])
def test_a_file_holds_no_path_no_patient_and_no_row(trained, compose, tmp_path, form, missing):
    run, out = trained(f"preprocessing.missing={missing}"), tmp_path / "model.bin"
    export(compose(f"export.model={run}", f"export.format={form}", f"export.out={out}"))
    held = out.read_bytes()
    words = [NAME, str(tmp_path), "patients.csv", "clinic", "/site-packages", str(SECRET)]
    assert not [word for word in words if word.encode() in held]
    assert np.float64(SECRET).tobytes() not in held and np.float32(SECRET).tobytes() not in held


def test_rows_that_neighbours_would_fill_are_counted(trained, output_dir, tmp_path, capsys):
    run, out = trained("preprocessing.missing=knn"), tmp_path / "model.pt2"
    assert main(["export", run, "format=torch_export", f"out={out}", f"output_dir={output_dir}"]) == 0
    assert "of them without an output for missing cells: the largest" in capsys.readouterr().out
    given = said(out)["inputs"][0]
    assert given["needed"] == ["age", "crp"] and given["is"].endswith("has NaN for its output.")


def test_a_model_is_checked_with_made_up_samples_where_its_data_are_gone(trained, output_dir, tmp_path, capsys):
    run, out = trained(), tmp_path / "model.pt2"
    shutil.rmtree(tmp_path / "clinic")
    instantiate._load_dataset.cache_clear()
    assert main(["export", run, "format=torch_export", f"out={out}", f"output_dir={output_dir}"]) == 0
    told = capsys.readouterr().out
    assert "Note: the validation samples can't be had: " in told and "Checked   64 made-up samples" in told


def test_data_that_have_changed_are_not_checked_with(trained, output_dir, tmp_path, capsys):
    run, out = trained(), tmp_path / "model.pt2"
    table().assign(age=1.5 * table()["age"]).to_csv(tmp_path / "clinic" / "patients.csv", index=False)
    instantiate._load_dataset.cache_clear()
    assert main(["export", run, "format=torch_export", f"out={out}", f"output_dir={output_dir}"]) == 0
    assert "the data have changed since the run was trained on them" in capsys.readouterr().out


def test_a_file_that_differs_is_an_error_and_is_not_left(trained, compose, tmp_path, monkeypatch):
    run, out = trained(), tmp_path / "model.pt2"
    out.write_text("before")
    opened = FORMATS["torch_export"].open
    wrong = FORMATS["torch_export"]._replace(open=lambda path: lambda inputs: opened(path)(inputs) + 2e-4)
    monkeypatch.setitem(exporting.FORMATS, "torch_export", wrong)
    cfg = compose(f"export.model={run}", "export.format=torch_export", f"export.out={out}")
    with pytest.raises(UserError, match=r"over 2\d validation samples they differ by 2.0e-04, and 0.0001 is allowed"):
        export(cfg)
    assert out.read_text() == "before" and not list(tmp_path.glob(".*draft"))


def write_masks_of(folder):
    return write_masks(folder, 16)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "lines", "count"),
    [
        (SERIES.write, ["model=cnn1d", "model.widths=[4]", "model.kernel_sizes=[5]"], 12),
        (IMAGES.write, ["model=resnet", "model.depth=10", "model.width=2"], 12),
        (write_masks_of, MASKS, 3),
    ],
    ids=["series", "images", "masks"],
)
def test_other_kinds_are_checked_with_the_runs_own_validation_samples_while_these_are_there(
    compose, client, output_dir, tmp_path, form, capsys, write, lines, count
):
    (tmp_path / "data").mkdir()
    train(compose(*write(tmp_path / "data"), "regime=smoke", "tracking.models=true", *lines))
    asked = ["export", newest(client), f"format={form}", f"out={tmp_path / 'file'}", f"output_dir={output_dir}"]

    def told(samples):
        capsys.readouterr()
        assert main(asked) == 0
        words = capsys.readouterr().out
        found = re.search(rf"Checked +{samples}: the largest difference from medfit's is (\S+)", words)
        assert found is not None and float(found[1]) < 1e-4
        return words

    assert "made-up" not in told(f"{count} validation samples")
    shutil.rmtree(tmp_path / "data")
    instantiate._load_dataset.cache_clear()
    assert "Note: the validation samples can't be had: " in told(r"\d+ made-up samples")


def test_a_registered_name_is_exported_and_the_default_is_a_file_here(trained, output_dir, tmp_path, monkeypatch):
    run = trained()
    assert main(["register", run, "name=masses", "alias=champion", f"output_dir={output_dir}"]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["export", "models:/masses@champion", "format=torch_export", f"output_dir={output_dir}"]) == 0
    assert (tmp_path / "model.pt2").is_file()


def test_what_no_file_can_hold_yet_is_refused(trained, compose, tmp_path):
    model = logged.load(Store(compose()), trained(), "it")
    model.task.double()
    with pytest.raises(UserError, match=r"^export.model: its weights are float64 \(regime.precision\)"):
        exporting.write_model(model, "torch_export", tmp_path / "m.pt2", tmp_path)


def test_numbers_are_compared_in_standard_deviations_of_the_targets(trained, compose, tmp_path):
    run = trained("task=regression", target="age")
    model = logged.load(Store(compose()), run, "it")
    assert float(model.task.std) > 5
    _, found = export(compose(f"export.model={run}", "export.format=torch_export", f"export.out={tmp_path / 'm.pt2'}"))
    assert found.difference < 1e-5 and said(tmp_path / "m.pt2")["outputs"][0]["name"] == "predictions"


@pytest.mark.slow
def test_a_generators_run_gives_images_of_noise(compose, client, tmp_path, form):
    pytest.importorskip("sklearn")
    fixed = ("model.width=4", "model.latent_size=5", "regime.epochs=1", "regime.accelerator=cpu")
    train(compose("dataset=mni_slices", "preprocessing.size=28", "model=gan", "task.num_components=4", *fixed))
    out = tmp_path / "model.bin"
    _, found = export(compose(f"export.model={newest(client)}", f"export.format={form}", f"export.out={out}"))
    assert (found.samples, found.count) == ("samples of noise", 16)
    about = said(out)
    assert about["inputs"][0]["name"] == "noise" and about["outputs"][0]["name"] == "images"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "export.model is needed: medfit export <run id>"),
        (["none"], "export.model: there is no run 'none'"),
        (["models:/none@champion"], "export.model: no model is registered as models:/none@champion"),
        (["none", "format=pickle"], "export.format: input should be 'onnx' or 'torch_export', not 'pickle'"),
        (["none", "out=nowhere/model.onnx"], "export.out: there is no folder 'nowhere'"),
        (["none", "out=/"], "export.out: '/' is a folder"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(output_dir, capsys, arguments, told):
    assert main(["export", *arguments, f"output_dir={output_dir}"]) == 2
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_package_that_is_missing_is_told_with_the_extra_that_has_it(trained, compose, tmp_path, monkeypatch, package):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, type(sys)(name))
    monkeypatch.setitem(sys.modules, package, None)
    cfg = compose(f"export.model={trained()}", f"export.out={tmp_path / 'model.onnx'}")
    with pytest.raises(UserError, match=r"^export.format: onnx needs .* pip install 'medfit\[onnx\]'"):
        export(cfg)
    assert not (tmp_path / "model.onnx").exists()
