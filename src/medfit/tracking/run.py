"""One MLflow run, and what it is told."""

import json
import math
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
from PIL.Image import Image

from medfit.config.overrides import as_override
from medfit.errors import StoreError, disk_full
from medfit.tracking.background import BackgroundWriter
from medfit.tracking.operations import MOST_POINTS, now_ms
from medfit.tracking.store import Store
from medfit.tracking.tracked_data import TrackedData

FLUSH_S = 2.0  # how often metrics are sent, so that the UI follows a run
OWN = ("val/", "test/")  # with what the names of a training's scores begin
LONGEST_PARAM = 6000  # characters that MLflow takes
CUT = " ... [cut here; config.yaml has all of it"  # no override can be read that ends so
KINDS = {"numeric": "double", "categorical": "string", "boolean": "boolean"}


class Run:
    """One MLflow run; what it is told is written in the background, in order, metrics in batches.

    Each method raises what an earlier write failed with: a StoreError if the store fails. A server that is away is no
    failure, its writes are kept. Only :meth:`flush` and :meth:`end` wait.
    """

    def __init__(self, store: Store, run_id: str, experiment_id: str, begun_with: Collection[str] = ()) -> None:
        self.store, self.id, self.experiment_id = store, run_id, experiment_id
        self._begun_with = begun_with  # params, which MLflow lets nobody change
        self.history: dict[str, list[tuple[int, float]]] = {}
        self.others_go_on = False  # set where this process leaves a run that other processes work on
        self._keys: dict[str, str] = {}  # names of metrics by what MLflow calls them
        self._points: list[list[Any]] = []
        self._had: Counter[tuple[str, int]] = Counter()  # points and images that the store has of a run that goes on
        self._writer = BackgroundWriter()
        self._flushed = time.monotonic()

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Logs values by their config paths, spelled as overrides; a run that goes on keeps those it has."""
        new = {key: value for key, value in params.items() if key not in self._begun_with}
        self._write("params", [[key, _shortened(as_override(value))] for key, value in new.items()])

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Keeps finite values, and sends them now and then."""
        now = now_ms()
        for name, value in metrics.items():
            if math.isfinite(value):
                key = self._key(name)
                self.history.setdefault(key, []).append((step, float(value)))
                self._add(key, float(value), now, step)
        if time.monotonic() - self._flushed > FLUSH_S:
            self._send_points()

    def points(self, name: str) -> list[tuple[int, float]]:
        """Returns what was logged of a metric so far, by the name that it was logged with: its steps and values."""
        return self.history.get(self._key(name), [])

    def curves(self) -> dict[str, Any]:
        """Returns all that was logged of metrics so far, for :meth:`go_on`."""
        points = {key: [list(point) for point in points] for key, points in self.history.items()}
        return {"points": points, "names": dict(self._keys)}

    def go_on(self, curves: Mapping[str, Any], continued: bool) -> None:
        """Takes up the curves of a training that was interrupted; no point and no image is there twice.

        Args:
            curves: What :meth:`curves` gave then; empty where it begins again.
            continued: Whether it was this run's own, so that the store has some of them, and perhaps some of what is
                still to come: the store can't take back what was logged after the training's state was kept.
        """
        if continued:
            self._had.update(self.store.logged(self.id))
        self._keys.update(curves.get("names", {}))
        for key, points in curves.get("points", {}).items():
            self.history[key] = [(step, value) for step, value in points]
            for step, value in self.history[key]:
                self._add(key, value, now_ms(), step)

    def _add(self, key: str, value: float, time_ms: int, step: int) -> None:
        if not self._has(key, step):
            self._points.append([key, value, time_ms, step])

    def _has(self, key: str, step: int) -> bool:
        """Tells whether the store has a point or an image from before; one that it has is asked for once."""
        found = self._had.get((key, step), 0) > 0
        if found:
            self._had[key, step] -= 1
        return found

    def _key(self, name: str) -> str:
        """Returns a metric's name in signs that MLflow takes, which no other metric of this run has."""
        key = "".join(letter if letter.isalnum() or letter in "_-. :/" else "_" for letter in name)
        numbered = (f"{key}_{number}" if number > 1 else key for number in count(1))
        return next(free for free in numbered if self._keys.setdefault(free, name) == name)

    def flush(self) -> None:
        """Returns when all is written; what the store fails to take goes on waiting."""
        self._send_points()
        self._writer.drain()

    def set_tag(self, key: str, value: str) -> None:
        """Sets a tag."""
        self._write("tag", [key, value])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags."""
        self._write("tags", [list(pair) for pair in tags.items()])

    def log_files(self, files: Mapping[str, Any]) -> None:
        """Logs artifacts by their paths: text, JSON (a dict), a CSV (a DataFrame), a figure, weights (as ``.ckpt``)."""
        folder = Path(mkdtemp(prefix="medfit-"))
        try:
            write_files(folder, files)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._writer.put(partial(self._write_folder, folder, "files"))

    def log_model(self, name: str, kind: str, write: Callable[[Path], None], scores: Sequence[str] = OWN) -> None:
        """Logs a model of the run, with the scores that the run has by then.

        Args:
            name: In MLflow's list of models.
            kind: Of target, which the list shows.
            write: Writes the model's files into a folder, which is not there yet.
            scores: With what the names of the model's own scores begin.
        """
        self._send_points()
        folder = Path(mkdtemp(prefix="medfit-"))
        try:
            write(folder / "model")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._writer.put(partial(self._write_folder, folder, "model", [name, kind, list(scores)], "model"))

    def log_tested(self, model_id: str, metrics: Mapping[str, float]) -> None:
        """Logs that the run tests a model of another run, and metrics as the run's and the model's.

        Args:
            model_id: In MLflow.
            metrics: Finite values, by name.
        """
        now = now_ms()
        self._write("tested", [model_id, [[name, float(value), now, 0] for name, value in metrics.items()]])

    def _write_folder(self, folder: Path, operation: str, payload: Sequence[Any] = (), part: str = "") -> None:
        self.store.write(self.id, operation, list(payload), folder / part)
        shutil.rmtree(folder, ignore_errors=True)

    def log_image(self, name: str, image: np.ndarray, step: int) -> None:
        """Logs an image of a step, which MLflow shows with a slider over the steps."""
        if self._has(stem := f"images/{name.replace('/', '~')}", step):
            return
        from mlflow.tracking.multimedia import compress_image_size, convert_to_pil_image  # late: a quick start

        # not by client.log_image, which names a file anew each time: an image sent twice would be there twice
        path = f"{stem}+step+{step}+timestamp+{now_ms()}+{uuid.uuid4()}"
        whole = convert_to_pil_image(image)
        self.log_files({f"{path}.png": whole, f"{path}+compressed.webp": compress_image_size(whole)})
        self.set_tag("mlflow.loggedImages", "True")

    def log_dataset(
        self,
        dataset: TrackedData,
        proof: Mapping[str, Any],
        files: Mapping[str, Any] | None = None,
        used_for: str = "train, val",
    ) -> None:
        """Logs a data set's name, fingerprint, schema and counts, no row and no identifier; and further files.

        What it is used for, MLflow shows.
        """
        schema = dataset.schema()
        columns = [
            {"name": column["name"], "type": KINDS.get(column["kind"], "double"), "required": True} for column in schema
        ]
        entity = {
            "name": dataset.name,
            "digest": dataset.fingerprint()[:32],
            "source_type": "local",
            "source": json.dumps({"source": dataset.source}),
            "schema": json.dumps({"mlflow_colspec": columns}),
            "profile": json.dumps({"num_rows": len(dataset), **proof}),
        }
        self._write("input", [entity, {"mlflow.data.context": used_for}])
        facts = {"columns": schema, "sha256": dataset.fingerprint()}
        self.log_files({**(files or {}), "data/schema.json": facts, "data/split.json": dict(proof)})

    def end(self, status: str) -> None:
        """Writes what waits and ends the run as FINISHED, FAILED or KILLED; not if others go on with it."""
        self.flush()
        if not self.others_go_on:
            self.store.write(self.id, "end", [status, now_ms()])

    def _write(self, operation: str, payload: list[Any]) -> None:
        self._writer.put(partial(self.store.write, self.id, operation, payload))

    def _send_points(self) -> None:
        points, self._points, self._flushed = self._points, [], time.monotonic()
        for first in range(0, len(points), MOST_POINTS):
            self._write("metrics", points[first : first + MOST_POINTS])


def _shortened(value: str) -> str:
    """Returns a param as MLflow takes it; a longer one can't be mistaken for a whole one."""
    return value if len(value) <= LONGEST_PARAM else value[: LONGEST_PARAM - len(CUT)] + CUT


