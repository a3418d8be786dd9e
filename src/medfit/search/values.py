"""The values of a trial: proposed, set in a config, read from it."""

import functools
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from medfit.config import folders, schema
from medfit.config.compose import change
from medfit.config.overrides import as_override, plain, unresolved
from medfit.search.space import Entry, groups_of, values_of

MOST_READ = 64
_READ: dict[int, tuple[DictConfig, dict[str, Entry]]] = {}  # by the config's identity


def suggest_config(trial: Trial, cfg: DictConfig, space: Mapping[str, Entry]) -> DictConfig:
    """Returns the config of a trial: groups are chosen first, then values at the paths that there are then."""
    chosen: dict[str, Any] = {}
    for group, entry in groups_of(space).items():
        if "/" not in group or group in _with_groups(cfg, chosen).choices:
            chosen[group] = _suggest(trial, group, entry.distribution)
    base = _with_groups(cfg, chosen)
    cfg = base.copy()
    for path, entry in _entries(base).items():
        if applies(entry, cfg):
            OmegaConf.update(cfg, path, plain(_suggest(trial, path, entry.distribution)))
    schema.check_sections(cfg, space)
    return cfg


def set_values(cfg: DictConfig, values: Mapping[str, Any]) -> DictConfig:
    """Returns a copy of a config with values set at their paths, and groups chosen."""
    known = folders.groups()
    cfg = _with_groups(cfg, {key: value for key, value in values.items() if key in known}).copy()
    for path, value in values.items():
        if path not in known:
            OmegaConf.update(cfg, path, plain(value))
    schema.check_sections(cfg, values)
    return cfg


def own_values(cfg: DictConfig, space: Mapping[str, Entry]) -> dict[str, Any]:
    """Returns the config's own value for each path, or the nearest in its range; a choice that is none is left out."""
    values: dict[str, Any] = {}
    for path, entry in space.items():
        value = cfg.choices.get(path) if path in folders.groups() else OmegaConf.select(cfg, path)
        value = as_override(OmegaConf.to_container(value)) if OmegaConf.is_config(value) else value
        match entry.distribution:
            case FloatDistribution() | IntDistribution() as d if isinstance(value, int | float):
                values[path] = _nearest(value, d)
            case CategoricalDistribution() as d if value in d.choices:
                values[path] = value
    return values


def applies(entry: Entry, cfg: DictConfig) -> bool:
    """Tells whether an entry's conditions hold in a config."""
    return all(
        (cfg.choices.get(key) if key in cfg.choices else OmegaConf.select(cfg, key)) in wanted
        for key, wanted in entry.when.items()
    )


def _nearest(value: float, d: FloatDistribution | IntDistribution) -> float:
    value = min(max(value, d.low), d.high)
    if d.step:
        value = min(d.low + round((value - d.low) / d.step) * d.step, d.high)
    return round(value) if isinstance(d, IntDistribution) else value


def _suggest(trial: Trial, path: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case FloatDistribution() as d:
            return trial.suggest_float(path, d.low, d.high, log=d.log, step=d.step)
        case IntDistribution() as d:
            return trial.suggest_int(path, d.low, d.high, log=d.log, step=d.step)
        case CategoricalDistribution() as d:
            return trial.suggest_categorical(path, d.choices)
    raise TypeError(distribution)


def _with_groups(cfg: DictConfig, chosen: Mapping[str, Any]) -> DictConfig:
    """Returns a config with groups chosen, the same object for the same choices: it is not to be changed."""
    lines = tuple(f"{key}={value}" for key, value in chosen.items())
    return _composed(cfg.experiment, cfg.best, tuple(cfg.overrides), lines) if lines else cfg


def _entries(cfg: DictConfig) -> dict[str, Entry]:
    """Returns what :func:`values_of` does, read once for a config, which all trials of a study share."""
    if id(cfg) not in _READ:
        if len(_READ) == MOST_READ:
            del _READ[next(iter(_READ))]
        _READ[id(cfg)] = cfg, values_of(cfg)  # held, so that no other config gets its identity
    return _READ[id(cfg)][1]


@functools.lru_cache(maxsize=64)
def _composed(experiment: str | None, best: bool, overrides: tuple[str, ...], lines: tuple[str, ...]) -> DictConfig:
    return change(OmegaConf.create({"experiment": experiment, "best": best, "overrides": unresolved(overrides)}), lines)
