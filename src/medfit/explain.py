"""``medfit explain``: why a finished run predicts what it predicts, and whether the explanations are to be trusted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from omegaconf import DictConfig
from pydantic import Field

from medfit.config import folders
from medfit.config.instantiate import build
from medfit.data.dataset import Dataset
from medfit.errors import UserError, blame, suggest
from medfit.terminal.console import say, show_table
from medfit.tracking.run import write_files
from medfit.tracking.store import Store

FOLDER = "explanations"


@dataclass(frozen=True)
class Explain:
    """What is explained.

    Args:
        run: The MLflow id of a finished training.
        split: ``val``, ``train``, or ``test`` of a run that has scored it.
        methods: Tables have ``integrated_gradients``, ``feature_ablation``, ``shap`` and ``lime``; series
            ``integrated_gradients`` and ``occlusion``; images ``grad_cam`` and ``occlusion``. None for all of them.
        num_cases: Single cases to show.
        num_samples: Of the split, drawn for the summary; None for 100 rows, 60 series, 24 images, or 4 with masks.
        seed: Of that draw, and of each method: the same numbers every time.
        log_cases: Whether single cases, which show patients' values and images, are logged to the store, too; they
            are always in ``explanations/<run>`` in the output folder.
    """

    run: str | None = None
    split: Literal["train", "val", "test"] = "val"
    methods: Annotated[list[str], Field(min_length=1)] | None = None
    num_cases: Annotated[int, Field(ge=0)] = 3
    num_samples: Annotated[int, Field(ge=2)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    log_cases: bool = False


def explain(cfg: DictConfig) -> dict[str, Any]:
    """Explains a run, logs the explanations to it, and returns their summary; single cases stay in a local folder.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it; says which run, whose own config tells all else.

    Raises:
        UserError: no such run, one that can't be explained, or a method that does not suit its data.
    """
    asked: Explain = build(cfg.explain)
    if not asked.run:
        raise UserError("explain.run is needed: give explain.run=<id of an MLflow run>, which medfit ui shows")
    from medfit.explanations.finished_run import FinishedRun  # late: a quick start

    finished = FinishedRun(Store(cfg), asked.run, asked.split)
    kind = _family(finished.parts.datamodule.dataset)
    methods = _methods(asked, kind)
    family = kind(finished, asked.split, asked.num_samples, asked.seed)
    questions = family.questions()
    if not questions:
        raise UserError(f"explain.run: run {asked.run} predicts nothing but background, so there is nothing to explain")
    found = {method: family.attribute(method, family.task, questions) for method in methods}
    checks = _checks(finished, family, questions, found)
    cases, shown = _cases(family, methods, asked.num_cases)
    summary = {
        "run": asked.run,
        "split": asked.split,
        "num_samples": len(family.rows),
        "seed": asked.seed,
        "methods": {
            method: {
                "gist": family.headline(method, questions, found[method]),
                "randomised_correlation": checks[method].sizes,
                "randomised_signed_correlation": checks[method].signed,
                "depends_on_weights": checks[method].passed,
                **family.told.get(method, {}),
            }
            for method in methods
        },
        "cases": cases,
        "notes": family.notes,
    }
    _keep_cases(cfg, asked.run, {**shown, f"{asked.split}_cases.json": json.dumps(cases)})
    logged = _files(family, questions, found) | (shown if asked.log_cases else {})
    logged["summary.json"] = summary | {"cases": cases if asked.log_cases else []}
    run = finished.run
    run.log_files({f"{FOLDER}/{name}": content for name, content in logged.items()})
    run.log_metrics(_metrics(checks), 0)
    run.flush()
    return summary


def main(cfg: DictConfig) -> None:
    """Explains a run, shows the gist of it, and says where the figures lie."""
    summary = explain(cfg)
    show_table(
        f"Explanations of run {summary['run']}, {summary['num_samples']} samples of {summary['split']}",
        ["method", "gist", "like untrained", "with signs", "depends on weights"],
        [[name, *_row(about)] for name, about in summary["methods"].items()],
    )
    for case in summary["cases"]:
        say(f"Case      {case['title']}")
    for note in summary["notes"]:
        say(f"Note      {note}")
    for name, about in summary["methods"].items():
        if not about["depends_on_weights"]:
            say(f"Warning   {name} explains untrained models much as this one: it may show the input, not the model")
    if summary["cases"]:
        say(f"Cases     {cases_folder(cfg, summary['run'])} (on this machine alone, but for explain.log_cases=true)")
    say(f"Results   the run's page in medfit ui, artifacts below {FOLDER}/")


def cases_folder(cfg: DictConfig, run_id: str) -> Path:
    """Returns where the single cases of a run lie, on this machine alone."""
    return folders.output_dir(cfg) / FOLDER / run_id


def _keep_cases(cfg: DictConfig, run_id: str, files: dict[str, Any]) -> None:
    """Writes single cases into the run's local folder, for its owner alone to read."""
    folder = cases_folder(cfg, run_id)
    with blame("output_dir", OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_files(folder, files)


def _family(dataset: Dataset) -> Any:
    """Returns what explains this kind of data.

    Raises:
        UserError: nothing does.
    """
    from hydra.utils import get_object  # late: a quick start

    if dataset.kind.explainer is None:
        raise UserError(f"explain.run: the run's data are {dataset.kind.samples}, which nothing explains yet")
    return get_object(dataset.kind.explainer)


def _methods(asked: Explain, kind: Any) -> list[str]:
    for method in asked.methods or ():
        if method not in kind.methods:
            raise UserError(
                f"explain.methods: '{method}' does not suit these data{suggest(method, kind.methods)} "
                f"(suited: {', '.join(kind.methods)})"
            )
    return list(dict.fromkeys(asked.methods or kind.methods))


def _checks(finished: Any, family: Any, questions: Sequence[Any], found: dict[str, Any]) -> dict[str, Any]:
    """Returns each method's randomisation test, on questions from all over the summary."""
    from medfit.explanations.sanity import compare  # late: a quick start

    step = max(1, len(questions) // family.num_checked)
    places = range(0, len(questions), step)[: family.num_checked]
    chosen = [questions[i] for i in places]
    tasks = [finished.untrained(family.seed + number) for number in range(family.num_untrained)]
    return {
        method: compare(
            [values[i] for i in places],
            [family.attribute(method, task, chosen) for task in tasks],
            method not in family.unsigned,
        )
        for method, values in found.items()
    }


def _cases(family: Any, methods: Sequence[str], count: int) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Returns what is told of the single cases, and their figures; patients under the run's keyed hashes."""
    chosen = family.cases(count)
    asked = [case.question for case in chosen]
    found = {method: family.attribute(method, family.task, asked) if asked else [] for method in methods}
    told, files = [], {}
    for number, case in enumerate(chosen):
        name = f"{family.split}_case_{number + 1}.png"
        files[name] = family.case(case, {method: values[number] for method, values in found.items()})
        told.append({"file": name, "title": case.title, "patient": family.patient(case.question.row)})
    return told, files


def _files(family: Any, questions: Sequence[Any], found: dict[str, Any]) -> dict[str, Any]:
    files = {
        f"{family.split}_{method}{ending}": content
        for method, values in found.items()
        for ending, content in family.summary(method, questions, values).items()
    }
    return files | {f"{family.split}_{name}": made for name, made in family.compare(questions, found).items()}


def _metrics(checks: dict[str, Any]) -> dict[str, float]:
    """Returns the correlations by their metrics' names."""
    sizes = {f"explain/{method}_randomised_correlation": check.sizes for method, check in checks.items()}
    signed = {f"explain/{m}_randomised_signed_correlation": c.signed for m, c in checks.items() if c.signed is not None}
    return sizes | signed


def _row(about: dict[str, Any]) -> list[str]:
    values = [about["randomised_correlation"], about["randomised_signed_correlation"]]
    told = ["" if value is None else f"{value:.2f}" for value in values]
    return [about["gist"], *told, "yes" if about["depends_on_weights"] else "NO"]
