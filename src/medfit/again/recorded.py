"""What a finished run recorded, that it takes to do it again."""

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
WHAT = {"run": "training", "trial": "training", "sweep": "sweep", "evaluation": "evaluation"}  # by kinds of runs
INSTEAD = {  # of runs that are parts of others, and of those that are not done again
    "seed": "it scored the test split, which an evaluation alone may open; give the id of its evaluation{}",
    "baseline": "it is a part of its evaluation; give the id of that{}",
    "fold": "it is a part of its trial; give the id of the sweep",
    "validation": "type medfit validate again",
    "rerun": "it tells of another run that was done again; give the id of that",
}


@dataclass(frozen=True)
class Recorded:
    """What a finished run recorded.

    Args:
        run: As MLflow gives it.
        config: YAML, as it was stored, with full paths.
        diff: Of its code from its commit; nothing where there was none.
        environment: As :func:`medfit.tracking.provenance.environment` gave it.
        data: The data set's fingerprint.
        split: The hash of who is in which split.
        trial_threads: Of a sweep: threads of a worker; None where none is known.
    """

    run: "mlflow.entities.Run"
    config: str
    diff: str
    environment: dict[str, Any]
    data: str
    split: str
    trial_threads: int | None = None

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self.run.info.run_id)

    @property
    def what(self) -> str:
        """What it is: ``training``, ``sweep`` or ``evaluation``."""
        return WHAT[self.run.data.tags["kind"]]

    @property
    def commit(self) -> str:
        """Of its code; ``unknown`` where there was no repository."""
        return str(self.run.data.tags.get("mlflow.source.git.commit", "unknown"))

    def code(self, here: bool) -> str:
        """Returns whose code does it again, in words.

        Args:
            here: Whether today's does.
        """
        changes = " and its changes" if self.diff else ""
        return "today's code" if here else f"its own code (commit {self.commit[:12]}{changes})"

    @property
    def weights(self) -> str:
        """The hash of the weights that it started from; nothing where they were drawn at random."""
        return str(self.run.data.tags.get("init_from.sha256", ""))


def read(store: Store, run_id: str) -> Recorded:
    """Returns what a run recorded.

    Raises:
        UserError: there is no such run, it is another program's, no training, sweep or evaluation, or came to no end.
    """
    run = store.find(run_id, WHERE)
    _check(run)
    with TemporaryDirectory() as folder:
        files = {name: _file(store, run_id, name, folder) for name in ("config.yaml", "environment.json", "code.diff")}
        facts = {name: _file(store, run_id, f"data/{name}.json", folder) for name in ("schema", "split")}
    config = read_config(files["config.yaml"])  # it checks what a config may call
    if OmegaConf.select(config, "sweep.folds") and run.data.tags["kind"] == "trial":
        raise UserError(f"{WHERE}: run {run_id} is a trial of several folds: give the id of its sweep{_parent(run)}")
    known = paths.known(store.folder)
    return Recorded(
        run,
        OmegaConf.to_yaml(OmegaConf.create(paths.shown(_plain(files["config.yaml"]), known))),
        str(paths.shown(files["code.diff"], known)),
        json.loads(files["environment.json"] or "{}"),
        json.loads(facts["schema"])["sha256"],
        json.loads(facts["split"])["assignment_sha256"],
        _trial_threads(store, run),
    )


def _trial_threads(store: Store, run: "mlflow.entities.Run") -> int | None:
    """Returns how many threads a worker of a sweep had, as one of its trials recorded it; None if none did."""
    if run.data.tags["kind"] != "sweep":
        return None
    trials = store.runs_of(run.info.experiment_id, {"kind": "trial", "mlflow.parentRunId": run.info.run_id})
    for trial in (trial for trial in trials if trial.info.status == "FINISHED"):
        with TemporaryDirectory() as folder:
            facts = json.loads(_file(store, trial.info.run_id, "environment.json", folder))
        return int(facts["threads"]) if "threads" in facts else None
    return None


def _plain(text: str) -> Any:
    return OmegaConf.to_container(OmegaConf.create(text))


def _check(run: "mlflow.entities.Run") -> None:
    """Makes sure that a run is a training, a sweep or an evaluation of medfit's that came to its end.

    Raises:
        UserError: it is not.
    """
    kind, told = run.data.tags.get("kind"), f"{WHERE}: run {run.info.run_id}"
    if run.data.tags.get("mlflow.source.name") != "medfit" or kind is None:
        raise UserError(f"{told} is of another program than medfit, which recorded no config to repeat")
    if kind in INSTEAD:
        raise UserError(f"{told} is no run that is done again by itself ({kind}): {INSTEAD[kind].format(_parent(run))}")
    if kind not in WHAT:
        raise UserError(f"{told} is no training, sweep or evaluation ({kind})")
    if run.data.tags.get("pruned") == "true":
        raise UserError(
            f"{told} is a trial that was stopped early, beside others that it was compared with: give the id of its "
            f"sweep{_parent(run)}"
        )
    if run.info.status != "FINISHED":
        raise UserError(f"{told} ({run.info.status.lower()}) came to no end, so that there is nothing to compare with")


def _parent(run: "mlflow.entities.Run") -> str:
    """Returns the id of the run that a run is a part of, to end a message with."""
    parent = run.data.tags.get("mlflow.parentRunId")
    return f" ({parent})" if parent else ""


def _file(store: Store, run_id: str, name: str, folder: str) -> str:
    """Returns an artifact's text; of the diff nothing if there is none."""
    if name == "code.diff" and name not in [file.path for file in store.client.list_artifacts(run_id)]:
        return ""
    return Path(store.artifact(run_id, name, folder, WHERE)).read_text()
