import json
import struct
import zipfile
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

import broken_model
from medfit.deployment import model_files
from medfit.deployment.finished_model import WEIGHTS, FinishedModel
from medfit.deployment.model_files import ABOUT
from medfit.deployment.packing import packed
from medfit.errors import UserError
from medfit.training.parts import prepare
from medfit.training.trainer import make_trainer, predictions

RNG = np.random.default_rng(0)
SECRET = 987654.0  # a patient's value


def patients(num_rows=120):
    """A table of all kinds of columns, with missing cells; its rows are the samples in their order."""
    table = pd.DataFrame(
        {
            "age": RNG.normal(60, 10, num_rows).round(1),
            "crp": np.exp(RNG.normal(size=num_rows)),
            "stage": RNG.choice(["I", "II", "III"], num_rows),
            "smoker": RNG.choice(["yes", "no"], num_rows),
        }
    )
    table.loc[RNG.random(num_rows) < 0.2, "crp"] = np.nan
    table.loc[RNG.random(num_rows) < 0.2, "stage"] = None
    table.loc[3, "crp"] = SECRET
    table["yes"], table["class"] = np.arange(num_rows) % 2, np.array(["a", "b", "c"])[np.arange(num_rows) % 3]
    table["number"], table["rare"] = 3 * table["age"] - 100, (np.arange(num_rows) % 8 == 0).astype(int)
    return table


@pytest.fixture
def packaged(compose, tmp_path):
    """A model as it is before training, after overrides: packed, stored, loaded with the data away."""

    def made(*overrides, target="yes"):
        path = tmp_path / "clinic.csv"
        table = patients()
        table[["age", "crp", "stage", "smoker", target]].to_csv(path, index=False)
        cfg = compose("dataset=table", f"dataset.path={path}", f"dataset.target={target}", *overrides)
        parts = prepare(cfg)
        output = predictions(parts, make_trainer(parts), ("val",))["val"]
        val = parts.task.table(*output)
        val.insert(0, "patient", np.arange(len(val)).astype(str))
        model = packed(cfg, parts, {"val": val}, "run", lambda text: text.replace(str(tmp_path), ""))
        model.save(tmp_path / "model")
        path.unlink()
        return FinishedModel.load(tmp_path / "model", "it"), table, parts, val

    return made


OPTIONS = [
    ("preprocessing.missing=mean", "preprocessing.scaling=min_max"),
    (
        "preprocessing.missing=knn",
        "preprocessing.missing_indicator=true",
        "preprocessing.scaling=robust",
        "tracking.patients_in_models=true",
    ),
    ("preprocessing.missing=most_frequent", "preprocessing.scaling=quantile", "preprocessing.categories=ordinal"),
    ("preprocessing.missing=constant", "preprocessing.missing_value=-1", "preprocessing.scaling=none"),
    ("preprocessing.missing=drop", "preprocessing.min_variance=0.01"),
    ("preprocessing.num_best=3", "preprocessing.pca=2"),
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: options[0].split("=")[1])
def test_stored_predictions_come_back_whatever_the_preprocessing(packaged, options):
    model, table, parts, val = packaged("model=mlp", *options)
    rows = parts.datamodule.rows["val"]
    again = model.predict(table.iloc[rows].drop(columns=["yes", "class", "number"]))
    assert again["probability/yes"].to_numpy() == pytest.approx(val["pred/yes"].to_numpy(), abs=1e-6)


