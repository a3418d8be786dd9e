"""With a cache on disk, files are decoded and prepared once for all commands, and all numbers stay as they are."""

import functools
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from fake_images import write_nifti, write_series
from fake_series import NAMES, write_edf, write_wfdb
from medfit.config import cache_place, instantiate
from medfit.data import disk_cache
from medfit.data.datasets.dicom_series import DicomSeries
from medfit.data.datasets.edf_records import EdfRecords
from medfit.data.datasets.image_masks import ImageMasks
from medfit.data.datasets.wfdb_records import WfdbRecords
from medfit.data.preprocessing import patch_batches
from medfit.data.preprocessing.fitted_patches import FittedPatches
from medfit.data.preprocessing.patches import PatchPreprocessing
from medfit.errors import UserError
from medfit.train import train
from medfit.training import parts

OPENED: list[str] | None = None  # files that were opened, while they are counted


def _note(event, arguments):
    if OPENED is not None and event == "open":
        OPENED.append(str(arguments[0]))


sys.addaudithook(_note)


class Reading:
    """Counts which of some files are opened, by their endings."""

    def __init__(self, *endings):
        self.endings = endings

    def __enter__(self):
        global OPENED
        OPENED = []
        return self

    def __exit__(self, *_):
        global OPENED
        self.found, OPENED = [name for name in OPENED if name.endswith(self.endings)], None


@pytest.fixture(autouse=True)
def nowhere():
    """Leaves no cache to the next test."""
    yield
    cache_place._chosen.clear()


@pytest.fixture
def place(tmp_path):
    cache_place._chosen[:] = [cache_place.Place(tmp_path / "cache", 10**8)]
    return cache_place._chosen[0]


@pytest.fixture
def volumes(tmp_path):
    """Eight volumes whose axes are turned, with masks of 0 and 255, in space."""
    rng, affine = np.random.default_rng(0), np.diag([-1.5, 1.0, 2.0, 1.0])
    for number in range(8):
        mask = np.zeros((12, 10, 8), dtype=np.uint8)
        mask[3:9, 2:7, 2 + number % 3 : 6] = 255
        values = rng.integers(0, 900, mask.shape).astype(np.int16) + 2 * mask
        write_nifti(tmp_path / "scans" / "images" / f"p{number}.nii.gz", values.astype(np.int16), affine)
        write_nifti(tmp_path / "scans" / "masks" / f"p{number}.nii.gz", mask, affine)
    return tmp_path / "scans"


def masks_of(folder, **options):
    return ImageMasks(f"{folder}/images", f"{folder}/masks", ["background", "tumour"], layout="binary", **options)


def same_images(one, other):
    assert one.fingerprint() == other.fingerprint()
    for index in range(len(one)):
        image, again = one.image(index), other.image(index)
        assert image.x.dtype == again.x.dtype and (image.spacing_mm, image.axes) == (again.spacing_mm, again.axes)
        np.testing.assert_array_equal(image.x, again.x)
        np.testing.assert_array_equal(image.mask, again.mask)


def test_volumes_and_masks_are_decoded_once_and_stay_as_they_are(volumes, place):
    kept = masks_of(volumes)
    with Reading(".nii.gz") as reading:
        again = masks_of(volumes)
    assert reading.found == []
    cache_place._chosen.clear()
    with Reading(".nii.gz") as reading:
        plain = masks_of(volumes)
    assert len(reading.found) >= 16
    same_images(plain, kept)
    same_images(plain, again)


def test_a_changed_volume_alone_is_read_anew(volumes, place):
    before = masks_of(volumes)
    path = volumes / "images" / "p3.nii.gz"
    write_nifti(path, np.full((12, 10, 8), 5, dtype=np.int16), np.diag([-1.5, 1.0, 2.0, 1.0]))
    with Reading(".nii.gz") as reading:
        after = masks_of(volumes)
    assert set(reading.found) == {str(path)}
    assert (after.image(3).x == 5).all() and before.fingerprint() != after.fingerprint()


def test_masks_are_judged_each_time_whatever_is_kept(volumes, place):
    """Binary masks of 0 and 255 in some files, and of 0 and 1 in others, are refused by the set: no file is wrong."""
    masks_of(volumes)
    path = volumes / "masks" / "p7.nii.gz"
    mask = np.zeros((12, 10, 8), dtype=np.uint8)
    mask[2:5] = 1
    write_nifti(path, mask, np.diag([-1.5, 1.0, 2.0, 1.0]))
    told = []
    for _ in range(2):
        with pytest.raises(UserError) as error:
            masks_of(volumes)
        told.append(str(error.value))
    cache_place._chosen.clear()
    with pytest.raises(UserError) as error:
        masks_of(volumes)
    assert told == [str(error.value)] * 2


