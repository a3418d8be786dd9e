"""``medfit evaluate``: opens the test split for a chosen configuration, over several seeds, beside baselines."""

from dataclasses import dataclass
from typing import Annotated, Any

import pandas as pd
import torch
from omegaconf import DictConfig
from pydantic import Field

from medfit import config, tracking
from medfit.best import choose, tuned
from medfit.console import say, show_table
from medfit.errors import UserError
from medfit.report import KEYS, summary
from medfit.study.values import set_values
from medfit.sweep import sweep
from medfit.train import Parts, prepare, train


@dataclass(frozen=True)
class Evaluate:
    """An evaluation.

    Args:
        num_seeds: Trainings, with the config's seed and those after it.
        num_folds: None scores the test split; a number scores each fold of a cross-validation.
        nested: Whether each fold has a sweep of its own, which sees the fold's training and validation splits
            alone (nested cross-validation, Varma & Simon, BMC Bioinformatics 2006).
    """

    num_seeds: Annotated[int, Field(ge=1)] = 5
    num_folds: Annotated[int, Field(ge=2)] | None = None
    nested: bool = False


def evaluate(cfg: DictConfig) -> pd.DataFrame:
    """Trains, scores the test split (or every fold's), and returns a row per training and per baseline.

    Args:
        cfg: As :func:`medfit.config.compose` gives it.
    """
    parts = prepare(cfg)
    dataset, proof = parts.datamodule.dataset, parts.datamodule.proof
    rows: list[dict[str, Any]] = []
    with tracking.start_run(cfg, dataset, proof, {"kind": "evaluation", "mlflow.runName": label(cfg)}) as run:
        opening = run.store.count(run.experiment_id, "evaluation")
        run.set_tag("test_opening", str(opening))
        for fold in range(cfg.evaluate.num_folds or 1):
            fold_cfg = _of_fold(cfg, fold)
            if cfg.evaluate.num_folds:
                say(f"fold {fold + 1} of {cfg.evaluate.num_folds}")
            if cfg.evaluate.nested:
                fold_cfg = set_values(fold_cfg, _tuned(fold_cfg))
            rows += _train_seeds(fold_cfg, label(cfg), fold, run.id) + _score_baselines(prepare(fold_cfg), fold)
        table = pd.DataFrame(rows)
        table.insert(0, "patients", f"{cfg.evaluate.num_folds} folds" if cfg.evaluate.num_folds else "test split")
        means = table[table.model == label(cfg)].drop(columns=KEYS).agg(["mean", "std"])
        run.log_metrics({f"test/{name}": value for name, value in means.loc["mean"].items()}, 0)
        run.log_metrics({f"test_sd/{name}": value for name, value in means.loc["std"].items()}, 0)
        run.log_files({"results.csv": table})
    if opening > 1:
        name = tracking.experiment_name(cfg, dataset)
        say(f"Note: this was evaluation number {opening} of {name} on its test patients.")
    return table


def _of_fold(cfg: DictConfig, fold: int) -> DictConfig:
    """Returns the config of one fold; the config itself without cross-validation."""
    if cfg.evaluate.num_folds is None:
        return cfg
    return config.change(cfg, [f"split.num_folds={cfg.evaluate.num_folds}", f"split.fold={fold}"])


def _tuned(cfg: DictConfig) -> dict[str, Any]:
    """Returns the best values of a sweep within a fold."""
    chosen = choose(sweep(cfg), cfg)
    if chosen is None:
        raise UserError("evaluate: no trial of the fold's sweep meets sweep.constraints")
    return tuned(cfg, chosen)


def _train_seeds(cfg: DictConfig, model: str, fold: int, parent: str) -> list[dict[str, Any]]:
    rows = []
    for seed in range(cfg.seed, cfg.seed + cfg.evaluate.num_seeds):
        name = f"{model} fold {fold} seed {seed}" if cfg.evaluate.num_folds else f"{model} seed {seed}"
        tags = {
            "kind": "seed",
            "fold": str(fold),
            "seed": str(seed),
            "mlflow.parentRunId": parent,
            "mlflow.runName": name,
        }
        scores = train(set_values(cfg, {"seed": seed}), tags=tags, splits=("val", "test"))
        rows.append({"model": model, "fold": fold, "seed": seed, **_of_test(scores)})
    return rows


def _score_baselines(parts: Parts, fold: int) -> list[dict[str, Any]]:
    return [{"model": name, "fold": fold, "seed": None, **scores} for name, scores in score_baselines(parts).items()]


def score_baselines(parts: Parts) -> dict[str, dict[str, float]]:
    """Returns the test scores of scikit-learn's baselines on the same features and splits, where there are any."""
    from medfit.evidence.baselines import baselines, fit_predict

    if not parts.task.has_baselines:
        return {}
    x, y = parts.datamodule.arrays("train")
    test_x, test_y = parts.datamodule.arrays("test")
    num_outputs = len(parts.datamodule.dataset.target_names)
    found = {}
    for name, estimator in baselines(parts.datamodule.dataset.task).items():
        preds = fit_predict(estimator, (x.numpy(), y.numpy()), test_x.numpy(), num_outputs)
        found[name] = parts.task.scores(torch.from_numpy(preds), test_y)
    return found


def label(cfg: DictConfig) -> str:
    """Returns what tells this configuration from others of its experiment, or of its data set where there is none."""
    from medfit.best import own_overrides

    kind = " tuned" if cfg.best or cfg.evaluate.nested else ""
    known = ("model=",) if cfg.experiment else ("model=", "dataset=", "dataset.")
    return " ".join([cfg.choices.model + kind, *(line for line in own_overrides(cfg) if not line.startswith(known))])


def main(cfg: DictConfig) -> None:
    """Evaluates, shows the scores, and writes them into the experiment's ``results.csv``."""
    table = evaluate(cfg)
    columns, *rows = summary(table)
    show_table("Test scores (mean ± standard deviation over trainings)", columns, rows)
    if cfg.experiment:
        path = config.EXPERIMENTS / cfg.experiment / "results.csv"
        if path.exists():
            old = pd.read_csv(path)
            same = (old.patients + old.model).isin(table.patients + table.model)
            table = pd.concat([table, old[~same]])
        table.to_csv(path, index=False, float_format="%.6g")
        say(f"Results   {path}")
        say(f"Next      make report EXPERIMENT={cfg.experiment}")
    else:
        say(f"Results   {config.output_dir(cfg)} (compare with: medfit ui)")


def _of_test(scores: dict[str, float]) -> dict[str, float]:
    return {name.removeprefix("test/"): value for name, value in scores.items() if name.startswith("test/")}
