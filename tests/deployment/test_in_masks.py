from copy import deepcopy
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from fake_images import write_flat, write_frames, write_nifti, write_series, write_slice
from image_packages import MASKS, package
from medfit.data.readers.image_files import read_pair
from medfit.data.readers.mask_numbers import indexed
from medfit.data.readers.structures import Structures
from medfit.deployment import new_images
from medfit.deployment.ensemble import Ensemble
from medfit.errors import UserError

RNG = np.random.default_rng(0)
SIZE = (9, 12, 7)


def oblique(number):
    """An affine of turned, flipped and exchanged axes."""
    axes = np.eye(3)[RNG.permutation(3)] * RNG.choice([-1, 1], 3)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -15, 10 * number], degrees=True).as_matrix() @ axes * [1, 1.2, 1.5]
    affine[:3, 3] = [10, -20, number]
    return affine


def volumes(folder):
    for number in range(16):
        affine = oblique(number) if number else np.diag([1, 1.2, 1.5, 1.0])
        mask = RNG.integers(0, 3, SIZE).astype(np.uint8)
        write_nifti(folder / "images" / f"v{number}.nii.gz", (mask + RNG.normal(0, 1, SIZE)).astype(np.float32), affine)
        write_nifti(folder / "masks" / f"v{number}.nii.gz", mask, affine)


def alike(folder):
    """Volumes of one spacing."""
    for number in range(8):
        mask = RNG.integers(0, 3, SIZE).astype(np.uint8)
        write_nifti(folder / "images" / f"v{number}.nii.gz", mask.astype(np.float32), np.diag([1, 1.2, 1.5, 1.0]))
        write_nifti(folder / "masks" / f"v{number}.nii.gz", mask, np.diag([1, 1.2, 1.5, 1.0]))


def flat(folder):
    for number in range(16):
        mask = RNG.integers(0, 3, (14, 11 + number % 3)).astype(np.uint8)
        write_flat(folder / "images" / f"p{number}.png", (mask * 80 + RNG.integers(0, 60, mask.shape)).astype(np.uint8))
        write_flat(folder / "masks" / f"p{number}_mask.png", mask)


@pytest.fixture
def packaged(compose, tmp_path):
    def made(write, *overrides):
        folder = tmp_path / "scans"
        write(folder)
        lines = ["dataset=image_masks", f"dataset.images={folder / 'images'}", f"dataset.masks={folder / 'masks'}"]
        classes = "dataset.classes=[background,liver,tumour]"
        return package(compose, tmp_path, folder, *lines, classes, *MASKS, *overrides)

    return made


def read(path):
    return np.asarray(Image.open(path)) if path.suffix == ".png" else np.asarray(nib.load(path).dataobj)


RESAMPLED = "preprocessing.spacing_mm=[2,2,2]"
OPTIONS = [
    (flat, ["preprocessing.size=[16,24]"]),
    (volumes, [RESAMPLED, "preprocessing.patch_size=[8,8,8]"]),
    (volumes, [RESAMPLED, "preprocessing.slices=coronal", "preprocessing.scaling=train"]),
    (flat, ["preprocessing.patch_size=[8,8]", "preprocessing.window=[0,200]"]),
]


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize(
    ("write", "overrides"), OPTIONS, ids=[f"{write.__name__}{n}" for n, (write, _) in enumerate(OPTIONS)]
)
def test_written_masks_have_the_scores_that_were_stored(packaged, tmp_path, write, overrides):
    model, val, folder = packaged(write, *overrides)
    out = tmp_path / "out"
    out.mkdir()
    told = model.predict(folder / "images", out=out).set_index("file")
    assert (out / "classes.csv").read_text().split() == ["number,class", "0,background", "1,liver", "2,tumour"]
    for row in val.to_dict("records"):
        image = folder / "images" / row["file"]
        truth = read(folder / "masks" / (row["file"].replace(".png", "_mask.png")))
        mask = read(out / told.loc[row["file"], "mask"])
        assert mask.shape == truth.shape and mask.dtype == np.uint8
        for number, name in ((1, "liver"), (2, "tumour")):
            found, predicted = (((mask == number) & (truth == number)).sum(), (mask == number).sum())
            assert predicted == row[f"predicted/{name}"] and found == row[f"found/{name}"] > 0
            dice = 2 * found / (predicted + (truth == number).sum())
            assert dice == pytest.approx(row[f"dice/{name}"], abs=1e-6)
            unit = "pixels" if write is flat else "voxels"
            assert told.loc[row["file"], f"{unit}/{name}"] == predicted
            if write is volumes:
                assert told.loc[row["file"], f"volume_ml/{name}"] == pytest.approx(predicted * 1.8 / 1000)
        if write is volumes:
            own, its = nib.load(image), nib.load(out / told.loc[row["file"], "mask"])
            np.testing.assert_array_equal(own.affine, its.affine)
            assert [own.header[key] for key in ("qform_code", "sform_code")] == [
                its.header[key] for key in ("qform_code", "sform_code")
            ]


