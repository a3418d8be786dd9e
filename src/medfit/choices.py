"""What can be chosen, read from the first lines of the configs (without Hydra, so that help is quick)."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def describe() -> str:
    """Returns every config group's choices and the experiments, a line each."""
    lines = [
        "Choose with group=choice, change any value with its path (regime.optimizer.lr=3e-4), or try several at",
        "once (model=mlp,linear):",
    ]
    groups: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "conf").glob("*/**/*.yaml")):
        groups.setdefault(path.parent.relative_to(ROOT / "conf").as_posix(), []).append(path)
    for group, files in groups.items():
        if group != "sweep/space":
            lines += ["", group, *(f"  {file.stem:<20}{_first_line(file)}" for file in files)]
    experiments = sorted((ROOT / "experiments").glob("*/config.yaml"))
    return "\n".join([*lines, "", "experiment", *(f"  {e.parent.name:<26}{_first_line(e)}" for e in experiments)])


def _first_line(path: Path) -> str:
    """Returns the file's first comment that is meant for people."""
    for line in path.read_text().splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ")
    return ""
