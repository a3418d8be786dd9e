"""The search space: config paths with distributions, and groups with choices."""

import warnings
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from math import isfinite
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)

from medfit.config import folders, schema
from medfit.config.compose import change
from medfit.config.overrides import OF_A_TRAINING, as_override, leaves, plain
from medfit.errors import UserError, blame, suggest

NOT_IN_ITS_RESULT = {"dataset.strict", "regime.checkpoint_every_min", "regime.gradient_checkpointing"}
NOT_COMPARABLE = ("dataset", "task", "sweep")  # groups whose choices give scores that don't compare
NOT_COMPARABLE_PATHS = ("task.monitor", "task.mode", "split.")
RANGE = {"low", "high", "log", "step"}
LARGEST = 2**53  # whole number that a float holds as it is; studies store all numbers as floats
LEAF = {"low", "high", "choices"}


@dataclass(frozen=True)
class Entry:
    """What is proposed for one config path.

    Args:
        distribution: Optuna's; choices that Optuna cannot store, as lists, are spelled as overrides.
        when: Paths or groups and the values with which the entry applies; always, if empty.
    """

    distribution: BaseDistribution
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def read_space(cfg: DictConfig) -> dict[str, Entry]:
    """Returns the entry of each config path and each config group (``regime/optimizer``) in ``sweep.space``.

    A path that only one of a group's choices has is there, too.

    Raises:
        UserError: a path that neither the config nor one with another of the choices has, a malformed distribution,
            or one with ends that the path's own signature refuses.
    """
    space = {group: _entry_of_group(node, group) for group, node in groups_of(_nodes(cfg)).items() if node is not None}
    variants = list(variants_of(cfg, space))
    everywhere = set().union(*({*paths_of(variant), *variant.choices} for variant in variants))
    parts = {path[:end] for path in everywhere for end, letter in enumerate(path) if letter == "."}
    for path, node in {path: node for variant in variants for path, node in _nodes(variant).items()}.items():
        if path not in (everywhere | parts if node is None else everywhere):
            near = suggest(path, sorted(everywhere | parts))
            hint = "" if node is None else f"; ~sweep.space.{path} leaves it out"
            raise UserError(f"sweep.space.{path}: the config has no '{path}'{near}{hint}")
        if path.startswith(NOT_COMPARABLE_PATHS) and path != "split.sampling":
            raise UserError(f"sweep.space.{path}: scores with different values of {path} don't compare")
    for variant in variants:
        own = values_of(variant)
        for path, entry in own.items():
            _check_conditions(entry.when, everywhere, f"sweep.space.{path}.when")
            _check_meant(entry.when, variants, f"sweep.space.{path}.when")
            _check_alike(space.setdefault(path, entry).distribution, entry.distribution, path)
        _check_ends(variant, own)
    if not space:
        raise UserError("sweep.space: is empty; there is nothing to search")
    return space


