"""Convolutional networks for time series."""

from typing import Annotated

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

Count = Annotated[int, Field(ge=1)]


def check_series(name: str, input_shape: tuple[int, ...]) -> int:
    """Returns the number of channels.

    Raises:
        ValueError: the input is not a series.
    """
    if len(input_shape) != 2:
        raise ValueError(f"{name} takes series of shape (channels, length), not {tuple(input_shape)}")
    return input_shape[0]


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


class CNN1d(nn.Module):
    """Fully convolutional network (Wang et al., IJCNN 2017): blocks, the mean over time, then linear.

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
        return self.head(self.blocks(x).mean(dim=2))
