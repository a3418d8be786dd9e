"""Where a user's files lie is nobody's business elsewhere: a server is told their names alone."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from filelock import FileLock
from omegaconf import DictConfig

from medfit.config.overrides import leaves

FILE = "paths.json"  # in the output folder: what each name stands for


def names(cfg: DictConfig, folder: Path, key: bytes) -> dict[str, str]:
    """Returns a name for each full path in a config, and keeps in the output folder what each stands for.

    Args:
        cfg: The whole config.
        folder: The output folder.
        key: Of the hashes that tell two files of one name apart.

    Returns:
        Names by paths, the longest paths first, as ``clinic.csv#1f2e3d4c``.
    """
    found = sorted({path for _, value in leaves(cfg) for path in _paths(value)}, key=len, reverse=True)
    made = {path: f"{PurePosixPath(path.replace(chr(92), '/')).name}#{_digest(key, path)}" for path in found}
    _keep(folder / FILE, {name: path for path, name in made.items()})
    return made


def hidden(text: str, known: Mapping[str, str]) -> str:
    """Returns a text with names in the place of full paths."""
    for path, name in known.items():
        text = text.replace(path, name)
    return text


def restored(text: str, folder: Path) -> str:
    """Returns a text with the full paths that the output folder knows, in the place of their names."""
    for name, path in _kept(folder / FILE).items():
        text = text.replace(name, path)
    return text


def _paths(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        full = (
            PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute() or value.startswith(("~", ".."))
        )
        return [value] if full and len(PurePosixPath(value.replace(chr(92), "/")).parts) > 1 else []
    if isinstance(value, Mapping):
        return [path for item in value.values() for path in _paths(item)]
    return [path for item in value for path in _paths(item)] if isinstance(value, list) else []


def _digest(key: bytes, path: str) -> str:
    return hmac.new(key, path.encode(), hashlib.sha256).hexdigest()[:8]


def _kept(file: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _keep(file: Path, new: Mapping[str, str]) -> None:
    if new.items() <= _kept(file).items():
        return
    with FileLock(file.with_suffix(".lock")):
        whole = file.with_suffix(".new")
        whole.write_text(json.dumps({**_kept(file), **new}, indent=1))
        whole.replace(file)
