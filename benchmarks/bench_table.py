"""What the speed benchmark finds: rows, and the files that hold them."""

import csv
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median

COLUMNS = ["row", "what", "measured", "lowest to highest", "limit", "met", "behind it (medians)", "repeats"]
HEAD = """# How fast medfit is

Each number is the median of the repeats, with the lowest and highest beside it. Of a ratio both sides were run by
turns, and the numbers behind it are their medians. What each row compares: [README.md](../README.md). The single
measurements: [{name}]({name}).

"""


@dataclass(frozen=True)
class Result:
    """A row.

    Args:
        name: As ``--only`` takes it.
        what: Is measured.
        measured: What is judged.
        each: The same of each repeat.
        limit: That it may reach.
        sides: The single measurements of each side.
        unit: Of these.
        unit_measured: Of what is judged; none for a ratio.
        at_least: Whether the limit is the least, not the most.
        note: More that is behind it.
    """

    name: str
    what: str
    measured: float
    each: Sequence[float]
    limit: float
    sides: Mapping[str, Sequence[float]] = field(default_factory=dict)
    unit: str = "s"
    unit_measured: str = ""
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the limit is kept."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    @property
    def cells(self) -> list[str]:
        """The row's columns."""
        unit = f" {self.unit_measured}".rstrip()
        behind = [f"{side} {told(median(found))} {self.unit}" for side, found in self.sides.items()]
        return [
            self.name,
            self.what,
            told(self.measured) + unit,
            f"{told(min(self.each))} to {told(max(self.each))}",
            f"at {'least' if self.at_least else 'most'} {self.limit:g}{unit}",
            "yes" if self.met else "NO",
            ", ".join([*behind, *filter(None, [self.note])]),
            str(len(self.each)),
        ]


def ratio(
    name: str,
    what: str,
    limit: float,
    sides: Mapping[str, Sequence[float]],
    unit: str = "s",
    note: str = "",
    at_least: bool = False,
) -> Result:
    """Returns the ratio of two sides' medians, the first to the second."""
    first, second = sides.values()
    each = [a / b for a, b in zip(first, second, strict=True)]
    return Result(name, what, median(first) / median(second), each, limit, sides, unit, "", at_least, note)


def difference(name: str, what: str, limit: float, sides: Mapping[str, Sequence[float]], note: str = "") -> Result:
    """Returns the seconds by which the first side's median exceeds the second's."""
    first, second = sides.values()
    each = [a - b for a, b in zip(first, second, strict=True)]
    return Result(name, what, median(first) - median(second), each, limit, sides, unit_measured="s", note=note)


def single(name: str, what: str, limit: float, each: Sequence[float], unit: str = "s", note: str = "") -> Result:
    """Returns the median of measurements that are compared with nothing."""
    return Result(name, what, median(each), each, limit, {}, unit, unit, note=note)


def told(value: float) -> str:
    """Returns a number with three digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def facts() -> dict[str, str]:
    """Returns what the numbers depend on, beside the code."""
    import torch

    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    found = re.search(r"model name\s*:\s*(.+)", _read(Path("/proc/cpuinfo")))
    return {
        "CPU": f"{os.cpu_count()} x {found[1] if found else platform.processor() or 'unknown'}",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none; its rows were not run",
        "threads of torch": str(torch.get_num_threads()),
        "Python": platform.python_version(),
        **{name: version(name) for name in ("torch", "lightning", "optuna", "mlflow")},
        "commit": subprocess.run(git, capture_output=True, text=True).stdout.strip() or "unknown",
    }


def write(path: Path, results: Sequence[Result], notes: Sequence[str]) -> None:
    """Writes the page, and beside it the single measurements as CSV."""
    path.parent.mkdir(exist_ok=True)
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(result.cells for result in results)]
    cells = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    about = "".join(f"- {name}: {value}\n" for name, value in facts().items())
    singles = path.with_suffix(".csv")
    told_notes = "".join(f"- {note}\n" for note in notes)
    path.write_text(f"{HEAD.format(name=singles.name)}{cells}\n{told_notes}\n{about}")
    with singles.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["row", "side", "repeat", "value", "unit"])
        table.writerows(_singles(results))


def _singles(results: Sequence[Result]) -> list[list[str]]:
    """Returns each measurement; of a row without sides what is judged."""
    found = []
    for result in results:
        for side, values in (result.sides or {"measured": result.each}).items():
            found += [[result.name, side, str(k), f"{value:.6g}", result.unit] for k, value in enumerate(values)]
    return found


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
