import csv
import warnings

import numpy as np
import pandas as pd
import pytest

from fake_images import write_flat
from medfit import __main__ as cli
from medfit.config.compose import compose as compose_config
from medfit.inspect import inspect
from medfit.train import train

NUM = 120
RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "mrn": [f"secret{n // 2}" for n in range(NUM)],
    "age": np.where(np.arange(NUM) % 40 == 7, 999, RANDOM.integers(30, 80, NUM)),
    "crp": RANDOM.gamma(2, 3, NUM).round(2),
    "site": RANDOM.choice(["Ulm", "ulm", "Bonn"], NUM),
    "remark": [f"secret remark {n}" for n in range(NUM)],
    "seen": [f"20{10 + n % 9}-03-{1 + n % 28:02d}" for n in range(NUM)],
    "sick": RANDOM.choice(["yes", "no"], NUM),
})  # fmt: skip


@pytest.fixture
def path(tmp_path):
    FRAME.to_csv(tmp_path / "cohort.csv", index=False)
    return str(tmp_path / "cohort.csv")


def run(capsys, *overrides):
    """What is shown, on wide lines."""
    status = cli.main(["inspect", *overrides])
    shown = capsys.readouterr()
    assert status == 0, shown.err
    assert "secret" not in shown.out
    return shown.out


def row(shown, name):
    return next(line for line in shown.splitlines() if line.split()[:1] == [name])


def test_a_table_is_shown_before_there_is_a_target(path, capsys, tmp_path):
    shown = run(capsys, "dataset=table", f"dataset.path={path}", f"output_dir={tmp_path / 'runs'}")
    assert "120 rows; dataset.target=... says what to learn" in shown
    assert "text" in row(shown, "remark") and "date" in row(shown, "seen") and "dataset.parse={seen:date}" in shown
    assert "999 in 3 cells" in shown and "1 of 3 differ by case" in shown
    assert "yes" in row(shown, "sick") and "binary" in row(shown, "sick")
    assert not (tmp_path / "runs").exists()


def test_with_a_target_roles_and_splits_are_shown_and_no_store_is_opened(path, capsys, tmp_path):
    more = ["dataset.target=sick", "dataset.patient=mrn", "dataset.exclude=[remark]", "dataset.parse={seen:date}"]
    shown = run(capsys, "dataset=table", f"dataset.path={path}", f"output_dir={tmp_path / 'runs'}", *more)
    assert "target" in row(shown, "sick") and "patient" in row(shown, "mrn") and "left out" in row(shown, "remark")
    assert "feature" in row(shown, "age") and "numeric" in row(shown, "seen")
    assert "Samples    120 records of 60 patients" in shown and "Task       binary: sick " in shown
    sizes = [int(line.split()[1]) for line in shown.splitlines() if line.split()[:1] in (["Train"], ["Val"], ["Test"])]
    assert len(sizes) == 3 and sum(sizes) == NUM
    assert not (tmp_path / "runs").exists()


def test_all_that_is_in_the_way_of_training_is_shown_at_once(path, capsys):
    shown = run(capsys, "dataset=table", f"dataset.path={path}", "dataset.target=sick")
    assert "it can't be trained on: dataset: column 'mrn'" in shown
    assert "hardly repeats" in row(shown, "remark") and "dataset.parse={seen:date}" in row(shown, "seen")


def test_what_the_leak_scan_finds_is_marked(tmp_path, capsys):
    frame = FRAME[["age", "crp", "sick"]].assign(code=np.where(FRAME.sick == "yes", "x", "y"))
    frame.to_csv(tmp_path / "t.csv", index=False)
    shown = run(capsys, "dataset=table", f"dataset.path={tmp_path / 't.csv'}", "dataset.target=sick")
    assert "see below" in row(shown, "code") and "see below" not in row(shown, "crp")
    assert "Warning    column 'code' alone tells" in shown


def test_a_question_to_a_column_makes_it_the_target(path, capsys):
    more = ["dataset.target_rule=crp > 5", "dataset.exclude=[remark,mrn,seen]"]
    shown = run(capsys, "dataset=table", f"dataset.path={path}", *more)
    assert "target" in row(shown, "crp") and "Task       binary: crp > 5" in shown


def test_cells_are_shown_as_the_options_read_them(path, capsys):
    more = ["dataset.fold_case=true", "dataset.missing_in={age:[999]}", "dataset.parse={seen:date}"]
    shown = run(capsys, "dataset=table", f"dataset.path={path}", *more)
    assert "by case" not in shown and "3 (2.5 %)" in row(shown, "age") and "numeric" in row(shown, "seen")


def test_it_says_things_once(tmp_path, capsys):
    FRAME[["age", "crp", "sick"]].assign(site=["NA", "Ulm"] * 60).to_csv(tmp_path / "t.csv", index=False)
    shown = run(capsys, "dataset=table", f"dataset.path={tmp_path / 't.csv'}", "dataset.target=sick")
    assert shown.count("cells 'NA' are missing") == 1


def test_columns_are_written(path, capsys, tmp_path):
    out = tmp_path / "columns.csv"
    run(capsys, "dataset=table", f"dataset.path={path}", f"inspect.out={out}")
    rows = {line["name"]: line for line in csv.DictReader(out.read_text().splitlines())}
    assert list(rows) == list(FRAME) and rows["age"]["kind"] == "numeric" and rows["crp"]["missing"] == "0"
    assert "secret" not in out.read_text()
    assert cli.main(["inspect", "dataset=table", f"dataset.path={path}", f"inspect.out={tmp_path}"]) == 2
    assert capsys.readouterr().err.startswith("medfit: inspect.out: ")


