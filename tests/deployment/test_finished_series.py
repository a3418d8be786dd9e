"""Finished models for series: the same sample has the same number wherever it comes from."""

import shutil
import warnings

import numpy as np
import pandas as pd
import pytest

from fake_series import (
    NAMES,
    labels_of,
    signals,
    write_dicom,
    write_edf,
    write_hdf5,
    write_long,
    write_mat,
    write_npy,
    write_npz,
    write_tables,
    write_ts,
    write_wfdb,
    write_wide,
)
from medfit.__main__ import main
from medfit.deployment.finished_model import FinishedModel
from medfit.deployment.packing import packed
from medfit.train import train
from medfit.training.parts import prepare
from medfit.training.trainer import make_trainer, predictions

TABLE = ["dataset=series_table", "dataset.target=y"]
BEATS = ([12, 40, 61, 95], "NVN+")
FORMATS = {
    "ts": (write_ts, "old.ts", ["dataset=ts_file"], 140),
    "wide": (write_wide, "old.csv", [*TABLE, "dataset.channels=[I,II]", "dataset.patient=who"], None),
    "long": (write_long, "old.csv", [*TABLE, "dataset.layout=long", "dataset.time=t", "dataset.patient=who"], 140),
    "tables": (write_tables, "old", [*TABLE, "dataset.time=t"], 140),
    "npz": (write_npz, "old.npz", ["dataset=series_arrays", "dataset.patient=who"], None),
    "npy": (write_npy, "old.npy", ["dataset=series_arrays"], None),
    "mat": (write_mat, "old.mat", ["dataset=series_arrays"], None),
    "hdf5": (write_hdf5, "old.h5", ["dataset=series_arrays"], None),
    "wfdb": (write_wfdb, "old", ["dataset=wfdb_records"], 140),
    "wfdb in windows": (
        write_wfdb,
        "old",
        ["dataset=wfdb_records", "dataset.window_s=0.8", "dataset.stride_s=0.4"],
        140,
    ),
    "edf": (write_edf, "old", ["dataset=edf_records"], None),
    "dicom": (write_dicom, "old", ["dataset=dicom_waveforms"], 140),
}


@pytest.fixture
def packaged(compose, tmp_path):
    """A model as it is before training, after overrides: packed, stored, loaded with the data away.

    Returns it with the series and the stored predictions of the validation split, and their rows.
    """

    def made(kind, *overrides, y=None, longest=None, **more):
        write, name, fixed, lengths = FORMATS[kind]
        x, classes = signals(longest=longest or lengths)
        y = classes if y is None else y
        source = write(tmp_path / name, x, y, **more)
        where = "path"
        if kind == "npy" or kind.split()[0] in ("wfdb", "edf", "dicom"):
            where = "path" if kind == "npy" else "root"
            labelled = source.parent / "labels.csv" if kind == "npy" else labels_of(source, y)
            if kind == "npy":
                labelled.write_text("y\n" + "\n".join(map(str, y)))
            if not any(given.startswith("dataset.symbols") for given in overrides):
                fixed = [*fixed, f"dataset.labels={labelled}", "dataset.target=y"]
        cfg = compose(*fixed, f"dataset.{where}={source}", "model=cnn1d", *overrides)
        parts = prepare(cfg)
        val = parts.task.table(*predictions(parts, make_trainer(parts), ("val",))["val"])
        val.insert(0, "patient", np.arange(len(val)).astype(str))
        model = packed(cfg, parts, {"val": val}, "run", lambda text: text.replace(str(tmp_path), ""))
        model.save(tmp_path / "model")
        shutil.rmtree(source) if source.is_dir() else source.unlink()
        return FinishedModel.load(tmp_path / "model", "it"), x, val, parts.datamodule.rows["val"]

    return made


def new_of(kind, tmp_path, x, **more):
    """The series as those of new patients: without targets, in a file or folder of another name."""
    write, name, *_ = FORMATS[kind]
    return write(tmp_path / name.replace("old", "new"), x, None, **more)


def raw(table, stored):
    """The predictions of a table that a run has stored, in its order."""
    names = [name.replace("pred/", "probability/") for name in stored if name.startswith("pred/")]
    return table[names].to_numpy()


def of_run(val):
    return val[[name for name in val if name.startswith("pred/")]].to_numpy()


@pytest.mark.mostly_slow(fast=5)
@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_gives_the_stored_predictions_again(packaged, tmp_path, kind):
    model, x, val, rows = packaged(kind)
    told: list[str] = []
    again = model.predict(new_of(kind, tmp_path, x), tell=told.append)
    assert raw(again.iloc[rows], val) == pytest.approx(of_run(val), abs=1e-6)
    assert told == [] and (again["remarks"] == "").all()
    if "windows" not in kind:
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
        alone = model.predict(new_of(kind, tmp_path, x[rows[0] : rows[0] + 1]))
        assert raw(alone, val) == pytest.approx(of_run(val)[:1], abs=1e-6)


