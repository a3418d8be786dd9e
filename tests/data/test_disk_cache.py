"""What was decoded is kept on disk: whole or not at all, within a limit, and of the same files, settings and code alone."""

import json
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medfit.config import cache_place
from medfit.data import cache_entry, disk_cache
from medfit.data.cache_entry import Entry, opened, packed
from medfit.data.disk_cache import DiskCache, of_files, usage
from medfit.errors import UserError

KINDS = ["<i2", ">i2", "<f4", "<f8", "|u1", "|b1"]
ARRAYS = st.sampled_from(KINDS).flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, min_side=0)))


@pytest.fixture
def place(tmp_path):
    """A cache that reading asks for, without an entry."""
    folder = cache_place.Place(tmp_path / "cache", 10**6)
    before, cache_place._chosen[:] = list(cache_place._chosen), [folder]
    yield folder
    cache_place._chosen[:] = before


def entries(folder):
    return sorted(folder.glob("*.kept"))


def numbers(size=100, value=1.0):
    return Entry({"x": np.full(size, value)}, {"rate": 250.5})


class Making:
    """Makes an entry, and counts how often."""

    def __init__(self, entry=None):
        self.entry, self.times = entry or numbers(), 0

    def __call__(self):
        self.times += 1
        return self.entry


@settings(max_examples=60, deadline=None)
@given(arrays=st.dictionaries(st.text(max_size=5), ARRAYS, max_size=3), mapped=st.booleans())
def test_an_entry_comes_back_as_it_was(tmp_path_factory, arrays, mapped):
    path = tmp_path_factory.mktemp("entry") / "one"
    facts = {"spacing_mm": [0.1, 1 / 3], "known": None}
    path.write_bytes(b"".join(packed(Entry(arrays, facts))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_entry, "MAPPED", 0 if mapped else 2**40)
        found = opened(path, checked=True)
    assert found.facts == facts and list(found.arrays) == list(arrays)
    for name, array in arrays.items():
        own = found.arrays[name]
        assert type(own) is np.ndarray and own.flags.writeable and own.dtype == array.dtype
        np.testing.assert_array_equal(own, array)


def test_what_lies_on_disk_is_changed_for_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_entry, "MAPPED", 0)
    path = tmp_path / "one"
    path.write_bytes(b"".join(packed(numbers())))
    opened(path, checked=True).arrays["x"][:] = 7
    assert (opened(path, checked=True).arrays["x"] == 1).all()


@pytest.mark.parametrize("mapped", [0, 2**40])
def test_any_cut_and_any_changed_byte_is_found(tmp_path, monkeypatch, mapped):
    monkeypatch.setattr(cache_entry, "MAPPED", mapped)
    path, content = tmp_path / "one", b"".join(packed(numbers(20)))
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises((ValueError, LookupError, TypeError)):
            opened(path, checked=True)
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            found = opened(path, checked=True)
        except (ValueError, LookupError, TypeError):
            continue
        assert found.facts == {"rate": 250.5} and (found.arrays["x"] == 1).all()  # a space of the first line


def test_it_is_made_once(place):
    cache, make = DiskCache(place), Making()
    made = [cache.kept({"a": 1}, make), cache.kept({"a": 1}, make), DiskCache(place).kept({"a": 1}, make)]
    assert make.times == 1
    assert all((one.arrays["x"] == 1).all() and one.facts == {"rate": 250.5} for one in made)
    cache.kept({"a": 2}, make)
    assert make.times == 2


def test_other_code_makes_it_anew(place, monkeypatch):
    make = Making()
    DiskCache(place).kept(1, make)
    monkeypatch.setattr(disk_cache, "_code", lambda: ["another"])
    DiskCache(place).kept(1, make)
    assert make.times == 2


def test_the_code_is_all_of_the_data_room_and_the_libraries_that_read(monkeypatch):
    code = disk_cache._code.__wrapped__
    before = code()
    monkeypatch.setattr(disk_cache, "version", lambda name: "0.0")
    assert before[0] == code()[0] and code()[1:] == ["0.0"] * len(disk_cache.LIBRARIES)
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: real(path) + b" " * path.name.startswith("nifti"))
    assert before[0] != code()[0]


