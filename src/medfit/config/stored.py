"""Reading what earlier medfits stored: a config whose ``_target_`` paths name modules that have moved since."""

import re
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from medfit.config import allowed

MOVED = {  # module, class or function: where it is now
    "datasets": "data.datasets",
    "preprocessing": "data.preprocessing",
    "regime": "tasks.regime",
    "splits": "data.splits",
    "study.pool": "workers.pool",
    "study.ray_engine": "workers.ray_engine",
    "study.submitit_engine": "workers.submitit_engine",
    "tasks.codes": "tasks.output_codes",
    "tracking.Tracking": "tracking.recording.Tracking",
}
_OLD = re.compile(rf"(?<![\w.])medfit\.({'|'.join(map(re.escape, MOVED))})(?!\w)")


def read_config(text: str) -> DictConfig:
    """Returns the config that a run has stored, with targets that there are today.

    Args:
        text: YAML, as a run's ``config.yaml`` holds it.

    Raises:
        UserError: it has a target that a config may not call: whoever can write to a server could have put it there.
    """
    cfg = OmegaConf.create(text)
    assert isinstance(cfg, DictConfig)
    _move_targets(cfg)
    allowed.check_all(OmegaConf.to_container(cfg), "")
    return cfg


def moved(text: str) -> str:
    """Returns a text in which medfit's modules have the names that they have today."""
    return _OLD.sub(lambda old: f"medfit.{MOVED[old[1]]}", text)


def _move_targets(node: Any) -> None:
    if isinstance(node, ListConfig):
        for item in node:
            _move_targets(item)
    elif isinstance(node, DictConfig) and not node._is_none():
        for key in node:
            if OmegaConf.is_interpolation(node, str(key)) or OmegaConf.is_missing(node, key):
                continue
            if key == "_target_":
                node[key] = moved(node[key])
            else:
                _move_targets(node[key])
