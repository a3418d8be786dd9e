import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fake_images import AXES
from medfit.data.readers import flat_files
from medfit.data.readers.raw_images import RawImage, turned

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("order", "signs"), AXES)
def test_what_lies_on_turned_voxels_goes_back_to_those_of_the_file(order, signs):
    affine = np.eye(4)
    axes = np.eye(3)[list(order)] * signs * [1, 1.2, 1.5]
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -15, 10], degrees=True).as_matrix() @ axes
    stored = RNG.integers(0, 9, (4, 5, 6))
    raw = turned("a.nii", stored, affine)
    np.testing.assert_array_equal(raw.as_stored(raw.x[0]), stored)


def test_the_files_own_axes_are_known():
    assert turned("a.nii", np.zeros((2, 3, 4)), np.diag([-1, -1, 1, 1])).axes == "LPS"
    assert RawImage(np.zeros((1, 2, 3))).axes is None
    flat = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(RawImage(flat[None]).as_stored(flat), flat)


@pytest.mark.parametrize("how", range(1, 9))
def test_flat_images_are_turned_back_as_their_tag_turns_them(how):
    stored = RNG.integers(0, 9, (4, 5))
    np.testing.assert_array_equal(flat_files.as_stored(flat_files._upright(stored, how), how), stored)