@pytest.mark.parametrize("spoil", [lambda content: content[:-1], lambda content: b"", lambda content: content[::-1]])
def test_an_entry_that_is_cut_short_or_damaged_is_made_anew(place, spoil):
    make = Making()
    DiskCache(place).kept(1, make)
    (path,) = entries(place.folder)
    path.write_bytes(spoil(path.read_bytes()))
    assert (DiskCache(place).kept(1, make).arrays["x"] == 1).all() and make.times == 2
    DiskCache(place).kept(1, make)
    assert make.times == 2


def test_what_was_used_longest_ago_goes_first_and_the_limit_is_kept(tmp_path):
    cache = DiskCache(cache_place.Place(tmp_path / "cache", 5 * 8300))
    making = {number: Making(numbers(1000, number)) for number in range(6)}
    for number in range(5):
        cache.kept(number, making[number])
        time.sleep(0.01)
    assert len(entries(cache.folder)) == 5
    cache.kept(0, making[0])  # used
    cache.kept(5, making[5])
    count, size = usage(cache.folder)
    assert size <= cache.limit and count == 4  # room is made for more than one at a time
    for number in (0, 3, 4, 5):
        cache.kept(number, making[number])
    assert [make.times for make in making.values()] == [1] * 6
    cache.kept(1, making[1])
    assert making[1].times == 2


def test_what_others_write_counts_for_the_limit(tmp_path):
    place = cache_place.Place(tmp_path / "cache", 40 * 8300)
    caches = [DiskCache(place) for _ in range(4)]
    for number in range(200):
        caches[number % 4].kept(number, Making(numbers(1000)))
        assert usage(place.folder)[1] <= 1.2 * place.limit_bytes
    assert usage(place.folder)[0] > 20


def test_what_is_larger_than_the_limit_is_not_kept(tmp_path):
    cache, make = DiskCache(cache_place.Place(tmp_path / "cache", 1000)), Making(numbers(1000))
    assert cache.kept(1, make).arrays["x"].shape == (1000,)
    assert usage(cache.folder) == (0, 0)


def test_unfinished_files_go_once_they_are_nobodys(place):
    cache = DiskCache(place)
    old, new = place.folder / "a.part", place.folder / "b.part"
    other = place.folder / "mine.txt"
    for path in (old, new, other):
        path.write_text("...")
    for path in (old, other):
        os.utime(path, (1, 1))
    cache.tidy()
    assert not old.exists() and new.exists() and other.exists()


def test_files_are_for_their_owner_alone_and_name_nobody(place, tmp_path):
    source = tmp_path / "Mueller_Anna.nii"
    source.write_text("...")
    of_files([source], "how", Making())
    (path,) = entries(place.folder)
    assert place.folder.stat().st_mode & 0o777 == 0o700 and path.stat().st_mode & 0o777 == 0o600
    assert b"Mueller" not in path.read_bytes() and "Mueller" not in path.name


def test_a_full_disk_is_told_once_and_stops_nothing(place, monkeypatch, capsys):
    monkeypatch.setattr(disk_cache, "LEFT_FREE", 2**60)
    cache, make = DiskCache(place), Making()
    for number in range(3):
        assert (cache.kept(number, make).arrays["x"] == 1).all()
    assert capsys.readouterr().out.count("data_cache: nothing more is kept (there is no room on the disk)") == 1
    assert list(place.folder.iterdir()) == []


