"""What a config may call: its ``_target_`` runs code, and a config may come from elsewhere, as a run's from a server.

Allowed are the classes of the modules in :data:`AREAS`, and all of one's own modules, those that no package installer
put where they lie. Left out is what reads, fetches or runs more than its arguments tell: loaders, downloads, weights of
other people. ``MEDFIT_ALLOW=package.module,package.module.name`` allows more, for whoever trusts it.
"""

import importlib.util
import inspect
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from medfit.errors import UserError

VARIABLE = "MEDFIT_ALLOW"
AREAS = (  # classes in here, and below
    "medfit.compare",
    "medfit.data",
    "medfit.evaluate",
    "medfit.explain",
    "medfit.export",
    "medfit.inspect",
    "medfit.models",
    "medfit.predict",
    "medfit.register",
    "medfit.report",
    "medfit.rerun",
    "medfit.sample",
    "medfit.serve",
    "medfit.sweep",
    "medfit.tasks",
    "medfit.train",
    "medfit.tracking.recording",
    "medfit.validate",
    "medfit.workers",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.profilers",
    "lightning.pytorch.trainer.trainer",
    "monai.losses",
    "monai.networks.blocks",
    "monai.networks.layers",
    "monai.networks.nets",
    "optuna.pruners",
    "optuna.samplers",
    "sklearn",
    "torch.nn",
    "torch.optim",
)
FUNCTIONS = ("medfit.tasks.regime", "medfit.models")  # modules whose functions build something, too
LEFT_OUT = ("monai.losses.perceptual", "monai.losses.PerceptualLoss")  # runs code that it fetches from GitHub
FETCHED = "pretrained"  # how the names of arguments begin that fetch, or read, others' weights


def check(target: Any, path: str) -> None:
    """Refuses a target by its name, before anything is imported.

    Raises:
        UserError: it is not on the list.
    """
    if not isinstance(target, str) or not _by_name(target):
        raise refused(target, path)


def check_all(node: Any, path: str) -> None:
    """Refuses a plain value that has a target, anywhere in it, that is not on the list.

    Raises:
        UserError: as of one target.
    """
    for where, called in calls(node, path):
        check(called["_target_"], f"{where}._target_".lstrip("."))


def check_object(target: str, found: Any, path: str) -> None:
    """Refuses what a target's name leads to if it belongs elsewhere, as ``torch.nn.modules.module.torch.load``.

    Raises:
        UserError: it is not on the list.
    """
    if _added(target, found) or _is_own(str(getattr(found, "__module__", ""))):
        return
    home = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    builds = inspect.isclass(found) or _within(home, FUNCTIONS)
    if not builds or not _within(home, AREAS) or _within(home, LEFT_OUT):
        raise refused(target, path)


def check_arguments(target: str, found: Any, given: Mapping[str, Any], path: str) -> None:
    """Refuses a call of a package's class that fetches weights, or reads them from a file: pickles run code.

    Raises:
        UserError: it does.
    """
    if _added(target, found) or _is_own(str(getattr(found, "__module__", ""))) or target.startswith("medfit."):
        return
    with suppress(ValueError, TypeError):  # of a class whose signature is not to be had
        parameters = inspect.signature(found).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        for name, value in {**defaults, **given}.items():
            if str(name).startswith(FETCHED) and value:
                raise UserError(
                    f"{path}.{name}: {target} would fetch or read others' weights; give {path}.{name}=false, or allow "
                    f"it by the environment variable {VARIABLE}={target}"
                )


def calls(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields each mapping with a ``_target_`` in a plain value, with its path."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from calls(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from calls(value, f"{path}[{index}]")


def refused(target: Any, path: str) -> UserError:
    """Returns the error that tells how a target is allowed."""
    return UserError(
        f"{path}: a config may not call '{target}'; if you trust it and where the config is from, allow it by the "
        f"environment variable {VARIABLE}={target}"
    )


def _by_name(target: str) -> bool:
    if any(_within(target, (entry,)) for entry in _allowed_by_hand()):
        return True
    within = _within(target, AREAS) and not _within(target, LEFT_OUT)
    return within or _is_own(target)


def _within(name: str, areas: tuple[str, ...]) -> bool:
    return any(name == area or name.startswith(f"{area}.") for area in areas)


def _allowed_by_hand() -> list[str]:
    return [entry.strip() for entry in os.environ.get(VARIABLE, "").split(",") if entry.strip()]


def _added(target: str, found: Any) -> bool:
    """Tells whether the user allowed a target: itself, or a module or package that it belongs to."""
    entries = _allowed_by_hand()
    package = str(getattr(found, "__module__", "")).partition(".")[0]
    return target in entries or any(_within(target, (e,)) and e.partition(".")[0] == package for e in entries)


def _is_own(name: str) -> bool:
    """Tells whether a name begins with a module of the user's own: no installed package's, nor Python's or medfit's."""
    top = name.partition(".")[0]
    if not top or top == "medfit" or top in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.util.find_spec(top)
    except (ValueError, ImportError):
        return False
    places = [spec.origin] if spec and spec.origin else list(spec.submodule_search_locations or ()) if spec else []
    return bool(places) and not any(map(_is_installed, places))


def _is_installed(place: str) -> bool:
    path = Path(place)
    libraries = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return bool({"site-packages", "dist-packages"} & set(path.parts)) or any(map(path.is_relative_to, libraries))
