from pathlib import Path

import numpy as np
import pytest

from fake_images import MEDMNIST_SIZES, write_medmnist
from medfit.config import folders
from medfit.data.datasets import medmnist
from medfit.data.datasets.medmnist import SETS, MedMNIST
from medfit.errors import UserError

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "medmnist" / "pneumoniamnist.npz"
NUM_IMAGES = sum(MEDMNIST_SIZES.values())


def refused(*args, **kwargs):
    with pytest.raises(UserError) as caught:
        MedMNIST(*args, **kwargs)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    return str(caught.value)


def test_a_binary_set_has_its_official_split_and_positive_class(tmp_path):
    file = write_medmnist(tmp_path / "pneumoniamnist.npz")
    data = MedMNIST("pneumoniamnist", root=str(tmp_path))
    assert (data.task, data.target_names, data.channels) == ("binary", ["pneumonia"], ["grey"])
    assert data.given_split.tolist() == ["train"] * 24 + ["val"] * 8 + ["test"] * 8
    with np.load(file) as parts:
        assert np.array_equal(data.image(24).x[0], parts["val_images"][0])
        assert np.array_equal(data.y, np.concatenate([parts[f"{s}_labels"] for s in MEDMNIST_SIZES]))


def test_a_colour_set_has_channels_first(tmp_path):
    file = write_medmnist(tmp_path / "x.npz", (28, 28, 3), num_classes=8)
    data = MedMNIST("bloodmnist", root=str(file))
    with np.load(file) as parts:
        assert np.array_equal(data.image(0).x, np.moveaxis(parts["train_images"][0], -1, 0))
    assert (data.task, data.y.shape, data.channels) == ("multiclass", (NUM_IMAGES,), ["red", "green", "blue"])


def test_a_set_of_volumes_is_read(tmp_path):
    write_medmnist(tmp_path / "organmnist3d.npz", (28, 28, 28), num_classes=11)
    data = MedMNIST("organmnist3d", root=str(tmp_path))
    assert (data.num_dimensions, data.image(0).x.shape) == (3, (1, 28, 28, 28))


def test_several_labels_are_a_multilabel_set(tmp_path):
    write_medmnist(tmp_path / "chestmnist.npz", width=14)
    data = MedMNIST("chestmnist", root=str(tmp_path))
    assert (data.task, data.y.shape, data.y.dtype) == ("multilabel", (NUM_IMAGES, 14), np.float32)


def test_grades_are_classes(tmp_path):
    write_medmnist(tmp_path / "retinamnist.npz", (28, 28, 3), num_classes=5)
    assert MedMNIST("retinamnist", root=str(tmp_path)).task == "multiclass"


def test_larger_sizes_have_their_own_file(tmp_path):
    write_medmnist(tmp_path / "pneumoniamnist_64.npz", (64, 64))
    assert MedMNIST("pneumoniamnist", size=64, root=str(tmp_path)).image(0).x.shape == (1, 64, 64)


@pytest.mark.skipif(not REAL.is_file(), reason="the shared data lie beside the project on its own machines only")
def test_the_real_pneumonia_images_are_read():
    data = MedMNIST("pneumoniamnist", root=str(REAL.parent))
    assert {s: int((data.given_split == s).sum()) for s in MEDMNIST_SIZES} == {"train": 4708, "val": 524, "test": 624}
    assert data.y[data.given_split == "test"].sum() == 390


def test_every_set_has_a_checksum_for_each_size():
    for name, known in SETS.items():
        assert list(known.md5) == ([28, 64] if name.endswith("3d") else [28, 64, 128, 224])
        assert all(len(md5) == 32 and int(md5, 16) for md5 in known.md5.values())


def test_a_missing_file_is_downloaded_if_wished(tmp_path, monkeypatch):
    asked = []

    def fetch(url, folder, md5):
        asked.append((url, md5))
        return write_medmnist(folder / "pneumoniamnist.npz")

    monkeypatch.setattr(folders, "ROOT", tmp_path)
    monkeypatch.setattr(medmnist, "fetch", fetch)
    MedMNIST("pneumoniamnist", download=True)
    assert MedMNIST("pneumoniamnist").image(0).x.shape == (1, 28, 28)
    assert asked == [
        (
            "https://zenodo.org/records/10519652/files/pneumoniamnist.npz?download=1",
            "28209eda62fecd6e6a2d98b1501bb15f",
        )
    ]


def test_a_missing_file_is_told_with_both_ways_out(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "ROOT", tmp_path)
    message = refused("pneumoniamnist")
    assert "there is no pneumoniamnist.npz in 'data'" in message
    assert "dataset.root=" in message
    assert "dataset.download=true" in message


def test_an_unknown_set_is_told():
    assert "MedMNIST has no 'pneumonimnist'; did you mean 'pneumoniamnist'?" in refused("pneumonimnist")


def test_a_size_that_volumes_do_not_have_is_told():
    assert "dataset.size: organmnist3d comes in 28, 64 pixels, not 224" in refused("organmnist3d", size=224)


def test_a_damaged_file_is_told(tmp_path):
    file = write_medmnist(tmp_path / "pneumoniamnist.npz")
    file.write_bytes(file.read_bytes()[:-3000])
    assert "pneumoniamnist.npz: is not a whole .npz file" in refused("pneumoniamnist", root=str(tmp_path))


def test_a_text_file_is_told(tmp_path):
    (tmp_path / "pneumoniamnist.npz").write_text("not found")
    assert "pneumoniamnist.npz: is not a whole .npz file" in refused("pneumoniamnist", root=str(tmp_path))


def test_an_array_that_is_no_archive_is_told(tmp_path):
    with (tmp_path / "pneumoniamnist.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert "pneumoniamnist.npz: is not a whole .npz file" in refused("pneumoniamnist", root=str(tmp_path))


def test_a_foreign_archive_is_told(tmp_path):
    np.savez(tmp_path / "pneumoniamnist.npz", x=np.zeros(3))
    assert "is not MedMNIST's: it has no train_images" in refused("pneumoniamnist", root=str(tmp_path))


def test_images_of_another_size_are_told(tmp_path):
    write_medmnist(tmp_path / "pneumoniamnist.npz", (64, 64))
    assert "of the shape (64, 64), not what pneumoniamnist has" in refused("pneumoniamnist", root=str(tmp_path))


@pytest.mark.parametrize("labels", [{"num_classes": 3}, {"width": 14}, {"val_labels": np.zeros((3, 1), np.uint8)}])
def test_another_sets_labels_are_told(tmp_path, labels):
    file = write_medmnist(tmp_path / "x.npz", **labels)
    assert "x.npz: its labels are not those of pneumoniamnist" in refused("pneumoniamnist", root=str(file))


def test_other_labels_change_the_fingerprint(tmp_path):
    files = [write_medmnist(tmp_path / "a.npz"), write_medmnist(tmp_path / "b.npz", val_labels=np.ones((8, 1), "u1"))]
    prints = {MedMNIST("pneumoniamnist", root=str(file)).fingerprint() for file in files}
    assert len(prints) == 2
