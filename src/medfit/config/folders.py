"""Where configs, experiments and results lie, and what configs there are."""

from pathlib import Path

from omegaconf import DictConfig

from medfit.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = (_PACKAGE / "conf").is_dir()  # from a wheel, which holds the configs, and not in a project's folder
ROOT = Path.cwd() if _INSTALLED else _PACKAGE.parents[1]
CONF = _PACKAGE / "conf" if _INSTALLED else ROOT / "conf"
EXPERIMENTS = ROOT / "experiments"


def output_dir(cfg: DictConfig) -> Path:
    """Returns where local results go, made if need be, for its owner alone to read.

    Raises:
        UserError: the folder can't be made or written to.
    """
    path: Path = ROOT / cfg.output_dir
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
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
