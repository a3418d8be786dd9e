"""Others' weights in a network: what fits by name and shape, what is made to fit, and what is not there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from medfit.errors import UserError
from medfit.training.started import in_short

LEAST = 0.5  # of the layers that have to fit, those aside that had to be made anew


@dataclass
class Transfer:
    """Which layers of a network were taken from elsewhere, each whole or not at all; a layer is what has weights.

    Args:
        taken: As they were.
        averaged: First layers, whose filters were averaged for another number of channels.
        new: What depends on the outputs or on a table's features, and these differ.
        lacking: What the source does not have, or of another shape.
        unused: What the source has and the network does not, by its names there.
    """

    taken: list[str] = field(default_factory=list)
    averaged: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


@torch.no_grad()
def transfer(
    network: nn.Module,
    source: Mapping[str, Tensor],
    of_outputs: set[str],
    of_inputs: set[str],
    same_outputs: bool = True,
    same_inputs: bool = True,
) -> Transfer:
    """Puts into a network what fits by name and shape, filters of other channels averaged.

    Args:
        network: It is changed.
        source: Tensors by name, which may begin otherwise than the network's, as with ``model.``.
        of_outputs: Names of what depends on the number of outputs.
        of_inputs: Names of what depends on the number of features or channels.
        same_outputs: Whether the outputs may mean the same; else what depends on them is left as it is.
        same_inputs: Whether the inputs may mean the same, likewise.

    Raises:
        UserError: too little fits, or weights are no numbers.
    """
    own = network.state_dict()
    there, here = _beginnings(own, source)
    renamed = {here + key.removeprefix(there): key for key in source if key.startswith(there)}
    theirs = {name: source[renamed[name]] for name in own if name in renamed}
    renewed = (set() if same_outputs else of_outputs) | (set() if same_inputs else of_inputs)
    done = Transfer()
    for layer, names in layers(own).items():
        made = {name: _made(network, name, own[name], theirs.get(name), name in of_inputs) for name in names}
        odd = [name for name in names if made[name] is None and own[name].is_floating_point()]
        if odd or renewed & set(names):
            known = set(odd) <= of_outputs | of_inputs and set(odd) <= theirs.keys()
            (done.new if known else done.lacking).append(layer)
            continue
        for name, value in made.items():
            own[name].copy_(own[name] if value is None else value)
        same = all(own[name].shape == theirs[name].shape for name in names if name in theirs)
        (done.taken if same else done.averaged).append(layer)
    done.unused = list(layers(renamed[name] for name in renamed if name not in own))
    _check(done)
    return done


def _made(network: nn.Module, name: str, own: Tensor, theirs: Tensor | None, first: bool) -> Tensor | None:
    """Returns what a parameter or buffer is to become; None where nothing fits.

    Raises:
        UserError: it is no finite number.
    """
    if theirs is None or theirs.is_floating_point() != own.is_floating_point():
        return None
    if theirs.is_floating_point() and not torch.isfinite(theirs).all():
        raise UserError(f"model.init_from: the weights of {name} are no finite numbers")
    if theirs.shape == own.shape:
        return theirs
    if first and _is_filter(network, name) and theirs.shape[:1] + theirs.shape[2:] == own.shape[:1] + own.shape[2:]:
        share = theirs.shape[1] / own.shape[1]  # so that a sum over channels stays as large as it was
        return theirs.mean(dim=1, keepdim=True).expand_as(own) * share
    return None


def layers(names: Iterable[str]) -> dict[str, list[str]]:
    """Returns the parameters and buffers of each layer, by the layer's name."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.rpartition(".")[0] or name, []).append(name)
    return found


def _is_filter(network: nn.Module, name: str) -> bool:
    """Tells whether a parameter is a convolution's filter, (out, channels, *size), that sees all channels."""
    layer = network.get_submodule(name.rpartition(".")[0])
    return isinstance(layer, _ConvNd) and not layer.transposed and layer.groups == 1


def _beginnings(own: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> tuple[str, str]:
    """Returns what the names in the source, and those in the network, begin with before they are the same names."""
    here = dict.fromkeys(["", *(f"{name.split('.')[0]}." for name in own if "." in name)])
    there = {"": None}
    for name in source:
        parts = name.split(".")
        there |= {".".join(parts[:depth]) + ".": None for depth in range(1, min(3, len(parts)))}

    def fits(pair: tuple[str, str]) -> int:
        theirs, ours = pair
        return sum(
            name.startswith(ours)
            and (found := source.get(theirs + name.removeprefix(ours))) is not None
            and found.shape == value.shape
            for name, value in own.items()
        )

    return max(((theirs, ours) for theirs in there for ours in here), key=fits)


def _check(done: Transfer) -> None:
    """Refuses the weights of another architecture.

    Raises:
        UserError: fewer than half of the layers fit, those aside that are new because outputs or inputs differ.
    """
    fit = len(done.taken) + len(done.averaged)
    if not fit or fit < LEAST * (fit + len(done.lacking)):
        others = [*done.lacking, *done.new]
        raise UserError(
            f"model.init_from: {fit} of this network's {fit + len(others)} layers fit by name and shape (others: "
            f"{in_short(others)}): these weights are of another architecture"
        )
