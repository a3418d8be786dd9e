"""What chance decides of a sweep or a nested evaluation."""

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from medfit.again.recorded import Recorded
from medfit.again.repeatable import not_fixed


def told(what, nested=False, engine=None, **sweep):
    config = {"sweep": {"workers": 1, "engine": engine or {"_target_": "medfit.workers.pool.Local"}, **sweep}}
    text = OmegaConf.to_yaml(OmegaConf.create({**config, "evaluate": {"nested": nested}}))
    run = SimpleNamespace(data=SimpleNamespace(tags={"kind": what}))
    return not_fixed(Recorded(run, text, "", {}, "d", "s"))


def test_one_worker_without_limits_is_repeatable():
    assert told("sweep") == told("sweep", workers=0) == told("evaluation", nested=True) == ""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"workers": 2}, "2 workers shared the trials"),
        ({"engine": {"_target_": "medfit.workers.ray_engine.Ray", "num_actors": 4}, "workers": 2}, "8 workers"),
        ({"engine": {"_target_": "medfit.workers.submitit_engine.Submitit", "num_jobs": 3}}, "3 workers"),
        ({"max_hours": 1, "trial_timeout_s": 60}, "sweep.max_hours and sweep.trial_timeout_s ended trials"),
    ],
)
def test_what_chance_decides_is_told(settings, words):
    assert words in told("sweep", **settings)
    assert words in told("evaluation", nested=True, **settings)


def test_what_searches_nothing_is_repeatable_whatever_sweeps_do():
    assert told("evaluation", workers=2) == told("run", workers=2) == ""
