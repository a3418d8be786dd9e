import threading
import time
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException

from medfit.tracking import outbox
from medfit.tracking.outbox import Outbox

NOTHING = Path()


class Recorder:
    """Takes tags, in order, unless it is away."""

    def __init__(self) -> None:
        self.away, self.taken, self.interrupts = False, list[str](), False

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.search_experiments()
        self.taken.append(value)
        if self.interrupts:
            self.interrupts = False
            raise KeyboardInterrupt

    def search_experiments(self, max_results: int = 1) -> None:
        if self.away:
            raise MlflowException("Max retries exceeded")


def follow(actions: list[str], folder: Path) -> tuple[list[str], list[str]]:
    """Returns what was written, and what a server took that went away, and from senders that were killed."""
    server, written = Recorder(), []
    boxes = [Outbox(folder, "http://here", lambda: server) for _ in range(2)]  # two processes
    for action in [*actions, "on", "send"]:
        server.interrupts = action == "killed" and boxes[0].holds("a")
        try:
            match action:
                case "on" | "off":
                    server.away = action == "off"
                case "write":
                    written.append(str(len(written)))
                    boxes[0].write("a", "tag", ["key", written[-1]], NOTHING)
                case "send" | "killed":
                    boxes[1].send(boxes[1].runs())
        except KeyboardInterrupt:
            pass
    return written, server.taken


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(["write", "write", "off", "on", "send", "killed"]), max_size=20))
def test_whatever_happens_all_is_taken_in_order(actions):
    with TemporaryDirectory() as folder, patch.object(outbox, "RETRY_S", 0.0), patch.object(outbox, "say"):
        written, taken = follow(actions, Path(folder))
    assert [value for value, _ in groupby(taken)] == written
    if "killed" not in actions:
        assert taken == written


def test_a_run_does_not_wait_for_another_process_that_sends(tmp_path):
    server = Recorder()
    box = Outbox(tmp_path, "http://here", lambda: server)
    server.away = True
    box.write("a", "tag", ["key", "1"], NOTHING)
    server.away = False
    with FileLock(tmp_path / "outbox" / ".sending"):
        thread = threading.Thread(target=box.write, args=("a", "end", ["FINISHED", 1], NOTHING))
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
    assert server.taken == [] and box.runs() == ["a"]


def test_tries_take_a_small_share_of_the_time(tmp_path):
    server = Recorder()
    server.away = True
    box = Outbox(tmp_path, "http://here", lambda: server)
    box.write("a", "tag", ["key", "1"], NOTHING)
    box._next_try = 0
    with patch.object(box, "_answers", side_effect=lambda: time.sleep(0.5)), patch.object(outbox, "RETRY_S", 1.0):
        box.write("a", "tag", ["key", "2"], NOTHING)
    assert box._next_try - time.monotonic() > 4


def test_what_is_kept_for_another_server_is_left_alone(tmp_path):
    server = Recorder()
    server.away = True
    Outbox(tmp_path, "http://here", lambda: server).write("a", "tag", ["key", "1"], NOTHING)
    assert Outbox(tmp_path, "http://here/", lambda: server).runs() == ["a"]
    assert Outbox(tmp_path, "http://elsewhere", lambda: server).runs() == []


def test_a_write_that_is_broken_or_of_another_medfit_is_set_aside_and_told_and_blocks_no_other(tmp_path, capsys):
    server = Recorder()
    box = Outbox(tmp_path, "sqlite:///here", lambda: server)
    for value in ("1", "2", "3"):
        box.keep("a", "tag", ["key", value], NOTHING)
    first, second, _ = sorted((tmp_path / "outbox" / "a").glob("*.json"))
    first.write_bytes(b"")  # as a power cut leaves it
    second.write_text(second.read_text().replace('"tag"', '"several"'))
    assert box.runs() == ["a"] and box.send(["a"]) == 0
    assert server.taken == ["3"] and box.runs() == []
    assert len(list((tmp_path / "outbox" / "refused").glob("*.json"))) == 2
    assert "a part of what run a logged is broken" in capsys.readouterr().out


def test_writes_of_another_store_behind_a_broken_one_are_left_to_it(tmp_path):
    here, elsewhere = Recorder(), Recorder()
    box = Outbox(tmp_path, "sqlite:///here", lambda: here)
    for value in ("1", "2"):
        box.keep("a", "tag", ["key", value], NOTHING)
    (tmp_path / "outbox" / "a" / "000001.json").write_bytes(b"{")
    other = Outbox(tmp_path, "sqlite:///elsewhere", lambda: elsewhere)
    other.send(other.runs())
    assert elsewhere.taken == [] and box.runs() == ["a"] and other.runs() == []


def test_no_password_is_kept(tmp_path):
    assert Outbox(tmp_path, "https://me:secret@mlflow.clinic/base/", lambda: None).uri == "https://mlflow.clinic/base"
