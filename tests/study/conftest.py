"""What the tests of sweeps share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

HEAD = """# @package _global_
defaults:
  - override /dataset: breast_cancer
  - override /model: mlp
"""


@pytest.fixture
def write_experiment(experiments: Path, compose: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    """Writes an experiment's file, over biopsies and the MLP, and composes it."""

    def written(text: str, *overrides: str, name: str = "own") -> DictConfig:
        (experiments / name).mkdir(exist_ok=True)
        (experiments / name / "config.yaml").write_text(f"{HEAD}{text}\n")
        return compose(*overrides, experiment=name)

    return written
