"""The search space: config path -> distribution."""

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from medfit import config, schema
from medfit.errors import UserError, blame, suggest

NOT_OF_A_TRAINING = (
    "sweep.",
    "tracking.",
    "evaluate.",
    "sample.",
    "choices.",
    "overrides",
    "experiment",
    "best",
    "output_dir",
)
_RANGE = {"low", "high", "log", "step"}


def read_space(cfg: DictConfig) -> dict[str, BaseDistribution]:
    """Returns the distribution of each config path in ``sweep.space``.

    Raises:
        UserError: a path that the config does not have, a malformed distribution, or one with ends that the
            path's own signature refuses.
    """
    space = dict(_walk(cfg.sweep.space, ""))
    if not space:
        raise UserError("sweep.space: is empty; there is nothing to search")
    known = {path for path, _ in config.leaves(cfg) if not path.startswith(NOT_OF_A_TRAINING)}
    for path in space:
        if path not in known:
            raise UserError(
                f"sweep.space.{path}: the config has no '{path}'{suggest(path, known)}; "
                f"~sweep.space.{path} leaves it out"
            )
    for pick in (_first, _last):
        _check_ends(cfg, space, pick)
    return space


def set_values(cfg: DictConfig, values: dict[str, Any]) -> DictConfig:
    """Returns a copy of a config with values set at their paths."""
    cfg = cfg.copy()
    for path, value in values.items():
        OmegaConf.update(cfg, path, value)
    return cfg


def own_values(cfg: DictConfig, space: dict[str, BaseDistribution]) -> dict[str, Any]:
    """Returns the config's own value for each path, or the nearest in its range; a choice that is none is left out."""
    values: dict[str, Any] = {}
    for path, d in space.items():
        value = OmegaConf.select(cfg, path)
        match d:
            case FloatDistribution() | IntDistribution() if isinstance(value, int | float):
                values[path] = min(max(value, d.low), d.high)
            case CategoricalDistribution() if value in d.choices:
                values[path] = value
    return values


def suggest_values(trial: Trial, space: dict[str, BaseDistribution]) -> dict[str, Any]:
    """Returns a trial's value for each path."""
    values: dict[str, Any] = {}
    for path, d in space.items():
        match d:
            case FloatDistribution():
                values[path] = trial.suggest_float(path, d.low, d.high, log=d.log, step=d.step)
            case IntDistribution():
                values[path] = trial.suggest_int(path, d.low, d.high, log=d.log, step=d.step)
            case CategoricalDistribution():
                values[path] = trial.suggest_categorical(path, d.choices)
    return values


def _walk(node: Any, path: str) -> Any:
    if not isinstance(node, DictConfig):
        raise UserError(f"sweep.space.{path}: expected {{low, high}} or {{choices}}, not {node!r}")
    if {"low", "high", "choices"} & set(node):
        yield path, _distribution(node, path)
        return
    for key in node:
        yield from _walk(node[key], f"{path}.{key!s}" if path else str(key))


def _distribution(node: DictConfig, path: str) -> BaseDistribution:
    where = f"sweep.space.{path}"
    if "choices" in node:
        if set(node) != {"choices"} or not isinstance(node.choices, ListConfig):
            raise UserError(f"{where}: choices take a list and nothing beside it")
        with blame(where):
            return CategoricalDistribution(list(node.choices))
    if unknown := set(node) - _RANGE:
        raise UserError(f"unknown key '{where}.{min(unknown)}'{suggest(min(unknown), _RANGE)}")
    if not {"low", "high"} <= set(node):
        raise UserError(f"{where}: needs both low and high")
    ends = (node.low, node.high)
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        raise UserError(f"{where}: low and high must be numbers, not {ends[0]!r} and {ends[1]!r}")
    make: Any = IntDistribution if all(isinstance(end, int) for end in ends) else FloatDistribution
    with blame(where):
        if ends[0] >= ends[1]:
            raise ValueError(f"low must be below high, not {ends[0]} and {ends[1]}")
        return make(**{str(key): value for key, value in node.items()})


def _check_ends(cfg: DictConfig, space: dict[str, BaseDistribution], pick: Any) -> None:
    for path, distribution in space.items():
        try:
            schema.check(set_values(cfg, {path: pick(distribution)}))
        except UserError as error:
            raise UserError(f"sweep.space.{path}: {error}") from error


def _first(distribution: Any) -> Any:
    return distribution.choices[0] if isinstance(distribution, CategoricalDistribution) else distribution.low


def _last(distribution: Any) -> Any:
    return distribution.choices[-1] if isinstance(distribution, CategoricalDistribution) else distribution.high
