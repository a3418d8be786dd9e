"""Config values as Hydra's command line spells them."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

OF_A_TRAINING = ("seed", "split", "dataset", "model", "preprocessing", "task", "regime")  # all else is of commands
OWN_NODES = ("regime.trainer.", "regime.callbacks.")  # paths below which users name the keys, and the targets
WORD = re.compile(r"(?i)(?!(null|true|false|nan|inf)$|[-\d_e]+$)[\w/-]+", re.ASCII)  # no quotes needed
NAME = re.compile(r"[\w-]+", re.ASCII)


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields each value below a node with its config path; interpolations and empty nodes are left out.

    A mapping with keys that can be part of no path is a value.
    """
    if isinstance(node, DictConfig) and not node._is_none() and all(map(is_name, node)):
        for key in node:
            here = f"{path}.{key!s}" if path else str(key)
            name = key if isinstance(key, int) else str(key)
            if not OmegaConf.is_interpolation(node, name) and not OmegaConf.is_missing(node, key):
                yield from leaves(node[key], here)
    else:
        yield path, OmegaConf.to_container(node) if OmegaConf.is_config(node) else node


def is_name(key: Any) -> bool:
    """Tells whether a key may be part of a config path; others, as ``Age (years)``, stay within their mapping."""
    return NAME.fullmatch(str(key)) is not None


def as_override(value: Any) -> str:
    """Returns a value as Hydra's command line spells it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return "[" + ",".join(map(as_override, value)) + "]"
        case dict():
            keys = (k if is_name(k) else as_override(str(k)) for k in value)
            return "{" + ",".join(f"{k}:{as_override(v)}" for k, v in zip(keys, value.values(), strict=True)) + "}"
        case str() if not WORD.fullmatch(value):
            return "'" + re.sub(r"(\\*)('|\Z)", lambda end: end[1] * 2 + end[2].replace("'", r"\'"), value) + "'"
        case _:
            return str(value)


def unresolved(lines: Iterable[str]) -> list[str]:
    """Returns overrides as a config keeps them: their interpolations are the lines' own, none of the list."""
    return [line.replace("${", "\\${") for line in lines]


def plain(value: Any) -> Any:
    """Returns a list or a mapping for one that was spelled as an override; other values as they are."""
    return parsed(value) if isinstance(value, str) and value[:1] in ("[", "{") else value


def parsed(text: str) -> Any:
    """Returns the value that Hydra's command line spells so."""
    from hydra.core.override_parser.overrides_parser import OverridesParser  # where no override is read it takes long

    return OverridesParser.create().parse_override(f"value={text}").value()


def without_passwords(text: str) -> str:
    """Returns a text whose addresses, as ``postgresql://user:secret@host``, tell no password."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]+@", r"\1:***@", text)
