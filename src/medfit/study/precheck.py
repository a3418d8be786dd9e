"""What is found out about a sweep before its first trial, by a process that has the imports for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from medfit.errors import UserError, suggest
from medfit.search import objectives
from medfit.search.objectives import objective_names
from medfit.search.space import Entry, variants_of
from medfit.tracking import provenance


@dataclass(frozen=True)
class DatasetSummary:
    """A data set without its samples.

    Args:
        name: See :class:`medfit.data.datasets.samples.Samples`, as with the rest.
        task: The task that the targets call for.
        source: Where the data come from.
        columns: The schema.
        digest: The fingerprint.
        num_samples: Its length.
    """

    name: str
    task: str
    source: str
    columns: list[dict[str, str]]
    digest: str
    num_samples: int

    def __len__(self) -> int:
        return self.num_samples

    def schema(self) -> list[dict[str, str]]:
        """Returns the names, kinds, roles and units of features and targets."""
        return self.columns

    def fingerprint(self) -> str:
        """Returns a hash of all samples."""
        return self.digest


@dataclass(frozen=True)
class PrecheckResult:
    """What a sweep's config means, found to be without a mistake.

    Args:
        dataset: What is learnt from.
        proof: Of the split.
        environment: Software and machine.
    """

    dataset: DatasetSummary
    proof: dict[str, Any]
    environment: dict[str, Any]


def check_trainings(cfg: DictConfig, space: Mapping[str, Entry]) -> PrecheckResult:
    """Builds what each choice of groups trains, and so finds every mistake that shows before training.

    Raises:
        UserError: a mistake.
    """
    from medfit.training.parts import prepare  # late: a quick start
    from medfit.training.trainer import check_alone

    parts = None
    for variant in variants_of(cfg, space):
        made = prepare(variant)
        if not made.datamodule.validates and not cfg.sweep.folds:
            raise UserError(
                f"sweep.objective: {', '.join(objective_names(cfg.sweep))} is a validation score, which split.val=0 "
                "leaves none of; give sweep.folds=5, so that folds of the training patients validate, or split.val=0.2"
            )
        check_alone(made)
        parts = parts or made
        _check_logged(variant, made.task.logged())
    assert parts is not None
    data = parts.datamodule.dataset
    summary = DatasetSummary(data.name, data.task, data.source, data.schema(), data.fingerprint(), len(data))
    return PrecheckResult(summary, parts.datamodule.proof, provenance.environment())


def _check_logged(cfg: DictConfig, logged: list[str]) -> None:
    for objective in objective_names(cfg.sweep):
        if not objective.startswith("val/"):
            raise UserError(
                f"sweep.objective: '{objective}' is no validation metric; a sweep must not see other splits"
            )
        if objective not in logged:
            known = ", ".join(logged)
            raise UserError(
                f"sweep.objective: '{objective}' is not logged{suggest(objective, logged)} (logged: {known})"
            )
    for text in cfg.sweep.constraints:
        objectives.read_constraint(text, logged)
