"""Parts of any network: what depends on the outputs or the inputs, and what no training shall change."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from medfit.errors import UserError

HELD = "statistics_held"  # the attribute of a normalisation that stays as it is in evaluation
MOST_NAMED = 8


def shapes_of(build: Callable[..., nn.Module], input_shape: Any, output_size: int) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of what a network would hold for other samples; nothing where it can't be built for them."""
    build = getattr(build, "network", build)  # of one that starts from others' weights, the network alone
    with torch.random.fork_rng(devices=[]):
        try:
            return {name: tuple(value.shape) for name, value in build(input_shape, output_size).state_dict().items()}
        except (TypeError, ValueError, RuntimeError):
            return {}


def depending(network: nn.Module, other: Mapping[str, tuple[int, ...]]) -> set[str]:
    """Returns what has another shape in a network that was built for other samples."""
    return {name for name, value in network.state_dict().items() if other.get(name, value.shape) != tuple(value.shape)}


def freeze(network: nn.Module, patterns: Sequence[str]) -> int:
    """Takes parameters out of training; batch normalisation that is frozen keeps its statistics, too.

    Args:
        network: It is changed.
        patterns: Of the parameters' names, as a shell's: ``blocks.*``.

    Returns:
        How many numbers are frozen.

    Raises:
        UserError: a pattern matches nothing, or nothing is left to train.
    """
    parameters = dict(network.named_parameters())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in parameters):
            raise UserError(f"model.freeze: '{pattern}' matches no parameter; there are {_kinds_of(parameters)}")
    frozen = {name for name in parameters if _matches(name, patterns)}
    if len(frozen) == len(parameters):
        raise UserError("model.freeze: it matches all parameters, and nothing is left to train")
    for name in frozen:
        parameters[name].requires_grad_(False)
    for name, module in network.named_modules():
        if isinstance(module, _NormBase) and module.running_mean is not None:
            own = {f"{name}.{key}" for key, _ in module.named_parameters(recurse=False)}
            setattr(module, HELD, own <= frozen if own else _matches(f"{name}.running_mean", patterns))
    hold_statistics(network)
    return sum(parameters[name].numel() for name in frozen)


def hold_statistics(network: nn.Module) -> None:
    """Keeps frozen normalisation as it is in evaluation, whatever the rest of a network does."""
    for module in network.modules():
        if getattr(module, HELD, False):
            module.eval()


def trained(network: nn.Module) -> dict[str, nn.Parameter]:
    """Returns the parameters that an optimiser is given, by name."""
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _kinds_of(names: Mapping[str, Any]) -> str:
    """Returns the beginnings that names have in common, in short."""
    found = list(dict.fromkeys(".".join(name.split(".")[:-1][:2]) + ".*" for name in names))
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return ", ".join(found[:MOST_NAMED]) + more
