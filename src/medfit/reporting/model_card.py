"""A model card: what is known of a finished model, from the facts of its run (Mitchell et al., FAT* 2019)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from medfit.evidence.decisions import Decisions
from medfit.evidence.targets.known import named
from medfit.reporting import tables
from medfit.reporting.finished_runs import Record
from medfit.reporting.formatting import in_one_line, number
from medfit.reporting.markdown import line
from medfit.reporting.patient_flow import boxes
from medfit.reporting.statements import leaks, software
from medfit.tracking.store import Store

PURPOSE = "*To be written by the authors: for which patients, which decision and whose hands, and for which not.*"
LICENCE = "*To be chosen by the authors; the licence of the data stands above.*"


MOST_INPUTS = 40  # that are named


def card(store: Store, about: Mapping[str, Any], decisions: Decisions, name: str, purpose: str | None) -> str:
    """Returns a model's card as Markdown.

    Args:
        store: That has the run.
        about: What the finished model says of itself.
        decisions: What validation patients decided about its predictions.
        name: Of the model.
        purpose: In the author's words; None leaves a line that asks for it.
    """
    run = Record(store, store.client.get_run(about["run_id"]))
    parent = run.tags.get("mlflow.parentRunId") if run.tags.get("kind") == "seed" else None
    evaluation = Record(store, store.client.get_run(parent)) if parent else None
    sections = {
        "Purpose": [purpose or PURPOSE],
        "Data": _data(about, run),
        "Patients": _patients(about, run),
        "Performance": [*(_tested(about, evaluation) if evaluation else _validated(run)), *_decided(decisions)],
        "Limits": _limits(run, evaluation),
        "Software": [software(run.json("environment.json")) + f"; medfit at commit {_commit(run)}; run {run.id}"],
        "Licence": [LICENCE],
    }
    return f"# {name}\n\n" + "\n\n".join("\n".join([f"## {title}", "", *lines]) for title, lines in sections.items())


def _data(about: Mapping[str, Any], run: Record) -> Iterator[str]:
    inputs = run.run.inputs.dataset_inputs if run.run.inputs else []
    yield f"- {about['samples']}" + "".join(f" of {used.dataset.name}: {_source(used)}" for used in inputs)
    features = [column for column in run.json("data/schema.json").get("columns", []) if column["role"] != "target"]
    shown = [f"{one['name']}" + (f" ({one['unit']})" if one.get("unit") else "") for one in features[:MOST_INPUTS]]
    more = f" and {len(features) - MOST_INPUTS} more" if len(features) > MOST_INPUTS else ""
    yield f"- {len(features)} inputs: {', '.join(shown)}{more}"
    yield f"- predicted: {about['task']} ({', '.join(map(str, about['target_names']))})"
    yield from (f"- the model's files hold {held}" for held in about["expected"].get("holds", ()))
    yield f"- fingerprint of the data {about['data_sha256'][:16]}, of the split {about['split_sha256'][:16]}"


def _patients(about: Mapping[str, Any], run: Record) -> Iterator[str]:
    flow = boxes(run.json("data/split.json"), run.json("data/schema.json"), named(str(about["task"])))
    yield from (
        f"- {box.title.lower()}: {'; '.join(box.lines)}" for place in ("splits", "out") for box in flow.get(place, ())
    )


def _source(used: Any) -> str:
    return str(json.loads(used.dataset.source).get("source", ""))


def _validated(run: Record) -> Iterator[str]:
    yield "**No test patient was scored.** Scores of the validation patients, who chose epoch and settings:"
    yield ""
    yield line(["metric", "value"])
    yield "|---|---|"
    for name, value in sorted(run.metrics.items()):
        if name.startswith("val/"):
            yield line([name, number(value)])


def _tested(about: Mapping[str, Any], evaluation: Record) -> Iterator[str]:
    scores = evaluation.table("evidence/scores.csv")
    if scores is None:
        yield "The evaluation that this model is part of has no scores yet."
        return
    yield "On test patients: means over the trainings of an evaluation, of which this model is one; in brackets 95 %"
    yield "intervals over patients."
    kind = named(str(about["task"]))
    shown = {f"Scored on: {patients}": rows for patients, _, rows in tables.scores(scores)}
    made = {"calibration": tables.calibration, "thresholds": tables.rates, "subgroups": tables.subgroups}
    for name, table in made.items():
        found = evaluation.table(f"evidence/{name}.csv")
        if found is not None and len(found):
            shown[name.capitalize()] = table(found)
    for title, rows in shown.items():
        header, *rest = in_one_line(rows)
        yield from ["", f"{title}:", "", line(header), "|" + "---|" * len(header), *map(line, rest)]
    yield ""
    yield from (f"- {told}" for told, _ in tables.verdicts(evaluation.table("evidence/against.csv"), kind))


def _decided(decisions: Decisions) -> Iterator[str]:
    """Yields what the model does with its outputs."""
    thresholds = ", ".join(f"{name} at {number(at)} or more" for name, at in decisions.thresholds.items())
    recalibrated = decisions.lines or decisions.temperature is not None
    told = [
        f"decides, by validation patients: {thresholds}" if thresholds else "",
        "gives probabilities as they are and recalibrated on validation patients" if recalibrated else "",
        f"gives intervals that hold {decisions.coverage:.0%} of new patients, by errors of {decisions.intervals_from} "
        "patients"
        if decisions.half_widths and decisions.coverage
        else "",
    ]
    if any(told):
        yield from ["", *(f"- The model {line}." for line in told if line)]


def _limits(run: Record, evaluation: Record | None) -> Iterator[str]:
    yield "- It is made from the patients above; other places, devices and times need a validation of their own."
    yield f"- {leaks(run.json('data/split.json')).capitalize()}."
    warned = evaluation.json("evidence/warnings.json").get("warnings", []) if evaluation else []
    yield from (f"- {line[:1].upper()}{line[1:]}." for line in warned)


def _commit(run: Record) -> str:
    changed = " with changes" if run.tags.get("git.dirty") == "true" else ""
    return (run.tags.get("mlflow.source.git.commit") or "unknown")[:12] + changed
