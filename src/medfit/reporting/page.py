"""The report's page: one HTML file that needs no network."""

import json
from pathlib import Path
from typing import Any

from matplotlib import rc_context

from medfit.plots.evidence import figures, first_metric
from medfit.reporting import guidelines, history, page_figures, patient_flow, search_settings, tables, validations
from medfit.reporting.collect import ReportData
from medfit.reporting.formatting import interval, number, ordinal, plural, public
from medfit.reporting.statements import leaks, told

TEMPLATE = Path(__file__).parent / "page.html"
LIBRARIES = (
    "torch",
    "lightning",
    "torchmetrics",
    "monai",
    "scikit-learn",
    "numpy",
    "pandas",
    "scipy",
    "optuna",
    "mlflow",
)
SOME_KINDS = ("calibration", "decisions", "agreement", "patients")  # sections that not all kinds of target have
IMAGES = ("resize", "spacing_mm", "patch_size", "window")  # settings that preprocessing of images alone has


def render(facts: ReportData) -> str:
    """Returns the page.

    Args:
        facts: Of the experiment.
    """
    from jinja2 import Environment, StrictUndefined  # late: a quick start

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return environment.from_string(TEMPLATE.read_text()).render(**context(facts))


def context(facts: ReportData) -> dict[str, Any]:
    """Returns what the template is filled with."""
    shown, gist = page_figures.of_explanations(facts)
    known = told(facts, source(facts), gist)
    checks = {"TRIPOD+AI": guidelines.checklist(guidelines.TRIPOD_AI, known)}
    if of_images(facts):
        checks["CLAIM"] = guidelines.checklist(guidelines.CLAIM, known)
    return {
        "name": facts.name,
        "question": facts.question,
        "left_out": [section for section in SOME_KINDS if section not in facts.kind.sections],
        "tiles": tiles(facts),
        "verdicts": tables.verdicts(facts.tables.get("against"), facts.kind),
        "notes": [line for line in facts.warnings if not line.startswith("the network does not beat")],
        "opening": facts.opening,
        "nth": ordinal(facts.opening),
        "figures": drawn(facts),
        "plots": page_figures.of_training(facts.trained, facts.cases),
        "plotted": facts.trained.name if facts.trained else "",
        "explained": shown,
        "gist": gist,
        "cases_left_out": bool(facts.trained) and not facts.cases,
        "checks": checks,
        "commands": history.commands(facts),
        "openings": history.openings(facts),
        "elsewhere": [validations.of_run(record) for record in facts.validations],
        "times": history.times(facts),
        **_data(facts),
        **_results(facts),
        **_search(facts),
        **_software(facts),
    }


def source(facts: ReportData) -> str:
    """Returns where the data come from."""
    inputs = facts.latest.run.inputs if facts.latest else None
    if inputs is None or not inputs.dataset_inputs:
        return ""
    return json.loads(inputs.dataset_inputs[0].dataset.source).get("source", "")


def of_images(facts: ReportData) -> bool:
    """Tells whether the data are images."""
    if facts.kind.of_images:
        return True
    return any(f"preprocessing.{key}" in facts.latest.run.data.params for key in IMAGES) if facts.latest else False


def tiles(facts: ReportData) -> list[tuple[str, str, str]]:
    """Returns the few numbers at the top: what, how much, and how sure."""
    made = []
    table = facts.tables.get("scores", facts.results)
    if table is not None and len(table):
        metric = facts.kind.headline if facts.kind.headline in set(table.metric) else first_metric(table)
        row = table[table.metric == metric].iloc[0].to_dict()
        made.append((f"{metric}, {row['patients_of']}", number(row["estimate"]), _sure(row)))
        if row.get("patients", 0) > 0:
            events = row.get("events", float("nan"))
            below = f"{events:.0f} with the event" if events == events else "scored"
            made.append(("test patients", f"{row['patients']:.0f}", below))
    if facts.evaluation:
        made.append(("opening of the test patients", ordinal(facts.opening), facts.evaluation.day))
    if facts.trials is not None:
        made.append(("trials searched", str(len(facts.trials)), search_settings.objective(facts.space)))
    return made


def _sure(row: dict[Any, Any]) -> str:
    ends = interval(row)
    return f"95 % interval {ends}" if ends else f"± {number(row['sd'])} over trainings" if row.get("sd", 0) > 0 else ""


