"""The writes to MLflow, each of plain values, and what it means when one fails."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medfit.errors import StoreError, UserError, disk_full

MENDABLE = (401, 403, 407, 408, 429)  # statuses that time or an administrator mends
NOT_FOR_GOOD = ("BAD_REQUEST", "ENDPOINT_NOT_FOUND")  # trouble in the server's database; a proxy's, its server gone
MOST_PAIRS, MOST_POINTS = 100, 800  # params or tags, and metrics, that MLflow takes at once; all together 1000
SIGNS = {
    "is locked": "locked by another program",
    "could not be acquired": "locked by another process",
    "Max retries": "no server answers there",
    "disk I/O error": "the disk is full or broken",
    "readonly database": "it can't be written to",
    "Read-only file system": "it can't be written to",
}


OPERATIONS = ("params", "metrics", "tags", "tag", "files", "input", "model", "end")


def perform(client: Any, run_id: str, operation: str, payload: list[Any], files: Path) -> None:
    """Does one write; done twice, each has the effect of once.

    Args:
        client: MLflow's.
        run_id: The run.
        operation: One of :data:`OPERATIONS`.
        payload: What JSON can hold: pairs; points (name, value, time, step); pairs; key and value; nothing; a data set
            and its tags; a model's name and kind, and with what its scores' names begin; status and time. Times are in
            milliseconds since 1970.
        files: The folder of an operation that has one.
    """
    match operation:
        case "params" | "metrics" | "tags":
            _log_batch(client, run_id, **{operation: payload})
        case "tag":
            client.set_tag(run_id, *payload)
        case "files":
            _log_files(client, run_id, files)
        case "input":
            _log_input(client, run_id, *payload)
        case "model":
            _log_model(client, run_id, files, *payload)
        case "end":
            client.set_terminated(run_id, *payload)
        case _:
            raise ValueError(operation)


@contextmanager
def guarded(place: str) -> Iterator[None]:
    """Tells a store's trouble as a place's.

    Raises:
        StoreError: it fails, or nothing answers.
        UserError: it answers and refuses, as it would again.
    """
    try:
        yield
    except trouble() as error:
        kind = UserError if refused(error) else StoreError
        raise kind(f"{place} can't be used ({meaning(error)})") from error


def trouble() -> tuple[type[Exception], ...]:
    """Returns the kinds of errors that MLflow, its database and its connections raise."""
    from mlflow.exceptions import MlflowException  # late: a quick start
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, sqlite3.Error, OSError


def refused(error: Exception) -> bool:
    """Tells whether a store answered and refuses what it was asked, however often it is asked."""
    from mlflow.exceptions import MlflowException  # late: a quick start

    status = 500
    if isinstance(error, MlflowException) and error.error_code not in NOT_FOR_GOOD:
        status = error.get_http_status_code()
    elif (response := getattr(error, "response", None)) is not None:  # an upload's
        status = 500 if response.status_code == 404 else response.status_code
    return 400 <= status < 500 and status not in MENDABLE


def meaning(error: Exception) -> str:
    """Returns an error in a few words."""
    if disk_full(error):
        return "the disk is full"
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return next((words for sign, words in SIGNS.items() if sign in line), line[:200])


def _log_batch(
    client: Any,
    run_id: str,
    params: Sequence[Sequence[Any]] = (),
    metrics: Sequence[Sequence[Any]] = (),
    tags: Sequence[Sequence[Any]] = (),
) -> None:
    from mlflow.entities import Metric, Param, RunTag  # late: a quick start

    while params or metrics or tags:
        client.log_batch(
            run_id,
            params=[Param(*pair) for pair in params[:MOST_PAIRS]],
            metrics=[Metric(*point) for point in metrics[:MOST_POINTS]],
            tags=[RunTag(*pair) for pair in tags[:MOST_PAIRS]],
        )
        params, metrics, tags = params[MOST_PAIRS:], metrics[MOST_POINTS:], tags[MOST_PAIRS:]


def _log_files(client: Any, run_id: str, files: Path) -> None:
    try:
        client.log_artifacts(run_id, str(files))
    except trouble():
        raise
    except Exception as error:  # an artifact store's library, such as boto3, has kinds of its own
        raise OSError(f"{type(error).__name__}: {error}") from error


def _log_input(client: Any, run_id: str, dataset: dict[str, str], tags: dict[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag  # late: a quick start
    from mlflow.exceptions import MlflowException

    entity = DatasetInput(Dataset(**dataset), [InputTag(*pair) for pair in tags.items()])
    try:
        client.log_inputs(run_id, [entity])
    except MlflowException as error:
        if error.error_code != "BAD_REQUEST":
            raise
        client.log_inputs(run_id, [entity])  # another run's process has made the data set's row meanwhile


def _log_model(
    client: Any, run_id: str, files: Path, name: str, kind: str, prefixes: Sequence[str] = ("val/", "test/")
) -> None:
    """Logs a run's model, with the run's params, its last scores of some names, and the data set of these."""
    from mlflow.entities import LoggedModelOutput, Metric  # late: a quick start

    run = client.get_run(run_id)
    experiment_id, where = run.info.experiment_id, f"source_run_id = '{run_id}' and name = '{name}'"
    made = client.search_logged_models([experiment_id], where)  # one was begun, if this write was cut off
    model = made[0] if made else client.create_logged_model(experiment_id, name, run_id, None, run.data.params, kind)
    if model.status == "READY":
        return
    client.log_model_artifacts(model.model_id, str(files))
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    used = run.inputs.dataset_inputs if run.inputs else []
    of = (used[0].dataset.name, used[0].dataset.digest) if used else (None, None)
    keys = [key for key in run.data.metrics if key.startswith(tuple(prefixes))]
    points = [client.get_metric_history(run_id, key)[-1] for key in keys]
    client.log_batch(run_id, [Metric(p.key, p.value, p.timestamp, p.step, model.model_id, *of) for p in points])
    client.finalize_logged_model(model.model_id, "READY")


def now_ms() -> int:
    """Returns the time in MLflow's unit."""
    return int(time.time() * 1000)
