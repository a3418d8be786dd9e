"""A store whose folder was copied or moved: where its artifacts lie is written in it in full."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from medfit.tracking.store import Store


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
            copied = f"; {found} runs' artifacts were copied from there" if found else ""
            done.append(f"the artifacts of '{experiment.name}' are looked for here, no longer in '{folder}'{copied}")
    return done


def _fetch(old: Path, new: Path) -> int:
    """Copies the runs' folders that are missing at the new place; returns how many."""
    missing = [run for run in old.glob("*") if run.is_dir() and not (new / run.name).exists()] if old.is_dir() else []
    for run in missing:
        shutil.copytree(run, new / run.name)
    return len(missing)


def _point(database: Path, experiment_id: str, old: str, new: str) -> None:
    """Changes the beginnings of the places that the database has for an experiment and its runs."""
    with closing(sqlite3.connect(database, timeout=60)) as opened, opened:
        opened.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", [new, experiment_id])
        opened.execute(
            "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
            "WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
            [new, len(old) + 1, experiment_id, len(old) + 1, f"{old}/"],
        )


def _path(location: str) -> Path:
    return Path(url2pathname(urlsplit(location).path))