@pytest.mark.parametrize(
    ("target", "task", "columns"),
    [
        ("yes", "binary", ["decision/yes", "probability/yes", "recalibrated/yes"]),
        ("class", "multiclass", ["class", *(f"{p}/{c}" for p in ("probability", "recalibrated") for c in "abc")]),
        ("class", "multiclass_codes", ["class", *(f"{p}/{c}" for p in ("probability", "recalibrated") for c in "abc")]),
        ("number", "regression", ["prediction/number", "low/number", "high/number"]),
    ],
)
@pytest.mark.parametrize("family", ["mlp", "linear"])
def test_each_kind_of_target_has_its_columns(packaged, target, task, columns, family):
    model, table, parts, val = packaged(f"model={family}", f"task={task}", target=target)
    rows = parts.datamodule.rows["val"]
    told = model.predict(table.iloc[rows])
    assert list(told) == [*columns, "remarks"]
    stored = [name for name in val if name.startswith("pred/")]
    raw = [name.replace("pred/", "prediction/" if task == "regression" else "probability/") for name in stored]
    assert told[raw].to_numpy() == pytest.approx(val[stored].to_numpy(), rel=1e-6, abs=1e-6)
    if task.startswith("multiclass"):
        assert told["class"].tolist() == val["pred"].tolist()


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_stored_predictions_come_back_whatever_the_precision(packaged, precision):
    model, table, parts, val = packaged("model=mlp", f"regime.precision={precision}")
    again = model.predict(table.iloc[parts.datamodule.rows["val"]])
    assert again["probability/yes"].to_numpy() == pytest.approx(val["pred/yes"].to_numpy(), abs=1e-6)


def test_what_is_known_of_the_training_rows_is_not_of_rows_that_were_repeated(packaged):
    model, table, parts, _ = packaged("split.sampling=over", "model=linear", target="rare")
    rows = parts.datamodule.rows["train"]
    once = table.iloc[np.unique(rows)]
    assert len(rows) > 1.5 * len(once)
    assert model.about["outcomes"]["rare"]["mean"] == pytest.approx(once["rare"].mean())
    age = next(column for column in model.about["expected"]["columns"] if column["name"] == "age")
    assert age["mean"] == pytest.approx(once["age"].mean())


def test_batches_are_small_where_samples_are_large(packaged):
    model, table, *_ = packaged("model=mlp")
    whole, done = model.predict(table), []
    sizes = {(3,): 512, (2**14, 4): 64, (2**24, 1): 1}
    for shape, expected in sizes.items():
        assert replace(model, about={**model.about, "input_shape": shape}).at_once == expected
    small = replace(model, about={**model.about, "input_shape": {"a": (2**16,), "b": (2**16,)}})
    again = small.predict(table, progress=lambda *seen: done.append(seen))
    assert done == [(32, 120), (64, 120), (96, 120), (120, 120)]
    assert again["probability/yes"].to_numpy() == pytest.approx(whole["probability/yes"].to_numpy(), abs=1e-6)


def test_a_device_that_is_not_there_is_told(packaged):
    model, *_ = packaged()
    assert model.on("cpu") is model
    with pytest.raises(UserError, match="^predict.device=nowhere: "):
        model.on("nowhere")


def test_a_sample_has_the_same_prediction_alone(packaged):
    model, table, *_ = packaged("model=mlp")
    whole = model.predict(table)
    alone = pd.concat([model.predict(table.iloc[[row]]) for row in range(20)])
    assert alone["probability/yes"].to_numpy() == pytest.approx(whole["probability/yes"][:20].to_numpy(), abs=1e-6)


def test_rows_that_training_would_leave_out_have_no_prediction(packaged):
    model, table, *_ = packaged("preprocessing.missing=drop")
    told: list[str] = []
    found = model.predict(table, tell=told.append)
    missing = table[["crp", "stage"]].isna().any(axis=1)
    assert (found["probability/yes"].isna() == missing).all() and (found["decision/yes"].isna() == missing).all()
    assert told[-1] == f"of 120 rows, {missing.sum()} have missing values, and so no prediction"


def test_remarks_stand_beside_their_rows(packaged):
    model, table, *_ = packaged()
    table.loc[0, ["age", "stage"]] = [600, "IV"]
    told: list[str] = []
    found = model.predict(table.iloc[:4], tell=told.append)
    assert found["remarks"][0].split("; ")[0] == "age: beyond the training range"
    assert "stage: a level that no training row had" in found["remarks"][0]
    assert found["remarks"][1] == ""
    assert "of 4 rows, a level that no training row had: 'stage' (1)" in told


def test_identifiers_may_not_have_the_name_of_a_prediction(packaged):
    model, table, *_ = packaged()
    with pytest.raises(UserError, match="^predict.id: column 'remarks' has the name of a prediction"):
        model.predict(table.assign(remarks="x"), ["remarks"])
    assert next(iter(model.predict(table.assign(no="1"), ["no"]))) == "no"


