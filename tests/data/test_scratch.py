"""Recordings that outgrow memory: the same numbers from a file."""

import shutil
from collections import namedtuple

import numpy as np
import pytest
import torch

from medfit.data import scratch
from medfit.data.batches import Batches, Shuffled
from medfit.data.datasets.edf_records import EdfRecords
from medfit.data.preprocessing.arrays import Arrays, Gathered
from medfit.data.preprocessing.series import SeriesPreprocessing
from medfit.data.scratch import Held, empty_on_disk, lies_on_disk
from medfit.errors import UserError
from medfit.train import train

TINY = 2**-20  # GiB: a thousand bytes
RATE = 64


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Eight EDF files of two channels and 5 to 8 seconds; scratch files lie in a folder of their own."""
    import pyedflib

    (tmp_path / "eeg").mkdir()
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    rng = np.random.default_rng(0)
    for number in range(8):
        with pyedflib.EdfWriter(str(tmp_path / "eeg" / f"s{number}.edf"), 2) as writer:
            about = {"dimension": "uV", "sample_frequency": RATE, "physical_max": 9.0, "physical_min": -9.0,
                     "digital_max": 32767, "digital_min": -32768, "prefilter": "", "transducer": ""}  # fmt: skip
            writer.setSignalHeaders([{"label": name, **about} for name in ("C3", "C4")])
            writer.writeSamples(list(rng.normal(1, 1 + number % 2, (2, (5 + number % 4) * RATE))))
    rows = "".join(f"s{number},{number % 2}\n" for number in range(8))
    (tmp_path / "labels.csv").write_text("record,ill\n" + rows)
    return tmp_path


@pytest.fixture
def both(folder):
    """Makes the data set in memory and from a file."""

    def made(**options):
        read = [
            EdfRecords(str(folder / "eeg"), str(folder / "labels.csv"), target="ill", memory_gib=most, **options)
            for most in (None, TINY)
        ]
        assert [lies_on_disk(data.x) for data in read] == [False, True]
        return read

    return made


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("options", [{"window_s": 1}, {"window_s": 2, "stride_s": 0.5}, {}], ids=str)
def test_windows_are_the_same_in_a_file_that_has_no_name(both, folder, options, capsys):
    held, filed = both(**options)
    assert same(held.x, filed.x) and held.fingerprint() == filed.fingerprint()
    assert held.groups.tolist() == filed.groups.tolist() and filed.x[0].dtype == np.float32
    assert list((folder / "scratch").iterdir()) == []
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("more than dataset.memory_gib (9.54e-07), and lie in a file in") == 1


CHOICES = [
    {"scaling": "train"},
    {"scaling": "per_series"},
    {"scaling": "none"},
    {"scaling": "auto", "resample_hz": 40},
    {"band_pass_hz": [1, 20], "notch_hz": 25, "detrend": True},
    {"moving_average": 3, "difference": True},
    {"length": "crop"},
    {"length": 100},
    {"length": 700},
]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("window_s", [1, None])
def test_they_are_prepared_the_same_whatever_is_chosen(both, window_s, choice):
    prepared = []
    for data in both(window_s=window_s):
        steps = SeriesPreprocessing(data, **choice)
        fitted = steps.fit(np.arange(len(data) // 2))
        prepared.append((fitted, steps.prepared(fitted)))
    (held_fit, held), (filed_fit, filed) = prepared
    assert held_fit == filed_fit and held.input_shape == filed.input_shape
    assert torch.equal(held.tensors[0].nan_to_num(-99), filed.tensors[0].nan_to_num(-99))
    assert (held.on_disk, filed.on_disk) == (False, True)
    batches = [made.training([3, 1]).batch(torch.tensor([1]))[0] for made in (held, filed)]
    assert torch.equal(batches[0].nan_to_num(-99), held.tensors[0][[1]].nan_to_num(-99))
    assert torch.equal(*(batch.nan_to_num(-99) for batch in batches))


def test_batches_from_a_file_are_the_same_and_made_ahead():
    x, y = torch.arange(60.0).reshape(20, 3), torch.arange(20.0)[:, None]
    made = []
    for on_disk in (False, True):
        rows = Arrays(x, y, on_disk=on_disk).training(range(3, 20))
        assert rows.resident is not on_disk
        made.append([part for batch in Batches(rows, Shuffled(17, 4, seed=0)) for part in batch])
    assert len(made[0]) == 8 and all(map(torch.equal, *made))


def test_a_training_is_the_same(compose, folder):
    data = [f"dataset.root={folder}/eeg", f"dataset.labels={folder}/labels.csv", "dataset.target=ill"]
    cfg = [
        "dataset=edf_records",
        *data,
        "dataset.window_s=1",
        "regime=smoke",
        "model.widths=[8,8,8]",
        "split.test=0.25",
    ]
    scores = [train(compose(*cfg, f"dataset.memory_gib={most}")) for most in ("null", TINY)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


def test_targets_alone_are_gathered_without_the_series():
    class Untouched:
        def __len__(self):
            return 4

        def __getitem__(self, rows):
            raise AssertionError

    arrays = Arrays(torch.zeros(4, 2), torch.arange(4.0))
    arrays.tensors = (Untouched(), arrays.tensors[1])
    assert Gathered(arrays, [1, 3])[1].tolist() == [1, 3] and len(Gathered(arrays, [1])) == 2
    x, y = Gathered(Arrays(torch.eye(3), torch.arange(3.0)), [2, 0])
    assert x.tolist() == [[0, 0, 1], [1, 0, 0]] and y.tolist() == [2, 0]


def test_a_full_disk_is_told_in_a_line(folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(2**28))
    told = r"^dataset.memory_gib: series outgrow it, and '.*scratch' has no room for .* GiB of them; set TMPDIR"
    with Held(TINY) as held, pytest.raises(UserError, match=told):
        held.add(np.zeros((2, 1000), dtype=np.float32))
    with pytest.raises(UserError, match=told):
        empty_on_disk((2, 1000))


def test_a_disk_that_fills_meanwhile_is_told_in_a_line(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(UserError, match=r"^dataset.memory_gib: series outgrow it"):
        empty_on_disk((2, 1000))


def test_a_disk_that_fills_between_two_series_is_told_in_a_line(folder, monkeypatch):
    with Held(TINY) as held, pytest.raises(UserError, match=r"^dataset.memory_gib: series outgrow it"):
        held.add(np.zeros((2, 1000), dtype=np.float32))
        monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(2**28))
        held.add(np.zeros((2, 1000), dtype=np.float32))


def test_a_quarter_of_the_free_memory_is_the_limit_where_none_is_given(monkeypatch):
    monkeypatch.setattr(scratch.psutil, "virtual_memory", lambda: namedtuple("Memory", "available")(4000))
    assert Held(None).most_bytes == 1000 and Held(0.5).most_bytes == 2**29


def test_scratch_files_lie_on_disk_unless_the_user_says_where(monkeypatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    assert str(scratch.folder()) == "/var/tmp"
