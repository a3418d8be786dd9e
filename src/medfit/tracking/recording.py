"""What a run records: all it takes to repeat it."""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from pydantic import Field

from medfit.config.overrides import OF_A_TRAINING, OWN_NODES, leaves, without_passwords
from medfit.config.yaml_text import as_yaml
from medfit.errors import UserError, interruption
from medfit.tracking import failures, paths, provenance
from medfit.tracking.run import Run, create_run, reopen_run
from medfit.tracking.store import Store
from medfit.tracking.tracked_data import TrackedData

SHORTEST_SALT, SALT_TRIES = 16, 100
START = "init_from"  # the tag, and what others begin with, that tells the weights that a training starts from


@dataclass(frozen=True)
class Tracking:
    """Where runs are kept.

    Args:
        uri: Of an MLflow server or database; None for a SQLite database in the output folder.
        plots: Whether each run draws its plots.
        models: Whether trainings and a sweep's best trial log their finished models, that predict for new patients.
        patients_in_models: Whether models are logged whose files hold rows of the training patients, too.
        ui_port: Where ``medfit ui`` serves MLflow's pages, or the next free port.
    """

    uri: str | None = None
    plots: bool = True
    models: bool = True
    patients_in_models: bool = False
    ui_port: Annotated[int, Field(ge=1, le=65535)] = 5000


@contextmanager
def start_run(
    cfg: DictConfig,
    dataset: TrackedData,
    proof: Mapping[str, Any],
    tags: Mapping[str, str],
    resume: str | None = None,
    used_for: str = "train, val",
) -> Iterator[Run]:
    """Opens a run that holds all it takes to repeat it, and ends it truthfully.

    Args:
        cfg: The whole config.
        dataset: For its fingerprint and schema.
        proof: Of the split.
        tags: ``kind`` (run, trial, sweep, seed, evaluation, validation), ``mlflow.parentRunId`` and what else tells
            it apart.
        resume: The id of a run to go on with, if the store has it.
        used_for: What the run does with the data, as MLflow shows it.

    A server is told names of files, not where they lie.
    """
    store = Store(cfg)
    name = tags.get("mlflow.runName") or f"{cfg.choices.model} seed {cfg.seed}"
    chosen = {group: cfg.choices[group] for group in ("dataset", "model", "task", "regime")}
    tags = {**chosen, "task.targets": dataset.task, **_start_tags(proof), **tags}
    _check_start(store, tags)
    names = {} if store.local else path_names(cfg, store)
    run = reopen_run(store, resume) or create_run(store, experiment_name(cfg, dataset), name, tags)
    try:
        run.log_params(chosen | {path: paths.hidden(value, names) for path, value in params(cfg)})
        run.log_dataset(dataset, proof, _facts(cfg, names), used_for)
        run.flush()
        yield run
    except BaseException as error:
        end_badly(run, error)
        raise
    run.end("FINISHED")


def _start_tags(proof: Mapping[str, Any]) -> dict[str, str]:
    """Returns what tells the weights that a training starts from; nothing where they are drawn at random."""
    start = proof.get("init_from")
    if not start:
        return {}
    return {START: start["address"], f"{START}.sha256": start["sha256"], f"{START}.run": start["run"] or "none"}


def _check_start(store: Store, tags: Mapping[str, str]) -> None:
    """Makes sure that all trainings of a sweep or an evaluation start from the same weights.

    Raises:
        UserError: others lie at the address since it began.
    """
    from mlflow.exceptions import MlflowException  # late: a quick start

    if START not in tags or (parent := tags.get("mlflow.parentRunId")) is None:
        return
    try:
        then = store.client.get_run(parent).data.tags
    except MlflowException:  # a server that is away
        return
    if then.get(START) == tags[START] and then[f"{START}.sha256"] != tags[f"{START}.sha256"]:
        raise UserError(
            f"model.init_from: at {tags[START]} lie other weights than when run {parent} began, whose trainings all "
            "start from the same; give the id of the run that made them, or a copy of the file under another name"
        )


