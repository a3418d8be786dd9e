"""Which interrupted training another one goes on from."""

import math
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from medfit.config import folders
from medfit.errors import UserError
from medfit.terminal.console import say
from medfit.tracking import process
from medfit.tracking.store import PROCESS, Store
from medfit.training import state_file
from medfit.training.origin import Origin
from medfit.training.state_file import StateError, StateFile

if TYPE_CHECKING:
    import mlflow.entities

FOLDER = "states"  # in the output folder, which all machines of a study see
AUTO = "auto"
PARTS = ("trial", "fold", "seed")  # kinds of runs that belong to a study or an evaluation, and go on by themselves
SILENT = 1.5  # times the interval without a new state, after which a process elsewhere is taken for dead


@dataclass(frozen=True)
class Interrupted:
    """A training that was interrupted.

    Args:
        path: Of its state.
        run_id: Of its run.
        state: None if it can't be read, so that the training begins again.
        continues: Whether its run goes on; else another run takes its state.
    """

    path: Path
    run_id: str
    state: StateFile | None
    continues: bool


def path_of(folder: Path, key: str, run_id: str) -> Path:
    """Returns where a run's state lies."""
    return folder / FOLDER / f"{key}-{run_id}.state"


def find(origin: Origin, tags: Mapping[str, str], wanted: str | None) -> Interrupted | None:
    """Returns the interrupted training to go on from; None to begin anew.

    Args:
        origin: Of the training that is about to begin.
        tags: Of its run.
        wanted: The id of a run; ``auto`` for the newest that is alike; None for none, of which the user is told. Parts
            of a study or an evaluation take the newest in any case.

    Raises:
        StateError: the one that is wanted can't go on.
    """
    part = tags["kind"] in PARTS
    if wanted and wanted != AUTO and not part:
        try:
            return _named(origin, tags, wanted)
        except StateError as error:
            raise StateError(f"train.resume: run {wanted} can't go on: {error}") from error
    found = next(_alike(origin, tags, waits=wanted == AUTO), None)
    if part or wanted == AUTO:
        if found is None and not part:
            say("train.resume=auto: there is no interrupted run of this config, data and code; a new one begins")
        return _read(found, origin) if found else None
    if found is not None:
        say(f"Run {found.run_id} of this config was interrupted; {how_to_go_on(origin.cfg, found.run_id)}")
    return None


def how_to_go_on(cfg: DictConfig, run_id: str) -> str:
    """Returns the command by which a run of a config goes on."""
    experiment = [f"experiment={cfg.experiment}{'/best' if cfg.best else ''}"] if cfg.experiment else []
    return f"to go on: medfit train {shlex.join([*experiment, *cfg.overrides, f'train.resume={run_id}'])}"


def has_state(cfg: DictConfig, run_id: str) -> bool:
    """Tells whether there is something to go on with."""
    return bool(run_id) and _path(cfg, run_id) is not None


def _path(cfg: DictConfig, run_id: str) -> Path | None:
    return next((folders.ROOT / cfg.output_dir / FOLDER).glob(f"*-{run_id}.state"), None)


def tidy(store: Store) -> tuple[int, int]:
    """Removes the states of runs that are finished or were deleted; returns how many are left, and were removed."""
    left, removed, folder = 0, 0, store.folder / FOLDER
    for path in (*folder.glob("*.state"), *folder.glob(".*.state.*")):  # the latter were being written at a kill
        whole, needed = path.suffix == ".state", True
        with suppress(UserError):  # a run that is not found, as a server may be away
            run = store.find(path.name.partition(".state")[0].rpartition("-")[2], "train.resume")
            needed = not _over(run) if whole else run.info.status == "RUNNING"
        if not needed:
            path.unlink(missing_ok=True)
        left, removed = left + (whole and needed), removed + (not needed)
    return left, removed


