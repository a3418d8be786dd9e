"""What a training's state is of: its config, data and code, which another training has to share to go on from it."""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from medfit.config.overrides import as_override
from medfit.tracking import provenance, recording
from medfit.training.parts import Parts
from medfit.training.state_file import StateError, StateFile
from medfit.version import VERSION

NO_RESULT = ("regime.checkpoint_every_min", "regime.gradient_checkpointing")  # paths whose values change no result
MOST_TOLD = 3
MEDFIT = "medfit's code"


class Origin:
    """What a training's state is of.

    Args:
        cfg: The training's config.
        parts: What is trained.
    """

    def __init__(self, cfg: DictConfig, parts: Parts) -> None:
        self.cfg, self.parts = cfg, parts

    @cached_property
    def facts(self) -> dict[str, dict[str, str]]:
        """All that trainings share whose states fit, as a state's header holds it."""
        data, values = self.parts.datamodule, dict(recording.of_a_training(self.cfg))
        return {
            "versions": {"medfit": VERSION, **{name: version(name) for name in ("torch", "lightning", "numpy")}},
            "config": {path: as_override(value) for path, value in values.items() if path not in NO_RESULT},
            "data": {"data": data.dataset.fingerprint(), "split": str(data.proof["assignment_sha256"])},
            "code": {MEDFIT: provenance.source(), **dict(_code(values))},
        }

    @cached_property
    def key(self) -> str:
        """Names the trainings that are alike."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()[:16]

    def check(self, state: StateFile) -> None:
        """Makes sure that this training may go on from a state.

        Raises:
            StateError: it may not.
        """
        changed = {name: _differences(state.header[name], own) for name, own in self.facts.items()}
        if changed["versions"]:
            raise StateError(f"its state is of other versions: {changed['versions']}")
        if changed["config"]:
            raise StateError(f"its config was another: {changed['config']}")
        if changed["data"]:
            raise StateError("its data or their split have changed since")
        if changed["code"]:
            names = [name for name, digest in self.facts["code"].items() if state.header["code"].get(name) != digest]
            raise StateError(f"{names[0] if names else MEDFIT} has changed since; go on with the run's commit")
        _check_shapes(self.parts.task.state_dict(), state.body["weights"])


def _code(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the names of the user's own files that a config names a class in, and their hashes."""
    for path, value in values.items():
        module = str(value).rpartition(".")[0] if path.endswith("_target_") else ""
        file = getattr(sys.modules.get(module), "__file__", None)
        if file and not module.startswith("medfit.") and "site-packages" not in file:
            yield f"the code of {module}", hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Returns what differs, in words; nothing where all is the same."""
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    words = [f"{key} ({old.get(key, 'nothing')} -> {new.get(key, 'nothing')})" for key in changed[:MOST_TOLD]]
    more = len(changed) - MOST_TOLD
    return "; ".join([*words, *([f"{more} more"] if more > 0 else [])])


def _check_shapes(own: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Makes sure that weights are of this model.

    Raises:
        StateError: they are not.
    """
    for name in [*own, *kept]:
        now, then = (_shape(weights.get(name)) for weights in (own, kept))
        if now != then:
            raise StateError(f"its weights are of another model: {name} has {then}, and here {now}")


def _shape(value: Any) -> str:
    return f"the shape {tuple(value.shape)}" if torch.is_tensor(value) else "no weights"