OPTIONS = [
    ["scaling=per_series"],
    ["scaling=none", "missing=zero"],
    ["scaling=train", "resample_hz=30"],
    ["resample_hz=80", "difference=true"],
    ["'band_pass_hz=[1,20]'", "detrend=true"],
    ["notch_hz=20", "moving_average=3"],
    ["'band_pass_hz=[null,10]'", "scaling=per_series"],
    ["length=crop", "difference=true"],
    ["length=120"],
    ["length=50", "resample_hz=40"],
    ["length=200", "scaling=none"],
    ["length=pad", "jitter=0.1", "shift=0.2", "time_mask=0.1", "channel_dropout=0.1", "magnitude=0.1"],
]


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options))
def test_stored_predictions_come_back_whatever_the_preprocessing(packaged, tmp_path, options):
    settings = [f"preprocessing.{option.strip(chr(39))}" for option in options]
    model, x, val, rows = packaged("ts", "dataset.sampling_rate_hz=50", *settings)
    again = model.predict(new_of("ts", tmp_path, x))
    assert raw(again.iloc[rows], val) == pytest.approx(of_run(val), abs=1e-6)
    alone = model.predict(new_of("ts", tmp_path, [x[rows[1]]]))
    assert raw(alone, val) == pytest.approx(of_run(val)[1:2], abs=1e-6)


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize(
    ("target", "columns"),
    [
        (np.arange(24) % 3, ["class", *(f"{p}/{c}" for p in ("probability", "recalibrated") for c in "012")]),
        (np.arange(24) * 1.5, ["prediction/y"]),
    ],
    ids=["multiclass", "regression"],
)
def test_each_kind_of_target_has_its_columns(packaged, tmp_path, target, columns):
    model, x, val, rows = packaged("wfdb", y=target)
    told = model.predict(new_of("wfdb", tmp_path, x))
    assert list(told) == ["record", *columns, "remarks"]
    assert told["record"].tolist() == [f"r{row:03}.hea" for row in range(24)]
    first = told[[name for name in told if name.startswith(("prediction/", "probability/"))]].to_numpy()
    assert first[rows] == pytest.approx(of_run(val), rel=1e-6, abs=1e-6)


def test_windows_around_annotations_are_those_of_the_new_files(packaged, tmp_path):
    given = ["dataset.symbols={N: normal, V: ventricular}", "dataset.before_s=0.2", "dataset.after_s=0.4"]
    model, x, val, rows = packaged("wfdb", *given, beats=BEATS)
    again = model.predict(new_of("wfdb", tmp_path, x, beats=BEATS))
    assert raw(again.iloc[rows], val) == pytest.approx(of_run(val), abs=1e-6)
    assert again["start_s"][:2].tolist() == [0.04, 0.6] and again["end_s"][:2].tolist() == [0.64, 1.2]


def test_windows_along_annotations_tile_whole_new_recordings(packaged, tmp_path):
    stages = [(0.0, "wake", 0.8), (0.8, "sleep", 0.8)]
    given = ["dataset.symbols={wake: wake, sleep: sleep}", "dataset.window_s=0.4"]
    model, x, val, rows = packaged("edf", *given, notes=stages)
    again = model.predict(new_of("edf", tmp_path, x))
    assert again["start_s"][:6].tolist() == pytest.approx([0, 0.4, 0.8, 1.2, 1.6, 0])
    annotated = again[again["end_s"] < 1.7].reset_index(drop=True)
    assert raw(annotated.iloc[rows], val) == pytest.approx(of_run(val), abs=1e-6)


def test_series_that_outgrow_memory_have_the_same_predictions(packaged, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    model, x, val, rows = packaged("wfdb", "dataset.memory_gib=1e-5")
    again = model.predict(new_of("wfdb", tmp_path, x))
    assert raw(again.iloc[rows], val) == pytest.approx(of_run(val), abs=1e-6)


def test_lists_of_numbers_have_the_same_predictions(packaged):
    model, x, val, rows = packaged("npz")
    frame = pd.DataFrame({"channel 1": [series[0].tolist() for series in x], "channel 2": [series[1] for series in x]})
    again = model.predict(frame.assign(who=[f"{row:03}" for row in range(24)]))
    assert raw(again.iloc[rows], val) == pytest.approx(of_run(val), abs=1e-6)
    assert again["who"].tolist()[:2] == ["000", "001"]
    assert raw(model.predict(frame.iloc[rows[:1]]), val) == pytest.approx(of_run(val)[:1], abs=1e-6)


def test_no_value_of_a_series_is_in_the_files(packaged, tmp_path):
    model, x, *_ = packaged("wide", "preprocessing.scaling=none")
    text = (tmp_path / "model" / "model.json").read_text()
    assert str(tmp_path) not in text and "channels" not in model.about["expected"]
    assert not any(f"{x[row].max()}" in text for row in range(24))


@pytest.mark.slow
def test_a_training_logs_its_model_and_the_command_predicts_with_it(compose, client, output_dir, tmp_path):
    x, y = signals(24)
    old = write_wfdb(tmp_path / "old", x)
    given = ["dataset=wfdb_records", f"dataset.root={old}", f"dataset.labels={labels_of(old, y)}", "dataset.target=y"]
    train(compose(*given, "model=cnn1d", "regime=smoke", "tracking.models=true"))
    (found,) = client.search_logged_models([each.experiment_id for each in client.search_experiments()])
    run, out = found.source_run_id, tmp_path / "p.csv"
    stored = pd.read_csv(client.download_artifacts(run, "predictions/val.csv", str(tmp_path)))["pred/y"]
    shutil.rmtree(old)
    new = write_wfdb(tmp_path / "new", x)
    assert main(["predict", run, f"data={new}", f"out={out}", f"output_dir={output_dir}"]) == 0
    table = pd.read_csv(out)
    assert list(table)[:2] == ["row", "record"] and len(table) == 24
    nearest = np.abs(table["probability/y"].to_numpy() - stored.to_numpy()[:, None]).min(axis=1)
    assert nearest == pytest.approx(np.zeros(len(stored)), abs=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        import mlflow.pyfunc

    served = mlflow.pyfunc.load_model(str(next((output_dir / "artifacts").rglob("MLmodel")).parent))
    rows = pd.DataFrame({name: [series[place].tolist() for series in x] for place, name in enumerate(NAMES)})
    answer = served.predict(rows)
    assert answer["probability/y"].to_numpy() == pytest.approx(table["probability/y"].to_numpy(), abs=1e-4)
