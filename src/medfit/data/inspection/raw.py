"""A user's table as it stands, before there is a target or although a data set can't be made of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from medfit.data.datasets.options import Options, TableReader
from medfit.data.datasets.roles import check_columns
from medfit.data.inspection.columns import Column, of_table


class Raw(NamedTuple):
    """A table as it was read.

    Args:
        table: Its columns.
        roles: Of columns, as :class:`medfit.data.inspection.columns.Column` holds them.
        kinds: Of columns whose kind is said.
        units: Of columns.
    """

    table: pd.DataFrame
    roles: dict[str, str]
    kinds: dict[str, str]
    units: dict[str, str]

    def columns(self, told: list[str]) -> list[Column]:
        """Returns what is told of each column, given what a leak scan found."""
        return of_table(self.table, self.roles, self.kinds, self.units, told)


def has_target(node: Mapping[str, Any]) -> bool:
    """Tells whether a data set's config says what to learn."""
    return "target_rule" not in node or any(node.get(key) is not None for key in ("target", "target_rule", "symbols"))


def read(node: Mapping[str, Any]) -> Raw | None:
    """Returns the table that a data set's config names: of the features, or of labels; None where there is none.

    Args:
        node: The config, as plain values.

    Raises:
        UserError: it can't be read, or a column that is named is not there.
    """
    labels = node.get("labels")
    path = labels or node.get("path")
    if "target_rule" not in node or not path or not Path(path).expanduser().is_file():
        return None
    options: Any = {key: node[key] for key in Options.__annotations__ if key in node}
    reader = TableReader(**options)
    whole = reader.read(path, "labels" if labels else "path", node.get("header", True))
    table, units = reader.tidied(whole, [node.get(key) for key in ("patient", "split", "record", "image")])
    named = {key: node.get(key) for key in ("target", "patient", "split", "exclude", "kinds")}
    check_columns(table, named)
    return Raw(table, _roles(table, named, node.get("target_rule")), dict(node.get("kinds") or {}), _units(node, units))


def _units(node: Mapping[str, Any], found: Mapping[str, str]) -> dict[str, str]:
    return {**found, **(node.get("units") or {})}


def _roles(table: pd.DataFrame, named: Mapping[str, Any], rule: str | None) -> dict[str, str]:
    """Returns the roles of columns; those of a rule's are targets."""
    words = {"target": "target", "patient": "patient", "split": "split", "exclude": "left out"}
    roles: dict[str, str] = {}
    for key, role in words.items():
        columns = named[key] or ()
        roles |= dict.fromkeys([columns] if isinstance(columns, str) else columns, role)
    asked = max((str(name) for name in table if (rule or "").startswith(str(name))), key=len, default=None)
    return roles | ({asked: "target"} if asked else {})
