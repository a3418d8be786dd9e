import time
from pathlib import Path

import pytest

from medfit import store
from medfit.store import Store
from medfit.study import sender
from medfit.study.sender import Sender


@pytest.fixture
def kept(compose, monkeypatch):
    """A run that was made, and how to keep a tag of it as a worker does."""
    cfg = compose("dataset=breast_cancer")
    run = Store(cfg).create_run("experiment", "run", {})
    monkeypatch.setattr(store, "_OTHERS", {store.address(cfg): lambda tags: None})

    def keep(key):
        Store(cfg).write(run.id, "tag", [key, "value"])

    return cfg, run.id, keep


def wait_for(client, run_id, key, seconds=60):
    deadline = time.monotonic() + seconds
    while key not in client.get_run(run_id).data.tags and time.monotonic() < deadline:
        time.sleep(0.02)
    return key in client.get_run(run_id).data.tags


def test_what_is_kept_is_sent_meanwhile_and_by_another_process_if_one_is_killed(kept, client, monkeypatch):
    cfg, run_id, keep = kept
    own = Sender(cfg)
    try:
        keep("before")
        assert wait_for(client, run_id, "before")
        first = own._helper.process
        first.kill()
        first.join()
        keep("after")
        own.look()
        assert not own._helper.process.is_alive()  # so soon
        monkeypatch.setattr(sender, "PAUSE_S", 0)
        own.look()
        assert wait_for(client, run_id, "after")
    finally:
        monkeypatch.setattr(store, "_OTHERS", {})  # who stops it sends the rest itself
        own.stop()
    assert list((Path(cfg.output_dir) / "outbox").glob("*/*.json")) == []


def test_what_is_left_is_sent_when_it_is_stopped(kept, client, monkeypatch):
    cfg, run_id, keep = kept
    own = Sender(cfg)
    own._helper.process.kill()
    own._helper.process.join()
    keep("left")
    assert not wait_for(client, run_id, "left", seconds=0.3)
    monkeypatch.setattr(store, "_OTHERS", {})
    own.stop()
    assert wait_for(client, run_id, "left", seconds=0)
