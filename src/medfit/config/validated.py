"""A single value: validated by pydantic, and held as validation returned it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from medfit.errors import UserError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Later = list[Callable[[], None]]  # what is to be looked at when all else is held


def hold(node: DictConfig, key: Any, path: str, adapter: "TypeAdapter[Any] | None", later: Later) -> None:
    """Replaces a node's value by what validation returns: ``no`` by False, ``'3'`` by 3, where such are expected.

    An interpolation stays one: what it points at is held as it should be, or the interpolation is refused later.

    Args:
        node: That has the value.
        key: Of the value.
        path: The value's, for messages.
        adapter: Of its type; None leaves the value as it is.
        later: Is given what has to wait.

    Raises:
        UserError: a value of another type or out of its range.
    """
    given = plain(node[key])
    made = validated(path, adapter, given)
    if _same(given, made):
        return
    if OmegaConf.is_interpolation(node, key):
        later.append(lambda: _refuse_other(node, key, path, adapter))
    else:
        node[key] = made


def validated(path: str, adapter: "TypeAdapter[Any] | None", given: Any) -> Any:
    """Returns a plain value as its type has it; nodes that build something are checked by their own signature.

    Raises:
        UserError: a value of another type or out of its range.
    """
    from pydantic import PydanticUserError, ValidationError  # late: a quick start

    if adapter is None or "_target_" in str(given):
        return given
    try:
        made = adapter.validate_python(given)
    except PydanticUserError:  # of a type that names one that is not there
        return given
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise UserError(f"{path}: {reason}, not {given!r}") from None
    if _truth_as_number(given, made):
        raise UserError(f"{path}: input should be a number, not {given!r}")
    return _as_config(given, made)


def plain(value: Any) -> Any:
    """Returns a node's value without OmegaConf's own types, interpolations resolved."""
    return OmegaConf.to_container(value, resolve=True) if isinstance(value, DictConfig | ListConfig) else value


def _refuse_other(node: DictConfig, key: Any, path: str, adapter: "TypeAdapter[Any] | None") -> None:
    given = plain(node[key])
    made = validated(path, adapter, given)
    if not _same(given, made):
        told: Any = OmegaConf.to_container(node, resolve=False)
        hint = "${oc.decode:...} reads a text as a value"
        raise UserError(f"{path}: {told[key]} gives {given!r}, not {made!r}; {hint}")


def _truth_as_number(given: Any, made: Any) -> bool:
    """Tells whether true or false, anywhere in a value, became 1 or 0."""
    match given, made:
        case bool(), _:
            return isinstance(made, int | float) and not isinstance(made, bool)
        case list(), list() | tuple():
            return any(map(_truth_as_number, given, made))
        case dict(), dict():
            return any(map(_truth_as_number, given.values(), made.values()))
    return False


def _as_config(given: Any, made: Any) -> Any:
    """Returns what a config can hold of a validated value; what it can't hold stays as it was given."""
    match made:
        case list() | tuple() if isinstance(given, list) and len(given) == len(made):
            return [_as_config(*pair) for pair in zip(given, made, strict=True)]
        case dict() if isinstance(given, dict) and len(given) == len(made):
            return {key: _as_config(old, new) for old, (key, new) in zip(given.values(), made.items(), strict=True)}
        case float() if type(given) is int and given == made:
            return given  # whole numbers stand for themselves, so that settings of before read as they did
        case None | bool() | int() | float() | str():
            return made
    return given


def _same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)
