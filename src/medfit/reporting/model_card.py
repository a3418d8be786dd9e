"""A model card: what is known of a finished model, from the facts of its run (Mitchell et al., FAT* 2019)."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from medfit.evidence.decisions import Decisions
from medfit.evidence.targets.known import named
from medfit.reporting import tables
from medfit.reporting.finished_runs import Record
from medfit.reporting.formatting import Rows, in_one_line, number
from medfit.reporting.markdown import line
from medfit.reporting.patient_flow import NAMES, boxes
from medfit.reporting.statements import leaks, software
from medfit.tracking.store import Store
from medfit.training.started import in_sentences

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
    members = [Record(store, store.client.get_run(own["run_id"])) for own in about.get("members", [])]
    parent = {"seed": run.tags.get("mlflow.parentRunId"), "evaluation": run.id}.get(run.tags.get("kind", ""))
    evaluation = Record(store, store.client.get_run(parent)) if parent else None
    single = _tested(about, evaluation) if evaluation else _validated(run)
    sections = {
        "Purpose": [purpose or PURPOSE],
        "Data": _data(about, run, members),
        "Patients": _patients(about, run, members),
        "Performance": [*(_of_ensemble(about, run, single) if members else single), *_decided(decisions)],
        "Limits": _limits(run, evaluation),
        "Software": [software(run.json("environment.json")) + f"; medfit at commit {_commit(run)}; run {run.id}"],
        "Licence": [LICENCE],
    }
    return f"# {name}\n\n" + "\n\n".join("\n".join([f"## {title}", "", *lines]) for title, lines in sections.items())


def _data(about: Mapping[str, Any], run: Record, members: Sequence[Record]) -> Iterator[str]:
    inputs = run.run.inputs.dataset_inputs if run.run.inputs else []
    yield f"- {about['samples']}" + "".join(f" of {used.dataset.name}: {_source(used)}" for used in inputs)
    if members:
        yield f"- predicted is the mean of {len(members)} trainings: runs {', '.join(own.id for own in members)}"
    features = [column for column in run.json("data/schema.json").get("columns", []) if column["role"] != "target"]
    shown = [f"{one['name']}" + (f" ({one['unit']})" if one.get("unit") else "") for one in features[:MOST_INPUTS]]
    more = f" and {len(features) - MOST_INPUTS} more" if len(features) > MOST_INPUTS else ""
    yield f"- {len(features)} inputs: {', '.join(shown)}{more}"
    yield f"- predicted: {about['task']} ({', '.join(map(str, about['target_names']))})"
    yield from (f"- the model's files hold {held}" for held in about["expected"].get("holds", ()))
    yield from (f"- in training, {line}" for line in in_sentences(run.json("data/split.json")))
    splits = {member["split_sha256"] for member in about.get("members", [about])}
    division = f", of the split {splits.pop()[:16]}" if len(splits) == 1 else ""
    yield f"- fingerprint of the data {about['data_sha256'][:16]}{division}"


def _patients(about: Mapping[str, Any], run: Record, members: Sequence[Record]) -> Iterator[str]:
    proofs = [own.json("data/split.json") for own in members or [run]]
    if len({proof.get("assignment_sha256") for proof in proofs}) > 1:
        yield "- patients were divided anew for each of several groups of trainings; of a training were:"
        for name, words in NAMES.items():
            counts = (_span(proof[name][what] for proof in proofs) for what in ("samples", "patients"))
            yield "- {}: {} samples of {} patients".format(words, *counts)
        return
    flow = boxes(proofs[0], run.json("data/schema.json"), named(str(about["task"])))
    yield from (
        f"- {box.title.lower()}: {'; '.join(box.lines)}" for place in ("splits", "out") for box in flow.get(place, ())
    )


def _span(counts: Iterable[int]) -> str:
    found = sorted(set(counts))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


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
    one = "" if "members" in about else ", of which this model is one"
    yield f"On test patients: means over the trainings of an evaluation{one}; in brackets 95 % intervals over patients."
    kind = named(str(about["task"]))
    shown = {f"Scored on: {patients}": rows for patients, _, rows in tables.scores(scores)}
    made = {"calibration": tables.calibration, "thresholds": tables.rates, "subgroups": tables.subgroups}
    for name, table in made.items():
        found = evaluation.table(f"evidence/{name}.csv")
        if found is not None and len(found):
            shown[name.capitalize()] = table(found)
    yield from _tables(shown)
    yield ""
    yield from (f"- {told}" for told, _ in tables.verdicts(evaluation.table("evidence/against.csv"), kind))


def _tables(shown: Mapping[str, Rows]) -> Iterator[str]:
    for title, rows in shown.items():
        header, *rest = in_one_line(rows)
        yield from ["", f"{title}:", "", line(header), "|" + "---|" * len(header), *map(line, rest)]


def _of_ensemble(about: Mapping[str, Any], run: Record, single: Iterable[str]) -> Iterator[str]:
    """Yields what is known of the mean of trainings, then what is known of the single ones."""
    own = run.table("evidence/ensemble.csv")
    alike = len({member["split_sha256"] for member in about["members"]}) == 1
    if own is not None:
        yield "Of the mean of the trainings, which is predicted; in brackets 95 % intervals over patients:"
        yield from _tables({f"Scored on: {patients}": rows for patients, _, rows in tables.scores(own)})
    elif alike:
        yield "**Its own score was not measured**: that of the mean of the trainings, which is predicted."
    else:
        yield "**Its own score is not known**: each patient has taught some of the trainings whose mean is predicted."
        yield "Thresholds and intervals come from predictions of patients by those trainings alone that had not learnt"
        yield "from them; as the mean is less extreme than these, there is no recalibration."
    yield from ["", "### The single trainings", "", *single]


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
