"""Composing configs with Hydra."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from medfit.config import folders, schema, signatures, typed
from medfit.config.instantiate import load_dataset
from medfit.config.overrides import OWN_NODES, as_override, unresolved
from medfit.errors import UserError, suggest

DEFAULT_EXPERIMENT = "breast_cancer_diagnosis"
OWN_KEYS = ("evaluate.subgroups", "validate.subgroups", "validate.dataset")  # paths below which the keys are the user's
MOST_SHOWN = 10  # choices in a message


@signatures.remembered()
def compose(overrides: Sequence[str] = (), infer_task: bool = True) -> DictConfig:
    """Returns the checked config that the overrides describe.

    Args:
        overrides: As they are typed.
        infer_task: Whether a data set is read to see what task its targets call for; else any may stand there.

    ``experiment=<name>`` adds ``experiments/<name>/config.yaml``; ``experiment=<name>/best`` what its sweep
    found. Without an experiment and without a data set of one's own, the default experiment is meant.

    Raises:
        UserError: an override, a key or a value that medfit does not know.
    """
    with schema.told():
        return _checked([spelled for line in overrides for spelled in _spelled_out(typed.spelled(line))], infer_task)


def _checked(overrides: Sequence[str], infer_task: bool) -> DictConfig:
    """Returns the checked config of overrides that are spelled out, with the choices that data and model make."""
    plain = [line for line in overrides if not line.startswith("task.")]
    try:
        cfg = _compose(plain)
    except UserError:  # of a key that only the family's own regime has, perhaps: the choices alone tell
        cfg = _compose([line for line in overrides if "." not in line.split("=")[0]])
    own = _own_choices(cfg, overrides)
    if cfg.choices.task == "inferred" and not any(line.startswith("task=") for line in own):
        cfg = _compose(plain, own)  # anew, as the choices alone may have been composed
        schema.check_node(cfg.dataset, "dataset")
        own.append(f"task={_task_of(cfg) if infer_task else 'binary'}")
    if own or list(cfg.overrides) != _split_experiment(overrides)[1]:
        cfg = _compose(overrides, own)
    schema.check(cfg)
    return cfg


def change(cfg: DictConfig, lines: Sequence[str]) -> DictConfig:
    """Returns a config composed again with further overrides, which replace its own of the same key."""
    keys = {line.split("=")[0] for line in lines}
    experiment = f"experiment={cfg.experiment or ''}{'/best' if cfg.best else ''}"
    return compose([experiment, *(line for line in cfg.overrides if line.split("=")[0] not in keys), *lines])


def _compose(overrides: Sequence[str], own: Sequence[str] = ()) -> DictConfig:
    """Lets Hydra compose, and adds what was asked for: ``experiment``, ``choices`` and ``overrides``."""
    from hydra import compose, initialize_config_dir  # late: a quick start
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import ConfigCompositionException, HydraException

    experiment, rest = _split_experiment(overrides)
    _check_choices(rest)
    readable = [line for line in rest if not typed.own(line)]
    lines = [f"hydra.searchpath={as_override([f'file://{folders.EXPERIMENTS.parent}'])}", *readable, *own]
    if experiment:
        lines.append(f"experiments={as_override(_experiment_file(experiment))}")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(folders.CONF), version_base="1.3"):
        try:
            cfg = compose("train", overrides=lines, return_hydra_config=True)
        except ConfigCompositionException as error:
            raise UserError(_explain(error, overrides)) from error
        except HydraException as error:
            raise UserError(str(error).splitlines()[0]) from error
    chosen = {
        group: cfg.hydra.runtime.choices[group] for group in folders.groups() if group in cfg.hydra.runtime.choices
    }
    with open_dict(cfg):
        del cfg["hydra"]
        cfg.experiment = experiment and experiment.split("/")[0]
        cfg.best = bool(experiment and experiment.endswith("/best"))
        cfg.choices = chosen
        cfg.overrides = unresolved(rest)
    for added in filter(None, map(typed.own, rest)):
        typed.add(cfg, *added)
    return cfg


def _spelled_out(line: str) -> list[str]:
    """Returns lines that Hydra takes for keys that are the user's own, as of ``sweep.space``.

    A path of the space replaces whatever a choice of a searched group has there; a list is choices.
    """
    key, _, value = line.partition("=")
    where = key.lstrip("+~")
    if typed.own(line):
        return [line]
    if not key.startswith("~") and where.startswith((*OWN_KEYS, *OWN_NODES)):
        return [f"++{where}={value}"]
    path = where.removeprefix("sweep.space.")
    if path == where:
        return [line]
    if key.startswith("~"):
        return [f"++{where}=null"]
    if not value.startswith("[") or path.endswith(".choices") or ".when" in path:
        return [f"++{where}={value}"]
    return [*([] if path.replace(".", "/") in folders.groups() else [f"++{where}=null"]), f"++{where}.choices={value}"]


def _task_of(cfg: DictConfig) -> str:
    """Returns the task that the data set's targets call for."""
    task: str = load_dataset(cfg).task
    if task not in folders.groups()["task"]:
        raise UserError(f"dataset={cfg.choices.dataset}: there are no targets to learn; model=gan needs none")
    return task


