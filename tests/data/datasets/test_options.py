"""The same untidy table beside series, arrays, recordings and images, and the same care for it everywhere."""

import numpy as np
import pandas as pd
import pytest
from test_wfdb_records import record, waves

from fake_images import write_flat
from medfit.config.compose import compose
from medfit.data.datasets.image_table import ImageTable
from medfit.data.datasets.series_arrays import SeriesArrays
from medfit.data.datasets.series_table import SeriesTable
from medfit.data.datasets.wfdb_records import WfdbRecords
from medfit.errors import UserError

NUM = 12
SIGNALS = np.random.default_rng(0).integers(0, 500, (NUM, 20))
FRAME = pd.DataFrame({
    "record": [f"r{n}" for n in range(NUM)],
    "word": ["Yes", "yes", "YES ", "No", "no", "No"] * 2,
    "grade": ["None", "I", "II"] * 4,
    "crp": ["1.234,5", "7,25", "3", "4,5", "999", "2,5"] * 2,
    "weight": ["70 kg", "81 kg", "65 kg"] * 4,
    "days": [40 + 17 * n for n in range(NUM)],
    "death": [0, 1, 0, 0, 1, 1] * 2,
})  # fmt: skip


def series(folder, path, **options):
    return SeriesTable(path, exclude=["record", *FRAME.columns.drop([*asked(options), "record"])], **options)


def in_folder(folder, path, **options):
    for number in range(NUM):
        text = "Exported\n" * options.get("skip_rows", 0) + pd.DataFrame({"ecg": SIGNALS[number]}).to_csv(index=False)
        (folder / "rows" / f"r{number}.csv").write_text(text)
    return SeriesTable(str(folder / "rows"), labels=path, channels=["ecg"], **options)


def arrays(folder, path, **options):
    np.savez(folder / "x.npz", x=SIGNALS)
    return SeriesArrays(str(folder / "x.npz"), labels=path, **options)


def recordings(folder, path, **options):
    for number in range(NUM):
        record(folder / "ecg", f"r{number}", waves(number, 1, 1), ["I"])
    return WfdbRecords(str(folder / "ecg"), labels=path, **options)


def images(folder, path, **options):
    for number in range(NUM):
        write_flat(folder / f"r{number}.png", np.full((4, 4), number, np.uint8))
    return ImageTable(path, image="record", **options)


def asked(options):
    return [name for name in FRAME if name in (options.get("target"), str(options.get("target_rule")).split()[0])]


@pytest.fixture(params=[series, in_folder, arrays, recordings, images], ids=lambda build: build.__name__)
def made(request, tmp_path):
    """A data set whose labels are of the table, by its target."""
    (tmp_path / "rows").mkdir()
    points = pd.DataFrame(SIGNALS, columns=[f"t{i}" for i in range(20)])
    whole = pd.concat([FRAME, points], axis=1) if request.param is series else FRAME

    def build(excel=False, head="", **options):
        path = tmp_path / ("labels.xlsx" if excel else "labels.csv")
        if excel:
            with pd.ExcelWriter(path) as book:
                whole.assign(death=1).to_excel(book, sheet_name="old", index=False)
                whole.to_excel(book, sheet_name="new", index=False)
        else:
            path.write_text(head + whole.to_csv(index=False, sep=";"))
        return request.param(tmp_path, str(path), **options)

    return build


