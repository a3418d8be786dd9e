import numpy as np
import pandas as pd
import pytest

from fake_images import write_flat
from medfit.data.datasets.image_table import ImageTable
from medfit.errors import UserError

PIXELS = np.arange(48, dtype=np.uint8).reshape(6, 8)
NUM = 8


@pytest.fixture
def frame(tmp_path):
    for number in range(NUM):
        write_flat(tmp_path / "xrays" / f"x{number}.png", PIXELS + number)
    return pd.DataFrame({
        "image": [f"xrays/x{n}.png" for n in range(NUM)],
        "who": [f"p{n // 2}" for n in range(NUM)],
        "age": [40.5 + n for n in range(NUM)],
        "sick": ["no", "yes"] * 4,
        "effusion": [0, 0, 1, 1] * 2,
        "mass": [0, 1, 1, 1] * 2,
        "part": ["train"] * 4 + ["val"] * 2 + ["test"] * 2,
    })  # fmt: skip


@pytest.fixture
def made(frame, tmp_path):
    def build(target, change=None, **more):
        table = frame.copy()
        for column, values in (change or {}).items():
            table[column] = values
        table.to_csv(tmp_path / "patients.csv", index=False)
        return ImageTable(str(tmp_path / "patients.csv"), target, **more)

    return build


def refused(made, *args, **kwargs):
    with pytest.raises(UserError) as caught:
        made(*args, **kwargs)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    return str(caught.value)


def test_each_row_is_an_image_with_its_target(made):
    data = made("sick", patient="who", split="part")
    assert (data.name, data.task, data.target_names) == ("patients", "binary", ["sick"])
    assert data.y[:, 0].tolist() == [0, 1] * 4
    assert data.groups.tolist() == ["p0", "p0", "p1", "p1", "p2", "p2", "p3", "p3"]
    assert data.given_split.tolist() == ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    assert np.array_equal(data.image(3).x[0], PIXELS + 3)


def test_a_number_is_a_regression(made):
    data = made("age", units={"age": "years"})
    assert (data.task, data.schema()[-1]["unit"]) == ("regression", "years")


def test_several_labels_are_multilabel(made):
    data = made(["effusion", "mass"])
    assert (data.task, data.y.shape) == ("multilabel", (NUM, 2))


def test_rows_without_a_target_are_left_out(made):
    data = made("age", {"age": [None, *range(41, 48)]}, target_kind="regression")
    assert (len(data), data.file_names[0]) == (NUM - 1, "xrays/x1.png")


def test_endings_may_be_left_out(made, tmp_path):
    data = made("sick", {"image": [f"x{n}" for n in range(NUM)]}, folder=str(tmp_path / "xrays"))
    assert data.file_names == [f"x{n}.png" for n in range(NUM)]


def test_numbers_may_name_the_files(made, tmp_path):
    for number in range(NUM):
        write_flat(tmp_path / f"{number}.png", PIXELS)
    assert len(made("sick", {"image": range(NUM)})) == NUM


def test_another_column_may_name_the_files(made):
    assert len(made("sick", {"file": [f"xrays/x{n}.png" for n in range(NUM)]}, image="file")) == NUM


def test_missing_files_are_told(made):
    message = refused(made, "sick", {"image": ["xrays/x0.png", "gone.png", *["xrays/lost"] * 6]})
    assert "dataset.image: 7 files are not in '" in message
    assert message.endswith("the first: gone.png")


def test_an_empty_cell_is_told(made):
    words = "dataset.image: column 'image' is missing in data row 2"
    assert words in refused(made, "sick", {"image": ["xrays/x0.png", None, *["xrays/x1.png"] * 6]})


def test_an_unknown_column_is_told(made):
    assert "dataset.image: there is no column 'file'" in refused(made, "sick", image="file")


def test_a_column_that_is_the_target_as_well_is_told(made):
    assert "dataset.image: there is no column 'sick'" in refused(made, "sick", image="sick")


def test_a_damaged_image_is_told(made, tmp_path):
    (tmp_path / "xrays" / "x5.png").write_text("x")
    assert "x5.png: is not a whole PNG file" in refused(made, "sick")


def test_a_folder_that_is_not_there_is_told(made):
    assert "dataset.folder: there is no folder 'nowhere'" in refused(made, "sick", folder="nowhere")


def test_a_table_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match=r"dataset.path: there is no file"):
        ImageTable(str(tmp_path / "x.csv"), "sick")


def test_missing_files_beside_a_table_in_the_working_folder_are_told_with_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("image,sick\ngone.png,0\nlost.png,1\n")
    with pytest.raises(UserError, match=f"2 files are not in '{tmp_path.name}', the first: gone.png"):
        ImageTable("list.csv", "sick")


@pytest.mark.parametrize("cell", ["caf\u00e9", "caf\u00e9.png"])
def test_a_letter_in_a_cell_is_the_same_however_a_system_writes_it(tmp_path, cell):
    write_flat(tmp_path / "cafe\u0301.png", np.ones((3, 4), dtype=np.uint8))
    write_flat(tmp_path / "b.png", np.ones((3, 4), dtype=np.uint8))
    (tmp_path / "t.csv").write_text(f"image,age\n{cell},40.5\nb,41.5\n", encoding="utf-8")
    assert len(ImageTable(str(tmp_path / "t.csv"), "age", target_kind="regression")) == 2


def test_numbers_of_files_may_have_lost_their_noughts(tmp_path):
    for name in ("0001", "0002", "03", "003", "4"):
        write_flat(tmp_path / f"{name}.png", np.ones((3, 4), dtype=np.uint8))
    table = tmp_path / "t.csv"
    table.write_text("image,age\n0001,40.5\n0002,41.5\n4,42.5\n")
    data = ImageTable(str(table), "age", target_kind="regression")
    assert data.file_names == ["0001.png", "0002.png", "4.png"]
    table.write_text("image,age\n0001,40.5\n3,41.5\n")
    with pytest.raises(UserError, match="1 files are not in .*, the first: 3$"):
        ImageTable(str(table), "age", target_kind="regression")
