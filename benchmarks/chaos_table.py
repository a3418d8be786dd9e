"""What rounds came to, and the table of it."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

COLUMNS = ["fault", "rounds", "restarts", "trials", "repeated", "failed checks", "seconds a round"]
HEAD = """# Sweeps and trainings to which something happens

Each round is a sweep of {num_trials} short trials by two worker processes, hit by a fault at a random moment; then the
same command is run again until it ends well. Afterwards every place of the study must be done once; every trial that
had ended before the fault must still be there, unchanged; trials and MLflow runs must agree (states, scores, params,
files); both databases must be sound; and no process, no running trial and no unsent write may be left.

Some rounds are a training of a random family, by a random loop, hit up to three times and begun again with
`train.resume=auto`. Its weights and all points of its curves must be those, to the last digit, of the same training to
which nothing happened; there must be one run, but for hits before the first state was written, and no state left.

"""
TAIL = """
- *restarts*: how often the command was run again; *trials*: how many were begun; *repeated*: of them, in the place of
  one that was cut off or lacked memory.
- Begun with `{command}`; `--only N` plays one round again. {cores} cores, Python {python}, Optuna {optuna},
  MLflow {mlflow}.
"""


@dataclass
class Outcome:
    """What a round came to.

    Args:
        number: Of the round.
        kind: Of its fault.
        restarts: Commands beyond those that the fault hit.
        num_trials: That were begun.
        repeated: Of them, in another's place.
        problems: What did not hold.
        seconds: That it took.
        folder: What it left, if something did not hold.
    """

    number: int
    kind: str
    restarts: int = 0
    num_trials: int = 0
    repeated: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    folder: Path | None = None


def rows(outcomes: Sequence[Outcome], about: dict[str, str]) -> list[list[str]]:
    """Returns the table's rows: one for each kind, and their sum.

    Args:
        outcomes: Of the rounds.
        about: What each kind is, in a line.
    """
    found = [_row(line, [one for one in outcomes if one.kind == kind]) for kind, line in about.items()]
    return [*(row for row in found if row[1] != "0"), _row("all", outcomes)]


def write(path: Path, table: Sequence[Sequence[str]], notes: Sequence[str], command: str, num_trials: int) -> None:
    """Writes the page of results."""
    lines = [COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)], *table]
    facts = {"cores": os.cpu_count(), "python": platform.python_version(), "command": command}
    facts |= {name: version(name) for name in ("optuna", "mlflow")}
    text = HEAD.format(num_trials=num_trials) + "".join(f"| {' | '.join(line)} |\n" for line in lines)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + TAIL.format(**facts) + "".join(f"- {note}\n" for note in notes))


def _row(name: str, outcomes: Sequence[Outcome]) -> list[str]:
    sums = [len(outcomes)] + [
        sum(getattr(one, what) for one in outcomes) for what in ("restarts", "num_trials", "repeated")
    ]
    failed, seconds = sum(len(one.problems) for one in outcomes), sum(one.seconds for one in outcomes)
    return [name, *map(str, sums), str(failed), f"{seconds / max(1, len(outcomes)):.1f}"]