def prepared(folder, **options):
    dataset = masks_of(folder)
    source = PatchPreprocessing(dataset, patch_size=[8, 8, 8], **options)
    return source.prepared(source.fit(range(4)))


@pytest.mark.parametrize("options", [{"spacing_mm": [1, 1, 1]}, {"scaling": "train"}, {"window": [0, 500]}])
@pytest.mark.parametrize("room", [0.4, 0])
def test_images_are_prepared_once_and_patches_are_the_same(volumes, place, monkeypatch, options, room):
    monkeypatch.setattr(patch_batches, "RESIDENT_SHARE", room)
    prepared(volumes, **options).training(range(8)).batch(torch.arange(8), 1)
    made = prepared(volumes, **options)
    monkeypatch.setattr(type(made.fitted), "image_and_mask", lambda *_: pytest.fail("prepared again"))
    batches = [made.training(range(8)).batch(torch.arange(8), seed) for seed in (1, 2)]
    whole = made.evaluation(range(8)).batch(torch.arange(8))
    assert made.training(range(8)).resident == bool(room)
    monkeypatch.undo()
    cache_place._chosen.clear()
    plain = prepared(volumes, **options)
    for (x, y), seed in zip(batches, (1, 2), strict=True):
        own_x, own_y = plain.training(range(8)).batch(torch.arange(8), seed)
        assert torch.equal(x, own_x) and torch.equal(y, own_y)
    for part, own in zip(whole[:2], plain.evaluation(range(8)).batch(torch.arange(8))[:2], strict=True):
        assert torch.equal(part, own)


def test_other_settings_prepare_anew(volumes, place):
    one = prepared(volumes, window=[0, 500]).image_and_mask(0)[0]
    other = prepared(volumes, window=[0, 300]).image_and_mask(0)[0]
    assert not torch.equal(one, other)


def test_what_code_of_ones_own_prepares_is_not_kept(volumes, place):
    class Own(FittedPatches):
        pass

    made = prepared(volumes)
    made.fitted = Own(**made.fitted.values())
    made.image_and_mask(0)
    kept = len(list(place.folder.iterdir()))
    made.fitted = FittedPatches(**made.fitted.values())
    made.kept.clear()
    made.image_and_mask(0)
    assert (kept, len(list(place.folder.iterdir()))) == (16, 17)


def test_series_in_dicom_are_decoded_once(tmp_path, place):
    rng = np.random.default_rng(0)
    values = rng.integers(-500, 900, (3, 5, 6, 7)).astype(np.int16)
    for number in range(3):
        write_series(tmp_path / "ct" / f"s{number}", values[number], series=f"1.2.{number}", patient=f"p{number}")
    made = DicomSeries(f"{tmp_path}/ct")
    kept = len(list(place.folder.iterdir()))
    again = DicomSeries(f"{tmp_path}/ct")
    cache_place._chosen.clear()
    plain = DicomSeries(f"{tmp_path}/ct")
    assert kept == 3 and made.fingerprint() == again.fingerprint() == plain.fingerprint()


def test_pixels_of_kept_series_are_not_decoded_again(tmp_path, place, monkeypatch):
    values = np.arange(5 * 36, dtype=np.int16).reshape(5, 6, 6)
    files = write_series(tmp_path / "ct" / "s0", values)
    first = DicomSeries(f"{tmp_path}/ct").image(0).x.copy()
    monkeypatch.setattr("medfit.data.readers.dicom_files._pixels", lambda _: pytest.fail("decoded again"))
    np.testing.assert_array_equal(DicomSeries(f"{tmp_path}/ct").image(0).x, first)
    monkeypatch.undo()
    files[2].unlink()
    with pytest.raises(UserError, match="missing or unevenly|uneven|missing"):
        DicomSeries(f"{tmp_path}/ct")


def recordings(folder, kind, **options):
    write = {WfdbRecords: write_wfdb, EdfRecords: write_edf}[kind]
    if not (folder / "ecg").exists():
        rng = np.random.default_rng(0)
        write(folder / "ecg", rng.normal(0, 300, (6, len(NAMES), 400)).astype(np.float32))
        table = pd.DataFrame({"record": [f"r{n:03}" for n in range(6)], "ill": [0, 1] * 3})
        table.to_csv(folder / "labels.csv", index=False)
    return kind(f"{folder}/ecg", f"{folder}/labels.csv", target="ill", **options)


