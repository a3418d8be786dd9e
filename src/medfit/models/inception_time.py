"""InceptionTime."""

from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from medfit.models.cnn1d import ConvBlock, check_series, mean_over_time, normalise, same_conv, split_padding

Count = Annotated[int, Field(ge=1)]
RESIDUAL_EVERY = 3


class InceptionModule(nn.Module):
    """Convolutions of several lengths side by side, behind a bottleneck, and a pooled one.

    Args:
        in_size: Channels in.
        width: Channels of each of the parallel convolutions.
        kernel_sizes: Samples that they span.
        bottleneck: Channels of the bottleneck; a single channel passes as it is.
    """

    def __init__(self, in_size: int, width: int, kernel_sizes: list[int], bottleneck: int) -> None:
        super().__init__()
        wide = in_size > 1
        self.bottleneck = nn.Conv1d(in_size, bottleneck, 1, bias=False) if wide else nn.Identity()
        size = bottleneck if wide else in_size
        self.convolutions = nn.ModuleList(same_conv(size, width, kernel) for kernel in kernel_sizes)
        self.pooled = nn.Sequential(nn.MaxPool1d(3, stride=1, padding=1), nn.Conv1d(in_size, width, 1, bias=False))
        self.norm = nn.BatchNorm1d(width * (len(kernel_sizes) + 1))

    def forward(
        self, x: Float[Tensor, "batch channels length"], padding: Bool[Tensor, "batch 1 length"] | None = None
    ) -> Float[Tensor, "batch out length"]:
        """Returns all branches, one after another along the channels; nought where series are padded."""
        narrow = self.bottleneck(x)
        branches = [convolution(narrow) for convolution in self.convolutions]
        branches.append(self._highest(x, padding))
        return nn.functional.relu(normalise(self.norm, torch.cat(branches, dim=1), padding))

    def _highest(self, x: Tensor, padding: Tensor | None) -> Tensor:
        """Returns the pooled branch, whose maxima take nothing from behind an end."""
        if padding is None:
            return self.pooled(x)
        pool, convolution = self.pooled
        return convolution(pool(x.masked_fill(padding, -torch.inf)).masked_fill(padding, 0.0))


class InceptionNetwork(nn.Module):
    """Inception modules with a short cut around every three, the mean over time, then linear.

    Args:
        in_size: Channels in.
        output_size: Numbers put out.
        depth: Modules.
        width: Channels of each convolution; a module puts out one more than ``kernel_sizes`` times as many.
        kernel_sizes: Samples that the convolutions span.
        bottleneck: Channels of the bottlenecks.
    """

    def __init__(
        self, in_size: int, output_size: int, depth: int, width: int, kernel_sizes: list[int], bottleneck: int
    ) -> None:
        super().__init__()
        size = width * (len(kernel_sizes) + 1)
        sizes = [in_size] + [size] * depth
        self.inception = nn.ModuleList(InceptionModule(s, width, kernel_sizes, bottleneck) for s in sizes[:-1])
        starts = sizes[: depth - depth % RESIDUAL_EVERY : RESIDUAL_EVERY]
        self.short_cuts = nn.ModuleList(ConvBlock(s, size, 1, activate=False) for s in starts)
        self.head = nn.Linear(size, output_size)

    def forward(self, x: Float[Tensor, "batch channels length"]) -> Float[Tensor, "batch output"]:
        """Returns one number per output for each series."""
        x, padding = split_padding(x)
        start = x
        for number, module in enumerate(self.inception, 1):
            x = module(x, padding)
            if number % RESIDUAL_EVERY == 0:
                straight = self.short_cuts[number // RESIDUAL_EVERY - 1](start, padding)
                x = start = nn.functional.relu(x + straight)
        return self.head(mean_over_time(x, padding))


class InceptionTime(nn.Module):
    """InceptionTime (Ismail Fawaz et al., Data Mining and Knowledge Discovery 2020).

    The paper averages the probabilities of five networks that are trained apart; here ``num_networks`` are trained
    together and their outputs averaged, one by default. Its short cut around a block of one width is a convolution
    as well. Series padded with NaN at the end give what they give without.

    Args:
        input_shape: ``(channels, length)``.
        output_size: Numbers put out.
        num_networks: Whose outputs are averaged.
        depth: Inception modules.
        width: Channels of each of a module's convolutions.
        kernel_sizes: Samples that the parallel convolutions span.
        bottleneck: Channels that a module's bottleneck leaves.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        output_size: int,
        num_networks: Count = 1,
        depth: Count = 6,
        width: Count = 32,
        kernel_sizes: Annotated[list[Count], Field(min_length=1)] = (40, 20, 10),  # type: ignore[assignment]
        bottleneck: Count = 32,
    ) -> None:
        super().__init__()
        channels = check_series("inception_time", input_shape)
        self.networks = nn.ModuleList(
            InceptionNetwork(channels, output_size, depth, width, list(kernel_sizes), bottleneck)
            for _ in range(num_networks)
        )

    def forward(self, x: Float[Tensor, "batch channels length"]) -> Float[Tensor, "batch output"]:
        """Returns the mean of the networks' outputs."""
        return torch.stack([network(x) for network in self.networks]).mean(dim=0)
