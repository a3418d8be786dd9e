"""The report in short, for the experiment's folder."""

from medfit.reporting import history, tables, validations
from medfit.reporting.collect import ReportData
from medfit.reporting.formatting import in_one_line, ordinal
from medfit.reporting.results import wide

Lines = list[str]


def render(facts: ReportData) -> str:
    """Returns Markdown: question, results, verdict, openings and commands.

    Args:
        facts: Of the experiment.
    """
    parts = [
        [f"# {facts.question or facts.name}"],
        ["Written by `make report`; [report.html](report.html) says all of it."],
        ["## Results", "", *_results(facts)],
        ["## Beside the baselines", "", *_verdict(facts)],
        *([["## Subgroups", "", *_subgroups(facts)]] if "subgroups" in facts.tables else []),
        *([["## Validation elsewhere", "", *_elsewhere(facts)]] if facts.validations else []),
        ["## Openings of the test patients", "", *_openings(facts)],
        ["## Again", "", "```", *history.commands(facts), "```"],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _results(facts: ReportData) -> Lines:
    if facts.results is None or not len(facts.results):
        return [f"Not evaluated yet: `make evaluate EXPERIMENT={facts.name}`"]
    lines: Lines = []
    for patients, own in facts.results.groupby("patients_of", sort=False):
        header, *rows = wide(own)
        lines += [f"Scored on: {patients}.", "", line(header), "|" + "---|" * len(header), *map(line, rows), ""]
    told = "95 % intervals over patients in brackets; ± is the standard deviation over trainings."
    return [*lines, told, *_ensemble(facts)]


def _ensemble(facts: ReportData) -> Lines:
    """Returns the scores of the mean of the trainings of the evaluation that is shown in detail, if it has any."""
    if "ensemble" not in facts.tables:
        return []
    own = facts.tables["ensemble"]
    header, *rows = in_one_line(tables.ensemble(own))
    told = f"The mean of the trainings as one model, scored on: {own.patients_of.iloc[0]}."
    return ["", told, "", line(header), "|" + "---|" * len(header), *map(line, rows)]


def _subgroups(facts: ReportData) -> Lines:
    header, *rows = in_one_line(tables.subgroups(facts.tables["subgroups"]))
    return [line(header), "|" + "---|" * len(header), *map(line, rows)]


def _elsewhere(facts: ReportData) -> Lines:
    lines: Lines = []
    for record in facts.validations:
        one = validations.of_run(record)
        header, *rows = next(iter(one["tables"].values()))
        lines += [f"{one['title']}.", "", line(header), "|" + "---|" * len(header), *map(line, rows), ""]
    return [*lines, "95 % intervals over patients in brackets."]


def line(cells: list[str]) -> str:
    """Returns a row of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _verdict(facts: ReportData) -> Lines:
    told = tables.verdicts(facts.tables.get("against"), facts.kind)
    notes = [f"- Note: {line}." for line in facts.warnings if not line.startswith("the network does not beat")]
    return [*(f"- {sentence}" for sentence, _ in told), *notes] or ["No baselines were scored."]


def _openings(facts: ReportData) -> Lines:
    if not facts.evaluation:
        return ["None yet."]
    lines = [f"The evaluation shown, of {facts.evaluation.day}, was the {ordinal(facts.opening)}."]
    if facts.opening > 1:
        lines.append("These patients had been scored before, so the results are no longer of a first look.")
    return lines
