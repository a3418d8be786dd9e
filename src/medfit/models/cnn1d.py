"""Convolutional networks for time series."""

from typing import Annotated

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.compiler import is_exporting

Count = Annotated[int, Field(ge=1)]


def check_series(name: str, input_shape: tuple[int, ...]) -> int:
    """Returns the number of channels.

    Raises:
        ValueError: the input is not a series.
    """
    if len(input_shape) != 2:
        raise ValueError(f"{name} takes series of shape (channels, length), not {tuple(input_shape)}")
    return input_shape[0]


def split_padding(
    x: Float[Tensor, "batch channels length"],
) -> tuple[Float[Tensor, "batch channels length"], Bool[Tensor, "batch 1 length"] | None]:
    """Returns series with noughts for the NaN that pads them, and where they are padded: None where none is.

    An exported network takes padded and other series alike, so it never asks.
    """
    padding = x[:, :1].isnan()
    return (x.masked_fill(padding, 0.0), padding) if is_exporting() or padding.any() else (x, None)


def normalise(
    norm: nn.Module, x: Float[Tensor, "batch channels length"], padding: Bool[Tensor, "batch 1 length"] | None
) -> Float[Tensor, "batch channels length"]:
    """Returns series under a batch normalisation that neither sees their padding nor makes it other than nought."""
    if padding is None:
        return norm(x)
    if not norm.training:
        return norm(x).masked_fill(padding, 0.0)
    real, by_time = ~padding[:, 0], x.transpose(1, 2)
    output = torch.zeros_like(by_time)
    output[real] = norm(by_time[real])
    return output.transpose(1, 2)


def mean_over_time(
    x: Float[Tensor, "batch channels length"], padding: Bool[Tensor, "batch 1 length"] | None
) -> Float[Tensor, "batch channels"]:
    """Returns each channel's mean over all but the padding, where ``x`` is nought."""
    return x.mean(dim=2) if padding is None else x.sum(dim=2) / (~padding).sum(dim=2)


def same_conv(in_size: int, out_size: int, kernel_size: int) -> nn.Sequential:
    """Returns a convolution that keeps the length, without bias; an even kernel looks one sample further ahead."""
    padding = nn.ConstantPad1d(((kernel_size - 1) // 2, kernel_size // 2), 0.0)
    return nn.Sequential(padding, nn.Conv1d(in_size, out_size, kernel_size, bias=False))


class ConvBlock(nn.Sequential):
    """Convolution of unchanged length, batch normalisation and ReLU.

    Args:
        in_size: Channels in.
        out_size: Channels out.
        kernel_size: Samples.
        activate: Whether the ReLU is there.
    """

    def __init__(self, in_size: int, out_size: int, kernel_size: int, activate: bool = True) -> None:
        layers: list[nn.Module] = [same_conv(in_size, out_size, kernel_size), nn.BatchNorm1d(out_size)]
        super().__init__(*layers, *([nn.ReLU()] if activate else []))

    def forward(
        self, x: Float[Tensor, "batch channels length"], padding: Bool[Tensor, "batch 1 length"] | None = None
    ) -> Float[Tensor, "batch out length"]:
        """Returns as many samples; nought where series are padded."""
        convolution, norm, *activation = self
        x = normalise(norm, convolution(x), padding)
        return activation[0](x) if activation else x


class CNN1d(nn.Module):
    """Fully convolutional network (Wang et al., IJCNN 2017): blocks, the mean over time, then linear.

    Series padded with NaN at the end give what they give without.

    The paper has widths 128, 256, 128 and kernels 8, 5, 3; the dropout before the last layer is ours.

    Args:
        input_shape: ``(channels, length)``.
        output_size: Numbers put out.
        widths: Channels of each block.
        kernel_sizes: Samples that each block's kernel spans.
        dropout: Share of the pooled channels that are zeroed in training, in [0, 1).
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        output_size: int,
        widths: list[Count],
        kernel_sizes: list[Count],
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        if len(widths) != len(kernel_sizes) or not widths:
            raise ValueError(
                f"model.widths and model.kernel_sizes must be as many, not {len(widths)} and {len(kernel_sizes)}"
            )
        sizes = [check_series("cnn1d", input_shape), *widths]
        blocks = zip(sizes, widths, kernel_sizes, strict=False)
        self.blocks = nn.Sequential(*(ConvBlock(i, o, k) for i, o, k in blocks))
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(sizes[-1], output_size))

    def forward(self, x: Float[Tensor, "batch channels length"]) -> Float[Tensor, "batch output"]:
        """Returns one number per output for each series."""
        x, padding = split_padding(x)
        for block in self.blocks:
            x = block(x, padding)
        return self.head(mean_over_time(x, padding))