def _own_choices(cfg: DictConfig, overrides: Sequence[str]) -> list[str]:
    """Returns the choices of the model's family that differ from what the data set chose.

    Hydra lets a later group's overrides win, and the data set stands later, so that it may choose the model.
    """
    chosen = {line.split("=")[0] for line in overrides}
    for file in ("config.yaml", "best.yaml")[: 1 + cfg.best] if cfg.experiment else ():
        chosen |= _overridden(folders.EXPERIMENTS / cfg.experiment / file).keys()
    family = _overridden(folders.CONF / "model" / f"{cfg.choices.model}.yaml")
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
        name = typed.value(named[-1])  # of quotes; a name like 2024_05 is no number
        return (None if name in ("", None) else name if isinstance(name, str) else named[-1]), rest
    own_data = any(line.startswith("dataset=") for line in rest)
    return (None if own_data or DEFAULT_EXPERIMENT not in folders.experiments() else DEFAULT_EXPERIMENT), rest


def _experiment_file(experiment: str) -> str:
    name, _, file = experiment.partition("/")
    path = folders.EXPERIMENTS / name / f"{file or 'config'}.yaml"
    if path.is_file():
        return f"{name}/{path.stem}"
    if file == "best" and (folders.EXPERIMENTS / name).is_dir():
        raise UserError(
            f"experiment={experiment}: no sweep has written '{path}' yet; run: medfit sweep experiment={name}"
        )
    raise UserError(
        f"experiment={experiment}: there is no such experiment{suggest(experiment, folders.experiments())}"
        f" (known: {', '.join(folders.experiments())})"
    )


def _check_choices(overrides: Sequence[str]) -> None:
    known = folders.groups()
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
    if key in folders.groups():
        parent = key.rpartition("/")[0]
        return f"{key}: there is nothing to choose here; other choices of {parent} have it"
    wrong = [line for line in overrides if re.match(rf"{re.escape(key)}\b", line.lstrip("+~"))]
    cfg = _compose([line for line in overrides if line not in wrong]) if wrong else _compose([])
    deeper = re.search(rf"full_key: ({re.escape(key)}\.\S+)", message)  # in a mapping that was given
    hint = f"; +{key}=... adds keys" if deeper else ""
    key = deeper[1] if deeper else key
    return f"unknown key '{key}'{suggest(key, sorted({*_keys(cfg), *folders.groups()}))}{hint}"


def _keys(node: DictConfig, path: str = "") -> Iterator[str]:
    for key, child in node.items_ex(resolve=False):
        here = f"{path}.{key!s}" if path else str(key)
        yield here
        if isinstance(child, DictConfig) and isinstance(child._content, dict):
            yield from _keys(child, here)
