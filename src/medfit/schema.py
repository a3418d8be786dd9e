"""The signature is the schema: every config value is checked against the code that will take it."""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from medfit.config import CONF
from medfit.errors import UserError, suggest

_RESERVED = {"_target_", "_partial_", "_args_", "_recursive_", "_convert_"}
_ADDED = {"experiment", "best", "choices", "overrides"}
_SHARED: dict[str, dict[str, Any]] = {"dataset": {"strict": bool}}  # keys that every choice of a group has


def check(cfg: DictConfig) -> None:
    """Checks a whole config.

    Raises:
        UserError: a key that nothing takes, a missing value, a wrong type or range.
    """
    root = OmegaConf.load(CONF / "train.yaml")
    sections = {
        key.removeprefix("override ").split("/")[-1] for entry in root.defaults if entry != "_self_" for key in entry
    }
    known = (set(root) | sections | _ADDED) - {"defaults", "experiments"}
    for key in cfg:
        if key not in known:
            raise UserError(f"unknown key '{key!s}'{suggest(str(key), map(str, known))}")
    _check_value("seed", int, cfg.seed)
    _check_value("output_dir", str, cfg.output_dir)
    for key in sorted(known - _ADDED - {"seed", "output_dir"}):
        if key in cfg:
            check_node(cfg[key], key)


def check_node(node: Any, path: str) -> None:
    """Checks a node and all below it against the signatures of their ``_target_``."""
    if isinstance(node, ListConfig):
        for index, item in enumerate(node):
            check_node(item, f"{path}[{index}]")
    if not isinstance(node, DictConfig) or node._is_none():
        return
    if "_target_" in node:
        _check_call(node, path)
    elif "." not in path:
        raise UserError(f"{path}: has no _target_, the class or function that takes its values")
    for key in node:
        if not OmegaConf.is_missing(node, key):
            check_node(node[key], f"{path}.{key!s}")


def _check_call(node: DictConfig, path: str) -> None:
    parameters, hints = _signature(_locate(node._target_, path))
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    shared = _SHARED.get(path, {})
    for name, hint in shared.items():
        if name in node:
            _check_value(f"{path}.{name}", hint, node[name])
    for key in [key for key in node if key not in _RESERVED | shared.keys()]:
        if key not in parameters and not open_ended:
            known = (f"{path}.{p}" for p in [*parameters, *shared])
            raise UserError(f"unknown key '{path}.{key!s}'{suggest(f'{path}.{key!s}', known)}")
        if OmegaConf.is_missing(node, key):
            raise UserError(f"{path}.{key!s} is needed: give {path}.{key!s}=...")
        if key in hints:
            _check_value(f"{path}.{key!s}", hints[key], node[key])
    if node.get("_partial_"):
        return
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if required and name not in node:
            raise UserError(f"{path}.{name} is needed: give +{path}.{name}=...")


@functools.cache
def _signature(target: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    parameters = dict(inspect.signature(target).parameters)
    try:
        owner = target.__init__ if inspect.isclass(target) else target
        hints = typing.get_type_hints(owner, include_extras=True)
    except (NameError, TypeError):
        hints = {}
    return parameters, hints


@functools.cache
def _locate(target: str, path: str) -> Callable[..., Any]:
    from hydra.utils import get_object

    try:
        return get_object(target)
    except Exception as error:
        raise UserError(f"{path}._target_: cannot find '{target}' ({str(error).splitlines()[0]})") from error


def _check_value(path: str, hint: Any, value: Any) -> None:
    """Checks a plain value with pydantic; nodes that build something are checked by their own signature."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    if "_target_" in str(plain):
        return
    try:
        _adapter(hint, ConfigDict, TypeAdapter).validate_python(plain)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise UserError(f"{path}: {reason}, not {plain!r}") from None


def _adapter(hint: Any, config: Any, adapter: Any) -> Any:
    try:
        return adapter(hint, config=config(arbitrary_types_allowed=True))
    except Exception:  # types that bring their own config
        return adapter(hint)
