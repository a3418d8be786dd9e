import json
import shutil

import numpy as np
import pandas as pd
import pytest

from fake_images import write_flat, write_medmnist, write_nifti, write_series, write_slice
from image_packages import IMAGES, package
from medfit.deployment import new_images
from medfit.deployment.finished_model import FinishedModel
from medfit.deployment.model_files import ABOUT
from medfit.errors import UserError

RNG = np.random.default_rng(0)


def grey(size=(12, 12), level=0):
    return (RNG.integers(0, 200, size) + level).astype(np.uint8)


def pngs(folder):
    for number in range(20):
        write_flat(folder / "ab"[number % 2] / f"p{number}_1.png", grey(level=50 * (number % 2)))


def colours(folder):
    for number in range(20):
        write_flat(
            folder / "ab"[number % 2] / f"p{number}.jpg",
            RNG.integers(0, 255, (10 + number % 3, 14, 3)).astype(np.uint8),
        )


def volumes(folder):
    for number in range(20):
        affine = np.diag([-1, -1, 2, 1.0]) if number % 2 else np.diag([1, 1.2, 2, 1.0])
        write_nifti(
            folder / "ab"[number % 2] / f"v{number}.nii.gz", RNG.normal(0, 1, (8, 9, 7)).astype(np.float32), affine
        )


def series(folder):
    for number in range(20):
        volume = RNG.integers(-900, 900, (6, 8, 9)).astype(np.int16)
        write_series(
            folder / "ab"[number % 2] / f"case{number}",
            volume,
            RNG.permutation(6),
            patient=f"q{number}",
            series=f"1.{number}",
        )


def slices(folder):
    for number in range(20):
        place = folder / "ab"[number % 2] / f"{number}.dcm"
        write_slice(place, RNG.integers(0, 900, (9, 8)).astype(np.int16), patient=f"q{number}", series="1.5")


@pytest.fixture
def packaged(compose, tmp_path):
    def made(write, *overrides):
        folder = tmp_path / "scans"
        write(folder)
        lines = ["dataset=image_classes", f"dataset.root={folder}", "preprocessing.size=8", *IMAGES, *overrides]
        return package(compose, tmp_path, folder, *lines)

    return made


LAYOUTS = [
    (pngs, ["preprocessing.scaling=train", r"dataset.patient='(p\d+)_'"]),
    (pngs, ["preprocessing.fit=pad", "preprocessing.size=[16,8]", "preprocessing.window=[20,180]"]),
    (colours, ["dataset.channels=[grey]", "preprocessing.scaling=per_image"]),
    (colours, ["regime.precision=bf16-mixed"]),
    (volumes, ["preprocessing.spacing_mm=[1,1,1]"]),
    (series, ["preprocessing.window=[-500,500]"]),
    (slices, []),
]


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize(
    ("write", "overrides"), LAYOUTS, ids=lambda part: part.__name__ if callable(part) else str(len(part))
)
def test_stored_predictions_come_back_from_the_same_files(packaged, write, overrides):
    model, val, folder = packaged(write, *overrides)
    told = model.predict(folder).set_index("file")
    assert len(told) == 20 and (told["remarks"] == "").all()
    again = told.loc[val["file"], "probability/b"].to_numpy()
    assert again == pytest.approx(val["pred/b"].to_numpy(), abs=1e-6)
    assert np.ptp(again) > 1e-4  # else the test tells nothing
    alone = model.predict([folder / val["file"][0]])["probability/b"].to_numpy()
    assert alone == pytest.approx(again[:1], abs=1e-6)


def test_files_need_no_class_folders_and_patients_are_told_by_their_names(packaged, tmp_path, capsys):
    model, val, folder = packaged(pngs, r"dataset.patient='(p\d+)_'")
    (tmp_path / "flat").mkdir()
    for file in folder.rglob("*.png"):
        shutil.copy(file, tmp_path / "flat")
    (tmp_path / "flat" / "notes.txt").write_text("none")
    told = model.predict(str(tmp_path / "flat"))
    assert "flat: 1 files are left out, as they are no images by their endings" in capsys.readouterr().out
    assert list(told) == ["file", "patient", "decision/b", "probability/b", "recalibrated/b", "remarks"]
    assert told["patient"].tolist() == [name.split("_")[0] for name in told["file"]]
    again = told.set_index("file").loc[[name.split("/")[1] for name in val["file"]], "probability/b"]
    assert again.to_numpy() == pytest.approx(val["pred/b"].to_numpy(), abs=1e-6)
    other = tmp_path / "flat" / "other.png"
    write_flat(other, grey())
    assert "patient" not in model.predict(other.parent)  # of whom one file's name does not tell


