"""The flow of patients: from what was read to the three splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medfit.data.splits import SPLITS
from medfit.evidence.predictions import TargetKind
from medfit.reporting.formatting import plural

NAMES = {"train": "training", "val": "validation", "test": "test"}
MOST_CLASSES = 12


@dataclass(frozen=True)
class Box:
    """A box of the diagram.

    Args:
        title: Above.
        lines: Below it.
        kind: ``stage``, ``out`` (what leaves it) or a split.
    """

    title: str
    lines: list[str] = field(default_factory=list)
    kind: str = "stage"


def boxes(proof: Mapping[str, Any], schema: Mapping[str, Any], kind: TargetKind) -> dict[str, list[Box]]:
    """Returns the diagram's boxes: ``read``, ``out``, ``divided`` and ``splits``; nothing without a split.

    Args:
        proof: As :func:`medfit.data.splits.proof` makes it.
        schema: Of the data, with the names of targets.
        kind: Of targets.
    """
    if not proof:
        return {}
    made = {"splits": [_split(name, proof[name], classes(schema, kind)) for name in SPLITS if name in proof]}
    if not (flow := proof.get("flow")):
        return made | {"read": [], "out": [], "divided": []}
    return made | {
        "read": [Box("Read", [plural(flow["read"], "sample")])],
        "out": [Box("Left out", left_out(flow), "out")],
        "divided": [
            Box("Divided by patient", [plural(flow["patients"], "patient"), plural(flow["divided"], "sample")])
        ],
    }


def left_out(flow: Mapping[str, Any]) -> list[str]:
    """Returns a line for each reason for which samples are in no split."""
    lines = [f"{count}: {reason}" for reason, count in flow["excluded"].items()]
    if flow["unusable"]:
        lines.append(f"{flow['unusable']}: with missing values, which preprocessing leaves out")
    if flow["not_drawn"]:
        lines.append(f"{flow['not_drawn']}: not drawn (split.sampling or split.num_patients)")
    return lines or ["none"]


def classes(schema: Mapping[str, Any], kind: TargetKind) -> dict[str, str]:
    """Returns the names of the classes by the numbers under which they are counted."""
    return kind.class_names([column["name"] for column in schema.get("columns", []) if column["role"] == "target"])


def _split(name: str, counts: Mapping[str, Any], named: Mapping[str, str]) -> Box:
    lines = [plural(counts["patients"], "patient")]
    if counts["samples"] != counts["patients"]:
        lines.append(plural(counts["samples"], "sample"))
    own = {number: counts.get("classes", {})[number] for number in named if number in counts.get("classes", {})}
    lines += [f"{named[number]}: {count}" for number, count in list(own.items())[:MOST_CLASSES]]
    if len(own) > MOST_CLASSES:
        lines.append(f"and {len(own) - MOST_CLASSES} more classes")
    return Box(NAMES[name].capitalize(), lines, name)
