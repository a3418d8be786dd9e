"""``medfit evaluate``: opens the test split for a chosen configuration, over seeds and folds, beside baselines."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from pydantic import Field

from medfit.config import folders
from medfit.config.overrides import as_override
from medfit.data.dataset import Dataset
from medfit.errors import UserError
from medfit.evaluation.divisions import check_tuned, divided, groups_of, num_folds, scheme, site_names
from medfit.evaluation.ensembles import Member, log_ensemble
from medfit.evaluation.trainings import Trainings
from medfit.evidence import summary
from medfit.evidence.predictions import TargetKind
from medfit.evidence.settings import Rule, Settings
from medfit.evidence.summary import Unit
from medfit.evidence.targets.known import named
from medfit.plots.evidence import figures
from medfit.reporting.formatting import in_one_line
from medfit.reporting.results import KEYS, joined, results, wide
from medfit.reporting.tables import subgroups as subgroup_rows
from medfit.search.values import set_values
from medfit.study.best import choose, own_overrides, tuned
from medfit.sweep import sweep
from medfit.terminal.console import say, show_table
from medfit.tracking import process, provenance, recording
from medfit.tracking.run import Run
from medfit.tracking.store import PROCESS, Store
from medfit.training import unvalidated
from medfit.training.parts import prepare
from medfit.training.trainer import check_alone

if TYPE_CHECKING:
    import mlflow.entities

Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Evaluate:
    """An evaluation.

    Args:
        num_seeds: Trainings, with the config's seed and those after it.
        num_folds: None scores the test split; a number scores each fold of a cross-validation.
        site: A column; each of its sites is the test split once, and the others train (leave one site out).
        nested: Whether each fold has a sweep of its own, which sees the fold's training and validation splits
            alone (nested cross-validation, Varma & Simon, BMC Bioinformatics 2006).
        threshold: The rule that turns probabilities into decisions, applied to validation data: ``youden``,
            ``sensitivity``, ``specificity`` or ``cost``.
        at_least: The sensitivity or specificity that the threshold has to reach.
        cost_ratio: Of a missed case to a false alarm.
        prevalence: For predictive values where the class is as common as that; None for the data's own alone.
        coverage: Of prediction intervals of numbers.
        subgroups: Columns, each with the edges of its bands or null for its values.
        num_resamples: Of the patients, for intervals.
    """

    num_seeds: Annotated[int, Field(ge=1)] = 5
    num_folds: Annotated[int, Field(ge=2)] | None = None
    site: str | None = None
    nested: bool = False
    threshold: Rule = "youden"
    at_least: Share = 0.9
    cost_ratio: Annotated[float, Field(gt=0)] = 1.0
    prevalence: Share | None = None
    coverage: Share = 0.9
    subgroups: Mapping[str, list[float] | None] = field(default_factory=dict)
    num_resamples: Annotated[int, Field(ge=100)] = 2000


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Args:
        trainings: A row for each training and baseline, with its test scores.
        tables: As :func:`medfit.evidence.summary.summarise` returns them; none for a generator.
        opening: How many evaluations had scored the experiment's test patients, this one among them.
        warnings: What a reader must know, a line each.
        ensemble: What is said of the model that the trainings make together; empty if they make none.
    """

    trainings: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    opening: int
    warnings: list[str]
    ensemble: str = ""