def test_a_table_of_files_has_its_own_columns_and_order(compose, tmp_path):
    folder = tmp_path / "scans"
    pngs(folder)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    table = pd.DataFrame(
        {"scan": files, "mrn": [f"00{n // 2}" for n in range(20)], "age": [float(n) for n in range(20)]}
    )
    table.to_csv(folder / "list.csv", index=False)
    lines = ["dataset=image_table", f"dataset.path={folder / 'list.csv'}", "dataset.target=age", "dataset.image=scan"]
    model, val, away = package(compose, tmp_path, folder, *lines, "dataset.patient=mrn", *IMAGES)
    shuffled = table.drop(columns="age").iloc[::-1]
    shuffled.to_csv(away / "new.csv", index=False)
    told = model.predict(away / "new.csv")
    assert told["scan"].tolist() == files[::-1] and told["mrn"].tolist() == table["mrn"].tolist()[::-1]
    again = told.set_index("scan").loc[val["file"], "prediction/age"].to_numpy()
    assert again == pytest.approx(val["pred/age"].to_numpy(), rel=1e-6, abs=1e-6)
    rows = shuffled.assign(scan=[str(away / name) for name in shuffled["scan"]])
    assert model.predict(rows, ["mrn"])["prediction/age"].tolist() == told["prediction/age"].tolist()
    with pytest.raises(UserError, match=r"^predict.id: there is no column 'no'"):
        model.predict(rows, ["no"])
    with pytest.raises(UserError, match=r"^predict.data: there is no column 'scan', of images' files"):
        model.predict(rows.rename(columns={"scan": "image"}))


def test_an_archive_of_arrays_is_read_in_its_order(compose, tmp_path):
    file = write_medmnist(tmp_path / "data" / "pneumoniamnist.npz")
    lines = ["dataset=medmnist", "dataset.name=pneumoniamnist", f"dataset.root={file}", *IMAGES]
    model, val, away = package(compose, tmp_path, file.parent, *lines, "task=binary")
    told = model.predict(away / file.name).set_index("file")
    again = told.loc[[f"val_images/{row}" for row in range(8)], "probability/pneumonia"].to_numpy()
    assert again == pytest.approx(val["pred/pneumonia"].to_numpy(), abs=1e-6)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(UserError, match="^other.npz: has no array whose name ends with 'images'"):
        model.predict(tmp_path / "other.npz")


def test_headers_are_read_only_if_they_are_asked_for(packaged):
    model, _, folder = packaged(series)
    assert list(model.predict(folder))[0:2] == ["file", "decision/b"]
    told = model.predict(folder, ["PatientID"])
    assert told["PatientID"].tolist() == [name.replace("case", "q")[2:] for name in told["file"]]
    with pytest.raises(UserError, match="^predict.id=Nothing: no DICOM header says it"):
        model.predict(folder, ["Nothing"])


def remarks(model, folder, **kwargs):
    said = []
    told = model.predict(folder, tell=said.append, **kwargs).set_index("file")["remarks"]
    return told[told != ""].to_dict(), said


def test_what_is_odd_about_flat_images_is_told_once_and_counted(packaged, tmp_path):
    model, *_ = packaged(pngs)
    new = tmp_path / "new"
    write_flat(new / "large.png", grey((40, 12)))
    write_flat(new / "large2.png", grey((50, 12)))
    write_flat(new / "deep.png", grey().astype(np.uint16) * 200)
    write_flat(new / "plain.png", grey())
    found, said = remarks(model, new)
    assert found == {
        "large.png": "size: beyond the training images', stretched",
        "large2.png": "size: beyond the training images', stretched",
        "deep.png": "type: of more than 8 bits, in training of 8",
    }
    assert "of 4 rows, beyond the training images', stretched: 'size' (2)" in said and len(said) == 2