def test_channels_in_files_of_their_own_are_joined(compose, tmp_path):
    root = tmp_path / "task"
    for number in range(8):
        mask = RNG.integers(0, 2, SIZE).astype(np.uint8)
        write_nifti(root / "labelsTr" / f"c{number}.nii.gz", mask)
        for channel in range(2):
            x = (mask * channel + RNG.normal(0, 1, SIZE)).astype(np.float32)
            write_nifti(root / "imagesTr" / f"c{number}_{channel:04}.nii.gz", x)
    lines = ["dataset=decathlon", f"dataset.root={root}", "dataset.classes=[background,liver]", *MASKS]
    model, val, away = package(compose, tmp_path, root, *lines)
    told = model.predict(away / "imagesTr", out=tmp_path).set_index("file")
    assert len(told) == 8 and told.loc["c3", "mask"] == "c3.nii.gz"
    cases = [name.removesuffix("_0000.nii.gz") for name in val["file"]]
    assert told.loc[cases, "voxels/liver"].tolist() == val["predicted/liver"].tolist()
    (away / "imagesTr" / "c3_0001.nii.gz").unlink()
    with pytest.raises(UserError, match="^c3_0000.nii.gz: its case 'c3' has no channel 0001"):
        model.predict(away / "imagesTr")


def test_headers_of_masks_say_the_place_and_nothing_else(packaged, tmp_path):
    model, _, folder = packaged(volumes, RESAMPLED)
    image = nib.load(folder / "images" / "v1.nii.gz")
    image.header["descrip"] = b"Jane Doe"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Jane Doe"))
    (tmp_path / "new" / "deep").mkdir(parents=True)
    nib.save(image, tmp_path / "new" / "deep" / "v1.nii")
    told = model.predict(tmp_path / "new", out=tmp_path)
    assert told["mask"].tolist() == ["deep/v1.nii"]
    assert b"Jane" not in (tmp_path / "deep" / "v1.nii").read_bytes()


