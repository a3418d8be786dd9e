"""The signature is the schema: every config value is checked against the code that will take it."""

import functools
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from medfit.config import allowed, folders, signatures
from medfit.config.signatures import Signature
from medfit.config.validated import Later, hold, validated
from medfit.errors import UserError, suggest

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_RESERVED: dict[str, Any] = {  # keys that are Hydra's; arguments by position have no name to be checked by
    "_target_": str,
    "_partial_": bool,
    "_recursive_": bool,
    "_convert_": Literal["none", "partial", "object", "all"],
}
_PLAIN: dict[str, Any] = {"seed": Annotated[int, Ge(0), Lt(2**31)], "output_dir": str}
_ADDED = {"experiment", "best", "choices", "overrides"}
_CALLED = {"regime.trainer": "lightning.Trainer"}  # arguments of a call that medfit makes itself
_SHARED: dict[str, dict[str, Any]] = {  # keys that every choice of a group has
    "dataset": {"strict": bool},
    "model": {"init_from": str | None, "freeze": list[str]},
    "regime.optimizer": {"head_lr": Annotated[float, Gt(0)] | None},
}


def check(cfg: DictConfig) -> None:
    """Checks a whole config, and makes it hold what validation returns of each value.

    Raises:
        UserError: a key that nothing takes, a missing value, a wrong type or range.
    """
    with told():
        _check(cfg)


def check_node(node: Any, path: str) -> None:
    """Checks a node and all below it against the signatures of their ``_target_``; it holds what validation returns.

    Raises:
        UserError: as of a whole config.
    """
    later: Later = []
    with told():
        _check_node(node, path, later)
        for look in later:
            look()


def check_sections(cfg: DictConfig, paths: Iterable[str]) -> None:
    """Checks again what lies at some paths of a checked config, with all that stands beside it.

    Raises:
        UserError: as of a whole config.
    """
    later: Later = []
    with told():
        for section in sorted({re.split("[./]", path)[0] for path in paths}):
            _check_section(cfg, section, later)
        for look in later:
            look()


def own(node: DictConfig, path: str) -> DictConfig:
    """Returns a node with what its class takes alone: without the keys that every choice of its group has."""
    made = copy(node)
    with open_dict(made):
        for key in _SHARED[path].keys() & made.keys():
            del made[key]
    return made


@contextmanager
def told() -> Iterator[None]:
    """Tells in a line what OmegaConf can't read, as an interpolation that points at nothing."""
    try:
        yield
    except OmegaConfBaseException as error:
        path = re.search(r"full_key: (.+)", str(error))
        raise UserError(f"{path[1] if path else 'config'}: {str(error).splitlines()[0]}") from error


def _check(cfg: DictConfig) -> None:
    known = _known()
    later: Later = []
    for key in cfg:
        if key not in known:
            raise UserError(f"unknown key '{key!s}'{suggest(str(key), map(str, known))}")
    for key in sorted(known - _ADDED):
        _check_section(cfg, key, later)
    for look in later:
        look()
    for group in map(str, cfg.get("choices") or ()):
        path = group.replace("/", ".")
        chosen = OmegaConf.select(cfg, path) if "." in path else None
        if chosen is not None and not OmegaConf.is_config(chosen):
            raise UserError(f"{path}: takes no {chosen!r}; choose by {group}=...")


def _check_section(cfg: DictConfig, key: str, later: Later) -> None:
    if key in _PLAIN:
        hold(cfg, key, key, _common(_PLAIN[key]), later)
    elif not isinstance(cfg.get(key), DictConfig):
        raise UserError(f"{key}: is needed, not {cfg.get(key)!r}; leave it out for the default")
    else:
        _check_node(cfg[key], key, later)


def _check_node(node: Any, path: str, later: Later) -> None:
    if isinstance(node, ListConfig):
        for index, item in enumerate(node):
            _check_node(item, f"{path}[{index}]", later)
    if not isinstance(node, DictConfig) or node._is_none():
        return
    if OmegaConf.is_missing(node, "_target_"):
        raise UserError(f"{path}._target_ is needed: give {path}._target_=...")
    if "_target_" in node:
        allowed.check(node._target_, f"{path}._target_")
        _check_call(node, path, _signature(node._target_, path), later)
    elif path in _CALLED and len(node):
        _check_arguments(node, path, _signature(_CALLED[path], path), later)
    elif "." not in path:
        raise UserError(f"{path}: has no _target_, the class or function that takes its values")
    for key in node:
        if not OmegaConf.is_missing(node, key):
            _check_node(node[key], f"{path}.{key!s}", later)


def as_bool(path: str, value: Any) -> bool:
    """Returns what a value says, as ``no`` says False.

    Raises:
        UserError: it says neither true nor false.
    """
    made: bool = validated(path, _common(bool), value)
    return made


@functools.cache
def _known() -> frozenset[str]:
    """Returns the keys that a whole config may have."""
    root = OmegaConf.load(folders.CONF / "train.yaml")
    sections = {
        key.removeprefix("override ").split("/")[-1]
        for entry in root.defaults
        if entry != "_self_"
        for key in entry
        if "@" not in key
    }
    return (frozenset(map(str, root)) | sections | _ADDED) - {"defaults", "experiments"}


def _check_call(node: DictConfig, path: str, signature: Signature, later: Later) -> None:
    for key in _RESERVED.keys() & node.keys():
        hold(node, key, f"{path}.{key}", _common(_RESERVED[key]), later)
    _check_arguments(node, path, signature, later)
    if node.get("_partial_"):
        return
    for name, parameter in signature.parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if required and name not in node:
            raise UserError(f"{path}.{name} is needed: give +{path}.{name}=...")


def _check_arguments(node: DictConfig, path: str, signature: Signature, later: Later) -> None:
    parameters = signature.parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    shared = _SHARED.get(path, {})
    for key in [key for key in node if key not in _RESERVED]:
        if key not in parameters and key not in shared and not open_ended:
            known = (f"{path}.{p}" for p in [*parameters, *shared])
            raise UserError(f"unknown key '{path}.{key!s}'{suggest(f'{path}.{key!s}', known)}")
        if OmegaConf.is_missing(node, key):
            raise UserError(f"{path}.{key!s} is needed: give {path}.{key!s}=...")
        if key in shared:
            hold(node, key, f"{path}.{key!s}", _common(shared[key]), later)
        elif key in signature.hints:
            hold(node, key, f"{path}.{key!s}", _parameter(signature, str(key)), later)


def _signature(target: str, path: str) -> Signature:
    try:
        return signatures.of(target)
    except UserError as error:
        raise UserError(f"{path}.{error}") from error
    except Exception as error:
        raise UserError(f"{path}._target_: cannot find '{target}' ({str(error).splitlines()[0]})") from error


@functools.cache
def _parameter(signature: Signature, name: str) -> "TypeAdapter[Any] | None":
    return _adapter(signature.hints[name])


def _adapter(hint: Any) -> "TypeAdapter[Any] | None":
    """Returns what checks values of a type; None for a type that pydantic does not know."""
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter  # late: a quick start

    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False))
    except Exception:  # types that bring their own config
        try:
            return TypeAdapter(hint)
        except PydanticUserError:
            return None


_common = functools.cache(_adapter)
