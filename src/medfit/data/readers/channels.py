"""Channels of many recordings: which are the same though they are spelt in several ways."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from medfit.data.readers.headers import Header
from medfit.errors import UserError, suggest

KIND = re.compile(r"^(eeg|ecg|ekg|lead)[ :-]+(?=\S)")  # that stands before a place's name
ALIASES = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8", "di": "i", "dii": "ii", "diii": "iii"}
MOST_NAMED = 12


def folded(name: str) -> str:
    """Returns what all spellings of a channel's name have in common.

    Capitals and the kind of signal before a name say nothing (``AVR`` is ``aVR``, ``EEG Fpz-Cz`` is ``Fpz-Cz``); old
    names of places on the scalp are the new ones (``T3`` is ``T7``). A reference or a minus sign stays.
    """
    plain = KIND.sub("", " ".join(name.replace("_", " ").casefold().split()))
    return "-".join(ALIASES.get(part, part) for part in plain.split("-"))


def unified(
    headers: Sequence[Header], channels: Sequence[str] | None, channel_names: Mapping[str, str] | None
) -> tuple[list[Header], str]:
    """Returns headers in which a channel has one name, and what to say of the names that changed.

    Args:
        headers: Of all recordings.
        channels: Names that are asked for, whose spelling holds; else the first recording's does.
        channel_names: Other names for channels, as the user has them.

    Raises:
        UserError: a name to be replaced that no recording has, or two channels of a recording that become one.
    """
    renamed = _renamed(headers, channel_names or {})
    spelling = {folded(name): name for name in reversed(list(channels or ()))}
    spelt: dict[str, set[str]] = {}
    made = []
    for header in renamed:
        keys = Counter(map(folded, header.channels))  # two of one key are two channels
        names = [
            spelling.setdefault(folded(name), name) if keys[folded(name)] == 1 else name for name in header.channels
        ]
        for old, new in zip(header.channels, names, strict=True):
            spelt.setdefault(new, set()).add(old)
        made.append(replace(header, channels=names))
    ways = [f"{new} ({', '.join(sorted(old - {new}))})" for new, old in spelt.items() if old - {new}]
    return made, f"; channels spelt in several ways are one: {_listed(ways)}" if ways else ""


def lost(headers: Sequence[Header], names: Sequence[str]) -> str:
    """Returns what to say of channels that some recordings lack, and so are left out."""
    counts = Counter(name for header in headers for name in header.channels if name not in names)
    left = [f"{name} (in {number} of {len(headers)})" for name, number in counts.items()]
    return f"; {len(left)} channels are left out, as not all recordings have them: {_listed(left)}" if left else ""


def _renamed(headers: Sequence[Header], channel_names: Mapping[str, str]) -> list[Header]:
    known = {name for header in headers for name in header.channels}
    for name in channel_names:
        if name not in known:
            raise UserError(f"dataset.channel_names: no recording has a channel '{name}'{suggest(name, sorted(known))}")
    made = []
    for header in headers:
        names = [channel_names.get(name, name) for name in header.channels]
        if len(set(names)) < len(names):
            twice = next(name for name, number in Counter(names).items() if number > 1)
            raise UserError(f"dataset.channel_names: two channels of '{header.name}' would be '{twice}'")
        made.append(replace(header, channels=names))
    return made


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:MOST_NAMED]) + (f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else "")
