"""``medfit report``: an experiment's question, data, search, results and plots as one page that needs no network."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from medfit import config
from medfit.console import say
from medfit.errors import UserError
from medfit.store import Store

if TYPE_CHECKING:
    from medfit.evaluate import Evaluation

TEMPLATE = Path(__file__).parent / "report.html"
NUM_TRIALS = 5
KEYS = ["patients", "model", "fold", "seed"]
Rows = list[list[str]]


def report(cfg: DictConfig) -> str:
    """Returns the page, filled from the experiment's folder and the tracker.

    Args:
        cfg: As :func:`medfit.config.compose` gives it, with an experiment.

    Raises:
        UserError: no experiment is named, or nothing has been run.
    """
    from jinja2 import Environment

    if not cfg.experiment:
        raise UserError("report needs an experiment: medfit report experiment=<name>")
    folder = config.EXPERIMENTS / cfg.experiment
    store = Store(cfg)
    experiment = store.client.get_experiment_by_name(cfg.experiment)
    if experiment is None:
        raise UserError(f"experiment={cfg.experiment} has no runs yet; run: medfit sweep experiment={cfg.experiment}")
    facts: dict[str, Any] = {"name": cfg.experiment, "question": _question(folder)}
    if (folder / "best.yaml").exists():
        facts["best"] = (folder / "best.yaml").read_text()
    if (folder / "results.csv").exists():
        facts |= _results(pd.read_csv(folder / "results.csv"))
    with TemporaryDirectory() as temporary:
        facts |= _from_runs(cfg, store, experiment.experiment_id, Path(temporary))
    return Environment(autoescape=True).from_string(TEMPLATE.read_text()).render(**facts)


def main(cfg: DictConfig) -> None:
    """Writes the page below the output folder and says where."""
    page = report(cfg)
    path = config.output_dir(cfg) / "reports" / f"{cfg.experiment}.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(page)
    say(f"Report    {path}")


def _question(folder: Path) -> str:
    """Returns the first comment of the experiment's config."""
    lines = (folder / "config.yaml").read_text().splitlines()
    return next((line.lstrip("# ") for line in lines if line.startswith("#") and "@package" not in line), "")


def _results(table: pd.DataFrame) -> dict[str, Any]:
    return {"results": wide(table), "num_trainings": int(table.trainings.max())}


def results(found: "Evaluation") -> pd.DataFrame:
    """Returns what ``results.csv`` holds of an evaluation: a row for each model and metric."""
    if "scores" in found.tables:
        return found.tables["scores"]
    metrics = [column for column in found.trainings if column not in KEYS]
    rows = []
    for (patients, model), values in found.trainings.groupby(["patients", "model"], sort=False)[metrics]:
        for metric in metrics:
            row = {"patients_of": patients, "model": model, "metric": metric, "estimate": values[metric].mean()}
            rows.append(row | {"sd": values[metric].std(), "trainings": len(values), "opening": found.opening})
    return pd.DataFrame(rows)


def summary_rows(found: "Evaluation") -> Rows:
    """Returns a header and a row for each metric, a column for each model: estimates with their intervals."""
    return wide(results(found))


def wide(table: pd.DataFrame) -> Rows:
    """Returns a header and a row for each metric: its estimate and interval for each model and set of patients.

    Args:
        table: As ``results.csv`` holds it.
    """
    table = table[~table.metric.str.contains("/")]
    metrics, several = list(dict.fromkeys(table.metric)), table.patients_of.nunique() > 1
    columns = {}
    for (patients, model), own in table.groupby(["patients_of", "model"], sort=False):
        cells = own.set_index("metric").to_dict("index")
        name = f"{model}, {patients}" if several else str(model)
        columns[name] = [estimate(cells[metric]) if metric in cells else "–" for metric in metrics]
    return [["metric", *columns], *([m, *(cells[k] for cells in columns.values())] for k, m in enumerate(metrics))]


