import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_images import AXES, by_place, few, refused, write_nifti
from medfit.data.readers.image_files import channel_names, read_image


@few
@given(st.sampled_from(AXES), st.tuples(*[st.sampled_from([0.5, 1.0, 2.5])] * 3), st.sampled_from(["nii", "nii.gz"]))
def test_any_axes_of_a_nifti_give_the_same_volume(axes, spacing, ending):
    order, signs = axes
    stored = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis in range(3):
        affine[order[axis], axis] = signs[axis] * spacing[axis]
    affine[:3, 3] = (5, -7, 11)
    with tempfile.TemporaryDirectory() as folder:
        image = read_image(write_nifti(Path(folder) / f"a.{ending}", stored, affine))
    places = nib.affines.apply_affine(affine, np.stack(np.indices(stored.shape), -1))
    assert image.x.dtype == np.int16
    assert np.array_equal(image.x[0], by_place(stored, places))
    assert image.spacing_mm == tuple(spacing[order.index(axis)] for axis in range(3))


def test_a_fourth_axis_of_a_nifti_is_channels(tmp_path):
    data = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    image = read_image(write_nifti(tmp_path / "a.nii", data))
    assert np.array_equal(image.x, np.moveaxis(data, -1, 0))
    assert channel_names(len(image.x), flat=False) == [f"channel {n}" for n in range(1, 6)]


def test_a_scaled_nifti_has_its_values_as_nibabel_reads_them(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(0.5, -10)
    nib.save(image, tmp_path / "a.nii.gz")
    x = read_image(tmp_path / "a.nii.gz").x
    assert x.dtype == np.float32
    assert np.allclose(x[0], nib.load(tmp_path / "a.nii.gz").get_fdata())


def test_an_oblique_nifti_keeps_its_spacing(tmp_path):
    turn = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.7, 0.8, 3.0])
    image = read_image(write_nifti(tmp_path / "a.nii", np.zeros((2, 3, 4), np.float32), affine))
    assert image.spacing_mm == pytest.approx((0.7, 0.8, 3.0), abs=1e-5)


def test_a_nifti_in_metres_has_its_spacing_in_mm(tmp_path):
    image = nib.Nifti1Image(np.zeros((2, 3, 4), np.float32), np.diag([0.001, 0.002, 0.003, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii")
    assert read_image(tmp_path / "a.nii").spacing_mm == pytest.approx((1, 2, 3))


def test_a_flat_nifti_is_a_volume_of_one_slice(tmp_path):
    assert read_image(write_nifti(tmp_path / "a.nii", np.zeros((5, 6), np.uint8))).x.shape == (1, 5, 6, 1)


def test_a_nifti_without_place_in_space_is_refused(tmp_path):
    header = nib.Nifti1Header()
    header.set_sform(np.diag([1, 1, 0, 1]), code=1)
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), None, header), tmp_path / "a.nii")
    assert "says no spacing" in refused(tmp_path / "a.nii")


def test_a_nifti_of_colours_is_refused(tmp_path):
    colours = np.zeros((2, 2, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    assert "no plain numbers" in refused(write_nifti(tmp_path / "a.nii", colours))


def test_a_nifti_of_five_axes_is_refused(tmp_path):
    assert "has the shape" in refused(write_nifti(tmp_path / "a.nii", np.zeros((2, 2, 2, 2, 3), np.float32)))
