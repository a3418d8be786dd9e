"""Which patients an evaluation scores: the test split's, each fold's, or each site's; and their subgroups."""

import pandas as pd
from omegaconf import DictConfig

from medfit.config.compose import change
from medfit.config.overrides import as_override
from medfit.data.dataset import Dataset
from medfit.data.splits import sites
from medfit.errors import UserError
from medfit.evidence import subgroups


def check_tuned(cfg: DictConfig) -> None:
    """Makes sure that no settings are scored on patients that chose them.

    Raises:
        UserError: a sweep's best settings would be cross-validated.
    """
    if cfg.best and not cfg.evaluate.nested and (cfg.evaluate.num_folds or cfg.evaluate.site):
        key = "num_folds" if cfg.evaluate.num_folds else "site"
        raise UserError(
            f"evaluate.{key}: the settings of experiment={cfg.experiment}/best were chosen on patients that would be "
            "tested now, so that scores would be too good; let each fold have a search of its own: "
            f"experiment={cfg.experiment} evaluate.nested=true"
        )


def num_folds(cfg: DictConfig, dataset: Dataset) -> int:
    """Returns in how many folds patients are tested; 1 for the test split.

    Raises:
        UserError: both folds and sites are asked for, or the sites are not to be had.
    """
    if cfg.evaluate.site is None:
        return cfg.evaluate.num_folds or 1
    if cfg.evaluate.num_folds:
        raise UserError("evaluate: give num_folds or site, not both")
    return len(site_names(cfg, dataset))


def site_names(cfg: DictConfig, dataset: Dataset) -> list[str]:
    """Returns the sites in the order in which they are tested; none where patients are divided otherwise."""
    return sorted(set(sites(dataset, cfg.evaluate.site))) if cfg.evaluate.site else []


def divided(cfg: DictConfig, fold: int) -> DictConfig:
    """Returns the config with the patients of one fold, or site, as its test split."""
    if cfg.evaluate.num_folds:
        return change(cfg, [f"split.num_folds={cfg.evaluate.num_folds}", f"split.fold={fold}"])
    if cfg.evaluate.site:
        return change(cfg, [f"split.site={as_override(cfg.evaluate.site)}", f"split.fold={fold}"])
    return cfg


def scheme(cfg: DictConfig) -> str:
    """Returns which patients are scored, in words."""
    if cfg.evaluate.site:
        return f"each {cfg.evaluate.site}"
    return f"{cfg.evaluate.num_folds} folds" if cfg.evaluate.num_folds else "test split"


def groups_of(cfg: DictConfig, dataset: Dataset) -> pd.DataFrame:
    """Returns the subgroups of each sample, a column each; the sites that are left out are subgroups, too."""
    found = {
        name: subgroups.levels(dataset.column(name, "evaluate.subgroups"), name, edges)
        for name, edges in cfg.evaluate.subgroups.items()
    }
    if (site := cfg.evaluate.site) and site not in found:
        found = {site: sites(dataset, site), **found}
    return pd.DataFrame(found, index=range(len(dataset)))