def held(folder):
    """All bytes of a model's files, and of those within them."""
    for file in folder.rglob("*"):
        if zipfile.is_zipfile(file):
            yield from map(zipfile.ZipFile(file).read, zipfile.ZipFile(file).namelist())
        elif file.is_file():
            yield file.read_bytes()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["preprocessing.scaling=standard", "preprocessing.missing_indicator=true"], None),
        (["preprocessing.scaling=robust", "preprocessing.pca=2"], None),
        (["preprocessing.scaling=none", "preprocessing.missing=constant"], None),
        (["preprocessing.scaling=min_max"], "the least and the greatest value"),
        (["preprocessing.scaling=quantile"], "the least and the greatest value among them"),
        (
            ["preprocessing.scaling=none", "preprocessing.missing=knn", "tracking.patients_in_models=true"],
            "all training rows",
        ),
    ],
    ids=lambda options: options[0].split("=")[1] if isinstance(options, list) else "",
)
def test_no_patients_value_is_in_the_files_but_where_it_is_told(packaged, tmp_path, options, told):
    model, *_ = packaged(*options)
    whole = b"".join(held(tmp_path / "model"))
    assert str(tmp_path).encode() not in whole
    assert any(value in whole for value in (b"987654", struct.pack("<d", SECRET), struct.pack("<f", SECRET))) is (
        told is not None
    )
    assert [told in line for line in model.about["expected"]["holds"]] == ([] if told is None else [True])


def test_a_model_that_is_not_whole_is_refused(packaged, tmp_path):
    packaged()
    whole = tmp_path / "model"

    refusal = partial(broken_model.refusal, whole)

    def rewrite(folder, sealed=False, **changes):
        about = json.loads((folder / ABOUT).read_text()) | changes
        checksum = about.pop("checksum")
        about["checksum"] = model_files._checksum(about) if sealed else checksum
        (folder / ABOUT).write_text(json.dumps(about))

    assert refusal(lambda folder: (folder / WEIGHTS).unlink()) == f"it: its file {WEIGHTS} is missing"
    assert (
        refusal(lambda folder: (folder / WEIGHTS).write_bytes(b""))
        == f"it: its file {WEIGHTS} is not as it was written"
    )
    assert refusal(lambda folder: (folder / ABOUT).write_text("{")).startswith("it: holds no finished model of medfit")
    assert refusal(lambda folder: (folder / ABOUT).unlink()).startswith("it: holds no finished model of medfit")
    for content in ("[]", "1", '"model"', "{}", ""):
        told = refusal(lambda folder, content=content: (folder / ABOUT).write_text(content))
        assert told.startswith("it: holds no finished model of medfit")
    for number in (0, 2):
        told = refusal(lambda folder, number=number: rewrite(folder, format=number))
        assert told.startswith(f"it: is of format {number}, but medfit")
    assert refusal(lambda folder: rewrite(folder, decisions={})) == f"it: its file {ABOUT} is not as it was written"
    assert refusal(lambda folder: rewrite(folder, files={})) == f"it: its file {ABOUT} is not as it was written"
    wrong = refusal(lambda folder: rewrite(folder, sealed=True, input_shape=[1]))
    assert wrong == "it: its weights do not fit the network that this medfit builds"


def test_a_model_of_another_version_is_told(packaged, tmp_path, capsys, monkeypatch):
    packaged()
    assert "Warning" not in capsys.readouterr().out
    monkeypatch.setattr(model_files, "VERSION", "0.0.9")
    FinishedModel.load(tmp_path / "model", "it")
    told = capsys.readouterr().out
    assert told.startswith("Warning: it: was made by medfit ") and "this is 0.0.9" in told and told.count("\n") == 1


def test_packing_leaves_random_numbers_and_the_trained_network_alone(packaged):
    model, _, parts, _ = packaged()
    assert all(torch.equal(model.task.state_dict()[name], value) for name, value in parts.task.state_dict().items())
