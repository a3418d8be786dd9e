"""What every trial of a study is made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from omegaconf import DictConfig

from medfit.search.space import Entry
from medfit.search.values import set_values

Report = Callable[[str, int, int, float], None]  # unit, number done, of how many, score of the objective


@dataclass(frozen=True)
class TrialPlan:
    """What every trial of a study is made from.

    Args:
        cfg: The sweep's config.
        space: What is searched.
        parent: The sweep's run.
    """

    cfg: DictConfig
    space: Mapping[str, Entry]
    parent: str

    def tags(self, study: str, number: int) -> dict[str, str]:
        """Returns what tells the run of a trial, by its number, from others."""
        return {
            "kind": "trial",
            "trial": str(number),
            "study": study,
            "mlflow.parentRunId": self.parent,
            "mlflow.runName": f"trial {number}",
        }


def halved(cfg: DictConfig) -> DictConfig:
    """Returns a config whose steps need half the memory: half the batch, and gradients added up over twice as many."""
    size = cfg.regime.batch_size
    if size is None:
        from medfit.training.parts import prepare  # late: a quick start

        size = prepare(cfg).datamodule.batch_size
    return set_values(cfg, {"regime.batch_size": -(-size // 2), "regime.accumulate": 2 * cfg.regime.accumulate})


def of_fold(cfg: DictConfig, fold: int) -> DictConfig:
    """Returns the config of a trial's training that is validated on one fold."""
    return set_values(cfg, {"split.val_folds": cfg.sweep.folds, "split.val_fold": fold})