def test_more_columns_than_a_screen_holds_are_counted(tmp_path, capsys):
    pd.DataFrame({f"c{n}": [1.5, 2.5, 3.5] for n in range(130)}).to_csv(tmp_path / "t.csv", index=False)
    assert "30 more columns: inspect.out=columns.csv writes all" in run(
        capsys, "dataset=table", f"dataset.path={tmp_path / 't.csv'}"
    )


def test_a_column_that_is_not_there_is_refused(path, capsys):
    assert cli.main(["inspect", "dataset=table", f"dataset.path={path}", "dataset.target=sic"]) == 2
    assert "did you mean 'sick'" in capsys.readouterr().err


def test_the_default_experiment_is_shown(capsys, tmp_path):
    shown = run(capsys, f"output_dir={tmp_path / 'runs'}")
    assert "569 records of 569 patients" in shown and "binary: malignant 212 of 569" in shown
    line = row(shown, "mean")
    assert "numeric" in line and "feature" in line
    assert "median 13.4, 90 % within 9.53 to 20.6" in shown


def test_labels_of_images_are_shown_before_there_is_a_target(tmp_path, capsys):
    pd.DataFrame({"image": [f"secret{n}.png" for n in range(30)], "ill": [0, 1] * 15}).to_csv(tmp_path / "t.csv")
    shown = run(capsys, "dataset=image_table", f"dataset.path={tmp_path / 't.csv'}")
    assert "30 rows" in shown and "binary" in row(shown, "ill")


def test_images_are_shown_by_size_and_class(tmp_path, capsys):
    for number in range(30):
        write_flat(tmp_path / f"secret{number}.png", RANDOM.integers(0, 255, (8, 6 + number % 2), np.uint8))
    table = pd.DataFrame({"image": [f"secret{n}.png" for n in range(30)], "ill": [0, 1, 1] * 10})
    table.to_csv(tmp_path / "t.csv", index=False)
    shown = run(capsys, "dataset=image_table", f"dataset.path={tmp_path / 't.csv'}", "dataset.target=ill")
    assert "30 images of 30 patients" in shown and "binary: ill 20 of 30" in shown
    assert "Sizes      8 x 6 in 15 of 30, 1 others pixels" in shown and "Type       uint8" in shown
    assert "Spacing    not known" in shown


def test_masks_are_counted_by_class(tmp_path, capsys):
    for number in range(30):
        mask = np.zeros((8, 8), np.uint8)
        mask[2:4, 2:4] = 255 * (number % 3 > 0)
        write_flat(tmp_path / "images" / f"secret{number}.png", RANDOM.integers(0, 255, (8, 8), np.uint8))
        write_flat(tmp_path / "masks" / f"secret{number}.png", mask)
    more = [f"dataset.{name}={tmp_path / name}" for name in ("images", "masks")]
    shown = run(
        capsys,
        "dataset=image_masks",
        *more,
        "dataset.layout=binary",
        "dataset.classes=[void,spot]",
        "dataset.empty_masks=keep",
    )
    assert "spot in 20 of 30" in shown and "10 of 30 are empty" in shown


def test_recordings_are_shown_by_channels_rates_and_lengths(tmp_path, capsys):
    for number in range(30):
        signals = RANDOM.normal(size=(200 + 100 * (number % 2), 2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its use of pandas
            import wfdb

            about = {"fs": 100, "units": ["mV", "uV"], "sig_name": ["I", "II"], "fmt": ["16"] * 2}
            wfdb.wrsamp(f"secret{number}", p_signal=signals, write_dir=str(tmp_path), **about)
    rows = {"record": [f"secret{n}" for n in range(30)], "ill": [0, 1] * 15}
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    more = [f"dataset.root={tmp_path}", f"dataset.labels={tmp_path / 'labels.csv'}", "dataset.target=ill"]
    shown = run(capsys, "dataset=wfdb_records", *more)
    assert "signal" in row(shown, "I") and "mV" in row(shown, "I")
    assert "Lengths    200 to 300 points, 2 to 3 s" in shown and "Rate       100 Hz" in shown
    assert "30 time series of 30 patients" in shown


def test_series_say_what_is_missing(tmp_path):
    x = RANDOM.normal(size=(40, 2, 50))
    x[:20, 1, 10:30] = np.nan
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(40) % 3)
    cfg = compose_config(["dataset=series_arrays", f"dataset.path={tmp_path / 'x.npz'}"], infer_task=False)
    facts = inspect(cfg).facts
    assert ("Missing", "20 % of the values of channel 2") in facts and ("Lengths", "50 points") in facts
    assert ("Task", "multiclass: 0 14, 1 13, 2 13") in facts and ("Rate", "not known") in facts


def test_a_training_says_where_columns_are_shown(path, compose, capsys):
    more = [f"dataset.path={path}", "dataset.target=sick", "dataset.exclude=[remark,mrn,seen]", "regime=smoke"]
    train(compose("dataset=table", *more))
    assert "medfit inspect shows each column" in capsys.readouterr().out
