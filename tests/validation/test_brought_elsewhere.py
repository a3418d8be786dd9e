"""What validation takes, converts and tells of other series and images is what predict does: one number a sample."""

import numpy as np
import pandas as pd
import pytest

import medfit
from fake_images import write_flat
from fake_series import labels_of, moments, signals, write_long, write_wfdb, write_wide
from medfit.errors import UserError
from small_data import IMAGES, SERIES

SMALL = ["model=cnn1d", "model.widths=[4]", "model.kernel_sizes=[5]"]


@pytest.fixture
def predicted(output_dir):
    """Predicts with a run's model; returns the probabilities and what is told."""

    def made(run, source):
        told = []
        found = medfit.load_model(run.info.run_id, f"output_dir={output_dir}").predict(source, tell=told.append)
        (risk,) = (found[name] for name in found if name.startswith("probability/"))
        return risk.to_numpy(), {line for line in told if not line.endswith("and so no prediction")}

    return made


def scored(stored, found):
    (risk,) = (column for name, column in stored(found).items() if name.startswith("pred/"))
    return risk.to_numpy()


@pytest.mark.parametrize("window", [[], ["dataset.window_s=1"]])
def test_recordings_of_another_rate_unit_and_spelling_get_the_number_that_predict_gives(
    run_of, validated, predicted, stored, tmp_path, window
):
    x, y = signals(24)
    own = write_wfdb(tmp_path / "own", x)
    labels = f"dataset.labels={labels_of(own, y)}"
    run = run_of("dataset=wfdb_records", f"dataset.root={own}", labels, "dataset.target=y", *window, *SMALL)
    x, y = signals(24, 200, seed=9)
    wide = [np.stack([series[1], series[0], series[0]]) / 1000 for series in x]
    there = write_wfdb(tmp_path / "other", wide, rate=100, names=("lead ii", "ECG I", "V9"), unit="mV")
    labels = labels_of(there, y)
    found = validated(run, f"validate.data={there}", f"validate.dataset.labels={labels}")
    risk, told = predicted(run, there)
    assert scored(stored, found) == pytest.approx(risk, abs=1e-5) and len(risk) == (48 if window else 24)
    assert any("sampled at 100 Hz, and brought to 50 Hz" in line for line in told)
    assert any("brought from mV to uV" in line for line in told) and any("'V9'" in line for line in told)
    assert told <= {*found.notes}
    other = ["dataset=wfdb_records", f"dataset.root={there}", f"dataset.labels={labels}", "dataset.target=y", *window]
    again = validated(run, *other)
    assert scored(stored, again) == pytest.approx(risk, abs=1e-5) and told <= {*again.notes}
    with pytest.raises(UserError, match=r"^dataset.resample_hz=25: the model takes series of 50 Hz"):
        validated(run, *other, "dataset.resample_hz=25")


def test_moments_at_other_steps_get_the_number_that_predict_gives(run_of, validated, predicted, stored, tmp_path):
    fixed = ["dataset=series_table", "dataset.layout=long", "dataset.time=t", "dataset.patient=who"]
    run = run_of(*fixed, f"dataset.path={write_long(tmp_path / 'own.csv', *signals(24))}", "dataset.target=y", *SMALL)
    tables = [table.assign(who=name, t=table.t / 2) for name, table in moments(*signals(24, 200, seed=9))]
    whole = pd.concat(tables).assign(ward="a", pulse=np.arange(24 * 200) % 7)  # a word, and what is no channel here
    whole.to_csv(tmp_path / "other.csv", index=False)
    found = validated(run, f"validate.data={tmp_path / 'other.csv'}")
    risk, told = predicted(run, tmp_path / "other.csv")
    assert scored(stored, found) == pytest.approx(risk, abs=1e-6)
    (line,) = (line for line in told if "steps of 0.01, and brought to the training's steps of 0.02" in line)
    assert line in found.notes and "'series' (24)" in line


