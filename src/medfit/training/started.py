"""What a network started from, in words: told when it starts, in reports and on model cards."""

from collections.abc import Iterable, Mapping
from typing import Any

from medfit.terminal.console import say

MOST_NAMED = 3
_TOLD: set[str] = set()


def tell(proof: Mapping[str, Any]) -> None:
    """Says once in a process what a network starts from, and what of it is frozen."""
    for line in in_sentences(proof):
        if line not in _TOLD:
            _TOLD.add(line)
            say(f"Note: {line}.")


def in_sentences(proof: Mapping[str, Any]) -> list[str]:
    """Returns what a training's network started from and what of it was frozen, where there is anything to say.

    Args:
        proof: As a run records it in ``data/split.json``.
    """
    start, frozen, lines = proof.get("init_from"), proof.get("frozen"), []
    if start:
        lines.append(f"the network starts from {in_words(start)}")
    if frozen:
        told = f"{frozen['weights']} of {frozen['of']} weights are frozen ({', '.join(frozen['patterns'])})"
        lines.append(told if start else f"{told}, as they were drawn at random: model.init_from=... gives others")
    return lines


def in_words(facts: Mapping[str, Any]) -> str:
    """Returns what a network starts from, from what is recorded of it."""
    learnt = f", trained on {facts['dataset']}" if facts["dataset"] else ""
    parts = {
        "averaged for another number of channels": facts["averaged"],
        "new, as outputs or features differ": facts["new"],
        "not in these weights in this shape, so drawn at random": facts["lacking"],
        "left out of these weights": facts["unused"],
    }
    rest = "".join(f"; {what}: {in_short(names)}" for what, names in parts.items() if names)
    num_layers = facts["taken"] + sum(len(facts[what]) for what in ("averaged", "new", "lacking"))
    renamed = "; the inputs had other names" if facts["inputs_renamed"] else ""
    return f"the weights of {facts['from']}{learnt}: {facts['taken']} of {num_layers} layers as they are{rest}{renamed}"


def in_short(names: Iterable[str]) -> str:
    """Returns a few names, and how many others there are."""
    names = list(names)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
