"""When and how the experiment was run: commands, times, and who opened the test split how often."""

import shlex
from typing import Any

from medfit.reporting.collect import ReportData
from medfit.reporting.finished_runs import Record, in_a_fold
from medfit.reporting.formatting import Rows, duration, ordinal, plural, public

NOT_REPEATED = ("experiment", "output_dir", "tracking")  # where results go is the reader's own


def commands(facts: ReportData) -> list[str]:
    """Returns what to type to make all of this again, a line each."""
    made = []
    if facts.search is not None and not in_a_fold(facts.search):
        made.append(_command("sweep", facts.name, facts.search.config()))
    made.append(_command("evaluate", facts.name, facts.config if facts.evaluation else {}))
    return [*made, f"make report EXPERIMENT={facts.name}"]


def _command(name: str, experiment: str, config: dict[str, Any]) -> str:
    own = [line for line in config.get("overrides", []) if not _elsewhere(line)]
    which = f"{experiment}/best" if config.get("best") else experiment
    words = public(
        shlex.join(line.removeprefix("++") if line.startswith("++evaluate.subgroups={") else line for line in own)
    )
    escaped = words.replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return f"make {name} EXPERIMENT={which}" + (f' ARGS="{escaped}"' if own else "")


def _elsewhere(line: str) -> bool:
    path = line.lstrip("+~").split("=")[0]
    return path.split(".")[0] in NOT_REPEATED or path == "sweep.accept_changes"


def openings(facts: ReportData) -> Rows:
    """Returns each evaluation, those among them done again: every one saw the scores of test patients."""
    rows: Rows = [["opening", "day", "configuration", "scored on", "ended"]]
    for record in sorted([*facts.evaluations, *facts.reruns], key=lambda record: record.run.info.start_time):
        opening = record.tags.get("test_opening")
        told = ordinal(int(opening)) if opening else "–"
        rows.append([told, record.day, record.name, _scored_on(record), record.run.info.status.lower()])
    return rows


def _scored_on(record: Record) -> str:
    asked = record.config().get("evaluate", {})
    if asked.get("site"):
        return f"each {asked['site']}"
    return f"{asked['num_folds']} folds" if asked.get("num_folds") else "test split"


def times(facts: ReportData) -> list[str]:
    """Returns how long what took, a line each."""
    seeds = [child.metrics for child in facts.children if child.tags.get("kind") == "seed"]
    fits = [metrics["fit_duration_s"] for metrics in seeds if "fit_duration_s" in metrics]
    made = []
    if facts.search is not None:
        made.append(f"search: {duration(facts.search.duration_s)}")
    if fits:
        each = duration(sum(fits) / len(fits))
        made.append(f"{plural(len(fits), 'training')}: {each} each on average, {duration(sum(fits))} in all")
    if facts.evaluation is not None:
        made.append(f"evaluation with its baselines and intervals: {duration(facts.evaluation.duration_s)}")
    return made
