import nibabel as nib
import numpy as np
import pytest
from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template

from medfit.data.datasets.mni_tissue import MNITissue
from medfit.errors import UserError


@pytest.fixture(scope="module")
def data():
    return MNITissue(resolution_mm=4)


@pytest.fixture(scope="module")
def t1():
    return nib.as_closest_canonical(load_mni152_template(resolution=4)).get_fdata(dtype=np.float32)


def test_slices_have_the_front_of_the_head_on_top(data, t1):
    place = data.file_names[10].split()[1]
    shown = np.rot90(t1[:, :, int(place)])  # from (right, anterior) to rows from the front, columns from the left
    assert np.allclose(data.image(10).x[0], shown, atol=1e-6)


def test_a_pixel_is_of_the_likelier_tissue(data):
    grey, white = (load(resolution=4).get_fdata() for load in (load_mni152_gm_template, load_mni152_wm_template))
    place = int(data.file_names[10].split()[1])
    grey, white = np.rot90(grey[:, :, place]), np.rot90(white[:, :, place])
    mask = data.image(10).mask
    assert set(np.unique(mask)) == {0, 1, 2}
    assert ((grey + white >= 0.499)[mask > 0]).all()
    assert (grey >= white)[mask == 1].all()
    assert (white > grey)[mask == 2].all()


def test_every_slice_shows_tissue_and_has_a_spacing(data):
    assert min((data.image(i).mask > 0).mean() for i in range(len(data))) >= 0.05
    assert data.image(0).spacing_mm == (4.0, 4.0)
    assert (data.image(0).x.min(), data.image(0).x.dtype) == (0, np.float32)


def test_neighbouring_slices_are_one_slab(data):
    assert data.groups[:6].tolist() == [0, 0, 0, 0, 0, 1]


def test_slices_without_masks_are_for_generation():
    data = MNITissue(resolution_mm=8, masks=False)
    assert (data.task, data.channels, data.image(0).mask) == ("generation", ["t1"], None)


def test_slabs_too_thick_are_refused():
    with pytest.raises(UserError, match=r"dataset.slab_slices=20: .* fewer than three slabs"):
        MNITissue(resolution_mm=8, slab_slices=20)