def test_what_is_odd_about_volumes_is_told(packaged, tmp_path):
    model, *_ = packaged(volumes, "preprocessing.spacing_mm=[1,1,1]", "preprocessing.scaling=train")
    new, x = tmp_path / "new", RNG.normal(0, 1, (8, 9, 7)).astype(np.float32)
    write_nifti(
        new / "turned.nii", x.transpose(2, 0, 1), np.array([[0, 1, 0, 0], [0, 0, 1, 0], [2, 0, 0, 0], [0, 0, 0, 1.0]])
    )
    write_nifti(new / "coarse.nii", x, np.diag([1, 1, 4, 1.0]))
    write_nifti(new / "bright.nii", x + 500, np.diag([1, 1, 2, 1.0]))
    write_nifti(new / "plain.nii", x, np.diag([1, 1, 2, 1.0]))
    assert remarks(model, new)[0] == {
        "turned.nii": "orientation: one that no training image had, turned to theirs",
        "coarse.nii": "spacing: beyond the training images', resampled",
        "bright.nii": "values: beyond the training range",
    }


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((12, 12, 3), np.uint8), r"a.png: has 3 channels, but the model takes 1 \(grey\)"),
        (None, "a.png: is not a whole PNG file"),
    ],
)
def test_an_image_that_the_model_can_not_take_ends_it_before_anything_is_predicted(packaged, tmp_path, pixels, reason):
    model, *_ = packaged(pngs)
    bad = tmp_path / "new" / "a.png"
    write_flat(bad, grey() if pixels is None else pixels)
    if pixels is None:
        bad.write_bytes(bad.read_bytes()[:40])
    write_flat(bad.with_name("b.png"), grey())
    with pytest.raises(UserError, match=f"^{reason}"):
        model.predict(bad.parent, progress=lambda *_: pytest.fail("something was predicted"))


def test_images_that_can_not_be_read_have_no_prediction_where_training_skipped_them(packaged, tmp_path, capsys):
    model, *_ = packaged(pngs, "dataset.on_error=skip")
    write_flat(tmp_path / "new" / "a.png", np.zeros((12, 12, 3), np.uint8))
    write_flat(tmp_path / "new" / "b.png", grey())
    said = []
    told = model.predict(tmp_path / "new", tell=said.append)
    assert told["probability/b"].isna().tolist() == [True, False] and told["decision/b"].isna().tolist() == [
        True,
        False,
    ]
    assert told["remarks"].tolist() == ["file: can't be read", ""]
    assert said[-1] == "of 2 rows, 1 can't be read, and so no prediction"
    assert "a.png: has 3 channels" in capsys.readouterr().out
    (tmp_path / "new" / "b.png").unlink()
    with pytest.raises(UserError, match="^a.png: has 3 channels"):
        model.predict(tmp_path / "new")


@pytest.mark.parametrize("what", ["nothing", "empty", "text"])
def test_a_place_without_images_is_told(packaged, tmp_path, what):
    model, *_ = packaged(pngs)
    place = tmp_path / what
    if what != "nothing":
        place.mkdir()
    if what == "text":
        (place / "a.txt").write_text("a")
    with pytest.raises(UserError, match=r"^predict.data: there (is no file or folder|are no images in)"):
        model.predict(place)


def test_nothing_in_the_files_names_a_patient(packaged, tmp_path):
    packaged(series)
    text = (tmp_path / "model" / ABOUT).read_text()
    assert "q1" not in text and "case1" not in text and str(tmp_path) not in text
    assert FinishedModel.load(tmp_path / "model", "it").about["expected"]["seen"]["axes"] == ["LPS"]
    assert json.loads(text)["expected"]["dimensions"] == 3


def test_images_that_memory_does_not_hold_are_read_again(packaged, monkeypatch):
    model, val, folder = packaged(pngs)
    monkeypatch.setattr("medfit.deployment.new_images.RESIDENT_SHARE", 0)
    again = model.predict(folder).set_index("file").loc[val["file"], "probability/b"].to_numpy()
    assert again == pytest.approx(val["pred/b"].to_numpy(), abs=1e-6)


def test_several_trainings_expect_the_images_of_all():
    def about(low, high, axes, spacing, **rest):
        seen = {
            "size": [[low, 2], [high, 4]],
            "spacing_mm": spacing,
            "axes": axes,
            "bytes": [True],
            "values": [[0], [high]],
        }
        return {"dimensions": 2, "seen": seen, **rest}

    both = new_images.joined([about(1, 5, ["LPS"], None), about(3, 9, ["RAS"], [[1.0], [2.0]])])
    size, values = [[1, 2], [9, 4]], [[0], [9]]
    seen = {"size": size, "spacing_mm": [[1.0], [2.0]], "values": values, "axes": ["LPS", "RAS"], "bytes": [True]}
    assert both == {"dimensions": 2, "seen": seen}
    with pytest.raises(UserError, match="^trainings that expect images of different kinds make no ensemble$"):
        new_images.joined([about(1, 5, [], None), about(1, 5, [], None, patient="x")])
