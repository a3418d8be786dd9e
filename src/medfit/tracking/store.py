"""The MLflow store and its runs: below :mod:`medfit.tracking.run`, and with it the only place that writes to MLflow."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from omegaconf import DictConfig

from medfit.config import folders
from medfit.config.overrides import without_passwords
from medfit.errors import UserError
from medfit.terminal.console import say
from medfit.tracking import database, failures, paths, process, provenance
from medfit.tracking.operations import guarded, now_ms, perform, refused, trouble
from medfit.tracking.outbox import Outbox

if TYPE_CHECKING:
    import mlflow.entities

PAGE = 1000  # runs in an answer
RUNNING = "attributes.status = 'RUNNING'"
FAILURE = "failure"  # the tag that tells why a run failed
PROCESS = "medfit.process"  # the tag that tells which process works on a run


def address(cfg: DictConfig) -> str:
    """Returns a store's address."""
    return cfg.tracking.uri or f"sqlite:///{folders.ROOT / cfg.output_dir / 'mlflow.db'}"


def is_local(uri: str) -> bool:
    """Tells whether a store is a database on this machine, not a server."""
    return uri.startswith("sqlite:")


class Store:
    """An MLflow store, opened and known to work; sends what was kept while a server was away.

    Raises:
        StoreError: it can't be reached, read or written.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.folder = folders.output_dir(cfg)
        self.uri = address(cfg)
        self.local = is_local(self.uri)
        _ = self.client
        self._outbox = Outbox(self.folder, self.uri, lambda: self.client)
        if sent := self.send_kept():
            were, have = ("run that was", "has") if sent == 1 else ("runs that were", "have")
            say(f"{sent} {were} kept while the server was away {have} been sent")

    @functools.cached_property
    def client(self) -> Any:
        """MLflow's client."""
        database.import_mlflow()
        with self._guarded():
            return self._open()

    def experiment_id(self, name: str) -> str:
        """Returns the experiment's id; makes the experiment at its first run.

        Raises:
            UserError: it was deleted, or the folder of its artifacts was copied or moved.
        """
        location = (self.folder / "artifacts" / name).as_uri() if self.local else None
        with self._guarded():
            experiment = _experiment(self.client, name, location)
        if experiment.lifecycle_stage == "deleted":
            raise UserError(deleted(experiment, self.uri))
        if self.moved_from(experiment):
            raise UserError(
                f"output_dir: the artifacts of '{name}' would go to {experiment.artifact_location}, where this folder "
                "was before it was copied or moved; medfit doctor mends that"
            )
        return str(experiment.experiment_id)

    def moved_from(self, experiment: Any) -> Path | None:
        """Returns the output folder that an experiment's artifacts went to, if it is not the database's any more."""
        own = self.uri == f"sqlite:///{self.folder / 'mlflow.db'}"
        location = urlsplit(experiment.artifact_location or "")
        then, below = Path(url2pathname(location.path)), ("artifacts", *Path(experiment.name).parts)
        if not own or location.scheme != "file" or then.parts[-len(below) :] != below:
            return None
        folder = then.parents[len(below) - 1]
        same = folder == self.folder or (folder.exists() and folder.samefile(self.folder))
        return None if same else folder

    def experiments(self, view: int = 1) -> list[Any]:
        """Returns the experiments of one of MLflow's ``ViewType``: those that there are (1), or were deleted (2)."""
        return self._pages(
            lambda token: self.client.search_experiments(view_type=view, max_results=PAGE, page_token=token)
        )

    def runs_of_kind(self, kinds: Iterable[str]) -> "list[mlflow.entities.Run]":
        """Returns the runs of some kinds in all experiments."""
        wanted = [f"tags.kind = {_quoted(kind)}" for kind in kinds]
        return [run for query in wanted for run in self._search(self._experiments(), query)]

    def openings(self, experiment_id: str) -> int:
        """Returns how many evaluations have scored an experiment's test patients, those among them done again."""
        ways = ({"kind": "evaluation"}, {"kind": "rerun", "rerun.what": "evaluation"})
        return sum(len(self.runs_of(experiment_id, tags)) for tags in ways)

    def runs_of(self, experiment_id: str, tag_filter: Mapping[str, str]) -> "list[mlflow.entities.Run]":
        """Returns an experiment's runs that have some tags, as they are here or as a server was told them."""
        told = paths.hidden(tag_filter, {} if self.local else paths.known(self.folder))
        ways = [tag_filter, told] if told != tag_filter else [tag_filter]
        queries = [" and ".join(f"tags.`{k}` = {_quoted(v)}" for k, v in way.items()) for way in ways]
        return [run for query in queries for run in self._search([experiment_id], query)]

    def find(self, run_id: str, where: str) -> "mlflow.entities.Run":
        """Returns a run.

        Args:
            run_id: Its id.
            where: The config path that names it, for the error.

        Raises:
            UserError: there is no such run.
        """
        from mlflow.exceptions import MlflowException  # late: a quick start

        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            uri = without_passwords(self.uri)
            raise UserError(f"{where}: there is no run '{run_id}' in {uri}; medfit ui shows their ids") from error

    def artifact(self, run_id: str, name: str, folder: str, where: str) -> Path:
        """Returns an artifact of a run as a file in a folder.

        Raises:
            UserError: there is no such run, or it has no such artifact.
        """
        from mlflow.exceptions import MlflowException  # late: a quick start

        status = self.find(run_id, where).info.status.lower()
        try:
            return Path(self.client.download_artifacts(run_id, name, folder))
        except (MlflowException, OSError) as error:
            raise UserError(
                f"{where}: run {run_id} ({status}) has no {name}; it must be a training that came to its end"
            ) from error

    def running(self, experiment_id: str | None = None) -> "list[mlflow.entities.Run]":
        """Returns the runs, of an experiment or of all, that have not ended as far as the store knows."""
        self.send_kept()  # ends, among other things
        return self._search([experiment_id] if experiment_id else self._experiments(), RUNNING)

    def restart(self, run_id: str) -> "mlflow.entities.Run | None":
        """Returns a run that goes on, RUNNING again and this process's; None if the store has no such run."""
        with self._guarded():
            if self._outbox.holds(run_id):
                self._outbox.send([run_id])  # its end may be in there
            try:
                self.client.set_tag(run_id, PROCESS, process.identity())  # first: nobody takes it for abandoned
                self.client.update_run(run_id, status="RUNNING")
                found = self.client.get_run(run_id)
                if FAILURE in found.data.tags:  # of what it goes on after
                    self.client.delete_tag(run_id, FAILURE)
                return found
            except trouble() as error:
                if refused(error):
                    return None
                raise

    def logged(self, run_id: str) -> Counter[tuple[str, int]]:
        """Returns how often a run has a point or an image (as ``images/<name>``) of each step."""
        with self._guarded():
            names = self.client.get_run(run_id).data.metrics
            points = [(key, point.step) for key in names for point in self.client.get_metric_history(run_id, key)]
            images = {file.path for file in self.client.list_artifacts(run_id, "images") if file.path.endswith(".png")}
        stems = [path.split("+") for path in images]
        return Counter(points) + Counter((stem[0], int(stem[2])) for stem in stems if stem[1:2] == ["step"])

    def make_run(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> str:
        """Makes a run that this process works on; returns its id."""
        state = provenance.code()
        tags = {
            "mlflow.source.name": "medfit",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": state["commit"],
            "git.dirty": state["dirty"],
            PROCESS: process.identity(),
            **tags,
        }
        if not self.local:
            name, tags = paths.hidden([name, tags], paths.known(self.folder))
        with self._guarded(), self._whole():
            return self.client.create_run(experiment_id, tags=tags, run_name=name).info.run_id

    def close(self, run_id: str, status: str, failure: str | None = None) -> None:
        """Ends a run that nobody works on any more as FINISHED, FAILED or KILLED; a server is told no error's words."""
        if failure:
            told = failure if self.local else failures.outline(failure)
            self.write(run_id, "tag", [FAILURE, told[: failures.LONGEST]])
        self.write(run_id, "end", [status, now_ms()])

    def write(self, run_id: str, operation: str, payload: list[Any], files: Path = Path()) -> None:
        """Writes to a run (:func:`medfit.tracking.operations.perform`); keeps it while a server is away.

        A server is told names of files, not where they lie.
        """
        if not self.local and operation not in ("metrics", "end"):
            names = paths.known(self.folder)
            payload = paths.hidden(payload, names)
            if operation == "files":
                paths.hide_in_files(files, names)
        with self._guarded(), self._whole():
            if self.local:
                perform(self.client, run_id, operation, payload, files)
            else:
                self._outbox.write(run_id, operation, payload, files)

    def send_kept(self) -> int:
        """Sends what was kept while the server was away; returns how many runs it now has as a whole."""
        with self._guarded():
            return self._outbox.send(self._outbox.runs())

    @property
    def away(self) -> bool:
        """Whether the server was away when something was last sent."""
        return self._outbox.away

    def kept(self) -> int:
        """Returns of how many runs something still waits for the server."""
        return len(self._outbox.runs())

    def _whole(self) -> AbstractContextManager[None]:
        """Keeps a write to a database from being interrupted, which could keep it locked for all that follow."""
        return process.uninterrupted() if self.local else nullcontext()

    def _open(self) -> Any:
        if not self.local:
            client = database.client(self.uri)
            client.search_experiments(max_results=1)
            return client
        return database.client(self.uri, database.make(self.uri))

    def _search(self, experiment_ids: list[str], query: str) -> "list[mlflow.entities.Run]":
        found = self._pages(
            lambda token: self.client.search_runs(experiment_ids, query, max_results=PAGE, page_token=token)
        )
        for run in found if not self.local else ():  # a study's name holds what the command line set, as paths
            if "study" in run.data.tags:
                run.data.tags["study"] = paths.shown(run.data.tags["study"], paths.known(self.folder))
        return found

    def _experiments(self) -> list[str]:
        return [experiment.experiment_id for experiment in self.experiments()]

    def _pages(self, ask: Callable[[str | None], Any]) -> list[Any]:
        with self._guarded():
            page = ask(None)
            found = list(page)
            while page.token:
                page = ask(page.token)
                found += page
        return found

    def _guarded(self) -> AbstractContextManager[None]:
        return guarded(f"tracking.uri: the store '{without_passwords(self.uri)}'")


def deleted(experiment: Any, uri: str) -> str:
    """Returns what a user can do about an experiment that was deleted in MLflow's pages."""
    return (
        f"the experiment '{experiment.name}' was deleted in MLflow, which takes no runs for it: bring it back by "
        f"MLFLOW_TRACKING_URI={without_passwords(uri)} mlflow experiments restore --experiment-id "
        f"{experiment.experiment_id}, or remove it for good by mlflow gc --backend-store-uri {without_passwords(uri)} "
        f"--experiment-ids {experiment.experiment_id}"
    )


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"


@functools.lru_cache(maxsize=64)
def _experiment(client: Any, name: str, location: str | None) -> Any:
    from mlflow.exceptions import MlflowException  # late: a quick start

    if found := client.get_experiment_by_name(name):
        return found
    try:
        return client.get_experiment(client.create_experiment(name, artifact_location=location))
    except MlflowException as error:
        found = client.get_experiment_by_name(name)  # another process's, of this moment
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or not found:
            raise
        return found
