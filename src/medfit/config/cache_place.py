"""Where decoded data are kept on disk, as a config says; the data room keeps them."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from medfit.config import folders

FOLDER = "cache"  # in output_dir
GIB = 2**30


@dataclass(frozen=True)
class Place:
    """A folder, and how much may lie in it.

    Args:
        folder: Which may not be there yet.
        limit_bytes: Of all files together.
    """

    folder: Path
    limit_bytes: int


_chosen: list[Place] = []  # one, or none


def folder_of(cfg: DictConfig) -> Path:
    """Returns the folder that a config's cache lies in, whether it is used or not."""
    given = (cfg.get("data_cache") or {}).get("folder")  # a config of before has no such node
    path: Path = folders.ROOT / (given or f"{cfg.output_dir}/{FOLDER}")
    return path


def choose(cfg: DictConfig) -> None:
    """Lets what is read from now on be kept where a config says; nowhere if it says nothing."""
    limit_gib = (cfg.get("data_cache") or {}).get("limit_gib")
    if not isinstance(limit_gib, int | float) or limit_gib <= 0:  # it may not have been checked yet
        _chosen.clear()
        return
    if not cfg.data_cache.folder:
        folders.output_dir(cfg)  # made for its owner alone
    _chosen[:] = [Place(folder_of(cfg), int(limit_gib * GIB))]


def chosen() -> Place | None:
    """Returns where decoded data are kept; None for nowhere."""
    return _chosen[0] if _chosen else None
