"""How a network begins: from weights drawn at random or others' weights, and with which of them frozen."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig
from torch import nn

from medfit.config.instantiate import build
from medfit.config.schema import own
from medfit.data.dataset import Dataset
from medfit.tasks.layers import depending, freeze, shapes_of
from medfit.training import initial_weights
from medfit.training.initial_weights import InitialWeights
from medfit.training.transfer import Transfer, transfer


class Start:
    """Builds a network that starts from others' weights, or with some of its own frozen.

    Args:
        network: Builds it, of an input's shape and a number of outputs.
        weights: To start from; None for those that are drawn at random.
        freeze: Patterns of the names of parameters that are not trained.
        task: The task's name.
        dataset: What the network is to learn from.

    Attributes:
        facts: What is recorded of it, once the network is built.
    """

    def __init__(
        self,
        network: Callable[..., nn.Module],
        weights: InitialWeights | None,
        freeze: Sequence[str],
        task: str,
        dataset: Dataset,
    ) -> None:
        self.network, self.weights, self.freeze = network, weights, freeze
        self.outputs = task, list(dataset.target_names)
        self.inputs = [column["name"] for column in dataset.schema() if column["role"] == "feature"]
        self.facts: dict[str, Any] = {}
        self.__signature__ = inspect.signature(network)  # tells whether it takes several inputs

    def __call__(self, input_shape: Any, output_size: int) -> nn.Module:
        """Returns the network.

        Raises:
            UserError: the weights are of another architecture, or what is to be frozen is not there.
        """
        made = self.network(input_shape, output_size)
        if self.weights is not None:
            self.facts["init_from"] = self._transfer(made, self.weights, input_shape, output_size)
        if self.freeze:
            total = sum(parameter.numel() for parameter in made.parameters())
            self.facts["frozen"] = {"patterns": list(self.freeze), "of": total, "weights": freeze(made, self.freeze)}
        return made

    def _transfer(self, made: nn.Module, weights: InitialWeights, input_shape: Any, output_size: int) -> dict[str, Any]:
        """Puts the weights into a network, and returns what is recorded of that."""
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
        return _facts(weights, done) | {"inputs_renamed": weights.inputs not in (None, self.inputs)}


def start_of(cfg: DictConfig, dataset: Dataset) -> Start | None:
    """Returns how a config's network starts; None if by weights drawn at random, all of which are trained.

    Raises:
        UserError: there are no such weights.
    """
    source, frozen = cfg.model.get("init_from"), list(cfg.model.get("freeze", ()))  # which configs of before have not
    if not source and not frozen:
        return None
    weights = initial_weights.read(cfg) if source else None
    return Start(build(own(cfg.model, "model")), weights, frozen, cfg.choices.task, dataset)


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
