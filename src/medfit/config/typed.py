"""What a person types, as ``dataset.path=données (1).csv``: medfit quotes for Hydra what Hydra can't read by itself."""

import functools
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf, open_dict

from medfit.config.overrides import as_override
from medfit.errors import UserError, suggest

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

BELOW = re.compile(  # paths below which keys are the user's own
    r"((?:validate\.)?dataset\.\w+|(?:evaluate|validate)\.subgroups)\.(.+)", re.DOTALL
)
OF_USERS = re.compile(  # mappings with such keys; each may be typed as a whole, too
    r"(?:validate\.)?dataset\.\w+|validate\.dataset|(?:evaluate|validate)\.subgroups|regime\.(?:trainer|callbacks)"
)
OF_COLUMNS = re.compile(r".*(kinds|units|parse|missing_in|subgroups)")  # these keys are columns, no value holds a "="
BRACKETS = {"[": "]", "{": "}", "(": ")"}


def spelled(line: str) -> str:
    """Returns an override as Hydra reads it; one that :func:`own` reads stays as it is.

    Raises:
        UserError: it is no override.
    """
    if _own(line):
        return line
    if read := _hydra(line):
        if not read.key_or_group:
            raise _unreadable(line)
        return _one_file(line) if read.is_sweep_override() else line
    key, sign, text = line.partition("=")
    if not sign or not (read := _hydra(f"{key}=0")) or not read.key_or_group:
        raise _unreadable(line)
    if text.lstrip()[:1] in ("[", "{") and list(_depths(text))[-1][1]:
        raise UserError(f"cannot read the override '{line}'; a bracket is not closed (a name with one needs quotes)")
    return f"{key}={as_override(value(text))}"


def _one_file(line: str) -> str:
    """Returns a line that Hydra reads as several values, as one where these together name a file: ``a,b.csv``."""
    key, _, text = line.partition("=")
    with suppress(OSError):  # longer than a file's name may be
        if Path(text).expanduser().exists():
            return f"{key}={as_override(text)}"
    return line


def own(line: str) -> tuple[str, dict[str, Any]] | None:
    """Returns a path and what is to be added to the mapping there, where Hydra knows no such keys; else None."""
    found: tuple[str, dict[str, Any]] | None = _own(line)
    return found


def choices(line: str) -> list[str]:
    """Returns the lines that a spelled line stands for: several, if it has a value for each of several runs."""
    key, _, text = _divided(line)
    read = _hydra(f"value={text}" if _own(line) else line)
    if read is None or not read.is_sweep_override():
        return [line]
    key = key if _own(line) else read.get_key_element()
    return [f"{key}={value}" for value in read.sweep_string_iterator()]


def value(text: str) -> Any:
    """Returns the value that a text is meant for: Hydra's, a list or mapping of names with any letters, or the text."""
    text = text.strip()
    read = _hydra(f"value={text}")
    if read and not read.is_sweep_override():
        return read.value()
    if text.startswith("[") and _closes(text):
        return [value(item) for item in _split(text[1:-1], ",")]
    if text.startswith("{") and _closes(text):
        pairs = [list(_split(item, ":")) for item in _split(text[1:-1], ",")]
        if all(len(pair) > 1 for pair in pairs):
            return {_key(pair[0]): value(":".join(pair[1:])) for pair in pairs}
    return text


def add(cfg: DictConfig, path: str, values: dict[str, Any]) -> None:
    """Adds values to the mapping at a path, made if there is none.

    Raises:
        UserError: there is no such path.
    """
    parent, _, name = path.rpartition(".")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    if not isinstance(node, DictConfig):
        raise UserError(f"unknown key '{path}'{suggest(path, map(str, cfg))}")
    there = node.get(name)
    with open_dict(cfg):
        node[name] = {**there, **values} if isinstance(there, DictConfig) else values


@functools.lru_cache(maxsize=256)
def _own(line: str) -> Any:
    key, sign, text = _divided(line)
    where = key.lstrip("+")
    if below := BELOW.fullmatch(where):
        return (below[1], {_key(below[2]): value(text)}) if sign and "~" not in where[:1] else None
    unread = OF_USERS.fullmatch(where) or (_hydra(line) is None and _hydra(f"{key}=0"))
    return (where, made) if sign and unread and isinstance(made := value(text), dict) else None


def _divided(line: str) -> tuple[str, str, str]:
    """Returns key, sign and value; where a key is a column's name, ``a=b`` may be one, and in quotes any key may."""
    below = BELOW.fullmatch(line.lstrip("+"))
    if below is None:
        return line.partition("=")
    places = [place for place, depth in _depths(line, ",:[{=.") if line[place] == "=" and not depth]
    if not places:
        return line.partition("=")
    place = places[-1 if OF_COLUMNS.fullmatch(below[1]) else 0]
    return line[:place], "=", line[place + 1 :]


def _key(text: str) -> str | int:
    made = value(text)
    return made if isinstance(made, str | int) and not isinstance(made, bool) else text.strip()


@functools.lru_cache(maxsize=1024)
def _hydra(line: str) -> "Override | None":
    from hydra.errors import HydraException  # late: a quick start

    try:
        read: Override = _parser().parse_override(line)
    except HydraException:
        return None
    return read


@functools.cache
def _parser() -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser  # late: a quick start

    return OverridesParser.create()


def _closes(text: str) -> bool:
    """Tells whether the bracket that opens a text closes at its end."""
    return (
        text[-1] == BRACKETS[text[0]]
        and next(_depths(text[:-1]), None) is not None
        and all(depth > 0 for _, depth in _depths(text[:-1]))
    )


def _split(text: str, sign: str) -> Iterator[str]:
    """Yields the parts of a text between signs that stand in no bracket and in no quotes."""
    begin = 0
    for place, depth in _depths(text):
        if text[place] == sign and not depth:
            yield text[begin:place].strip()
            begin = place + 1
    if text[begin:].strip():
        yield text[begin:].strip()


def _depths(text: str, signs: str = ",:[{") -> Iterator[tuple[int, int]]:
    """Yields each place of a text that is not quoted, and in how many brackets it is; a quote opens after a sign."""
    stack: list[str] = []
    quote, before = "", ","
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and text[place - 1] != "\\" else quote
            continue
        if letter in "'\"" and before in signs:
            quote = letter
        elif letter in BRACKETS:
            stack.append(BRACKETS[letter])
        elif stack and letter == stack[-1]:
            stack.pop()
        before = before if letter.isspace() else letter
        if not quote:
            yield place, len(stack)


def _unreadable(line: str) -> UserError:
    return UserError(
        f"cannot read the override '{line}'; write it as key=value, the key a path as of medfit train --help"
    )
