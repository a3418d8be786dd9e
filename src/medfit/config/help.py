"""What can be chosen, read from the first lines of the configs (without Hydra, so that help is quick)."""

from pathlib import Path

from medfit.config import folders

INTRODUCTION = """Choose with group=choice, change any value with its path (regime.optimizer.lr=3e-4), or try several
at once (model=mlp,linear):"""


def describe() -> str:
    """Returns every config group's choices and the experiments, a line each."""
    lines = [INTRODUCTION]
    for group, choices in folders.groups().items():
        if group != "sweep/space":
            lines += ["", group, *(f"  {c:<20}{_first_line(folders.CONF / group / f'{c}.yaml')}" for c in choices)]
    names = [name for name in folders.experiments() if "/" not in name]
    questions = (f"  {name:<26}{_first_line(folders.EXPERIMENTS / name / 'config.yaml')}" for name in names)
    return "\n".join([*lines, "", "experiment", *questions])


def _first_line(path: Path) -> str:
    """Returns the file's first comment that is meant for people."""
    for line in path.read_text().splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ")
    return ""