def create_run(store: Store, experiment: str, name: str, tags: Mapping[str, str]) -> Run:
    """Returns a new run, RUNNING.

    Args:
        store: That keeps it.
        experiment: The MLflow experiment's name.
        name: The run's.
        tags: The run's.
    """
    experiment_id = store.experiment_id(experiment)
    return Run(store, store.make_run(experiment_id, name, tags), experiment_id)


def reopen_run(store: Store, run_id: str | None) -> Run | None:
    """Returns a run that goes on, RUNNING again and this process's; None if the store has no such run."""
    found = store.restart(run_id) if run_id else None
    return Run(store, found.info.run_id, found.info.experiment_id, found.data.params) if found else None


def write_files(folder: Path, files: Mapping[str, Any]) -> None:
    """Writes files into a folder, as :meth:`Run.log_files` takes them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(path, content)
        except OSError as error:
            if disk_full(error):
                raise StoreError(f"{path.parent} can't be used (the disk is full)") from error
            raise


def _text(name: str, content: Any) -> str | None:
    """Returns a file's text; None if it has none."""
    match content:
        case str():
            return content
        case dict() if not name.endswith(".ckpt"):
            return json.dumps(content, indent=2)
        case pd.DataFrame():
            return content.to_csv(index=False)
    return None


def _write(path: Path, content: Any) -> None:
    if (text := _text(path.name, content)) is not None:
        path.write_text(text)
        return
    match content:
        case dict():
            import torch  # late: a quick start

            torch.save(content, path)
        case Path():
            path.write_bytes(content.read_bytes())
        case Image():
            content.save(path)
        case _:
            content.savefig(path, dpi=100)