def test_a_writing_that_fails_leaves_nothing(place, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    DiskCache(place).kept(1, Making())
    assert list(place.folder.iterdir()) == [] and "No space left" in capsys.readouterr().out


def test_a_folder_that_somebody_deletes_stops_nothing(place, capsys):
    cache, make = DiskCache(place), Making()
    cache.kept(1, make)
    shutil.rmtree(place.folder)
    for number in (1, 2):
        assert (cache.kept(number, make).arrays["x"] == 1).all()
    assert capsys.readouterr().out.count("nothing more is kept (No such file or directory)") == 1


def test_a_folder_that_can_not_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^data_cache.folder: cannot make '.*' \(Not a directory\)$"):
        DiskCache(cache_place.Place(tmp_path / "file" / "cache", 10))


def changed(path, how):
    """Changes a file so that its size stays, or its time does."""
    stat = path.stat()
    if how == "contents, size and time as before":
        time.sleep(0.02)
        path.write_bytes(path.read_bytes()[::-1])
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif how == "longer":
        path.write_bytes(path.read_bytes() + b"x")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif how == "another of its name":
        other = path.with_name("other")
        other.write_bytes(path.read_bytes()[::-1])
        os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        other.replace(path)


@pytest.mark.parametrize("how", ["contents, size and time as before", "longer", "another of its name"])
def test_a_changed_file_is_read_anew(place, tmp_path, how):
    files, make = [tmp_path / "a", tmp_path / "b"], Making()
    for path in files:
        path.write_bytes(b"0123456789")
    of_files(files, "how", make)
    of_files(files, "how", make)
    assert make.times == 1
    changed(files[1], how)
    of_files(files, "how", make)
    assert make.times == 2
    of_files(files, "otherwise", make)
    of_files(files[:1], "how", make)
    assert make.times == 4


def test_a_file_that_changes_while_it_is_read_is_not_kept(place, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"01")

    def make():
        path.write_bytes(path.read_bytes() + b"2")
        return numbers()

    assert (of_files([path], "how", make).arrays["x"] == 1).all()
    assert entries(place.folder) == []


def test_what_is_made_of_no_file_is_not_kept(place):
    make = Making()
    of_files([], "how", make)
    of_files([], "how", make)
    assert make.times == 2


def test_a_file_that_is_not_there_is_left_to_its_reader(place, tmp_path):
    def make():
        raise UserError("there is no such file")

    with pytest.raises(UserError, match="there is no such file"):
        of_files([tmp_path / "a"], "how", make)
    assert not place.folder.exists() or entries(place.folder) == []


def test_nothing_is_kept_where_nothing_is_asked_for(tmp_path):
    assert cache_place.chosen() is None and disk_cache.current() is None
    path, make = tmp_path / "a", Making()
    path.write_text("")
    of_files([path], "how", make)
    of_files([path], "how", make)
    assert make.times == 2


def work(place, seed, rounds):
    cache, rng = DiskCache(place), np.random.default_rng(seed)
    for _ in range(rounds):
        number = int(rng.integers(12))
        made = cache.kept(number, lambda number=number: numbers(3000, number))
        if not (made.arrays["x"] == number).all() or made.arrays["x"].shape != (3000,):
            os._exit(3)


def test_processes_read_and_write_at_once_and_none_sees_half_a_file(tmp_path):
    place = cache_place.Place(tmp_path / "cache", 6 * 24300)  # half of what they want: entries come and go
    forked = multiprocessing.get_context("fork")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_entry, "MAPPED", 20_000)
        processes = [forked.Process(target=work, args=(place, seed, 150)) for seed in range(3)]
        for one in processes:
            one.start()
        for one in processes:
            one.join(60)
    assert [one.exitcode for one in processes] == [0, 0, 0]
    assert usage(place.folder)[1] <= 1.2 * place.limit_bytes
    assert not list(place.folder.glob("*.part"))


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"folder": None, "limit_gib": 2}, ("runs/cache", 2 * 2**30)),
        ({"folder": "elsewhere", "limit_gib": 0.5}, ("elsewhere", 2**29)),
        ({"folder": None, "limit_gib": 0}, None),
        ({"folder": None, "limit_gib": "much"}, None),
        (None, None),
    ],
)
def test_a_config_says_where_and_how_much(tmp_path, node, expected):
    from omegaconf import OmegaConf

    cfg = {"output_dir": f"{tmp_path}/runs"} | ({} if node is None else {"data_cache": dict(node)})
    if node and node["folder"]:
        cfg["data_cache"]["folder"] = f"{tmp_path}/{node['folder']}"
    cfg = OmegaConf.create(json.loads(json.dumps(cfg)))
    OmegaConf.set_struct(cfg, True)
    cache_place.choose(cfg)
    found = cache_place.chosen()
    cache_place._chosen.clear()
    assert found == (expected and cache_place.Place(tmp_path / expected[0], expected[1]))
