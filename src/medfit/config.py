"""Composing configs with Hydra, and building what they describe."""

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from medfit import signatures
from medfit.contents import Contents
from medfit.errors import UserError, suggest

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
EXPERIMENTS = ROOT / "experiments"
DEFAULT_EXPERIMENT = "breast_cancer_diagnosis"
MOST_SHOWN = 10  # choices in a message
WORD = re.compile(r"(?i)(?!(null|true|false|nan|inf)$|[-\d_e]+$)[\w/-]+", re.ASCII)  # no quotes needed


@signatures.remembered()
def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """Returns the checked config that the overrides describe.

    ``experiment=<name>`` adds ``experiments/<name>/config.yaml``; ``experiment=<name>/best`` what its sweep
    found. Without an experiment and without a data set of one's own, the default experiment is meant.

    Raises:
        UserError: an override, a key or a value that medfit does not know.
    """
    from medfit import schema

    overrides = [spelled for line in overrides for spelled in _spelled_out(line)]
    plain = [line for line in overrides if not line.startswith("task.")]
    try:
        cfg = _compose(plain)
    except UserError:  # of a key that only the family's own regime has, perhaps: the choices alone tell
        cfg = _compose([line for line in overrides if "." not in line.split("=")[0]])
    own = _own_choices(cfg, overrides)
    if cfg.choices.task == "inferred" and not any(line.startswith("task=") for line in own):
        cfg = _compose(plain, own)
        schema.check_node(cfg.dataset, "dataset")
        own.append(f"task={_task_of(cfg)}")
    if own or list(cfg.overrides) != _split_experiment(overrides)[1]:
        cfg = _compose(overrides, own)
    schema.check(cfg)
    return cfg


def change(cfg: DictConfig, lines: Sequence[str]) -> DictConfig:
    """Returns a config composed again with further overrides, which replace its own of the same key."""
    keys = {line.split("=")[0] for line in lines}
    experiment = f"experiment={cfg.experiment or ''}{'/best' if cfg.best else ''}"
    return compose([experiment, *(line for line in cfg.overrides if line.split("=")[0] not in keys), *lines])


def build(node: Any, **kwargs: Any) -> Any:
    """Instantiates a config node: config values only, runtime objects come later.

    Raises:
        UserError: the node's class refused a value.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, _convert_="all", **kwargs)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from error
        if isinstance(cause, TypeError | ValueError):
            path = getattr(node, "_get_full_key", lambda _: "config")(None)
            raise UserError(f"{path}: {str(cause).splitlines()[0]}") from error
        raise


def load_dataset(cfg: DictConfig) -> Any:
    """Returns the config's data set, read once per process."""
    own = {key: value for key, value in OmegaConf.to_container(cfg.dataset, resolve=True).items() if key != "strict"}  # type: ignore[union-attr]
    return _load_dataset(Contents("dataset", own))


@functools.lru_cache(maxsize=2)
def _load_dataset(contents: Contents) -> Any:
    return build(contents.node)


def output_dir(cfg: DictConfig) -> Path:
    """Returns where local results go, made if need be.

    Raises:
        UserError: the folder can't be made or written to.
    """
    path = ROOT / cfg.output_dir
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)  # another process's probe is the same file
    except OSError as error:
        raise UserError(f"output_dir: cannot write to '{path}' ({error.strerror})") from error
    return path


def groups() -> dict[str, list[str]]:
    """Returns each config group's choices, nested groups as ``regime/optimizer``."""
    found: dict[str, list[str]] = {}
    for path in sorted(CONF.glob("*/**/*.yaml")):
        found.setdefault(path.parent.relative_to(CONF).as_posix(), []).append(path.stem)
    return found


