"""How the report spells numbers, intervals, durations and paths."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

ROOT = r"(?:~|[A-Za-z]:)?[/\\]"
FOLDERS = re.compile(  # those of an absolute path; with spaces where a value or a quotation begins with it
    rf"(?<=['\"=]){ROOT}(?:[^/\\'\"=]+[/\\])+|(?<![\w.:/-]){ROOT}(?:[^\s/\\'\"]+[/\\])+"
)
NO_BREAK = "\u00a0"
Cell = str | tuple[str, str]  # what is told, and what is told smaller below it
Rows = list[list[Cell]]


def number(value: float) -> str:
    """Returns three digits after the point of small numbers, fewer of larger ones; a dash of what is not known."""
    if np.isnan(value):
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def interval(row: Mapping[str, Any]) -> str:
    """Returns the ends of an interval; nothing where there is none."""
    ends = (row.get("low", np.nan), row.get("high", np.nan))
    return f"{number(ends[0])} to {number(ends[1])}" if np.isfinite(ends).all() else ""


def scored(row: Mapping[str, Any]) -> Cell:
    """Returns an estimate, and its interval and spread over trainings below it."""
    if not np.isfinite(row["estimate"]):
        return "–"
    spread = row.get("sd", np.nan)
    below = [interval(row), f"± {number(spread)}" if np.isfinite(spread) else ""]
    return number(row["estimate"]), " ".join(part.replace(" ", NO_BREAK) for part in below if part)


def in_one_line(rows: Rows) -> list[list[str]]:
    """Returns cells where what would stand below stands behind, in brackets."""

    def told(cell: Cell) -> str:
        if isinstance(cell, str):
            return cell
        return f"{cell[0]} ({cell[1]})".replace(NO_BREAK, " ") if cell[1] else cell[0]

    return [[told(cell) for cell in row] for row in rows]


def whole(value: float) -> str:
    """Returns a count; a dash where there is none."""
    return f"{value:.0f}" if np.isfinite(value) else "–"


def p_value(value: float) -> str:
    """Returns a probability as it is usually written."""
    if not np.isfinite(value):
        return "–"
    return "< .001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"


def ordinal(place: int) -> str:
    """Returns ``1st``, ``2nd`` and so on."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th") if place % 100 not in (11, 12, 13) else "th"
    return f"{place}{ending}"


def duration(seconds: float) -> str:
    """Returns a duration in its largest fitting unit."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def plural(count: int, noun: str) -> str:
    """Returns a count with its noun."""
    return f"{count} {noun}{'' if count == 1 or noun == 'series' else 's'}"


def public(text: Any) -> str:
    """Returns a text without the folders of absolute paths, which tell of a machine and its user."""
    return FOLDERS.sub("", str(text))


def short(value: Any) -> str:
    """Returns a value of a search, in few digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
