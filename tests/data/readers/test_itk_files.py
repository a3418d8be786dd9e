import sys

import numpy as np
import pytest

from fake_images import refused, write_nifti
from medfit.data.readers.image_files import read_image, read_mask
from medfit.data.readers.itk_files import SUFFIXES


@pytest.mark.parametrize("ending", SUFFIXES)
def test_a_file_is_refused_with_what_reads_it_where_nothing_does(tmp_path, monkeypatch, ending):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    (tmp_path / f"a{ending}").touch()
    told = f"a{ending}: is read by SimpleITK; run pip install 'medfit[formats]', or turn it into NIfTI"
    assert refused(tmp_path / f"a{ending}") == told


@pytest.fixture
def written(tmp_path):
    """A volume as NIfTI, and by SimpleITK in another format: both say the same place of each voxel."""
    sitk = pytest.importorskip("SimpleITK")

    def write(ending, data, affine):
        source = write_nifti(tmp_path / "a.nii.gz", data, affine)
        sitk.WriteImage(sitk.ReadImage(str(source)), str(tmp_path / f"b{ending}"))
        return source, tmp_path / f"b{ending}"

    return write


@pytest.mark.parametrize("ending", SUFFIXES)
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)])
def test_volumes_are_those_of_nifti(written, ending, signs):
    data = np.random.default_rng(0).integers(0, 5, (3, 4, 5)).astype(np.int16)
    affine = np.diag([2.0 * signs[0], 3.0 * signs[1], 4.0 * signs[2], 1])[[1, 0, 2, 3]]
    affine[:3, 3] = 7, -8, 9
    nifti, other = written(ending, data, affine)
    one, two = read_image(nifti), read_image(other)
    np.testing.assert_array_equal(one.x, two.x)
    np.testing.assert_allclose(one.spacing_mm, two.spacing_mm)
    np.testing.assert_array_equal(read_mask(nifti), read_mask(other))


def test_a_damaged_file_is_refused(tmp_path):
    pytest.importorskip("SimpleITK")
    (tmp_path / "a.nrrd").write_text("NRRD0004\ntype: short\n")
    assert "is not a whole NRRD file" in refused(tmp_path / "a.nrrd")