@pytest.mark.parametrize(("kind", "endings"), [(WfdbRecords, (".dat",)), (EdfRecords, ())])
@pytest.mark.parametrize("options", [{}, {"resample_hz": 25.0, "window_s": 1.0}])
def test_recordings_are_decoded_and_resampled_once(tmp_path, place, monkeypatch, kind, endings, options):
    made = recordings(tmp_path, kind, **options)
    with monkeypatch.context() as patch:
        patch.setattr(kind, "read", functools.wraps(kind.read)(lambda *_: pytest.fail("read again")))
        with Reading(*endings) as reading:
            again = recordings(tmp_path, kind, **options)
    assert not endings or reading.found == []
    cache_place._chosen.clear()
    plain = recordings(tmp_path, kind, **options)
    assert made.fingerprint() == again.fingerprint() == plain.fingerprint()
    assert made.sampling_rate_hz == again.sampling_rate_hz == plain.sampling_rate_hz


def test_other_settings_read_recordings_anew(tmp_path, place):
    first = recordings(tmp_path, WfdbRecords)
    slow = recordings(tmp_path, WfdbRecords, resample_hz=25.0)
    assert (first.sampling_rate_hz, slow.sampling_rate_hz) == (50, 25)
    channel = recordings(tmp_path, WfdbRecords, channels=[first.channels[1]])
    np.testing.assert_allclose(np.asarray(channel.x[0])[0], np.asarray(first.x[0])[1])


def test_a_signal_file_that_changed_is_read_anew_though_its_header_did_not(tmp_path, place):
    before = recordings(tmp_path, WfdbRecords)
    path = tmp_path / "ecg" / "r002.dat"
    time.sleep(0.02)
    path.write_bytes(path.read_bytes()[::-1])
    assert recordings(tmp_path, WfdbRecords).fingerprint() != before.fingerprint()


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of its use of pandas
def test_a_record_of_segments_depends_on_all_of_its_files(tmp_path, place):
    import wfdb

    rng = np.random.default_rng(0)
    recordings(tmp_path, WfdbRecords)
    for number in range(2):
        wfdb.wrsamp(
            f"s{number}", fs=100, units=["mV"], sig_name=["I"], fmt=["16"], p_signal=rng.normal(size=(200, 1)),
            write_dir=str(tmp_path / "ecg"),
        )  # fmt: skip
    (tmp_path / "ecg" / "whole.hea").write_text("whole/2 1 100 400\ns0 200\ns1 200\n")
    reader = WfdbRecords.opened(tmp_path / "ecg", "atr")
    header = reader.header(tmp_path / "ecg" / "whole.hea")
    assert {path.name for path in header.files} == {"whole.hea", "s0.hea", "s0.dat", "s1.hea", "s1.dat"}
    assert [path.name for path in reader.header(tmp_path / "ecg" / "r000.hea").files] == ["r000.hea", "r000.dat"]


@pytest.mark.slow
def test_a_training_is_the_same_with_the_cache_and_a_second_one_reads_no_file(compose, volumes, output_dir):
    small = [
        "dataset=image_masks", f"dataset.images={volumes}/images", f"dataset.masks={volumes}/masks",
        "dataset.classes=[background,tumour]", "dataset.layout=binary", "model.widths=[2,4]", "regime.epochs=1",
        "preprocessing.patch_size=[8,8,8]", "regime.accelerator=cpu",
    ]  # fmt: skip
    scores = []
    for overrides in ([], ["data_cache.limit_gib=1"], ["data_cache.limit_gib=1"]):
        instantiate._load_dataset.cache_clear()
        parts._PREPARED.clear()
        with Reading(".nii.gz") as reading:
            scores.append(train(compose(*small, *overrides)))
        opened = len(reading.found)
    assert opened == 0
    times = {name for name in scores[0] if name.endswith("_s")}
    plain, first, second = ({name: s[name] for name in s.keys() - times} for s in scores)
    assert plain == pytest.approx(first, nan_ok=True) and first == pytest.approx(second, nan_ok=True)
    assert (output_dir / "cache").stat().st_mode & 0o777 == 0o700
    assert (
        disk_cache.usage(output_dir / "cache")[0] == 22
    )  # 8 images, 8 masks, and 6 of both prepared: nothing is done with the test split
