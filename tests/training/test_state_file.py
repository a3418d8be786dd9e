import os
import stat

import pytest
import torch

from medfit.training import state_file
from medfit.training.state_file import MAGIC, StateError

BODY = {"weights": {"a": torch.arange(6.0).view(2, 3)}, "counts": [1, 2], "none": None, "best": float("-inf")}


class Odd:
    pass


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "states" / "key-run.state"
    state_file.write(path, {"run": "run", "epoch": 3}, BODY)
    return path


def test_a_state_is_read_as_it_was_written(path):
    header, body = state_file.read(path)
    assert header == {"format": 1, "run": "run", "epoch": 3} == state_file.read_header(path)
    assert torch.equal(body["weights"]["a"], BODY["weights"]["a"])
    assert (body["counts"], body["none"], body["best"]) == ([1, 2], None, float("-inf"))


def test_only_its_owner_can_read_a_state(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.1, 0.5, 0.999])
def test_a_state_that_is_cut_short_is_refused(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(StateError, match=f"'{path}' is cut short or damaged"):
        state_file.read(path)


@pytest.mark.parametrize("place", [len(MAGIC) + 3, len(MAGIC) + 80, -200])
def test_a_state_with_another_byte_is_refused(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(StateError, match="is cut short or damaged|has format"):
        state_file.read(path)


def test_a_foreign_file_is_refused(path):
    torch.save(BODY, path)
    with pytest.raises(StateError, match="is no state of a training"):
        state_file.read(path)


def test_a_state_of_another_format_is_refused(path, monkeypatch):
    monkeypatch.setattr(state_file, "FORMAT", 2)
    with pytest.raises(StateError, match="has format 1, and this medfit reads format 2"):
        state_file.read(path)


def test_what_only_code_of_the_file_could_read_is_not_written(path):
    before = path.read_bytes()
    with pytest.raises(StateError, match="holds what can't be stored"):
        state_file.write(path, {"run": "run"}, {"callbacks": Odd()})
    assert path.read_bytes() == before


def test_a_state_is_removed_with_what_a_kill_left_of_another_write_of_it(path):
    (path.parent / f".{path.name}.abcd").write_bytes(MAGIC)
    (other := path.with_name("key-other.state")).write_bytes(MAGIC)
    state_file.remove(path)
    assert list(path.parent.iterdir()) == [other]


def test_a_state_stays_where_there_is_no_room_for_the_next(path, monkeypatch):
    before = path.read_bytes()

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        state_file.write(path, {"run": "run"}, BODY)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
