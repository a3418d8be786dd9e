import time
from pathlib import Path

import pytest

from medfit.tracking import store
from medfit.tracking.run import create_run
from medfit.tracking.store import Store
from medfit.workers.sender import Sender


@pytest.fixture
def kept(compose, monkeypatch):
    """A run that was made, and how to keep a tag of it as a worker does."""
    cfg = compose("dataset=breast_cancer")
    run = create_run(Store(cfg), "experiment", "run", {})

    def keep(key):
        with monkeypatch.context() as worker:
            worker.setattr(store, "_OTHERS", {store.address(cfg): lambda tags: None})
            Store(cfg).write(run.id, "tag", [key, "value"])

    return cfg, run.id, keep


def has(client, run_id, key, within_s=0):
    deadline = time.monotonic() + within_s
    while key not in client.get_run(run_id).data.tags and time.monotonic() < deadline:
        time.sleep(0.02)
    return key in client.get_run(run_id).data.tags


def test_what_is_kept_is_sent_meanwhile(kept, client):
    cfg, run_id, keep = kept
    own = Sender(cfg)
    try:
        for key in ("one", "two"):
            keep(key)
            assert has(client, run_id, key, within_s=60)
    finally:
        own.stop()
    assert list((Path(cfg.output_dir) / "outbox").glob("*/*.json")) == []


def test_what_is_left_is_sent_when_it_is_stopped(kept, client, monkeypatch):
    cfg, run_id, keep = kept
    monkeypatch.setattr(Sender, "_send", lambda own: None)
    own = Sender(cfg)
    keep("left")
    assert not has(client, run_id, "left", within_s=0.3)
    own.stop()
    assert has(client, run_id, "left")