def evaluate(cfg: DictConfig) -> Evaluation:
    """Trains, scores the test split (or every fold's), and says how sure that is; goes on with one interrupted.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.

    Raises:
        UserError: the folds, sites or subgroups asked for are not to be had.
    """
    check_tuned(cfg)
    parts = prepare(cfg)
    check_alone(parts)
    if parts.task.no_model is not None:
        raise UserError(f"task: there is nothing to evaluate: {parts.task.no_model}")
    dataset, proof = parts.datamodule.dataset, parts.datamodule.proof
    groups, folds, names = groups_of(cfg, dataset), num_folds(cfg, dataset), site_names(cfg, dataset)
    if folds > 1:
        prepare(divided(cfg, 0))  # a mistake in how patients are divided opens no test split
    key = _key(cfg, dataset)
    resume = _unfinished(cfg, dataset, key)
    tags = {"kind": "evaluation", "mlflow.runName": label(cfg), "evaluation.key": key}
    with recording.start_run(cfg, dataset, proof, tags, resume) as run:
        opening = _count_opening(run, resume is not None)
        units: dict[str, list[Unit]] = {}
        members: list[Member] = []
        optimism = []
        rows: list[dict[str, Any]] = []
        for fold in range(folds):
            place = {"fold": fold} | ({"site": names[fold]} if names else {})
            if folds > 1:
                say(f"fold {fold + 1} of {folds}" + (f": {cfg.evaluate.site} '{names[fold]}'" if names else ""))
            fold_cfg, inner = _of_fold(cfg, fold)
            trained = Trainings(fold_cfg, run, label(cfg), fold, groups)
            for model, unit, scores in trained.all():
                rows.append({"model": model, **place, "seed": unit.seed if unit else None, **scores})
                if unit is not None:
                    units.setdefault(model, []).append(unit)
            members += trained.members
            if inner is not None:
                optimism.append(_optimism(cfg, fold, inner, rows))
        found = _found(cfg, pd.DataFrame(rows), units, opening, named(dataset.task))
        if optimism:
            found.tables["optimism"] = pd.DataFrame(optimism)
        _log(cfg, run, found)
        found = replace(found, ensemble=log_ensemble(cfg, run, members, scheme(cfg), parts.datamodule))
    if opening > 1:
        name = recording.experiment_name(cfg, dataset)
        say(f"Note: this was evaluation number {opening} of {name} on its test patients.")
    return found


def _found(
    cfg: DictConfig, trainings: pd.DataFrame, units: Mapping[str, Sequence[Unit]], opening: int, kind: TargetKind
) -> Evaluation:
    trainings.insert(0, "patients", scheme(cfg))
    if not units:
        return Evaluation(trainings, {}, opening, [])
    tables = summary.summarise(units, list(cfg.task.metrics), Settings.of(cfg.evaluate))
    tables["scores"].insert(0, "patients_of", scheme(cfg))
    tables["scores"]["opening"] = opening
    told = [unvalidated.SCORED] if not all(len(unit.val) for own in units.values() for unit in own) else []
    told += summary.left_out(next(iter(units.values()))) + summary.warnings(tables, kind)
    return Evaluation(trainings, tables, opening, told)


def _log(cfg: DictConfig, run: Run, found: Evaluation) -> None:
    own = found.trainings[found.trainings.model == label(cfg)].drop(columns=list(KEYS), errors="ignore")
    means = own.agg(["mean", "std"])
    run.log_metrics({f"test/{name}": value for name, value in means.loc["mean"].items()}, 0)
    run.log_metrics({f"test_sd/{name}": value for name, value in means.loc["std"].items()}, 0)
    if "scores" in found.tables:
        table = found.tables["scores"]
        ends = table[table.model == label(cfg)].set_index("metric")
        run.log_metrics({f"test_{end}/{name}": row[end] for name, row in ends.iterrows() for end in ("low", "high")}, 0)
    run.log_files({f"evidence/{name}.csv": table for name, table in found.tables.items()})
    run.log_files({"trainings.csv": found.trainings, "evidence/warnings.json": {"warnings": found.warnings}})
    if cfg.tracking.plots:
        run.log_files({f"plots/{name}.png": figure for name, figure in figures(found.tables).items()})


def _count_opening(run: Run, resumed: bool) -> int:
    """Returns how many evaluations of the experiment have opened the test split, and keeps it in the run."""
    if resumed:
        return int(run.store.client.get_run(run.id).data.tags["test_opening"])
    opening = run.store.openings(run.experiment_id)
    run.set_tag("test_opening", str(opening))
    return opening


