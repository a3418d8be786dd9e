"""Where the runs of a rerun are kept: those of a sweep or an evaluation in a folder and stores of their own."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from medfit.again.recorded import WHERE, Recorded
from medfit.config.overrides import as_override
from medfit.config.stored import read_config
from medfit.errors import UserError
from medfit.tracking.store import Store, address

if TYPE_CHECKING:
    import mlflow.entities

FOLDER = "reruns"  # in the output folder
TAKEN = ("salt", "paths.json")  # so that a patient has the same pseudonym, and a file the same name
COMMANDS = {"sweep": "sweep", "evaluation": "evaluate"}
WEIGHTS = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")


@dataclass(frozen=True)
class Place:
    """Where a rerun's runs are kept.

    Args:
        config: That runs there.
        what: It is: ``training``, ``sweep`` or ``evaluation``.
        here: Whether today's code runs it.
    """

    config: DictConfig
    what: str
    here: bool

    @property
    def own(self) -> bool:
        """Whether its stores are of this rerun alone."""
        return self.what != "training"

    @property
    def folder(self) -> Path:
        """The output folder."""
        return Path(self.config.output_dir)

    def new_run(self, run_id: str | None) -> "tuple[Store, mlflow.entities.Run]":
        """Returns the new run and the store that has it.

        Args:
            run_id: Of the run; None for the only one of its kind.
        """
        store = Store(self.config)
        return store, store.find(run_id, WHERE) if run_id else store.runs_of_kind([self.what])[0]


@contextmanager
def made(cfg: DictConfig, store: Store, recorded: Recorded, here: bool) -> Iterator[Place]:
    """Gives the place of a rerun; a folder in which nothing was begun is removed.

    Args:
        cfg: Says where runs are kept.
        store: That has the finished run.
        recorded: What it recorded.
        here: Whether today's code runs, whose classes may have other names.

    Raises:
        UserError: it starts from weights that such a place has not.
    """
    config: Any = read_config(recorded.config) if here else OmegaConf.create(recorded.config)
    if recorded.what == "training":
        _set(config, {"output_dir": str(store.folder), "tracking.uri": address(cfg)})
        yield Place(config, recorded.what, here)
        return
    _check_weights(config, recorded)
    folder = _new_folder(store.folder / FOLDER, recorded.id)
    try:
        for name in TAKEN:
            if (store.folder / name).exists():
                shutil.copy2(store.folder / name, folder)
        own = {"output_dir": str(folder), "tracking.uri": None}
        _set(config, own | _of_this_machine(config.sweep, recorded.trial_threads))
        _stay_here(config)
        yield Place(config, recorded.what, here)
    finally:
        if not (folder / "mlflow.db").exists():
            shutil.rmtree(folder)


def _new_folder(parent: Path, name: str) -> Path:
    """Returns a new folder, for its owner alone to read."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in count(1):
        folder = parent / f"{name}-{number}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def _set(config: Any, values: Mapping[str, Any]) -> None:
    """Sets values of a config, by their paths, as they are typed, too: the config of a fold is composed from that."""
    keys = {path: f"{path}={as_override(value)}" for path, value in values.items()}
    for path, value in values.items():
        OmegaConf.update(config, path, value)
    config.overrides = [*(line for line in config.get("overrides") or () if _key(line) not in keys), *keys.values()]


def _of_this_machine(sweep: Any, threads: int | None) -> dict[str, Any]:
    """Returns settings with which a sweep's studies are in its output folder; one that a sweep lacks stays away.

    Args:
        sweep: Its settings, of whatever version.
        threads: Of a worker; None for as many as the settings say.
    """
    wanted = {"storage": None} | ({"threads": threads} if threads else {})
    return {f"sweep.{name}": value for name, value in wanted.items() if name in sweep}


def _stay_here(config: Any) -> None:
    """Lets a sweep's workers be of this machine, whatever ran them."""
    if "engine" not in config.sweep:
        return
    package = str(config.sweep.engine["_target_"]).rpartition(".")[0].rpartition(".")[0]  # its name of then
    config.sweep.engine = {"_target_": f"{package}.pool.Local"}
    others = [line for line in config.overrides if not _key(line).startswith(("sweep/engine", "sweep.engine"))]
    config.overrides = [*others, "sweep/engine=local"]


def _key(line: str) -> str:
    return line.lstrip("+~").partition("=")[0]


def _check_weights(config: Any, recorded: Recorded) -> None:
    source = OmegaConf.select(config, "model.init_from")
    if source and not str(source).lower().endswith(WEIGHTS):
        raise UserError(
            f"{WHERE}: run {recorded.id} starts from the weights of {source}, which the store of a rerun has not: "
            f"type medfit {COMMANDS[recorded.what]} again"
        )