def experiments() -> list[str]:
    """Returns the names of the experiments, ``<name>/best`` for those that were swept."""
    names = [path.parent.name for path in sorted(EXPERIMENTS.glob("*/config.yaml"))]
    return names + [f"{name}/best" for name in names if (EXPERIMENTS / name / "best.yaml").exists()]


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields each value below a node with its config path; interpolations and empty nodes are left out."""
    if isinstance(node, DictConfig) and not node._is_none():
        for key in node:
            here = f"{path}.{key!s}" if path else str(key)
            if not OmegaConf.is_interpolation(node, str(key)) and not OmegaConf.is_missing(node, key):
                yield from leaves(node[key], here)
    elif not isinstance(node, DictConfig) or node._is_none():
        yield path, OmegaConf.to_container(node) if OmegaConf.is_list(node) else node


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
            return "{" + ",".join(f"{k}:{as_override(v)}" for k, v in value.items()) + "}"
        case str() if not WORD.fullmatch(value):
            return "'" + re.sub(r"(\\*)('|\Z)", lambda end: end[1] * 2 + end[2].replace("'", r"\'"), value) + "'"
        case _:
            return str(value)


def without_passwords(text: str) -> str:
    """Returns a text whose addresses, as ``postgresql://user:secret@host``, tell no password."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]+@", r"\1:***@", text)


def _compose(overrides: Sequence[str], own: Sequence[str] = ()) -> DictConfig:
    """Lets Hydra compose, and adds what was asked for: ``experiment``, ``choices`` and ``overrides``."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import ConfigCompositionException, HydraException

    experiment, rest = _split_experiment(overrides)
    _check_choices(rest)
    lines = [f"hydra.searchpath={as_override([f'file://{EXPERIMENTS.parent}'])}", *rest, *own]
    if experiment:
        lines.append(f"experiments={_experiment_file(experiment)}")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            cfg = compose("train", overrides=lines, return_hydra_config=True)
        except ConfigCompositionException as error:
            raise UserError(_explain(error, overrides)) from error
        except HydraException as error:
            raise UserError(str(error).splitlines()[0]) from error
    chosen = {group: cfg.hydra.runtime.choices[group] for group in groups() if group in cfg.hydra.runtime.choices}
    with open_dict(cfg):
        del cfg["hydra"]
        cfg.experiment = experiment and experiment.split("/")[0]
        cfg.best = bool(experiment and experiment.endswith("/best"))
        cfg.choices = chosen
        cfg.overrides = list(rest)
    return cfg


def _spelled_out(line: str) -> list[str]:
    """Returns lines that Hydra takes for keys that are the user's own: of ``evaluate.subgroups`` and ``sweep.space``.

    A path of the space replaces whatever a choice of a searched group has there; a list is choices.
    """
    key, _, value = line.partition("=")
    where = key.lstrip("+~")
    if not key.startswith("~") and where.split(".")[:2] == ["evaluate", "subgroups"]:
        return [f"++{where}={value}"]
    path = where.removeprefix("sweep.space.")
    if path == where:
        return [line]
    if key.startswith("~"):
        return [f"++{where}=null"]
    if not value.startswith("[") or path.endswith(".choices") or ".when" in path:
        return [f"++{where}={value}"]
    return [*([] if path.replace(".", "/") in groups() else [f"++{where}=null"]), f"++{where}.choices={value}"]


def _task_of(cfg: DictConfig) -> str:
    """Returns the task that the data set's targets call for."""
    task = load_dataset(cfg).task
    if task not in groups()["task"]:
        raise UserError(f"dataset={cfg.choices.dataset}: there are no targets to learn; model=gan needs none")
    return task


def _own_choices(cfg: DictConfig, overrides: Sequence[str]) -> list[str]:
    """Returns the choices of the model's family that differ from what the data set chose.

    Hydra lets a later group's overrides win, and the data set stands later, so that it may choose the model.
    """
    chosen = {line.split("=")[0] for line in overrides}
    for file in ("config.yaml", "best.yaml")[: 1 + cfg.best] if cfg.experiment else ():
        chosen |= _overridden(EXPERIMENTS / cfg.experiment / file).keys()
    family = _overridden(CONF / "model" / f"{cfg.choices.model}.yaml")
    return [
        f"{group}={choice}" for group, choice in family.items() if group not in chosen and cfg.choices[group] != choice
    ]


