"""Residual network for time series."""

from typing import Annotated

from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from medfit.models.cnn1d import ConvBlock, check_series, mean_over_time, normalise, split_padding

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

    def forward(
        self, x: Float[Tensor, "batch channels length"], padding: Bool[Tensor, "batch 1 length"] | None = None
    ) -> Float[Tensor, "batch out length"]:
        """Returns the sum of path and short cut, through a ReLU; nought where series are padded."""
        widens = isinstance(self.short_cut, ConvBlock)
        straight = self.short_cut(x, padding) if widens else normalise(self.short_cut, x, padding)
        for layer in self.path:
            x = layer(x, padding)
        return nn.functional.relu(x + straight)


class ResNet1d(nn.Module):
    """Residual network (Wang et al., IJCNN 2017): blocks, the mean over time, then linear.

    Series padded with NaN at the end give what they give without.

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
        x, padding = split_padding(x)
        for block in self.blocks:
            x = block(x, padding)
        return self.head(mean_over_time(x, padding))
