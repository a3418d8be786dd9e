"""A store whose folder was copied or moved: where its artifacts lie is written in it in full."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from medfit.tracking.store import Store

PLACES = (  # in MLflow's database, beside those of experiments
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def mend(store: Store) -> list[str]:
    """Lets each experiment's artifacts be where the store is now, and returns what was done, in words.

    Artifacts that were written to the old place since, and are not at the new one, are copied from there.
    """
    done = []
    for experiment in [*store.experiments(1), *store.experiments(2)]:
        if (folder := store.moved_from(experiment)) is not None:
            old, new = experiment.artifact_location, (store.folder / "artifacts" / experiment.name).as_uri()
            found = _fetch(_path(old), _path(new))
            _point(store.folder / "mlflow.db", experiment.experiment_id, old, new)
            copied = f"; the artifacts of {found} runs and models were copied from there" if found else ""
            done.append(f"the artifacts of '{experiment.name}' are looked for here, no longer in '{folder}'{copied}")
    return done


def _fetch(old: Path, new: Path) -> int:
    """Copies the folders of runs and of finished models that are missing at the new place; returns how many."""
    there = [folder for folder in (*old.glob("*"), *old.glob("models/*")) if folder.is_dir()]
    missing = [folder for folder in there if not (new / folder.relative_to(old)).exists()]
    for folder in missing:
        shutil.copytree(folder, new / folder.relative_to(old), dirs_exist_ok=True)
    return len(missing)


def _point(database: Path, experiment_id: str, old: str, new: str) -> None:
    """Changes the beginnings of the places that the database has for an experiment, its runs and its models."""
    with closing(sqlite3.connect(database, timeout=60)) as opened, opened:
        opened.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", [new, experiment_id])
        for table, column in PLACES:
            opened.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                [new, len(old) + 1, len(old) + 1, f"{old}/"],
            )


def _path(location: str) -> Path:
    return Path(url2pathname(urlsplit(location).path))
