"""What a finished training recorded, that it takes to do it again."""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from medfit.config.stored import read_config
from medfit.errors import UserError
from medfit.tracking import paths
from medfit.tracking.store import Store

if TYPE_CHECKING:
    import mlflow.entities

WHERE = "rerun.run"  # the config path that names a run
INSTEAD = {  # of runs that are not one training
    "sweep": "give the id of one of its trials (medfit ui shows them)",
    "evaluation": "type medfit evaluate again, or give the id of a training",
    "validation": "type medfit validate again",
    "seed": "it scored the test split, which medfit evaluate alone may open; type medfit evaluate again",
    "fold": "it is a part of its trial, of which medfit sweep makes another",
}


@dataclass(frozen=True)
class Recorded:
    """What a finished training recorded.

    Args:
        run: As MLflow gives it.
        config: YAML, as it was stored, with full paths.
        diff: Of its code from its commit; nothing where there was none.
        environment: As :func:`medfit.tracking.provenance.environment` gave it.
        data: The data set's fingerprint.
        split: The hash of who is in which split.
    """

    run: "mlflow.entities.Run"
    config: str
    diff: str
    environment: dict[str, Any]
    data: str
    split: str

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self.run.info.run_id)

    @property
    def commit(self) -> str:
        """Of its code; ``unknown`` where there was no repository."""
        return str(self.run.data.tags.get("mlflow.source.git.commit", "unknown"))

    @property
    def weights(self) -> str:
        """The hash of the weights that it started from; nothing where they were drawn at random."""
        return str(self.run.data.tags.get("init_from.sha256", ""))


def read(store: Store, run_id: str) -> Recorded:
    """Returns what a run recorded.

    Raises:
        UserError: there is no such run, it is another program's, no single training, or came to no end.
    """
    run = store.find(run_id, WHERE)
    _check(run)
    with TemporaryDirectory() as folder:
        files = {name: _file(store, run_id, name, folder) for name in ("config.yaml", "environment.json", "code.diff")}
        facts = {name: _file(store, run_id, f"data/{name}.json", folder) for name in ("schema", "split")}
    config = read_config(files["config.yaml"])  # it checks what a config may call
    if OmegaConf.select(config, "sweep.folds") and run.data.tags["kind"] == "trial":
        raise UserError(f"{WHERE}: run {run_id} is a trial of several folds, not one training: type medfit sweep again")
    known = paths.known(store.folder)
    return Recorded(
        run,
        OmegaConf.to_yaml(OmegaConf.create(paths.shown(_plain(files["config.yaml"]), known))),
        str(paths.shown(files["code.diff"], known)),
        json.loads(files["environment.json"] or "{}"),
        json.loads(facts["schema"])["sha256"],
        json.loads(facts["split"])["assignment_sha256"],
    )


def _plain(text: str) -> Any:
    return OmegaConf.to_container(OmegaConf.create(text))


def _check(run: "mlflow.entities.Run") -> None:
    """Makes sure that a run is a training of medfit's that came to its end.

    Raises:
        UserError: it is not.
    """
    kind, told = run.data.tags.get("kind"), f"{WHERE}: run {run.info.run_id}"
    if run.data.tags.get("mlflow.source.name") != "medfit" or kind is None:
        raise UserError(f"{told} is of another program than medfit, which recorded no config to train with")
    if kind in INSTEAD:
        raise UserError(f"{told} is no single training ({kind}): {INSTEAD[kind]}")
    if kind not in ("run", "trial"):
        raise UserError(f"{told} is no training ({kind})")
    if run.data.tags.get("pruned") == "true":
        raise UserError(f"{told} is a trial that was stopped early, beside others that it was compared with")
    if run.info.status != "FINISHED":
        raise UserError(f"{told} ({run.info.status.lower()}) came to no end, so that there is nothing to compare with")


def _file(store: Store, run_id: str, name: str, folder: str) -> str:
    """Returns an artifact's text; of the diff nothing if there is none."""
    if name == "code.diff" and name not in [file.path for file in store.client.list_artifacts(run_id)]:
        return ""
    return Path(store.artifact(run_id, name, folder, WHERE)).read_text()
