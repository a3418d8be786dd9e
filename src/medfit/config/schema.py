"""The signature is the schema: every config value is checked against the code that will take it."""

import functools
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from medfit.config import folders, signatures
from medfit.config.signatures import Signature
from medfit.errors import UserError, suggest

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_RESERVED = {"_target_", "_partial_", "_args_", "_recursive_", "_convert_"}
_ADDED = {"experiment", "best", "choices", "overrides"}
_CALLED = {"regime.trainer": "lightning.Trainer"}  # arguments of a call that medfit makes itself
_SHARED: dict[str, dict[str, Any]] = {"dataset": {"strict": bool}}  # keys that every choice of a group has


def check(cfg: DictConfig) -> None:
    """Checks a whole config.

    Raises:
        UserError: a key that nothing takes, a missing value, a wrong type or range.
    """
    known = _known()
    for key in cfg:
        if key not in known:
            raise UserError(f"unknown key '{key!s}'{suggest(str(key), map(str, known))}")
    _check_value("seed", _adapter(int), cfg.seed)
    _check_value("output_dir", _adapter(str), cfg.output_dir)
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
    elif path in _CALLED and len(node):
        given = {**node, "_target_": _CALLED[path], "_partial_": True}
        _check_call(OmegaConf.create(given), path)
    elif "." not in path:
        raise UserError(f"{path}: has no _target_, the class or function that takes its values")
    for key in node:
        if not OmegaConf.is_missing(node, key):
            check_node(node[key], f"{path}.{key!s}")


@functools.cache
def _known() -> frozenset[str]:
    """Returns the keys that a whole config may have."""
    root = OmegaConf.load(folders.CONF / "train.yaml")
    sections = {
        key.removeprefix("override ").split("/")[-1] for entry in root.defaults if entry != "_self_" for key in entry
    }
    return (frozenset(map(str, root)) | sections | _ADDED) - {"defaults", "experiments"}


def _check_call(node: DictConfig, path: str) -> None:
    signature = _signature(node._target_, path)
    parameters = signature.parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    shared = _SHARED.get(path, {})
    for name, hint in shared.items():
        if name in node:
            _check_value(f"{path}.{name}", _adapter(hint), node[name])
    for key in [key for key in node if key not in _RESERVED | shared.keys()]:
        if key not in parameters and not open_ended:
            known = (f"{path}.{p}" for p in [*parameters, *shared])
            raise UserError(f"unknown key '{path}.{key!s}'{suggest(f'{path}.{key!s}', known)}")
        if OmegaConf.is_missing(node, key):
            raise UserError(f"{path}.{key!s} is needed: give {path}.{key!s}=...")
        if key in signature.hints:
            _check_value(f"{path}.{key!s}", _parameter(signature, str(key)), node[key])
    if node.get("_partial_"):
        return
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if required and name not in node:
            raise UserError(f"{path}.{name} is needed: give +{path}.{name}=...")


def _signature(target: str, path: str) -> Signature:
    try:
        return signatures.of(target)
    except Exception as error:
        raise UserError(f"{path}._target_: cannot find '{target}' ({str(error).splitlines()[0]})") from error


def _check_value(path: str, adapter: "TypeAdapter[Any] | None", value: Any) -> None:
    """Checks a plain value with pydantic; nodes that build something are checked by their own signature."""
    from pydantic import PydanticUserError, ValidationError

    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    if adapter is None or "_target_" in str(plain):
        return
    try:
        adapter.validate_python(plain)
    except PydanticUserError:  # of a type that names one that is not there
        return
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise UserError(f"{path}: {reason}, not {plain!r}") from None


@functools.cache
def _parameter(signature: Signature, name: str) -> "TypeAdapter[Any] | None":
    return _adapter(signature.hints[name])


def _adapter(hint: Any) -> "TypeAdapter[Any] | None":
    """Returns what checks values of a type; None for a type that pydantic does not know."""
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except Exception:  # types that bring their own config
        try:
            return TypeAdapter(hint)
        except PydanticUserError:
            return None
