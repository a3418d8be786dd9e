import shutil
import tarfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fake_images import write_decathlon
from medfit.config import folders
from medfit.data.datasets import hippocampus
from medfit.data.datasets.hippocampus import Hippocampus
from medfit.errors import UserError

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "msd_hippocampus"
real = pytest.mark.skipif(
    not REAL.is_dir(), reason="the shared data lie beside the project on its own machines only"
)  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def fetched(project, monkeypatch):
    """What a download would bring."""
    asked = []

    def fetch(url, folder, md5):
        asked.append((url, folder, md5))
        write_decathlon(project / "elsewhere" / "Task04_Hippocampus", num_cases=3)
        folder.mkdir(exist_ok=True)
        with tarfile.open(folder / "Task04_Hippocampus.tar", "w") as tar:
            tar.add(project / "elsewhere" / "Task04_Hippocampus", "Task04_Hippocampus")
        shutil.rmtree(project / "elsewhere")
        return folder / "Task04_Hippocampus.tar"

    monkeypatch.setattr(hippocampus, "fetch", fetch)
    return asked


@real
def test_the_real_volumes_are_read():
    data = Hippocampus(root=str(REAL))
    assert (len(data), data.channels, data.target_names) == (60, ["t1"], ["background", "anterior", "posterior"])
    assert {data.image(i).spacing_mm for i in range(60)} == {(1.0, 1.0, 1.0)}


@real
def test_a_real_volume_is_as_nibabel_reads_it():
    image = Hippocampus(root=str(REAL)).image(0)
    stored = nib.as_closest_canonical(nib.load(REAL / "imagesTr" / "hippocampus_001.nii.gz"))
    labels = nib.as_closest_canonical(nib.load(REAL / "labelsTr" / "hippocampus_001.nii.gz"))
    assert np.array_equal(image.x[0], stored.get_fdata())
    assert np.array_equal(image.mask, labels.get_fdata())


def test_the_data_are_downloaded_if_wished(project, fetched):
    data = Hippocampus(download=True)
    assert (len(data), data.name, data.target_names[1:]) == (3, "hippocampus", ["anterior", "posterior"])
    assert fetched == [(hippocampus.URL, project / "data", hippocampus.MD5)]
    assert [path.name for path in (project / "data").iterdir()] == ["Task04_Hippocampus"]


def test_downloaded_data_are_found_again(project, fetched):
    Hippocampus(download=True)
    assert len(Hippocampus()) == 3
    assert len(fetched) == 1


def test_missing_data_are_told_with_both_ways_out(project):
    with pytest.raises(UserError, match=r"dataset.download=true .* dataset.root=") as caught:
        Hippocampus()
    assert len(str(caught.value)) < 300
