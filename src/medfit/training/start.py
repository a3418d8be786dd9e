"""How a network begins: from weights drawn at random, or from others' weights."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from omegaconf import DictConfig
from torch import nn

from medfit.config.instantiate import build
from medfit.config.schema import own
from medfit.data.dataset import Dataset
from medfit.training import initial_weights
from medfit.training.initial_weights import InitialWeights
from medfit.training.transfer import Transfer, depending, shapes_of, transfer


class Start:
    """Builds a network that starts from others' weights.

    Args:
        network: Builds it, of an input's shape and a number of outputs.
        weights: To start from.
        task: The task's name.
        dataset: What the network is to learn from.

    Attributes:
        facts: What is recorded of it, once the network is built.
    """

    def __init__(self, network: Callable[..., nn.Module], weights: InitialWeights, task: str, dataset: Dataset) -> None:
        self.network, self.weights = network, weights
        self.outputs = task, list(dataset.target_names)
        self.inputs = [column["name"] for column in dataset.schema() if column["role"] == "feature"]
        self.facts: dict[str, Any] = {}
        self.__signature__ = inspect.signature(network)  # tells whether it takes several inputs

    def __call__(self, input_shape: Any, output_size: int) -> nn.Module:
        """Returns the network.

        Raises:
            UserError: the weights are of another architecture.
        """
        made, weights = self.network(input_shape, output_size), self.weights
        single = not isinstance(input_shape, Mapping)
        wider = (input_shape[0] + 1, *input_shape[1:]) if single else input_shape
        done = transfer(
            made,
            weights.tensors,
            depending(made, shapes_of(self.network, input_shape, output_size + 1)),
            depending(made, shapes_of(self.network, wider, output_size)) if single else set(),
            weights.outputs in (None, self.outputs),
            not (single and len(input_shape) == 1) or weights.inputs in (None, self.inputs),
        )
        self.facts = _facts(weights, done) | {"inputs_renamed": weights.inputs not in (None, self.inputs)}
        return made


def start_of(cfg: DictConfig, dataset: Dataset) -> Start | None:
    """Returns how a config's network starts; None if by weights drawn at random.

    Raises:
        UserError: there are no such weights.
    """
    if not cfg.model.get("init_from"):  # a config of before has no such key
        return None
    return Start(build(own(cfg.model, "model")), initial_weights.read(cfg), cfg.choices.task, dataset)


def _facts(weights: InitialWeights, done: Transfer) -> dict[str, Any]:
    """Returns plain values: the numbers of layers, and their names."""
    run = weights.run.info.run_id if weights.run else None
    source = {
        "address": weights.address,
        "from": weights.told,
        "run": run,
        "sha256": weights.sha256,
        "dataset": weights.dataset,
    }
    return source | {what: names for what, names in vars(done).items() if what != "taken"} | {"taken": len(done.taken)}