def groups_of(space: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entries of config groups, those of a group within another behind it."""
    known = folders.groups()
    return {path: space[path] for path in sorted(space, key=lambda path: path.count("/")) if path in known}


def values_of(cfg: DictConfig) -> dict[str, Entry]:
    """Returns the entries of the paths that a config has, each behind what it depends on."""
    paths = paths_of(cfg)
    space = {path: _entry(node, path) for path, node in _nodes(cfg).items() if path in paths and node is not None}
    needs = {path: [other for other in entry.when if other in space] for path, entry in space.items()}
    try:
        return {path: space[path] for path in TopologicalSorter(needs).static_order()}
    except CycleError as error:
        raise UserError(f"sweep.space: each of these waits for another: {', '.join(error.args[1])}") from error


def variants_of(cfg: DictConfig, space: Mapping[str, Entry]) -> Iterator[DictConfig]:
    """Yields the config, and it with each other choice of each group that is searched.

    Raises:
        UserError: a choice that the rest of the config has no room for, or that has another task.
    """
    found = [cfg]
    for group, entry in groups_of(space).items():
        where = f"sweep.space.{group.replace('/', '.')}"
        base = next((one for one in found if group in one.choices), cfg)
        for choice in entry.distribution.choices:
            if choice != base.choices.get(group):
                try:
                    found.append(change(base, [f"{group}={choice}"]))
                except UserError as error:
                    raise UserError(f"{where}: with {group}={choice}: {error}") from error
                if (task := found[-1].choices.task) != cfg.choices.task:
                    raise UserError(f"{where}: {choice} has a task of its own, {task}, whose scores don't compare")
    yield from found


def mixable(one: BaseDistribution, other: BaseDistribution) -> bool:
    """Tells whether a study may have both for one path: Optuna keeps one kind, one scale and one list of choices."""
    try:
        check_distribution_compatibility(one, other)
    except ValueError:
        return False
    return True


def paths_of(cfg: DictConfig) -> set[str]:
    """Returns the paths of a config that a training has values at."""
    return {path for path, _ in leaves(cfg) if of_a_training(path)}


def of_a_training(path: str) -> bool:
    """Tells whether a training's result depends on what a config holds at a path."""
    return path.split(".")[0] in OF_A_TRAINING and path not in NOT_IN_ITS_RESULT


def _nodes(cfg: DictConfig) -> dict[str, Any]:
    """Returns what ``sweep.space`` has for each path or group; None where nothing is wanted."""
    return dict(_walk(cfg.sweep.space, "", folders.groups()))


def _walk(node: Any, path: str, groups: Container[str]) -> Iterator[tuple[str, Any]]:
    group = path.replace(".", "/")
    if isinstance(node, ListConfig):
        node = OmegaConf.create({"choices": node})
    if node is not None and not isinstance(node, DictConfig):
        raise UserError(f"sweep.space.{path}: expected {{low, high}} or {{choices}}, not {node!r}")
    if node is None or (LEAF & set(node) and group not in groups):
        yield path, node
        return
    if node.get("choices") is not None:
        yield group, node
    for key in node:
        if key != "choices":
            yield from _walk(node[key], f"{path}.{key!s}" if path else str(key), groups)


def _entry_of_group(node: DictConfig, group: str) -> Entry:
    where = f"sweep.space.{group.replace('/', '.')}"
    if group.split("/")[0] in NOT_COMPARABLE:
        raise UserError(f"{where}: scores with different choices of {group} don't compare")
    if not isinstance(node.choices, ListConfig):
        raise UserError(f"{where}: choices take a list, not {node.choices!r}")
    _check_choices(node.choices, group, where)
    with blame(where):
        return Entry(CategoricalDistribution(list(node.choices)))


def _check_choices(choices: Iterable[Any], group: str, where: str) -> None:
    known = folders.groups()[group]
    for choice in choices:
        if choice not in known:
            raise UserError(f"{where}: there is no {group}={choice}{suggest(str(choice), known)}")


def _check_conditions(when: Mapping[str, tuple[Any, ...]], known: set[str], where: str) -> None:
    for path in when:
        if path not in known:
            raise UserError(f"{where}: the config has no '{path}'{suggest(path, sorted(known))}")
    for group, choices in groups_of(when).items():
        _check_choices(choices, group, where)


def _check_meant(when: Mapping[str, tuple[Any, ...]], variants: Iterable[DictConfig], where: str) -> None:
    """Refuses a value that its path can never have, as a quoted number or ``no`` for false: the entry never applied."""
    for path, values in when.items():
        having = [variant for variant in variants if path in paths_of(variant)]
        for value in values:
            held = [_held(variant, path, value) for variant in having]
            if held and all(isinstance(one, UserError) for one in held):
                raise UserError(f"{where}: {held[0]}")
            kept = [one for one in held if not isinstance(one, UserError)]
            if kept and value not in kept:
                raise UserError(f"{where}.{path}: is never {value!r}; write {as_override(kept[0])}")


def _held(cfg: DictConfig, path: str, value: Any) -> Any:
    """Returns what a config holds where a value is set at a path, or why it can't be."""
    changed = cfg.copy()
    OmegaConf.update(changed, path, plain(value))
    try:
        schema.check_sections(changed, [path])
    except UserError as error:
        return error
    held = OmegaConf.select(changed, path)
    return OmegaConf.to_container(held) if OmegaConf.is_config(held) else held


def _entry(node: DictConfig, path: str) -> Entry:
    where = f"sweep.space.{path}"
    whole: Any = OmegaConf.to_container(node)
    given = {key: value for key, value in whole.items() if value is not None}
    when = given.pop("when", {})
    if not isinstance(when, dict):
        raise UserError(f"{where}.when: expected {{path: value}} or {{path: [values]}}, not {when!r}")
    conditions = {str(key): tuple(value) if isinstance(value, list) else (value,) for key, value in when.items()}
    return Entry(_distribution(given, where), conditions)


def _distribution(given: dict[str, Any], where: str) -> BaseDistribution:
    if "choices" in given:
        if len(given) > 1 or not isinstance(given["choices"], list):
            raise UserError(f"{where}: choices take a list and nothing beside it but when")
        with blame(where):
            return CategoricalDistribution([_storable(choice) for choice in given["choices"]])
    if unknown := set(given) - RANGE:
        raise UserError(f"unknown key '{where}.{min(map(str, unknown))}'{suggest(str(min(unknown, key=str)), RANGE)}")
    if not {"low", "high"} <= set(given):
        raise UserError(f"{where}: needs both low and high")
    low, high = given["low"], given["high"]
    if not _are_numbers(low, high):
        raise UserError(f"{where}: low and high must be numbers, not {low!r} and {high!r}")
    whole = isinstance(low, int) and isinstance(high, int)
    step = given.get("step", 1)
    if not _are_numbers(step) or step <= 0 or (whole and not isinstance(step, int)):
        raise UserError(f"{where}: step must be a {'whole ' if whole else ''}number above 0, not {step!r}")
    if "log" in given:
        given["log"] = schema.as_bool(f"{where}.log", given["log"])
    make: Any = IntDistribution if whole else FloatDistribution
    with blame(where), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*not divisible by `step`")  # high is then the last step
        if low >= high:
            raise ValueError(f"low must be below high, not {low} and {high}")
        made: BaseDistribution = make(**given)
        return made


def _are_numbers(*values: Any) -> bool:
    """Tells whether all are finite numbers that a study can hold; true and false are none."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values) and all(
        isfinite(value) if isinstance(value, float) else abs(value) <= LARGEST for value in values
    )


def _storable(choice: Any) -> Any:
    return as_override(choice) if isinstance(choice, list | dict) else choice


def _check_ends(cfg: DictConfig, space: Mapping[str, Entry]) -> None:
    for path, entry in space.items():
        changed = cfg.copy()
        for end in _ends(entry.distribution):
            OmegaConf.update(changed, path, plain(end))
            try:
                schema.check_sections(changed, [path])  # as each trial's config is
            except UserError as error:
                raise UserError(f"sweep.space.{path}: {error}") from error
            if isinstance(end, float) and isinstance(OmegaConf.select(changed, path), int):
                raise UserError(f"sweep.space.{path}: takes whole numbers; give them without a point, not {end}")


def _ends(distribution: Any) -> tuple[Any, ...]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return distribution.low, distribution.high


def _check_alike(one: BaseDistribution, other: BaseDistribution, path: str) -> None:
    if not mixable(one, other):
        raise UserError(
            f"sweep.space.{path}: the searched groups disagree on it, {_told(one)} and {_told(other)}; "
            f"give sweep.space.{path}={_told(one)} or another for all"
        )


def _told(distribution: Any) -> str:
    """Returns a distribution as the space spells it."""
    if isinstance(distribution, CategoricalDistribution):
        return as_override([plain(choice) for choice in distribution.choices])
    return as_override({"low": distribution.low, "high": distribution.high, "log": distribution.log})
