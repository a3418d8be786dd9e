"""Residual network for time series."""

from typing import Annotated

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from medfit.models.cnn1d import ConvBlock, check_series

Count = Annotated[int, Field(ge=1)]


class ResidualBlock(nn.Module):
    """Three convolutions and a short cut around them.

    Args:
        in_size: Channels in.
        out_size: Channels out.
        kernel_sizes: Samples that each convolution's kernel spans.
    """

    def __init__(self, in_size: int, out_size: int, kernel_sizes: list[int]) -> None:
        super().__init__()
        sizes = [in_size] + [out_size] * len(kernel_sizes)
        last = len(kernel_sizes) - 1
        self.path = nn.Sequential(
            *(ConvBlock(sizes[i], out_size, k, activate=i < last) for i, k in enumerate(kernel_sizes))
        )
        self.short_cut = (
            nn.BatchNorm1d(in_size) if in_size == out_size else ConvBlock(in_size, out_size, 1, activate=False)
        )

    def forward(self, x: Float[Tensor, "batch channels length"]) -> Float[Tensor, "batch out length"]:
        """Returns the sum of path and short cut, through a ReLU."""
        return nn.functional.relu(self.path(x) + self.short_cut(x))


class ResNet1d(nn.Module):
    """Residual network (Wang et al., IJCNN 2017): blocks, the mean over time, then linear.

    The paper has widths 64, 128, 128 and kernels 8, 5, 3 in each block; the dropout before the last layer is ours.

    Args:
        input_shape: ``(channels, length)``.
        output_size: Numbers put out.
        widths: Channels of each residual block.
        kernel_sizes: Samples that the kernels within each block span.
        dropout: Share of the pooled channels that are zeroed in training, in [0, 1).
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        output_size: int,
        widths: Annotated[list[Count], Field(min_length=1)],
        kernel_sizes: Annotated[list[Count], Field(min_length=1)],
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        sizes = [check_series("resnet1d", input_shape), *widths]
        self.blocks = nn.Sequential(
            *(ResidualBlock(i, o, list(kernel_sizes)) for i, o in zip(sizes, widths, strict=False))
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(sizes[-1], output_size))

    def forward(self, x: Float[Tensor, "batch channels length"]) -> Float[Tensor, "batch output"]:
        """Returns one number per output for each series."""
        return self.head(self.blocks(x).mean(dim=2))