def test_rows_with_more_columns_and_other_lengths_get_the_number_that_predict_gives(
    run_of, validated, predicted, stored, tmp_path
):
    run = run_of(*SERIES.write(tmp_path), *SMALL)  # of 40 to 60 points
    x, y = signals(40, 8, 60, seed=7)
    x[3][1] = np.nan  # no channel II
    table = pd.read_csv(write_wide(tmp_path / "other.csv", x, y)).copy()  # in one block
    table.insert(0, "age", np.arange(40))
    table["ward"] = "a"
    table.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(UserError, match="has a channel that is all missing"):
        validated(run, f"validate.data={tmp_path / 'other.csv'}")
    table.drop(index=3).to_csv(tmp_path / "other.csv", index=False)
    found = validated(run, f"validate.data={tmp_path / 'other.csv'}", "validate.subgroups.ward=null")
    risk, told = predicted(run, tmp_path / "other.csv")
    assert scored(stored, found) == pytest.approx(risk, abs=1e-6)
    assert any("shorter than any in training" in line and line in found.notes for line in told)
    turned = table.drop(index=3)
    points = [name for name in turned if name.startswith("I")]
    turned = turned[["who", *points[::-1], "y"]]
    turned.to_csv(tmp_path / "turned.csv", index=False)
    with pytest.raises(UserError, match="columns of points stand in another order than the training's"):
        validated(run, f"validate.data={tmp_path / 'turned.csv'}")


def test_series_that_predict_leaves_out_are_left_out_and_counted(run_of, validated, predicted, stored, tmp_path):
    x, y = signals(24)
    np.savez(tmp_path / "own.npz", x=np.array(x), y=y)
    fixed = ["dataset=series_arrays", "dataset.sampling_rate_hz=50", "dataset.channels=[I,II]"]
    run = run_of(*fixed, f"dataset.path={tmp_path / 'own.npz'}", *SMALL)
    x, y = signals(24, 120, seed=9)
    for row in range(0, 24, 6):
        x[row][:, 60:] = np.nan  # ends before the 100 points that the model takes
    np.savez(tmp_path / "other.npz", x=np.array(x), y=y)
    found = validated(run, f"validate.data={tmp_path / 'other.npz'}")
    risk, told = predicted(run, tmp_path / "other.npz")
    assert np.isnan(risk).sum() == 4 and scored(stored, found) == pytest.approx(risk[~np.isnan(risk)], abs=1e-6)
    assert told <= {*found.notes}
    assert "4 samples are none that the model can predict, and are not scored" in found.notes
    assert any("of 24 rows, longer than any in training (100 points), and cut there: 'series' (20)" in n for n in told)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["dataset.sampling_rate_hz=100", "dataset.units={I: mV}"], ["sampled at 100 Hz, and brought to 50 Hz"]),
        (["dataset.units={I: mV, II: uV}"], ["of an untold sampling rate, which is taken for 50 Hz", "from mV to uV"]),
        (["dataset.channels=[ecg ii, Lead I]"], ["of an untold unit, which is taken for uV"]),
    ],
)
def test_rate_unit_and_order_of_channels_are_brought_to_the_trainings(run_of, validated, tmp_path, given, told):
    x, y = signals(24)
    np.savez(tmp_path / "own.npz", x=np.array(x), y=y)
    fixed = ["dataset=series_arrays", f"dataset.path={tmp_path / 'own.npz'}", "dataset.units={I: uV, II: uV}"]
    run = run_of(*fixed, "dataset.sampling_rate_hz=50", "dataset.channels=[I,II]", *SMALL)
    x, y = signals(24, 100, seed=9)
    plain = np.array(x)
    np.savez(tmp_path / "plain.npz", x=plain, y=y)
    made = plain.repeat(2, axis=2) if "rate" in given[0] else plain[:, ::-1] if "channels" in given[0] else plain.copy()
    if "I: mV" in given[-1]:
        made[:, 0] /= 1000
    np.savez(tmp_path / "other.npz", x=made, y=y)
    other = ["dataset=series_arrays", f"dataset.path={tmp_path / 'other.npz'}", *given]
    found = validated(run, *other, *(["dataset.channels=[I,II]"] if "channels" not in given[0] else []))
    assert all(any(one in note for note in found.notes) for one in told)
    expected = validated(run, f"validate.data={tmp_path / 'plain.npz'}").tables["scores"].set_index("metric").estimate
    made = found.tables["scores"].set_index("metric").estimate
    assert made["auroc"].iloc[0] == pytest.approx(expected["auroc"].iloc[0], abs=0.2 if "rate" in given[0] else 1e-6)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("dataset.units={I: mmHg}", r"^validate.data: channel 'I' is in mmHg, the training's in uV"),
        (
            "dataset.channels=[I,V2]",
            r"^validate.data: there is no channel 'II', which the model needs \(channels: I, V2",
        ),
        ("dataset.sampling_rate_hz=50", r"^validate.data: the series have a sampling rate \(50 Hz\), but that of the"),
    ],
)
def test_what_cannot_be_brought_is_refused(run_of, validated, tmp_path, given, line):
    x, y = signals(24)
    np.savez(tmp_path / "own.npz", x=np.array(x), y=y)
    fixed = ["dataset=series_arrays", f"dataset.path={tmp_path / 'own.npz'}"]
    run = run_of(*fixed, "dataset.channels=[I,II]", "dataset.units={I: uV}", *SMALL)
    with pytest.raises(UserError, match=line):
        validated(run, *fixed, given, *(["dataset.channels=[I,II]"] if "channels" not in given else []))