def estimate(row: Mapping[str, Any]) -> str:
    """Returns an estimate with its interval, and the standard deviation over trainings where there are several."""
    if not np.isfinite(row["estimate"]):
        return "–"
    ends = (row.get("low", np.nan), row.get("high", np.nan))
    interval = f" ({number(ends[0])} to {number(ends[1])})" if np.isfinite(ends).all() else ""
    return number(row["estimate"]) + interval + (f" ± {number(row['sd'])}" if np.isfinite(row["sd"]) else "")


def number(value: float) -> str:
    """Returns three digits after the point of small numbers, fewer of larger ones."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def _from_runs(cfg: DictConfig, store: Store, experiment_id: str, folder: Path) -> dict[str, Any]:
    """Returns what the latest runs say of data, split, search, plots and machine."""
    facts: dict[str, Any] = {"openings": store.count(experiment_id, "evaluation")}
    latest = _latest(store, experiment_id, "evaluation", "sweep", "run")
    if latest is not None:
        facts |= _facts(store, latest, folder)
    whole = " and params.`split.num_folds` = 'null'"  # not the search of a fold
    if (study := _latest(store, experiment_id, "sweep", also=whole)) is not None:
        facts |= _trials(
            Path(store.client.download_artifacts(study.info.run_id, "trials.csv", str(folder))),
            cfg.sweep.direction,
        )
    if (trained := _latest(store, experiment_id, "seed", "run")) is not None:
        plots = Path(store.client.download_artifacts(trained.info.run_id, "plots", str(folder)))
        images = sorted(plots.glob("*.png"))
        facts["plots"] = [(p.stem.replace("_", " "), base64.b64encode(p.read_bytes()).decode()) for p in images]
    return facts


def _latest(store: Store, experiment_id: str, *kinds: str, also: str = "") -> Any:
    """Returns the latest finished run of the first kind that has one."""
    for kind in kinds:
        query = f"tags.kind = '{kind}' and attributes.status = 'FINISHED'" + also
        if found := store.client.search_runs([experiment_id], query, max_results=1):
            return found[0]
    return None


def _facts(store: Store, run: Any, folder: Path) -> dict[str, Any]:
    def read(name: str) -> Any:
        return json.loads(Path(store.client.download_artifacts(run.info.run_id, name, str(folder))).read_text())

    proof = read("data/split.json")
    inputs = run.inputs.dataset_inputs
    source = json.loads(inputs[0].dataset.source)["source"] if inputs else ""
    return {
        "proof": proof,
        "data": {"source": source, "sha256": read("data/schema.json")["sha256"]},
        "split": _split_rows(proof),
        "environment": read("environment.json"),
        "commit": run.data.tags.get("mlflow.source.git.commit", "unknown")[:10],
        "dirty": run.data.tags.get("git.dirty", ""),
    }


def _split_rows(proof: dict[str, Any]) -> Rows:
    splits = {name: counts for name, counts in proof.items() if isinstance(counts, dict)}
    classes = sorted({name for counts in splits.values() for name in counts.get("classes", {})})
    rows = [["", "patients", "samples", *(f"class {name}" for name in classes)]]
    for name, counts in splits.items():
        of_class = [str(counts.get("classes", {}).get(c, 0)) for c in classes]
        rows.append([name, str(counts["patients"]), str(counts["samples"]), *of_class])
    return rows


def _trials(path: Path, direction: str | Sequence[str]) -> dict[str, Any]:
    table = pd.read_csv(path)
    direction = direction if isinstance(direction, str) else direction[0]
    values = [column for column in table if column.startswith("params_")]
    score = next(column for column in table if column.startswith("value"))  # of several objectives, the first
    finished = table[table.state == "COMPLETE"].sort_values(score, ascending=direction == "min").head(NUM_TRIALS)
    rows = [["trial", "score", *(name.removeprefix("params_") for name in values)]]
    for _, row in finished.iterrows():
        cells = [f"{row[name]:.4g}" if isinstance(row[name], float) else str(row[name]) for name in values]
        rows.append([str(row["number"]), f"{row[score]:.4f}", *cells])
    return {"trials": rows, "num_trials": len(table)}
