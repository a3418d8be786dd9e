"""Weights that a training starts from: those of another training, or of a file."""

import hashlib
import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from medfit.errors import UserError
from medfit.tracking.patients import FILE, Taught
from medfit.tracking.registry import model_at
from medfit.tracking.store import Store
from medfit.training.run_plots import CHECKPOINT

if TYPE_CHECKING:
    import mlflow.entities

WHERE = "model.init_from"  # the config path that names them
FILES = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")
WITHIN = ("state_dict", "model_state_dict", "model")  # where a file of before keeps the weights among other things


@dataclass(frozen=True)
class InitialWeights:
    """Weights to start from.

    Args:
        tensors: By their names in the file.
        sha256: Of the file.
        address: Where they were asked for, without a folder.
        told: Where they come from, in words that name no folder.
        run: The training that made them; None for a file, of which nothing else is known.
        outputs: What the source's outputs mean: its task and the names of its targets; None where it is not known.
        inputs: The names of its features or channels; None where they are not known.
        dataset: The name of what it learnt from; None where it is not known.
        taught: Who taught them; None where it is not known.
        folder: The output folder, whose key hashes patients.
    """

    tensors: Mapping[str, Tensor]
    sha256: str
    address: str
    told: str
    run: "mlflow.entities.Run | None" = None
    outputs: tuple[str, Sequence[str]] | None = None
    inputs: Sequence[str] | None = None
    dataset: str | None = None
    taught: Taught | None = None
    folder: Path = Path()


def read(cfg: Any) -> InitialWeights:
    """Returns the weights that ``model.init_from`` names.

    Args:
        cfg: The whole config, which also says where runs are kept.

    Raises:
        UserError: there are none, or they can't be read.
    """
    address = str(cfg.model.init_from)
    if address.startswith("models:/"):
        return _of_model(Store(cfg), address)
    if Path(address).suffix.lower() in FILES:
        return _of_file(Path(address).expanduser())
    if Path(address).expanduser().exists():
        raise UserError(f"{WHERE}: '{Path(address).name}' is none of the files that hold weights ({', '.join(FILES)})")
    return _of_run(Store(cfg), address, address, f"run {address}")


def _of_model(store: Store, address: str) -> InitialWeights:
    from mlflow.exceptions import MlflowException  # late: a quick start

    try:
        model = store.client.get_logged_model(model_at(store, address, WHERE))
    except MlflowException as error:
        raise UserError(f"{WHERE}: there is no model {address}; medfit ui lists them under Models") from error
    if store.find(model.source_run_id, WHERE).data.tags.get("kind") == "evaluation":
        raise UserError(
            f"{WHERE}: {address} is made of several trainings; give the run of one of them, which medfit ui shows"
        )
    return _of_run(store, model.source_run_id, address, f"{address} (run {model.source_run_id})")


def _of_run(store: Store, run_id: str, address: str, told: str) -> InitialWeights:
    run = store.find(run_id, WHERE)
    with TemporaryDirectory() as folder:
        path = store.artifact(run_id, CHECKPOINT, folder, WHERE)
        tensors, digest = tensors_of(path), _digest(path)
        shapes = json.loads(store.artifact(run_id, "checkpoint/shapes.json", folder, WHERE).read_text())
        columns = json.loads(store.artifact(run_id, "data/schema.json", folder, WHERE).read_text())["columns"]
    return InitialWeights(
        tensors,
        digest,
        address,
        told,
        run,
        (run.data.tags.get("task", ""), shapes["target_names"]),
        [column["name"] for column in columns if column["role"] == "feature"],
        run.inputs.dataset_inputs[0].dataset.name if run.inputs and run.inputs.dataset_inputs else None,
        _taught(store, run_id),
        store.folder,
    )


def _taught(store: Store, run_id: str) -> Taught | None:
    """Returns who taught a training; None where its run is from before that was noted."""
    with TemporaryDirectory() as folder:
        try:
            return Taught.of_file(json.loads(store.artifact(run_id, FILE, folder, WHERE).read_text()))
        except UserError:
            return None


def _of_file(path: Path) -> InitialWeights:
    if not path.is_file():
        raise UserError(f"{WHERE}: there is no file '{path}'")
    return InitialWeights(tensors_of(path), _digest(path), path.name, f"file {path.name}")


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Returns the weights in a file, by name: read without running anything that the file may hold.

    Raises:
        UserError: it holds none, or other objects among them, or was cut short.
    """
    if path.suffix.lower() == ".safetensors":
        return _of_safetensors(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # of how it was pickled
            held = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path):
            raise UserError(
                f"{WHERE}: '{path.name}' holds more than tensors, and could run code; save its weights alone, by "
                "torch.save(network.state_dict(), ...) or as .safetensors"
            ) from error
        raise _broken(path) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise _broken(path) from error
    if found := _weights(held):
        return found
    raise UserError(f"{WHERE}: '{path.name}' holds no weights by name, as a state_dict does")


def _of_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError  # late: a quick start
    from safetensors.torch import load_file  # late: a quick start

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise _broken(path) from error


def _weights(held: Any) -> dict[str, Tensor]:
    """Returns the tensors of a mapping, or of the mapping within it that has some."""
    if not isinstance(held, Mapping):
        return {}
    own = {str(name): value for name, value in held.items() if isinstance(value, Tensor)}
    within = [_weights(held[key]) for key in WITHIN if key in held]
    return next(filter(None, within), own)


def _broken(path: Path) -> UserError:
    return UserError(f"{WHERE}: '{path.name}' can't be read as weights: it was cut short, or is no such file")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