def test_masks_are_written_on_request_alone(packaged, tmp_path):
    model, _, folder = packaged(flat, "preprocessing.size=16")
    before = sorted(tmp_path.rglob("*"))
    assert list(model.predict(folder / "images")) == ["file", "pixels/liver", "pixels/tumour", "remarks"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_mask_is_turned_by_a_tag_as_its_image_is(packaged, tmp_path):
    model, *_ = packaged(flat, "preprocessing.size=16", "preprocessing.scaling=unit")
    stored = RNG.integers(0, 255, (14, 11)).astype(np.uint8)
    upright = {1: stored, 3: np.rot90(stored, 2), 6: np.rot90(stored, -1), 8: np.rot90(stored, 1)}
    for how in (1, 3, 6, 8):
        exif = Image.Exif()
        exif[0x0112] = how
        write_flat(tmp_path / "new" / f"{how}.png", stored, exif=exif)
        write_flat(tmp_path / "plain" / f"{how}.png", upright[how])
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    model.predict(tmp_path / "new", out=tmp_path / "a")
    model.predict(tmp_path / "plain", out=tmp_path / "b")
    for how in (1, 3, 6, 8):
        image, mask = tmp_path / "new" / f"{how}.png", tmp_path / "a" / f"{how}.png"
        assert read(mask).shape == (14, 11)
        pair = read_pair(image, {1: [mask]}, indexed)  # refuses a mask that nobody can tell how to turn
        np.testing.assert_array_equal(pair.mask, read(tmp_path / "b" / f"{how}.png"))


def test_names_of_masks_are_their_images_and_differ(packaged, tmp_path):
    model, *_ = packaged(flat, "preprocessing.size=16")
    for name in ("a.png", "a.jpg", "b/a.png"):
        write_flat(tmp_path / "new" / name, RNG.integers(0, 255, (9, 9)).astype(np.uint8))
    write_flat(tmp_path / "new" / "b/a_mask.png", np.zeros((9, 9), np.uint8))
    told = model.predict(tmp_path / "new", out=tmp_path)
    assert told["mask"].tolist() == ["a.jpg.png", "a.png.png", "b/a.png"]
    files = [str(tmp_path / "new" / "a.png"), str(tmp_path / "new" / "b" / ".." / "a.png")]
    told = model.predict(files, out=tmp_path / "new")
    assert all((tmp_path / "new" / name).is_file() and ".." not in name for name in told["mask"])
    assert told["mask"][0].endswith("new/a.png") and not told["mask"][0].startswith("/")


def ct(number=0):
    """Slices (k, rows, columns) of whole numbers."""
    return np.random.default_rng(number).integers(-200, 200, (7, 12, 9)).astype(np.int16)


def as_nifti(path, volume, apart):
    """The volume of axial slices that lie from the feet up, in DICOM's axes and in numbers as DICOM is read."""
    return write_nifti(path, volume.transpose(2, 1, 0).astype(np.float32), np.diag([-1, -1, apart, 1.0]))


def frames_of(seg):
    """What a SEG marks: class numbers by the place of a slice."""
    marks = {}
    pixels = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for frame, values in zip(seg.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        place = round(float(frame.PlanePositionSequence[0].ImagePositionPatient[2]), 3)
        number = int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        marks.setdefault(place, np.zeros(values.shape, int))[values > 0] = number
    return marks


@pytest.mark.parametrize("enhanced", [False, True])
def test_a_dicom_series_gets_a_segmentation_of_its_own_geometry(packaged, tmp_path, enhanced):
    hd = pytest.importorskip("highdicom")
    model, *_ = packaged(volumes, RESAMPLED)
    frame, new = {"FrameOfReferenceUID": "1.2.9", "StudyDate": "20260101"}, tmp_path / "new"
    if enhanced:
        order = [3, 0, 5, 1, 6, 2, 4]
        write_frames(new / "case" / "all.dcm", ct()[order], [(0, 0, 2.5 * k) for k in order], NumberOfFrames=7, **frame)
    else:
        write_series(new / "case", ct(), RNG.permutation(7), patient="Doe", **frame)
        write_series(new / "other", ct(1), patient="Roe", series="1.2.4", **frame)
    as_nifti(tmp_path / "plain" / "case.nii.gz", ct(), 2.5)
    told = model.predict(new, out=tmp_path).set_index("file")
    model.predict(tmp_path / "plain", out=tmp_path)
    mask = read(tmp_path / "case.nii.gz")
    path = tmp_path / told.loc["case", "mask"]
    assert path.name == "case.dcm" and len(np.unique(mask)) == 3
    seg = pydicom.dcmread(path)
    marks = frames_of(seg)
    for k in range(7):
        np.testing.assert_array_equal(marks.get(2.5 * k, np.zeros((12, 9))), mask[:, :, k].T)
    assert (seg.FrameOfReferenceUID, seg.StudyInstanceUID, seg.Modality) == ("1.2.9", "1.2", "SEG")
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == ["liver", "tumour"]
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    np.testing.assert_allclose(np.abs(volume.affine[:3, :3]).max(axis=0), [2.5, 1, 1])
    assert int((volume.array == 1).sum()) == told.loc["case", "voxels/liver"]
    back = read_pair(
        new / "case", {1: [path]}, indexed, structures=Structures({"liver": 1, "tumour": 2}, may_lack=True)
    )
    stored = read_pair(tmp_path / "plain" / "case.nii.gz", {1: [tmp_path / "case.nii.gz"]}, indexed)
    np.testing.assert_array_equal(back.mask, stored.mask)


def test_flat_dicom_images_and_such_without_findings_have_a_segmentation(packaged, tmp_path):
    pytest.importorskip("highdicom")
    model, *_ = packaged(flat, "preprocessing.size=16")
    new = tmp_path / "new"
    write_slice(new / "a.dcm", ct()[0], FrameOfReferenceUID="1.2.9")
    gone = dict.fromkeys(["ImagePositionPatient", "ImageOrientationPatient"])
    write_slice(
        new / "b.dcm", np.zeros((12, 9), np.int16), SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1", Modality="DX", **gone
    )
    told = model.predict(new, out=tmp_path)
    assert told["mask"].tolist() == ["a.dcm", "b.dcm"]
    for row in told.to_dict("records"):
        seg = pydicom.dcmread(tmp_path / row["mask"])
        owners = [
            f.SegmentIdentificationSequence[0].ReferencedSegmentNumber for f in seg.PerFrameFunctionalGroupsSequence
        ]
        pixels = seg.pixel_array.reshape(-1, 12, 9)
        for number, name in ((1, "liver"), (2, "tumour")):
            marked = sum(int(pixels[place].sum()) for place, owner in enumerate(owners) if owner == number)
            assert marked == row[f"pixels/{name}"] == row[f"area_mm2/{name}"]


def test_what_writes_segmentations_is_asked_for_first(packaged, tmp_path, monkeypatch):
    model, *_ = packaged(volumes, RESAMPLED)
    write_series(tmp_path / "new" / "case", ct())
    monkeypatch.setattr("medfit.deployment.written_masks.find_spec", lambda name: None)
    told = "predict.data: masks of DICOM images are written by highdicom; run pip install 'medfit[dicom]'"
    with pytest.raises(UserError) as error:
        model.predict(tmp_path / "new", out=tmp_path, progress=lambda *_: pytest.fail("something was predicted"))
    assert str(error.value) == told
    assert "voxels/liver" in model.predict(tmp_path / "new")


def test_voxels_at_another_distance_are_refused_where_nothing_resamples_them(packaged, tmp_path):
    model, *_ = packaged(alike)
    write_nifti(tmp_path / "new" / "a.nii.gz", np.zeros(SIZE, np.float32), np.diag([1, 1.2, 3, 1.0]))
    with pytest.raises(
        UserError, match=r"^a.nii.gz: its voxels are 1 x 1.2 x 3 mm apart, .* this model resamples none"
    ):
        model.predict(tmp_path / "new")


def test_the_table_has_sizes_of_all_images_in_order(packaged):
    model, _, folder = packaged(flat, "preprocessing.size=16")
    told = model.predict(folder / "images")
    files = sorted(path.name for path in (folder / "images").iterdir())
    assert told["file"].tolist() == files and pd.api.types.is_integer_dtype(told["pixels/liver"])


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize(
    ("write", "overrides"), OPTIONS[:3], ids=[f"{write.__name__}{n}" for n, (write, _) in enumerate(OPTIONS[:3])]
)
def test_trainings_that_are_alike_have_their_mask_as_their_mean(packaged, tmp_path, write, overrides):
    model, _, folder = packaged(write, *overrides)
    masks = []
    for number, one in enumerate([model, Ensemble.of([model, model], model.decisions, "run")]):
        out = tmp_path / str(number)
        out.mkdir()
        told = one.predict(folder / "images", out=out)
        masks.append([read(out / name) for name in told["mask"]])
    assert all(np.array_equal(*both) for both in zip(*masks, strict=True)) and len(masks[0]) > 5


def test_the_mask_of_several_trainings_is_that_of_their_mean_probability(packaged, tmp_path):
    first, _, folder = packaged(flat, "preprocessing.patch_size=[8,8]", "preprocessing.window=[0,200]")
    torch.manual_seed(1)
    second = replace(first, task=deepcopy(first.task))
    with torch.no_grad():
        for weights in second.task.parameters():
            weights += 0.3 * torch.randn_like(weights)
    told = Ensemble.of([first, second], first.decisions, "run").predict(folder / "images", out=tmp_path)
    parts, differs = new_images.read(folder / "images", first.about["expected"], None).parts(1), 0
    for row, part in zip(told.to_dict("records"), parts, strict=True):
        (x,) = first.fitted.apply(part)
        with torch.inference_mode():
            each = [model.task.infer(x[None])[0].softmax(dim=0) for model in (first, second)]
        mean = ((each[0] + each[1]) / 2).argmax(dim=0).numpy()
        assert np.array_equal(read(tmp_path / row["mask"]), mean)
        differs += sum(not np.array_equal(one.argmax(dim=0).numpy(), mean) for one in each)
    assert differs > 0
