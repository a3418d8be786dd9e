"""What the runs tell of each item of a guideline: a sentence, and the section of the page that says more."""

from collections.abc import Mapping
from typing import Any

from medfit.reporting import patient_flow, search_settings
from medfit.reporting.collect import ReportData
from medfit.reporting.formatting import plural, public
from medfit.training.started import in_sentences

NOTHING = ("null", "none", "false", "0", "0.0", "[]", "{}")
MOST_SETTINGS = 6
Statements = dict[str, tuple[str, str]]  # by key: the section's anchor and the sentence


def told(facts: ReportData, source: str, gist: dict[str, str]) -> Statements:
    """Returns what is known, by the keys that the items name.

    Args:
        facts: Of the experiment.
        source: Of the data.
        gist: Of the explanations, by method.
    """
    made: Statements = {"question": ("question", facts.question)} if facts.question else {}
    if facts.latest is not None:
        made |= _of_data(facts, source) | _of_training(facts)
    if facts.search is not None and facts.trials is not None:
        made["search"] = (
            "search",
            f"{search_settings.counts(facts.trials)}, by {search_settings.objective(facts.space)}",
        )
    if gist:
        made["explanations"] = ("explanations", f"by {', '.join(name.replace('_', ' ') for name in gist)}")
    return made | (_of_evaluation(facts) if facts.evaluation else {})


def _of_data(facts: ReportData, source: str) -> Statements:
    proof, columns = facts.proof, facts.schema.get("columns", [])
    targets = [column["name"] for column in columns if column["role"] == "target"]
    features = len(columns) - len(targets)
    splits = [
        f"{proof[name]['patients']} in {patient_flow.NAMES[name]}" for name in patient_flow.NAMES if name in proof
    ]
    made: Statements = {
        "source": ("data", public(source)),
        "outcome": ("data", f"{facts.kind.name}: {', '.join(targets[:6])}{' and more' if len(targets) > 6 else ''}"),
        "split": ("data", f"by patient: {', '.join(splits)}"),
        "disjoint": ("data", f"patients in two splits: {proof.get('patients_in_two_splits', 'unknown')}"),
        "features": ("data", plural(features, "feature")),
        "pseudonyms": ("data", "runs keep keyed hashes in the place of patients' identifiers"),
        "leaks": ("data", leaks(proof)),
    }
    if known := proof.get("flow"):
        left = sum(known["excluded"].values()) + known["unusable"] + known["not_drawn"]
        made["flow"] = ("data", f"{known['read']} samples read, {left} left out, {known['patients']} patients")
    if "missing" in proof:
        made["missing"] = (
            "data",
            f"{sum(proof['missing'].values())} cells of {plural(len(proof['missing']), 'feature')}",
        )
    return made


def leaks(proof: dict[str, Any]) -> str:
    """Returns what the leak scan found and what it did not look at, in a sentence; older runs say only the former."""
    if "leaks" not in proof:
        return "the leak scan was not run"
    found, gaps = proof["leaks"], proof.get("leak_scan", {}).get("not_looked_at", [])
    told = f"the leak scan found: {'; '.join(found)}" if found else "the leak scan found nothing"
    if not gaps:
        return told
    return f"{told if found else 'the leak scan was not complete'}; {'; '.join(gaps)}"


def weights(proof: Mapping[str, Any]) -> str:
    """Returns what trainings started from, in a sentence."""
    others = "the others " if proof.get("init_from") else ""
    return "; ".join([*in_sentences(proof), f"{others}drawn at random, by the seed"])


def _of_training(facts: ReportData) -> Statements:
    assert facts.latest is not None
    params, config = facts.latest.run.data.params, facts.config
    sampling, weighed = params.get("split.sampling", "none"), params.get("task.class_weight", "null")
    imbalance = [f"training rows {sampling}-sampled"] if sampling != "none" else []
    imbalance += [f"classes weighed ({weighed})"] if weighed != "null" else []
    made: Statements = {
        "model": ("model", str(config.get("choices", {}).get("model", ""))),
        "preprocessing": ("preprocessing", f"{_preprocessing(params)}; learnt from the training rows alone"),
        "training": ("model", f"{params.get('regime', '')}: {params.get('regime.epochs', '?')} epochs at most"),
        "weights": ("model", weights(facts.proof)),
        "epoch": ("model", _epoch(facts)),
        "ensemble": ("model", "none: scores are means over trainings of single models"),
        "software": ("software", software(facts.environment)),
        "code": ("software", f"commit {facts.latest.tags.get('mlflow.source.git.commit', 'unknown')[:10]}"),
    }
    if facts.kind.classifies:
        made["imbalance"] = ("model", " and ".join(imbalance) or "neither weighed nor sampled")
    return made


def _epoch(facts: ReportData) -> str:
    if facts.proof.get("val", {}).get("samples") == 0:
        return "the last one: there was no validation split"
    return f"the epoch with the best {facts.config.get('task', {}).get('monitor', 'validation score')}"


def _preprocessing(params: Mapping[str, str]) -> str:
    """Returns what is done, in the words of the settings that do something."""
    own = {
        path.removeprefix("preprocessing."): value
        for path, value in params.items()
        if path.startswith("preprocessing.")
    }
    done = [f"{name} {public(value)}" for name, value in sorted(own.items()) if value not in NOTHING]
    return ", ".join(done[:MOST_SETTINGS]) + (" and more" if len(done) > MOST_SETTINGS else "")


def software(environment: Mapping[str, Any]) -> str:
    """Returns the software that made results, with its versions."""
    versions = environment.get("versions", {})
    named = [f"{name} {versions[name]}" for name in ("torch", "lightning", "monai") if name in versions]
    return ", ".join([f"Python {environment.get('python', '')}", *named])


def _of_evaluation(facts: ReportData) -> Statements:
    tables = facts.tables
    made: Statements = {}
    if "scores" in tables:
        table = tables["scores"]
        metrics = [name for name in dict.fromkeys(table.metric) if "/" not in name]
        made |= {
            "scores": ("results", "with 95 % intervals over patients"),
            "measures": ("results", ", ".join(metrics)),
            "intervals": ("results", f"{', '.join(dict.fromkeys(table.method))}; paired gains over the baselines"),
            "size": ("results", plural(int(table.patients.max()), "test patient")),
            "seeds": ("seeds", plural(int(table.trainings.iloc[0]), "training")),
            "scheme": ("results", f"scored on: {table.patients_of.iloc[0]}"),
        }
    if "against" in tables:
        made["baselines"] = ("results", f"beside {', '.join(dict.fromkeys(tables['against'].baseline))}")
    if "thresholds" in tables:
        made["thresholds"] = ("decisions", f"rule “{facts.config['evaluate']['threshold']}”, on validation patients")
    if "calibration" in tables and (tables["calibration"].recalibration != "none").any():
        made["recalibration"] = ("calibration", "recalibration learnt from validation patients")
    if "subgroups" in tables:
        made["subgroups"] = ("subgroups", f"by {', '.join(dict.fromkeys(tables['subgroups'].column))}")
    if "patients" in tables:
        made["failures"] = ("patients", "the patients with the lowest Dice")
    if facts.warnings:
        made["warnings"] = ("summary", "; ".join(facts.warnings))
    return made
