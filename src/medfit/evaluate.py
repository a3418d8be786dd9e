"""``medfit evaluate``: opens the test split for a chosen configuration, over several seeds, beside baselines."""

from dataclasses import dataclass
from typing import Annotated, Any

import pandas as pd
import torch
from omegaconf import DictConfig
from pydantic import Field

from medfit import config, tracking
from medfit.console import say, show_table
from medfit.report import mean_sd
from medfit.space import set_values
from medfit.train import Parts, prepare, train


@dataclass(frozen=True)
class Evaluate:
    """An evaluation.

    Args:
        num_seeds: Trainings, with the config's seed and those after it.
    """

    num_seeds: Annotated[int, Field(ge=1)] = 5


def evaluate(cfg: DictConfig) -> pd.DataFrame:
    """Trains with each seed, scores the test split, and returns a row per seed and per baseline.

    Args:
        cfg: As :func:`medfit.config.compose` gives it.
    """
    parts = prepare(cfg)
    dataset, proof = parts.datamodule.dataset, parts.datamodule.proof
    rows: list[dict[str, Any]] = []
    tags = {"kind": "evaluation", "mlflow.runName": f"evaluation {label(cfg)}"}
    with tracking.start_run(cfg, dataset, proof, tags) as run:
        opening = run.store.count(run.experiment_id, "evaluation")
        run.set_tag("test_opening", str(opening))
        for seed in range(cfg.seed, cfg.seed + cfg.evaluate.num_seeds):
            tags = {"kind": "seed", "mlflow.parentRunId": run.id, "mlflow.runName": f"{label(cfg)} seed {seed}"}
            scores = train(set_values(cfg, {"seed": seed}), tags=tags, splits=("val", "test"))
            rows.append({"model": label(cfg), "seed": seed, **_of_test(scores)})
        rows += [{"model": name, "seed": None, **scores} for name, scores in score_baselines(parts).items()]
        table = pd.DataFrame(rows)
        means = table[table.model == label(cfg)].drop(columns=["model", "seed"]).agg(["mean", "std"])
        run.log_metrics({f"test/{name}": value for name, value in means.loc["mean"].items()}, 0)
        run.log_metrics({f"test_sd/{name}": value for name, value in means.loc["std"].items()}, 0)
        run.log_files({"results.csv": table})
    say(f"The test split of {tracking.experiment_name(cfg, dataset)} has now been opened {opening} times." if opening > 1 else "")
    return table


def score_baselines(parts: Parts) -> dict[str, dict[str, float]]:
    """Returns the test scores of scikit-learn's baselines on the same features and splits."""
    from medfit.evidence.baselines import baselines, fit_predict

    x, y = parts.datamodule.arrays("train")
    test_x, test_y = parts.datamodule.arrays("test")
    found = {}
    for name, estimator in baselines(parts.datamodule.dataset.task).items():
        preds = fit_predict(estimator, (x.numpy(), y.numpy()), test_x.numpy(), tuple(test_y.shape))
        found[name] = parts.task.scores(torch.from_numpy(preds), test_y)
    return found


def label(cfg: DictConfig) -> str:
    """Returns what tells this configuration from others of its experiment."""
    from medfit.best import own_overrides

    tuned = " tuned" if cfg.best else ""
    return " ".join([cfg.choices.model + tuned, *(line for line in own_overrides(cfg) if not line.startswith("model="))])


def main(cfg: DictConfig) -> None:
    """Evaluates, shows the scores, and writes them into the experiment's ``results.csv``."""
    table = evaluate(cfg)
    metrics = [column for column in table if column not in ("model", "seed")]
    groups = table.groupby("model", sort=False)[metrics]
    rows = [
        [str(model), *(mean_sd(values[metric]) for metric in metrics)] for model, values in groups
    ]
    show_table("Test split (mean, standard deviation over seeds)", ["model", *metrics], rows)
    if cfg.experiment:
        path = config.EXPERIMENTS / cfg.experiment / "results.csv"
        if path.exists():
            old = pd.read_csv(path)
            table = pd.concat([old[~old.model.isin(table.model)], table])
        table.to_csv(path, index=False, float_format="%.6g")
        say(f"Results   {path}")
        say(f"Next      make report EXPERIMENT={cfg.experiment}")


def _of_test(scores: dict[str, float]) -> dict[str, float]:
    return {name.removeprefix("test/"): value for name, value in scores.items() if name.startswith("test/")}

