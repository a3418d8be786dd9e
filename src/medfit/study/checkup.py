"""What is wrong with studies and runs that no repair can mend by itself, each with its cure."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import optuna
from omegaconf import DictConfig

from medfit.config.overrides import without_passwords
from medfit.errors import UserError
from medfit.study import storage
from medfit.study.comparability import is_foreign
from medfit.tracking.store import Store, deleted

TRAININGS = ("run", "trial", "seed")
DELETED = 2  # MLflow's ViewType


def of_store(cfg: DictConfig, store: Store, studies: Collection[str]) -> Iterator[str]:
    """Yields what a store lacks, in words.

    Args:
        cfg: Says where the studies are.
        store: With the runs.
        studies: The names of those that there are.
    """
    for experiment in store.experiments(DELETED):
        yield deleted(experiment, store.uri)
    swept = {run.data.tags["study"] for run in store.runs_of_kind(["sweep"]) if "study" in run.data.tags}
    for name in sorted(swept - set(studies)):
        yield (
            f"the study '{name}' has runs, but is not in {without_passwords(storage.url(cfg))}: put that database back "
            "from a copy (or name the right one by sweep.storage=); the same medfit sweep begins it anew"
        )
    if lost := [run for run in store.runs_of_kind(TRAININGS) if run.info.status == "FINISHED" and _lost(run)]:
        yield (
            f"{len(lost)} finished runs have no artifacts, as {lost[0].info.run_id} at {lost[0].info.artifact_uri}: "
            "put the folder back from a copy; medfit explain, sample and report can't use these runs without"
        )


def of_study(study: optuna.Study, store: Store) -> Iterator[str]:
    """Yields why a study and the store's runs can't be compared, in words."""
    if is_foreign(study):
        yield f"the study '{study.study_name}' was not begun by medfit, which leaves it alone"
    elif run_id := study.user_attrs.get("run_id"):
        try:
            store.find(run_id, "the run of the study")
        except UserError:
            yield (
                f"the study '{study.study_name}' has no runs in {without_passwords(store.uri)}: put that database back "
                "from a copy (or name the right one by tracking.uri=), or begin anew by sweep.name=<another>"
            )


def _lost(run: Any) -> bool:
    location = urlsplit(run.info.artifact_uri)
    return location.scheme == "file" and not Path(url2pathname(location.path)).exists()
