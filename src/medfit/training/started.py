"""What a network started from, in words: told when it starts, in reports and on model cards."""

from collections.abc import Iterable, Mapping
from typing import Any

from medfit.terminal.console import say

MOST_NAMED = 3
_TOLD: set[str] = set()


def tell(facts: Mapping[str, Any]) -> None:
    """Says once in a process what a network starts from."""
    if (line := in_words(facts)) not in _TOLD:
        _TOLD.add(line)
        say(f"Note: the network starts from {line}.")


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
