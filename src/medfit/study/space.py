"""The search space: config paths with distributions, and groups with choices."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
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
NOT_COMPARABLE = ("dataset", "task", "sweep")  # groups whose choices give scores that don't compare
RANGE = {"low", "high", "log", "step", "when"}
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

    Raises:
        UserError: a path that neither the config nor one with another of the choices has, a malformed distribution,
            or one with ends that the path's own signature refuses.
    """
    space = dict(_walk(cfg.sweep.space, "", cfg))
    if not space:
        raise UserError("sweep.space: is empty; there is nothing to search")
    variants = list(variants_of(cfg, space))
    known = [{*paths_of(variant), *variant.choices} for variant in variants]
    everywhere = set().union(*known)
    for path, entry in space.items():
        for wanted in (path, *entry.when):
            if wanted not in everywhere:
                raise UserError(
                    f"sweep.space.{path}: the config has no '{wanted}'{suggest(wanted, everywhere)}; "
                    f"~sweep.space.{path} leaves it out"
                )
    for variant, paths in zip(variants, known, strict=True):
        _check_ends(variant, {path: e.distribution for path, e in values_of(variant).items() if path in paths})
    _check_alike(variants)
    return space


def groups_of(space: Mapping[str, Entry]) -> dict[str, Entry]:
    """Returns the entries of config groups."""
    return {path: entry for path, entry in space.items() if path in config.groups()}


def values_of(cfg: DictConfig) -> dict[str, Entry]:
    """Returns the entries of config paths in a config whose groups have been chosen."""
    space = dict(_walk(cfg.sweep.space, "", cfg))
    return {path: entry for path, entry in space.items() if path not in config.groups()}


def variants_of(cfg: DictConfig, space: Mapping[str, Entry]) -> Iterator[DictConfig]:
    """Yields the config, and it with each other choice of each group that is searched."""
    yield cfg
    for group, entry in groups_of(space).items():
        for choice in entry.distribution.choices:  # type: ignore[attr-defined]
            if choice != cfg.choices.get(group):
                yield config.change(cfg, [f"{group}={choice}"])


def paths_of(cfg: DictConfig) -> set[str]:
    """Returns the paths of a config that a training has values at."""
    return {path for path, _ in config.leaves(cfg) if not path.startswith(NOT_OF_A_TRAINING)}


def _walk(node: Any, path: str, cfg: DictConfig) -> Iterator[tuple[str, Entry]]:
    group = path.replace(".", "/")
    if isinstance(node, ListConfig):
        node = OmegaConf.create({"choices": node, **_own_part(group, cfg)})
    if not isinstance(node, DictConfig):
        raise UserError(f"sweep.space.{path}: expected {{low, high}} or {{choices}}, not {node!r}")
    if group in config.groups() and "choices" in node:
        yield group, Entry(_choices_of_group(node.choices, group, path))
    elif LEAF & set(node):
        yield path, _entry(node, path)
        return
    for key in node:
        if key != "choices":
            yield from _walk(node[key], f"{path}.{key!s}" if path else str(key), cfg)


def _own_part(group: str, cfg: DictConfig) -> DictConfig:
    """Returns the model's own part of the space, which a plain list of models has replaced."""
    path = config.CONF / "sweep/space" / f"{cfg.choices.model}.yaml"
    if group == "model" and path.exists():
        return OmegaConf.load(path)  # type: ignore[return-value]
    if group == "regime" or group.startswith("regime/"):
        where = group.replace("/", ".")
        raise UserError(f"sweep.space.{where}: write {{choices: [...]}}, which keeps the ranges below it")
    return OmegaConf.create({})


def _choices_of_group(choices: Any, group: str, path: str) -> CategoricalDistribution:
    if group.split("/")[0] in NOT_COMPARABLE:
        raise UserError(f"sweep.space.{path}: scores with different choices of {group} don't compare")
    known = config.groups()[group]
    for choice in choices:
        if choice not in known:
            raise UserError(f"sweep.space.{path}: there is no {group}={choice}{suggest(str(choice), known)}")
    with blame(f"sweep.space.{path}"):
        return CategoricalDistribution(list(choices))


def _entry(node: DictConfig, path: str) -> Entry:
    where = f"sweep.space.{path}"
    when = OmegaConf.to_container(node.when) if "when" in node else {}
    if not isinstance(when, dict):
        raise UserError(f"{where}.when: expected {{path: value}} or {{path: [values]}}, not {when!r}")
    conditions = {str(key): tuple(value) if isinstance(value, list) else (value,) for key, value in when.items()}
    return Entry(_distribution(node, where), conditions)


def _distribution(node: DictConfig, where: str) -> BaseDistribution:
    if "choices" in node:
        if not set(node) <= {"choices", "when"} or not isinstance(node.choices, ListConfig):
            raise UserError(f"{where}: choices take a list and nothing beside it but when")
        with blame(where):
            return CategoricalDistribution([_storable(choice) for choice in node.choices])
    if unknown := set(node) - RANGE:
        raise UserError(f"unknown key '{where}.{min(unknown)}'{suggest(min(unknown), RANGE)}")
    if not {"low", "high"} <= set(node):
        raise UserError(f"{where}: needs both low and high")
    ends = (node.low, node.high)
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        raise UserError(f"{where}: low and high must be numbers, not {ends[0]!r} and {ends[1]!r}")
    make: Any = IntDistribution if all(isinstance(end, int) for end in ends) else FloatDistribution
    with blame(where):
        if ends[0] >= ends[1]:
            raise ValueError(f"low must be below high, not {ends[0]} and {ends[1]}")
        return make(**{str(key): value for key, value in node.items() if key != "when"})


def _storable(choice: Any) -> Any:
    return config.as_override(OmegaConf.to_container(choice)) if OmegaConf.is_config(choice) else choice


def _check_ends(cfg: DictConfig, space: Mapping[str, BaseDistribution]) -> None:
    from medfit.study.values import plain

    for path, distribution in space.items():
        for end in _ends(distribution):
            changed = cfg.copy()
            OmegaConf.update(changed, path, plain(end))
            try:
                schema.check(changed)
            except UserError as error:
                raise UserError(f"sweep.space.{path}: {error}") from error


def _ends(distribution: Any) -> tuple[Any, ...]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return distribution.low, distribution.high


def _check_alike(variants: list[DictConfig]) -> None:
    """Optuna keeps one list of choices a study for each path."""
    seen: dict[str, Any] = {}
    for variant in variants:
        for path, entry in values_of(variant).items():
            if isinstance(entry.distribution, CategoricalDistribution):
                first = seen.setdefault(path, entry.distribution)
                if first != entry.distribution:
                    raise UserError(
                        f"sweep.space.{path}: the searched groups disagree on its choices, {list(first.choices)} and "
                        f"{list(entry.distribution.choices)}; give sweep.space.{path}.choices=[...]"
                    )