def _key(cfg: DictConfig, dataset: Dataset) -> str:
    """Returns what two evaluations have in common if one goes on with the other."""
    plain = {path: as_override(value) for path, value in recording.params(cfg)}
    wanted = OmegaConf.to_container(cfg.evaluate, resolve=True)
    told = f"{sorted(plain.items())} {wanted} {dataset.fingerprint()} {provenance.source()}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _unfinished(cfg: DictConfig, dataset: Dataset, key: str) -> str | None:
    """Returns the id of an evaluation of the same kind that was interrupted, if there is one."""
    store = Store(cfg)
    experiment_id = store.experiment_id(recording.experiment_name(cfg, dataset))
    for run in store.runs_of(experiment_id, {"kind": "evaluation", "evaluation.key": key}):
        if run.info.status != "FINISHED" and "test_opening" in run.data.tags and not _lives(store, run):
            for child in store.runs_of(experiment_id, {"mlflow.parentRunId": run.info.run_id}):
                if child.info.status == "RUNNING":
                    store.close(child.info.run_id, "KILLED", "its process ended without a word")
            say("Going on with the evaluation that was interrupted.")
            return str(run.info.run_id)
    return None


def _lives(store: Store, run: "mlflow.entities.Run") -> bool:
    """Tells whether another process works on a run; of a local store, no other machine's does."""
    whose = run.data.tags[PROCESS]
    if run.info.status != "RUNNING" or whose == process.identity():
        return False
    state = process.state(whose)
    return state == "runs" or (state == "elsewhere" and not store.local)


def _of_fold(cfg: DictConfig, fold: int) -> tuple[DictConfig, float | None]:
    """Returns the config of one fold, and the best score of its own sweep, if it has one."""
    cfg = divided(cfg, fold)
    if not cfg.evaluate.nested:
        return cfg, None
    study = sweep(cfg)
    chosen = choose(study, cfg)
    if chosen is None:
        raise UserError("evaluate: no trial of the fold's sweep meets sweep.constraints")
    return set_values(cfg, tuned(cfg, chosen)), float(chosen.user_attrs["scores"][cfg.task.monitor])


def _optimism(cfg: DictConfig, fold: int, inner: float, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns how much better the sweep's best score looked than the same metric on patients it never saw."""
    metric = cfg.task.monitor.removeprefix("val/")
    outer = pd.DataFrame(rows).query("model == @name and fold == @fold", local_dict={"name": label(cfg), "fold": fold})
    score = float(outer[metric].mean()) if metric in outer else float("nan")
    better = (score - inner) if cfg.task.mode == "min" else (inner - score)
    site = {"site": rows[-1]["site"]} if "site" in rows[-1] else {}
    return {"fold": fold, **site, "metric": metric, "inner": inner, "outer": score, "optimism": better}


def label(cfg: DictConfig) -> str:
    """Returns what tells this configuration from others of its experiment, or of its data set where there is none."""
    kind = " tuned" if cfg.best or cfg.evaluate.nested else ""
    known = ("model=",) if cfg.experiment else ("model=", "dataset=", "dataset.")
    return " ".join([cfg.choices.model + kind, *(line for line in own_overrides(cfg) if not line.startswith(known))])


def main(cfg: DictConfig) -> None:
    """Evaluates, shows the scores, and writes them into the experiment's ``results.csv``."""
    found = evaluate(cfg)
    table = results(found.trainings, found.tables, found.opening)
    columns, *rows = wide(table)
    show_table("Test scores (95 % interval over patients; ± standard deviation over trainings)", columns, rows)
    if "subgroups" in found.tables:
        columns, *rows = in_one_line(subgroup_rows(found.tables["subgroups"]))
        show_table("Subgroups (95 % interval over patients; ± standard deviation over trainings)", columns, rows)
    for line in found.warnings:
        say(f"Note: {line}.")
    if found.ensemble:
        say(f"Ensemble  {found.ensemble}")
    if cfg.experiment:
        path = folders.EXPERIMENTS / cfg.experiment / "results.csv"
        table = joined(table, pd.read_csv(path) if path.exists() else pd.DataFrame())
        table.to_csv(path, index=False, float_format="%.6g")
        say(f"Results   {path}")
        say(f"Next      make report EXPERIMENT={cfg.experiment}")
    else:
        say(f"Results   {folders.output_dir(cfg)} (compare with: medfit ui)")
