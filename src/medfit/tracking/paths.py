"""Where a user's files lie is nobody's business elsewhere: a server is told their names alone."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote

from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from medfit.config.overrides import leaves

FILE = "paths.json"  # in the output folder: what each name stands for
TEXTS = (".csv", ".diff", ".html", ".json", ".md", ".svg", ".txt", ".yaml")  # files that may tell a path


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


def known(folder: Path) -> dict[str, str]:
    """Returns the names by paths that an output folder keeps."""
    return {path: name for name, path in _kept(folder / FILE).items()}


def hidden(value: Any, names: Mapping[str, str]) -> Any:
    """Returns a text, a list or a mapping of texts with names in the place of full paths, however they are spelled."""
    if not names:
        return value
    by_spelling = {spelling: name for path, name in names.items() for spelling in _spellings(path)}
    spellings = "|".join(map(re.escape, sorted(by_spelling, key=len, reverse=True)))
    pattern = re.compile(rf"(?<!\w)(?:{spellings})(?!\w)")  # /data is no part of /data2, nor of /mnt/data
    return _changed(value, lambda text: pattern.sub(lambda found: by_spelling[found[0]], text))


def hide_in_files(folder: Path, names: Mapping[str, str]) -> None:
    """Writes names in the place of full paths into the texts below a folder."""
    for file in folder.rglob("*") if names else ():
        if file.suffix in TEXTS:
            text = file.read_text()
            if (told := hidden(text, names)) != text:
                file.write_text(told)


def restored(cfg: DictConfig, folder: Path) -> DictConfig:
    """Returns a config with the full paths that the output folder knows, in the place of their names."""
    made = OmegaConf.create(shown(OmegaConf.to_container(cfg), known(folder)))
    assert isinstance(made, DictConfig)
    return made


def shown(value: Any, names: Mapping[str, str]) -> Any:
    """Returns a text, a list or a mapping of texts with full paths in the place of names."""

    def with_paths(text: str) -> str:
        for path, name in names.items():
            text = text.replace(name, path)
        return text

    return _changed(value, with_paths)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """Returns a value with each text of it changed; keys stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _changed(item, change) for key, item in value.items()}
    return [_changed(item, change) for item in value] if isinstance(value, list) else value


def _spellings(path: str) -> set[str]:
    """Returns a path as texts have it: plain, in JSON, in an address, in an override's quotes."""
    return {path, json.dumps(path)[1:-1], quote(path), path.replace("'", "\\'"), path.replace("'", "''")}


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