def _named(origin: Origin, tags: Mapping[str, str], run_id: str) -> Interrupted:
    """Returns the interrupted training of a run.

    Raises:
        StateError: it can't go on.
    """
    store = Store(origin.cfg)
    run = store.find(run_id, "train.resume")
    if _over(run):
        raise StateError("it is finished" if run.info.status == "FINISHED" else "it was deleted in MLflow")
    if (kind := run.data.tags.get("kind")) != tags["kind"]:
        raise StateError(f"it is a {kind}, which the command that began it goes on with")
    if (path := _path(origin.cfg, run.info.run_id)) is None:
        raise StateError(
            f"there is no state of it in '{store.folder / FOLDER}'; a training writes one each "
            "regime.checkpoint_every_min, and when it is interrupted after its first minute"
        )
    if left_s := _until_dead_s(run, path, origin.parts.regime.checkpoint_every_min):
        raise StateError(f"it still runs{_elsewhere(left_s)}")
    return Interrupted(path, run_id, _checked(path, run_id, origin), continues=True)


def _alike(origin: Origin, tags: Mapping[str, str], waits: bool) -> Iterator[Interrupted]:
    """Yields the interrupted trainings of the same config, data and code, the latest first, their states unread.

    Args:
        origin: Of the training that is about to begin.
        tags: Of its run.
        waits: Whether to wait until it is known of a run whether another machine works on it.
    """
    folder = folders.ROOT / origin.cfg.output_dir / FOLDER
    if next(folder.glob("*.state"), None) is None:  # as nearly always
        return
    if not (paths := list(folder.glob(f"{origin.key}-*.state"))):
        return
    store = Store(origin.cfg)
    for path in sorted(paths, key=_written, reverse=True):
        run_id = path.stem.rpartition("-")[2]
        with suppress(UserError):  # the run was deleted
            run = store.find(run_id, "train.resume")
            same = all(run.data.tags.get(name) == value for name, value in tags.items())
            every_min = origin.parts.regime.checkpoint_every_min if same else 0.0
            fits = same or (tags["kind"] in PARTS and run.data.tags.get("kind") == tags["kind"])
            left_s = _until_dead_s(run, path, every_min)
            if fits and waits and 0 < left_s < math.inf:
                say(f"Run {run_id} may still run{_elsewhere(left_s)}, which this command waits for")
                time.sleep(left_s)
                run = store.find(run_id, "train.resume")
                left_s = _until_dead_s(run, path, every_min)
            if fits and not _over(run) and not left_s:
                yield Interrupted(path, run_id, None, same)


def _read(found: Interrupted, origin: Origin) -> Interrupted:
    """Returns an interrupted training with its state; without one where that can't be read, which is told."""
    try:
        state = _checked(found.path, found.run_id, origin)
    except (StateError, FileNotFoundError) as error:  # another process may have just taken it
        say(f"Run {found.run_id} can't go on from its state, and begins again: {error}")
        return found
    return Interrupted(found.path, found.run_id, state, found.continues)


def _checked(path: Path, run_id: str, origin: Origin) -> StateFile:
    state = state_file.read(path)
    if state.header["run"] != run_id:
        raise StateError(f"'{path}' is the state of run {state.header['run']}")
    origin.check(state)
    return state


def _over(run: "mlflow.entities.Run") -> bool:
    return run.info.status == "FINISHED" or run.info.lifecycle_stage == "deleted"


def _until_dead_s(run: "mlflow.entities.Run", path: Path, every_min: float) -> float:
    """Returns the seconds until a run is known to be nobody's: another machine that works on it writes its state."""
    if run.info.status != "RUNNING":
        return 0.0
    state = process.state(run.data.tags[PROCESS]) if PROCESS in run.data.tags else "elsewhere"
    if state == "elsewhere":
        return max(0.0, _written(path) + 60 * SILENT * every_min - time.time())
    return math.inf if state == "runs" else 0.0


def _elsewhere(left_s: float) -> str:
    """Returns in words where a run is, and for how long that is to be believed."""
    if left_s == math.inf:
        return ""
    return f" on another machine; unless it writes its state, it can go on here in {math.ceil(left_s / 60)} min"


def _written(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0
