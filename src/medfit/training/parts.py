"""All that a training needs, built from a config."""

import copy
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import lightning as L
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from medfit.config.instantiate import build, load_dataset
from medfit.config.node_key import NodeKey
from medfit.config.schema import own
from medfit.data import leaks
from medfit.data.datamodule import DataModule, Prepared
from medfit.data.dataset import Dataset
from medfit.data.inputs import Shape
from medfit.errors import UserError, in_memory
from medfit.evidence.targets.known import named
from medfit.tasks.base import Task
from medfit.tasks.regime import Training, WithHeadRate
from medfit.training import recomputed, source_patients
from medfit.training.initial_weights import InitialWeights
from medfit.training.start import Start, start_of
from medfit.training.started import tell


@dataclass(frozen=True)
class Parts:
    """What a config builds: all that a training needs.

    Args:
        datamodule: Batches of each split.
        task: With its model, untrained.
        regime: How to train.
        leaks: What the leak scan found, a line each.
        source: The weights that the task's model started from; None for those that are drawn at random.
    """

    datamodule: DataModule
    task: Task
    regime: Training
    leaks: Sequence[str] = ()
    source: InitialWeights | None = None


def prepare(cfg: DictConfig, trained: bool = False) -> Parts:
    """Builds everything, and so finds every mistake that shows before training.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.
        trained: Whether the weights of a training are to be loaded into the task, which then starts from no others.
    """
    quiet()
    dataset = load_dataset(cfg)
    fits = get_object(cfg.task._target_).fits
    if named(dataset.task) not in fits:
        learnt = sorted(kind.name for kind in fits)
        raise UserError(
            f"task={cfg.choices.task} learns {' or '.join(learnt)} targets, but the data set's are {dataset.task}"
        )
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    with in_memory(lambda: f"what this asks for does not fit in memory; lower {sizes(cfg, 'the size of the model')}"):
        prepared = _prepared(dataset, *(NodeKey(key, _values(cfg[key])) for key in ("preprocessing", "split")))
        datamodule = DataModule(prepared, cfg.regime.batch_size, cfg.seed, plain=cfg.regime.speed == "plain")
        start = None if trained else start_of(cfg, dataset)
        arrays = partial(datamodule.arrays, "train")
        task = make_task(cfg, datamodule.input_shape, dataset.target_names, arrays, start)
    if task.regime.gradient_checkpointing:
        recomputed.check(task, task.regime)
    datamodule.proof = proof = dict(datamodule.proof)  # others of these data may start otherwise
    if start is not None:
        proof |= start.facts
        tell(start.facts)
    found = leaks.check(dataset, datamodule.rows, proof["assignment_sha256"], cfg.dataset.get("strict", False))
    source = start.weights if start is not None else None
    if source is not None:
        more = source_patients.check(source, dataset, datamodule.rows, cfg.dataset.get("strict", False))
        found = leaks.Scan([*found.findings, *more.findings], [*found.notes, *more.notes])
    proof["leaks"], proof["leak_scan"] = list(found.findings), {"not_looked_at": list(found.notes)}
    return Parts(datamodule, task, task.regime, found.findings, source)


_PREPARED: dict[tuple[Any, ...], Prepared] = {}
MOST_KEPT, MOST_KEPT_BYTES = 16, 2**28


def _prepared(dataset: Dataset, preprocessing: NodeKey, split: NodeKey) -> Prepared:
    """Returns data as two configs divide and prepare them, once for all trainings that share these."""
    key = dataset, preprocessing, split
    if key not in _PREPARED:
        if len(_PREPARED) >= MOST_KEPT or sum(made.data.nbytes for made in _PREPARED.values()) > MOST_KEPT_BYTES:
            _PREPARED.clear()  # before others are made: there may be no room for both
        _PREPARED[key] = Prepared(dataset, build(preprocessing.node), build(split.node))
    return _PREPARED[key]


def _values(node: DictConfig) -> Any:
    return OmegaConf.to_container(node, resolve=True)


def make_task(
    cfg: DictConfig,
    input_shape: Shape,
    target_names: Sequence[str],
    train_arrays: Callable[[], tuple[Tensor, Tensor]] | None = None,
    start: Start | None = None,
) -> Task:
    """Returns the config's task with its model, untrained.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.
        input_shape: Of one sample's ``x``.
        target_names: The data set's.
        train_arrays: Gives ``x`` and ``y`` of the training split; None where weights are to be loaded, that hold what
            was learnt from them.
        start: Builds the model from others' weights; None for weights drawn at random.
    """
    task: Task = build(cfg.task)(
        model=start or build(own(cfg.model, "model")),
        regime=_regime(cfg),
        input_shape=input_shape,
        target_names=target_names,
        train_arrays=train_arrays,
    )
    return task


def _regime(cfg: DictConfig) -> Training:
    """Returns how to train; an optimiser's rate for the last layer is no argument of its class."""
    node, head_lr = copy.deepcopy(cfg.regime), None
    if "optimizer" in node:
        head_lr, node.optimizer = node.optimizer.get("head_lr"), own(node.optimizer, "regime.optimizer")
    made: Any = build(node)
    regime: Training = made if head_lr is None else replace(made, optimizer=WithHeadRate(made.optimizer, head_lr))
    return regime


def sizes(cfg: DictConfig, first: str) -> str:
    """Returns a config path, and those that set how large a sample becomes."""
    return " or ".join([first, *(f"preprocessing.{key}" for key in cfg.preprocessing if str(key).endswith("size"))])


def quiet() -> None:
    """Keeps Lightning's advice, meant for developers, from the terminal."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory.*",
        ".*`isinstance.*LeafSpec.*",
        ".*GPU available.*",
        r".*self\.log\('val/.*sync_dist=True.*",  # which all devices are told by the first
        ".*in eval mode at the start of training.*",  # as frozen normalisation is
    ):
        warnings.filterwarnings("ignore", message)