def _overridden(path: Path) -> dict[str, str]:
    """Returns the choices that a config file makes for other groups."""
    entries = [
        dict(entry) for entry in OmegaConf.select(OmegaConf.load(path), "defaults") or () if not isinstance(entry, str)
    ]
    return {
        str(key).removeprefix("override ").lstrip("/").split("@")[0]: str(choice)
        for entry in entries
        for key, choice in entry.items()
        if str(key).startswith("override ")
    }


def _split_experiment(overrides: Sequence[str]) -> tuple[str | None, list[str]]:
    """Takes the experiment out of the overrides."""
    rest = [line for line in overrides if not line.startswith("experiment=")]
    named = [line.removeprefix("experiment=") for line in overrides if line.startswith("experiment=")]
    if named:
        return (None if named[-1] in ("", "null") else named[-1]), rest
    own_data = any(line.startswith("dataset=") for line in rest)
    return (None if own_data else DEFAULT_EXPERIMENT), rest


def _experiment_file(experiment: str) -> str:
    name, _, file = experiment.partition("/")
    path = EXPERIMENTS / name / f"{file or 'config'}.yaml"
    if path.is_file():
        return f"{name}/{path.stem}"
    if file == "best" and (EXPERIMENTS / name).is_dir():
        raise UserError(
            f"experiment={experiment}: no sweep has written '{path}' yet; run: medfit sweep experiment={name}"
        )
    raise UserError(
        f"experiment={experiment}: there is no such experiment{suggest(experiment, experiments())}"
        f" (known: {', '.join(experiments())})"
    )


def _check_choices(overrides: Sequence[str]) -> None:
    known = groups()
    for line in overrides:
        group, _, choice = line.lstrip("+").partition("=")
        if group in known and choice not in known[group]:
            rest = ", ...; medfit train --help lists all" if len(known[group]) > MOST_SHOWN else ""
            told = suggest(choice, known[group]) or f" (known: {', '.join(known[group][:MOST_SHOWN])}{rest})"
            raise UserError(f"{group}={choice}: there is no such choice{told}")


def _explain(error: Exception, overrides: Sequence[str]) -> str:
    """Turns Hydra's words about an unknown key into ours, with the nearest right key."""
    message = f"{error}\n{error.__cause__ or ''}"
    found = re.search(r"Could not (?:override|delete[^']*) '([^']+)'", message)
    if not found:
        why = ": a list and keys can't be merged; in sweep.space write model: {choices: [...]}"
        return message.splitlines()[0].split(": ConfigTypeError")[0] + why * ("DictConfig with ListConfig" in message)
    key = found[1]
    if key in groups():
        parent = key.rpartition("/")[0]
        return f"{key}: there is nothing to choose here; other choices of {parent} have it"
    wrong = [line for line in overrides if re.match(rf"{re.escape(key)}\b", line.lstrip("+~"))]
    cfg = _compose([line for line in overrides if line not in wrong]) if wrong else _compose([])
    deeper = re.search(rf"full_key: ({re.escape(key)}\.\S+)", message)  # in a mapping that was given
    hint = f"; +{key}=... adds keys" if deeper else ""
    key = deeper[1] if deeper else key
    return f"unknown key '{key}'{suggest(key, sorted({*_keys(cfg), *groups()}))}{hint}"


def _keys(node: DictConfig, path: str = "") -> Iterator[str]:
    for key, child in node.items_ex(resolve=False):
        here = f"{path}.{key!s}" if path else str(key)
        yield here
        if isinstance(child, DictConfig) and isinstance(child._content, dict):
            yield from _keys(child, here)