def refused(make, **options):
    with pytest.raises(UserError) as caught:
        make(**options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 420
    return str(caught.value)


def test_words_that_differ_by_case_are_told_and_made_one(made, capsys):
    assert len(made(target="word").target_names) == 5
    assert "Warning: column 'word': 3 of its 5 values differ from another by case" in capsys.readouterr().out
    folded = made(target="word", fold_case=True)
    assert folded.task == "binary" and folded.y.sum() == 6
    assert "Warning" not in capsys.readouterr().out


def test_none_is_a_level(made):
    data = made(target="grade")
    assert len(data) == NUM and set(data.target_names) == {"None", "I", "II"}


def test_numbers_are_read_as_they_are_written(made):
    data = made(target="crp", decimal=",", thousands=".", missing_in={"crp": [999]}, target_kind="regression")
    assert data.y[:, 0].tolist() == [1234.5, 7.25, 3, 4.5, 2.5] * 2
    assert "dataset.thousands='.'" in refused(made, target="crp", decimal=",")


def test_a_column_that_is_not_there_has_no_missing_cells(made):
    assert "dataset.missing_in: there is no column 'crb'" in refused(made, target="death", missing_in={"crb": [999]})


def test_marks_for_missing_numbers_are_told(made, capsys):
    made(target="crp", decimal=",", thousands=".", missing_values=["1.234,5"], target_kind="regression")
    assert "Warning: column 'crp' holds 999 in 2 cells" in capsys.readouterr().out


def test_a_unit_is_parsed_and_kept(made):
    data = made(target="weight", parse={"weight": "number"}, target_kind="regression")
    assert data.y[:, 0].tolist() == [70, 81, 65] * 4 and data.units["weight"] == "kg"
    assert "dataset.parse={weight:number}" in refused(made, target="weight")


def test_a_rule_asks_a_question(made):
    data = made(target_rule="days > 100")
    assert data.task == "binary" and data.y[:, 0].tolist() == [0.0] * 4 + [1.0] * 8


def test_a_rule_asks_of_words_that_are_one(made):
    assert made(target_rule="word == No", fold_case=True).y[:, 0].tolist() == [0, 0, 0, 1, 1, 1] * 2


def test_a_time_to_an_event_is_refused(made):
    assert "looks like part of a time to an event" in refused(made, target="days")
    assert made(target="days", time_to_event="plain").task == "regression"


def test_an_event_is_a_target_where_no_time_is_a_feature(made):
    assert made(target="death").task == "binary"


def test_a_sheet_is_named_and_chosen(made, capsys):
    assert made(excel=True, sheet="new", target="death").y[:, 0].tolist() == [0, 1, 0, 0, 1, 1] * 2
    assert "constant" in refused(made, excel=True, target="death")
    assert "of the sheets 'old', 'new' only 'old' is read" in capsys.readouterr().out


def test_rows_above_the_names_are_left_out(made):
    assert len(made(head="Exported on Monday;;\n\n", skip_rows=2, target="death")) == NUM


def test_a_target_or_a_rule_is_needed(tmp_path):
    FRAME.to_csv(tmp_path / "labels.csv", index=False)
    for options in ({}, {"target": "death", "target_rule": "days > 100"}):
        assert "dataset.target is needed" in refused(images, folder=tmp_path, path=f"{tmp_path}/labels.csv", **options)


def test_units_must_agree_in_all_files_of_a_folder(tmp_path):
    for number, unit in enumerate(["mV", "uV", "mV", "mV"]):
        rows = "".join(f"{i} {unit},{number % 2}\n" for i in range(9))
        (tmp_path / f"{number}.csv").write_text("ecg,ill\n" + rows)
    with pytest.raises(UserError, match="unit"):
        SeriesTable(str(tmp_path), "ill", parse={"ecg": "number"})


def test_a_rule_asks_of_an_array(tmp_path):
    np.savez(tmp_path / "x.npz", x=SIGNALS, y=np.arange(NUM))
    data = SeriesArrays(str(tmp_path / "x.npz"), target_rule="y >= 6")
    assert data.y[:, 0].tolist() == [0.0] * 6 + [1.0] * 6


def test_a_column_called_annotation_may_be_the_target(tmp_path):
    FRAME.rename(columns={"death": "annotation"}).to_csv(tmp_path / "labels.csv", index=False)
    data = recordings(tmp_path, str(tmp_path / "labels.csv"), target="annotation")
    assert data.y[:, 0].tolist() == [0, 1, 0, 0, 1, 1] * 2


def test_annotated_recordings_name_only_columns_that_are_there(tmp_path):
    FRAME.to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(UserError, match="dataset.missing_in: there is no column 'crb'"):
        recordings(tmp_path, str(tmp_path / "labels.csv"), symbols={"N": "n"}, window_s=1, missing_in={"crb": [9]})


@pytest.mark.parametrize("name", ["image_table", "series_table", "series_arrays", "table"])
def test_a_config_takes_every_option_and_no_other(name, tmp_path):
    lines = [f"dataset={name}", f"dataset.path={tmp_path}", "task=binary"]
    cfg = compose([*lines, "dataset.fold_case=true", "dataset.sheet=2", "dataset.missing_in={age:[999]}"])
    assert cfg.dataset.fold_case is True and cfg.dataset.sheet == 2 and cfg.dataset.missing_in == {"age": [999]}
    for wrong in ("dataset.fold_cases=true", "dataset.sheet=0", "dataset.skip_rows=-1", "dataset.thousands=x"):
        with pytest.raises(UserError, match=wrong.split("=")[0]):
            compose([*lines, wrong])
