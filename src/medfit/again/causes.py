"""What differs between a finished run and the same run now, that can change its numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from medfit.again.recorded import Recorded

MOST_NAMED = 5
FIRST = ("python", "torch", "numpy", "lightning", "scikit-learn", "scipy", "pandas", "monai", "torchvision")
MACHINE = {
    "platform": "operating system",
    "processor": "processor's kind",
    "cpu": "processor",
    "vectors": "vector instructions",
    "torch_build": "torch's build",
    "threads": "threads",
    "gpu": "GPU",
    "cuda": "CUDA",
}


def found(recorded: Recorded, now: Mapping[str, Any], code: Sequence[str]) -> dict[str, str]:
    """Returns what differs, in words, by its kind.

    Args:
        recorded: What the finished run recorded.
        now: As :mod:`medfit.again.driver` tells it of this run.
        code: What differs of the code, a few words each.
    """
    then, here = recorded.environment, now["environment"]
    machine = [(MACHINE[key], then[key], here[key]) for key in MACHINE if key in then and key in here]
    words = {
        "installed versions": _in_short(_changes(_versions(then), _versions(here))),
        "machine": _in_short(f"{name} {_shown(old)} -> {_shown(new)}" for name, old, new in machine if old != new),
        "data": "" if recorded.data == now["data"] else "the data set's fingerprint is another",
        "split": "" if recorded.split == now["split"] else "other patients are in its parts, or in another order",
        "first weights": "" if recorded.weights == now["weights"] else "those that it starts from are others",
        "code": _in_short(code),
    }
    return {kind: told for kind, told in words.items() if told}


def not_recorded(recorded: Recorded, now: Mapping[str, Any]) -> list[str]:
    """Returns the names of what is known of this machine alone, so that nobody can tell whether it is another."""
    keys = ["versions", *MACHINE]
    names = {"versions": "installed versions", **MACHINE}
    return [names[key] for key in keys if key not in recorded.environment and key in now["environment"]]


def _versions(environment: Mapping[str, Any]) -> dict[str, str]:
    """Returns installed versions, Python's too; medfit's own is told of as code."""
    versions = {str(name).lower(): str(version) for name, version in environment.get("versions", {}).items()}
    versions.pop("medfit", None)
    return versions | ({"python": environment["python"]} if "python" in environment else {})


def _changes(then: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Returns the packages that differ, those that numbers depend on first; nothing where none is recorded."""
    names = [name for name in then.keys() | here.keys() if then.get(name) != here.get(name)] if then else []
    names.sort(key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    return [f"{name} {_shown(then.get(name))} -> {_shown(here.get(name))}" for name in names]


def _shown(value: Any) -> str:
    return "none" if value in (None, "") else str(value)


def _in_short(words: Any) -> str:
    words = list(words)
    more = f"; {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else ""
    return "; ".join(words[:MOST_NAMED]) + more
