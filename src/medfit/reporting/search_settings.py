"""What was searched, and the settings that were trained with, as the report's tables."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from medfit.reporting.formatting import Rows, public, short

LEAF = {"low", "high", "choices"}
CHOSEN = ("dataset", "model", "preprocessing", "task", "regime", "regime/optimizer", "regime/scheduler")


def space(node: Mapping[str, Any]) -> Rows:
    """Returns each value that a sweep varied, and between which ends.

    Args:
        node: ``sweep.space`` of its config.
    """
    rows: Rows = [["value", "searched"]]
    return rows + [[path, _range(leaf)] for path, leaf in _leaves(node)]


def _leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, below in node.items():
        own = f"{path}.{key}" if path else str(key)
        if isinstance(below, Mapping) and not LEAF & set(below):
            yield from _leaves(below, own)
        elif below is not None:
            yield own, below


def _range(leaf: Any) -> str:
    if not isinstance(leaf, Mapping):
        return ", ".join(map(str, leaf)) if isinstance(leaf, list) else public(leaf)
    if "choices" in leaf:
        return public(", ".join(map(str, leaf["choices"])))
    told = f"{short(leaf['low'])} to {short(leaf['high'])}"
    told += ", logarithmic" if leaf.get("log") else ""
    told += f", in steps of {short(leaf['step'])}" if leaf.get("step") else ""
    return told + (f", where {leaf['when']}" if leaf.get("when") else "")


def counts(trials: pd.DataFrame) -> str:
    """Returns how many trials there were, and how they ended."""
    words = {"COMPLETE": "finished", "PRUNED": "stopped early", "FAIL": "failed"}
    by_state = trials.state.value_counts()
    told = ", ".join(f"{by_state[state]} {word}" for state, word in words.items() if state in by_state)
    return f"{len(trials)} trials ({told})" if told else f"{len(trials)} trials"


def settings(params: Mapping[str, str], section: str) -> Rows:
    """Returns a config section's values, by their paths.

    Args:
        params: Of a run.
        section: As ``model``.
    """
    own = {path: value for path, value in sorted(params.items()) if path.startswith(f"{section}.")}
    rows: Rows = [["setting", "value"]]
    return rows + [[path.removeprefix(f"{section}."), public(value)] for path, value in own.items()]


def chosen(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns what was chosen of each config group."""
    choices = config.get("choices", {})
    return [(group, str(choices[group])) for group in CHOSEN if choices.get(group)]


def direction(config: Mapping[str, Any]) -> str:
    """Returns ``min`` or ``max``, of the first objective.

    Args:
        config: The section ``sweep`` of a sweep's config.
    """
    found = config.get("direction", "min")
    return str(found[0] if isinstance(found, list) else found)


def objective(config: Mapping[str, Any]) -> str:
    """Returns what a sweep went by, in words."""
    found = config.get("objective", "")
    return ", ".join(found) if isinstance(found, list) else str(found)