def path_names(cfg: DictConfig, store: Store) -> dict[str, str]:
    """Returns names for the full paths in a config, which those who are told the names can't read."""
    return paths.names(cfg, store.folder, key_of(store.folder))


def experiment_name(cfg: DictConfig, dataset: TrackedData) -> str:
    """Returns the MLflow experiment's name: the experiment's, else the data set's."""
    return cfg.experiment or dataset.name


def params(cfg: DictConfig) -> Iterator[tuple[str, Any]]:
    """Yields config paths and values; each, given back as an override, means the same again."""
    for path, value in of_a_training(cfg):
        if path.startswith(OWN_NODES) or not path.rpartition(".")[2].startswith("_"):
            yield path, value


def of_a_training(cfg: DictConfig) -> Iterator[tuple[str, Any]]:
    """Yields the config paths, and their values, that bear on a single training, targets too."""
    for section in cfg:
        if section in OF_A_TRAINING:
            yield from leaves(cfg[section], str(section))


def prediction_files(
    run: Run, dataset_name: str, tables: Mapping[str, pd.DataFrame | None], groups: Callable[[str], Any]
) -> dict[str, pd.DataFrame]:
    """Returns predictions beside the truth, with pseudonyms for patients, by the files' names.

    Args:
        run: Whose they are.
        dataset_name: A patient has another pseudonym in each data set.
        tables: By split, a row each sample; None where predictions fit in no table.
        groups: Returns the patient of each sample of a split.
    """
    files = {}
    for split, table in tables.items():
        if table is not None:
            table.insert(0, "patient", pseudonyms(run.store.folder, dataset_name, groups(split)))
            files[f"predictions/{split}.csv"] = table
    return files


def pseudonyms(folder: Path, dataset_name: str, groups: Any) -> list[str]:
    """Returns a keyed hash of each sample's patient, alike in all runs of this folder and of no use elsewhere.

    The key, ``salt``, lies in the output folder, is readable to its owner alone and is never logged.

    Raises:
        UserError: the key is empty or too short to keep anything secret.
    """
    salt = key_of(folder)
    return [hmac.new(salt, f"{dataset_name}/{group}".encode(), hashlib.sha256).hexdigest()[:16] for group in groups]


def key_of(folder: Path) -> bytes:
    """Returns the output folder's key, made if there is none; see :func:`pseudonyms`."""
    return _salt(folder / "salt")


def _salt(path: Path) -> bytes:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    for _ in range(SALT_TRIES):  # another process may be about to write it
        if len(salt := path.read_bytes().strip()) >= SHORTEST_SALT:
            return salt
        time.sleep(0.01)
    raise UserError(
        f"output_dir: '{path}' holds no key for patients' pseudonyms, which anybody could guess without; put back the "
        "key that was there, or remove the file: later runs' pseudonyms then differ from earlier runs'"
    )


def _facts(cfg: DictConfig, names: Mapping[str, str]) -> dict[str, Any]:
    code, told = provenance.code(), paths.hidden(OmegaConf.to_container(cfg), names)
    facts: dict[str, Any] = {
        "config.yaml": without_passwords(as_yaml(told)),
        "environment.json": provenance.environment(),
    }
    return facts | ({"code.diff": code["diff"]} if code["diff"] else {})


def end_badly(run: Run, error: BaseException) -> None:
    """Ends a run whose error is about to be told: a store that fails here too must not take its place."""
    killed = isinstance(error, SystemExit) or interruption(error)
    with suppress(UserError):
        if not killed:
            tag, whole = failures.told(error, run.id, run.store.folder, run.store.local)
            run.set_tag("failure", tag)
            run.log_files({"failure.txt": whole})
    with suppress(UserError):
        run.end("KILLED" if killed else "FAILED")
