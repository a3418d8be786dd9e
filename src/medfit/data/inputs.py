"""Inputs of a model: a tensor, or several by name, as an image and a record of one patient."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

Input = Tensor | Mapping[str, Tensor]
Shape = tuple[int, ...] | Mapping[str, tuple[int, ...]]  # of one sample


def each(function: Callable[[Any], Any], x: Any) -> Any:
    """Returns what a function makes of an input, by the parts' names if it has several."""
    return {name: function(part) for name, part in x.items()} if isinstance(x, Mapping) else function(x)


def parts_of(x: Any) -> list[Any]:
    """Returns the parts of an input or of a shape."""
    return list(x.values()) if isinstance(x, Mapping) else [x]


def zeros(shape: Shape) -> Any:
    """Returns an input of one sample."""
    return each(lambda part: torch.zeros(1, *part), shape)


def num_places(shape: Shape) -> int:
    """Returns the pixels, voxels or moments of a sample, of its largest part: what weights are multiplied with."""
    return max(prod(part[1:]) for part in parts_of(shape))


def in_words(shape: Shape) -> str:
    """Returns a shape as a message spells it."""
    return " and ".join(" x ".join(map(str, part)) for part in parts_of(shape))
