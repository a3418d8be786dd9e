"""Reporting guidelines: what a paper has to say, and where the page says it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """An item of a guideline.

    Args:
        number: In the guideline.
        topic: What is asked for, in our words.
        facts: What the page tells of it: keys of :func:`medfit.reporting.statements.told`.
        author: What is left for the author to write; nothing where the facts are all.
    """

    number: str
    topic: str
    facts: Sequence[str] = ()
    author: str = ""


@dataclass(frozen=True)
class Row:
    """A row of the page's checklist.

    Args:
        number: Of the item.
        topic: Of the item.
        filled: Anchor and text of each fact.
        author: What is left for the author.
        state: ``filled``, ``part`` or ``author``.
    """

    number: str
    topic: str
    filled: list[tuple[str, str]]
    author: str
    state: str


# Collins et al., BMJ 2024;385:e078378
TRIPOD_AI = [
    Item("1", "Title: development or evaluation, the population and the outcome", ["question"], "the title"),
    Item("2", "Abstract", (), "all of it; TRIPOD+AI has a list of its own for abstracts"),
    Item("3", "Why the model is needed, for whom, and known inequalities in care", (), "all of it"),
    Item("4", "Aims: development, evaluation or both", ["question", "scheme"]),
    Item(
        "5",
        "Where the data come from, and from which years",
        ["source"],
        "dates, and how far the data represent the target population",
    ),
    Item("6", "Setting, centres, who was eligible, treatments", ["flow"], "setting, centres, eligibility, treatments"),
    Item(
        "7", "Preparation and checks of the data", ["preprocessing", "leaks"], "checks made before the data were read"
    ),
    Item(
        "8", "Outcome: definition, time, who assessed it", ["outcome"], "definition, time point, assessors and blinding"
    ),
    Item(
        "9", "Predictors: choice, definition, measurement", ["features"], "why these, how and when they were measured"
    ),
    Item("10", "Sample size and its reason", ["flow", "size"], "why this size is enough"),
    Item("11", "Missing data", ["missing", "preprocessing"], "why data are missing"),
    Item(
        "12",
        "Analysis: splits, predictors, model, tuning, measures of performance",
        ["split", "model", "search", "scheme", "measures"],
    ),
    Item("13", "Class imbalance", ["imbalance"]),
    Item("14", "Fairness", ["subgroups"], "which groups matter here, and why"),
    Item("15", "What the model puts out, and how thresholds were chosen", ["outcome", "thresholds"]),
    Item(
        "16",
        "Differences between training and evaluation data",
        ["split"],
        "differences of setting, eligibility, outcome and predictors",
    ),
    Item("17", "Ethical approval and consent", (), "all of it"),
    Item(
        "18",
        "Funding, interests, protocol, registration, data and code",
        ["code"],
        "funding, interests, protocol, registration, sharing of data",
    ),
    Item("19", "Patients and public involved", (), "all of it"),
    Item(
        "20",
        "Flow of participants and their characteristics",
        ["flow"],
        "characteristics of the participants, by split",
    ),
    Item("21", "Participants and events in each analysis", ["flow", "size"]),
    Item(
        "22", "The whole model, so that others can predict with it", ["model", "code"], "where the weights can be had"
    ),
    Item("23", "Performance with intervals, also in subgroups", ["scores", "subgroups"]),
    Item("24", "Results of updating the model", ["recalibration"], "updating beyond recalibration, if any"),
    Item(
        "25",
        "Interpretation, with fairness and earlier studies",
        ["baselines"],
        "what it means, beside earlier studies",
    ),
    Item("26", "Limitations", ["warnings"], "limits of data, sample and setting"),
    Item("27", "Use in care: poor or missing inputs, users, next steps", (), "all of it"),
]

# Tejani et al., Radiology: Artificial Intelligence 2024;6:e240300
CLAIM = [
    Item("1", "Title says that and which machine learning is used", ["model"], "the title"),
    Item("2", "Abstract: design, methods, results, conclusions", (), "all of it"),
    Item("3", "Background, and what the method is meant for", (), "all of it"),
    Item("4", "Aims and hypotheses", ["question"]),
    Item("5", "Prospective or retrospective", (), "all of it"),
    Item("6", "Goal of the study", ["question"]),
    Item("7", "Data sources", ["source"]),
    Item("8", "Who and which images were taken in or left out", ["flow"], "criteria applied before the data were read"),
    Item("9", "Preprocessing of images", ["preprocessing"]),
    Item("10", "Choice of parts of the data, such as slices or patches", ["preprocessing"]),
    Item("11", "De-identification", ["pseudonyms"], "how the images themselves were de-identified"),
    Item("12", "Missing data", ["missing", "flow"]),
    Item("13", "How images were acquired", (), "scanners, protocols"),
    Item("14", "Reference standard: definition", ["outcome"], "how it was obtained"),
    Item("15", "Reference standard: reason for the choice", (), "all of it"),
    Item("16", "Reference standard: who annotated, with what experience", (), "all of it"),
    Item("17", "Annotation of the test images", (), "all of it"),
    Item("18", "Agreement of annotators", (), "all of it"),
    Item("19", "How data were assigned to the splits", ["split"]),
    Item("20", "Level at which splits share nothing", ["disjoint", "leaks"]),
    Item("21", "Intended sample size", ["size"], "how it was set"),
    Item("22", "Model: inputs, outputs, layers", ["model", "outcome"]),
    Item("23", "Software", ["software", "code"]),
    Item("24", "First values of the weights", ["weights"]),
    Item("25", "Training: augmentation, optimiser, hyperparameters", ["training", "preprocessing", "search"]),
    Item("26", "How the final model was chosen", ["search", "epoch"]),
    Item("27", "Ensembles", ["ensemble"]),
    Item("28", "Measures of performance", ["measures"]),
    Item("29", "Uncertainty and tests", ["intervals"]),
    Item("30", "Robustness", ["subgroups", "seeds"], "changes of scanner or protocol"),
    Item("31", "Explanations", ["explanations"]),
    Item("32", "Evaluation on internal data", ["scores"]),
    Item("33", "Test on external data", (), "all of it, if there is such a test"),
    Item("34", "Registration of a clinical trial", (), "all of it, if there is one"),
    Item("35", "Numbers of participants and images, left out ones among them", ["flow"]),
    Item(
        "36", "Characteristics of the participants of each split", ["flow"], "demographic and clinical characteristics"
    ),
    Item("37", "Performance, beside what is current practice", ["scores", "baselines"], "current practice"),
    Item("38", "Diagnostic accuracy with its precision", ["scores", "thresholds"]),
    Item("39", "Where the model fails", ["failures"], "why it fails there"),
    Item("40", "Limitations", ["warnings"], "limits of data, sample and setting"),
    Item("41", "What it means for practice", (), "all of it"),
    Item("42", "Where the protocol can be read", (), "all of it"),
    Item("43", "Where software, model and data can be had", ["code", "source"], "where the weights can be had"),
    Item("44", "Funding", (), "all of it"),
]


def checklist(items: Sequence[Item], told: Mapping[str, tuple[str, str]]) -> list[Row]:
    """Returns the rows of a guideline's checklist.

    Args:
        items: Of the guideline.
        told: Anchor and text of each fact that is known.
    """
    rows = []
    for item in items:
        filled = [told[key] for key in item.facts if key in told]
        left = item.author or ("" if filled else "not known from the runs")
        state = "author" if not filled else "part" if item.author else "filled"
        rows.append(Row(item.number, item.topic, filled, left, state))
    return rows
