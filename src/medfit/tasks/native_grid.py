"""Predictions on the grid that images were read in, whatever grid the network sees."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}  # by the number of axes


def class_numbers(output: Tensor, size: Sequence[int]) -> Tensor:
    """Returns the class of the largest probability, which lies linearly between voxels (as nnU-Net has it).

    Args:
        output: Logits in the shape (batch, classes, *size of the network's grid).
        size: Of the grid that is wanted.
    """
    if tuple(output.shape[2:]) == tuple(size):
        return output.argmax(dim=1)
    shares = output.float().softmax(dim=1)
    labels = torch.zeros((len(output), *size), dtype=torch.int64, device=output.device)
    largest = linear(shares[:, :1], size)[:, 0]
    for number in range(1, output.shape[1]):  # one by one, as all classes at once take memory
        share = linear(shares[:, number : number + 1], size)[:, 0]
        labels[share > largest] = number
        largest = torch.maximum(largest, share)
    return labels


def linear(x: Tensor, size: Sequence[int]) -> Tensor:
    """Returns images (batch, channels, *size) on another grid, linear between voxels."""
    return x if tuple(x.shape[2:]) == tuple(size) else F.interpolate(x.float(), tuple(size), mode=LINEAR[len(size)])


def nearest(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Returns class numbers (batch, *size) on another grid, each voxel's nearest."""
    if tuple(labels.shape[1:]) == tuple(size):
        return labels
    return F.interpolate(labels[:, None].float(), tuple(size), mode="nearest-exact")[:, 0].to(labels.dtype)