def drawn(facts: ReportData) -> dict[str, str]:
    """Returns the evaluation's figures as SVG, by name."""
    with rc_context(page_figures.STYLE):
        return {name: page_figures.svg(figure, name) for name, figure in figures(facts.tables).items()}


def _data(facts: ReportData) -> dict[str, Any]:
    proof, missing = facts.proof, facts.proof.get("missing")
    num_samples = proof["flow"]["read"] - sum(proof["flow"]["excluded"].values()) if "flow" in proof else 0
    columns = facts.schema.get("columns", [])
    return {
        "source": public(source(facts)),
        "sha256": facts.schema.get("sha256", "")[:16],
        "assignment": proof.get("assignment_sha256", "")[:16],
        "flow": patient_flow.boxes(proof, facts.schema, facts.kind),
        "leaks": leaks(proof),
        "leaky": bool(proof.get("leaks")),
        "columns": tables.features(facts.schema, missing, num_samples) if columns else [],
        "more_columns": max(0, len(columns) - tables.MOST_FEATURES),
        "complete": missing == {},
        "unvalidated": facts.evaluation is not None and facts.proof.get("val", {}).get("samples") == 0,
        "folds": facts.evaluation is not None and _folds(facts.config),
    }


def _folds(config: dict[str, Any]) -> bool:
    return bool(config["evaluate"]["num_folds"] or config["evaluate"].get("site"))


def _results(facts: ReportData) -> dict[str, Any]:
    makers = {
        "against": tables.gains,
        "thresholds": tables.rates,
        "calibration": tables.calibration,
        "agreement": tables.agreement,
        "prediction_intervals": tables.prediction_intervals,
        "subgroups": tables.subgroups,
        "patients": tables.worst,
        "optimism": tables.optimism,
        "ensemble": tables.ensemble,
    }
    made: dict[str, Any] = {name: make(facts.tables[name]) for name, make in makers.items() if name in facts.tables}
    if "against" in made:  # the deciding metric's gains in sight, all others to unfold
        header, *rows = made["against"]
        made["first_gains"] = [header, *(row for row in rows if row[0] == rows[0][0])]
    scored = facts.results is not None and len(facts.results)
    return {
        "results": tables.scores(facts.results) if scored else [],
        "of_columns": tables.columns(facts.results) if scored else [],
        "tables": made,
        "detailed": facts.tables["scores"].patients_of.iloc[0] if "scores" in facts.tables else "",
        "evaluated_on": facts.evaluation.day if facts.evaluation else "",
        "rule": facts.config.get("evaluate", {}).get("threshold", "") if facts.evaluation else "",
        "trainings": tables.trainings(facts.trainings, facts.children) if facts.trainings is not None else [],
    }


def _search(facts: ReportData) -> dict[str, Any]:
    params = facts.latest.run.data.params if facts.latest else {}
    found: dict[str, Any] = {
        "chosen": search_settings.chosen(facts.config),
        "settings": {
            part: search_settings.settings(params, part)
            for part in ("model", "task", "regime", "preprocessing", "split")
        },
        "best": public(facts.best),
        "num_fold_searches": facts.num_fold_searches,
        "trials": [],
        "space": [],
        "counted": "",
        "searched_by": search_settings.objective(facts.space),
    }
    if facts.trials is not None:
        best = tables.best_trials(facts.trials, search_settings.direction(facts.space))
        found |= {"trials": best, "counted": search_settings.counts(facts.trials)}
        found["space"] = search_settings.space(facts.space.get("space") or {})
    return found


def _software(facts: ReportData) -> dict[str, Any]:
    known, tags = facts.environment, facts.latest.tags if facts.latest else {}
    versions = known.get("versions", {})
    gpu = f", {known['gpu']} with CUDA {known['cuda']}" if known.get("gpu") else ", no GPU"
    machine = f"{known['platform'].split('-')[0]} on {known['processor']}, " if known else ""  # not its kernel's name
    return {
        "commit": tags.get("mlflow.source.git.commit", "unknown")[:10],
        "dirty": tags.get("git.dirty", "") == "true",
        "python": known.get("python", ""),
        "libraries": [(name, versions[name]) for name in LIBRARIES if name in versions],
        "num_packages": len(versions),
        "machine": f"{machine}{plural(known['cpu_count'], 'processor')}, {known['memory_gib']} GiB{gpu}"
        if known
        else "",
    }
