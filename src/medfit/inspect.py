"""``medfit inspect``: what a data set holds, before anything is trained; opens no store."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from medfit.config.instantiate import build, load_dataset
from medfit.data import leaks
from medfit.data.dataset import Dataset
from medfit.data.datasets.table import Table
from medfit.data.inspection import raw, whole
from medfit.data.inspection.columns import Column
from medfit.errors import UserError, blame
from medfit.terminal.console import say, show_table, silent

MOST_SHOWN = 100  # columns, on the terminal
HEADINGS = ["column", "kind", "role", "unit", "levels", "values", "missing", "suspects"]
WORDS = ("kind", "role", "unit", "values", "suspects")  # headings of columns that stand to the left


@dataclass(frozen=True)
class Inspect:
    """What becomes of what was found.

    Args:
        out: A CSV file for the table of columns, relative to where the command is run; None for none.
    """

    out: str | None = None


class Inspected(NamedTuple):
    """What a data set holds; nothing of a single patient.

    Args:
        columns: A row each.
        facts: Headings and lines: samples, patients, task, classes and splits.
        warnings: What is wrong or suspected, a line each.
    """

    columns: list[Column]
    facts: list[tuple[str, str]]
    warnings: list[str]


def inspect(cfg: DictConfig) -> Inspected:
    """Returns what a config's data set holds.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it; of a user's table no target is needed.

    Raises:
        UserError: the data can't be read.
    """
    node: Any = OmegaConf.to_container(cfg.dataset, resolve=True)
    is_table = isinstance(made := get_object(node["_target_"]), type) and issubclass(made, Table)
    if not raw.has_target(node) and (bare := raw.read(node)):
        facts = [("Rows", f"{len(bare.table)} rows; dataset.target=... says what to learn")]
        return Inspected(bare.columns([]), facts, [])
    with silent():  # what is said of the cells is said below
        bare = raw.read(node) if is_table else None
    try:
        dataset = load_dataset(cfg)
    except UserError as error:
        if bare is None:
            raise
        return Inspected(bare.columns([]), [("Rows", f"{len(bare.table)} rows")], [f"it can't be trained on: {error}"])
    rows, warnings = _divided(cfg, dataset)
    scan = leaks.scan(dataset, rows or {"train": np.arange(len(dataset))})
    warnings += [*scan.findings, *scan.notes]
    columns = bare.columns(scan.findings) if bare is not None else whole.columns(dataset, scan.findings)
    return Inspected(columns, list(whole.facts(dataset, rows)), warnings)


def _divided(cfg: DictConfig, dataset: Dataset) -> tuple[dict[str, np.ndarray] | None, list[str]]:
    """Returns the splits, or why there are none."""
    try:
        usable = build(cfg.preprocessing)(dataset).usable()
        return build(cfg.split)(dataset, usable), []
    except UserError as error:
        return None, [f"it can't be divided: {error}"]


def main(cfg: DictConfig) -> None:
    """Shows what a config's data set holds."""
    asked: Inspect = build(cfg.inspect)
    found = inspect(cfg)
    shown = found.columns[:MOST_SHOWN]
    show_table("Columns", HEADINGS, [_row(column) for column in shown], left=WORDS)
    if more := len(found.columns) - len(shown):
        say(f"{more} more columns: inspect.out=columns.csv writes all")
    for heading, line in found.facts:
        say(f"{heading:<11}{line}")
    for line in found.warnings:
        say(f"{'Warning':<11}{line}")
    if asked.out:
        _write(Path(asked.out).expanduser(), found.columns)
        say(f"{'Written':<11}{asked.out}")


def _row(column: Column) -> list[str]:
    missing = ""
    if column.missing is not None:
        missing = f"{column.missing} ({column.missing_percent:g} %)" if column.missing else "0"
    levels = "" if column.levels is None else str(column.levels)
    return [column.name, column.kind, column.role, column.unit, levels, column.values, missing, column.suspects]


def _write(path: Path, columns: Sequence[Column]) -> None:
    """Writes the columns as a CSV, with a row each."""
    with blame("inspect.out", OSError), path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Column._fields)
        writer.writerows(columns)