def coloured(folder, size=12, seed=7):
    rng = np.random.default_rng(seed)
    for number in range(40):
        pixels = rng.integers(0, 100 + 60 * (number // 20), (size, size, 3)).astype(np.uint8)
        write_flat(folder / "ab"[number // 20] / f"{number:02}.png", pixels)
    return folder


def test_images_are_turned_grey_scaled_and_told_of_as_predict_does(run_of, validated, predicted, stored, tmp_path):
    small = ["model=resnet", "model.depth=10", "model.width=2", "dataset.channels=[grey]"]
    run = run_of(*IMAGES.write(tmp_path), *small, "preprocessing.size=12")
    there = coloured(tmp_path / "other", 16)
    risk, told = predicted(run, there)
    assert any("beyond the training images', stretched" in line for line in told)
    for data in ([f"validate.data={there}"], ["dataset=image_classes", f"dataset.root={there}"]):
        found = validated(run, *data)
        assert scored(stored, found) == pytest.approx(risk, abs=1e-6) and told <= {*found.notes}
    named = validated(run, "dataset=image_classes", f"dataset.root={there}", "dataset.channels=[luma]")
    assert any("called luma, and taken for grey in this order: 'channels' (40)" in note for note in named.notes)
    with pytest.raises(
        UserError, match=r"^validate.data: the images' channels are red, green, blue; the model takes grey"
    ):
        validated(run, "dataset=image_classes", f"dataset.root={there}", "dataset.channels=[red,green,blue]")


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_images_that_predict_refuses_are_refused_or_left_out(run_of, validated, predicted, stored, tmp_path, on_error):
    small = ["model=resnet", "model.depth=10", "model.width=2", f"dataset.on_error={on_error}"]
    run = run_of(*IMAGES.write(tmp_path), *small)
    there = coloured(tmp_path / "other")
    rng = np.random.default_rng(7)
    for number, file in enumerate(sorted(there.rglob("*.png"))):
        size = (12, 14 if number == 5 else 12)
        write_flat(file, rng.integers(0, 100 + 60 * (number // 20), size).astype(np.uint8))
    if on_error == "stop":
        with pytest.raises(UserError, match="05.png: has 12 x 14 pixels, but the model takes 12 x 12"):
            validated(run, f"validate.data={there}")
        return
    found, (risk, told) = validated(run, f"validate.data={there}"), predicted(run, there)
    assert scored(stored, found) == pytest.approx(risk[~np.isnan(risk)], abs=1e-6) and len(stored(found)) == 39
    assert told <= {*found.notes} and "1 samples are none that the model can predict, and are not scored" in found.notes
