"""U-Nets for images in two and three dimensions, by MONAI."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from monai.networks import nets
from monai.networks.blocks.convolutions import Convolution, ResidualUnit
from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


def check_image(name: str, input_shape: Sequence[int], num_halvings: int = 0) -> int:
    """Returns the number of spatial dimensions.

    Raises:
        ValueError: the input is no image, or its size can't be halved as often, or would end at one pixel.
    """
    if len(input_shape) not in (3, 4):
        raise ValueError(f"{name} takes images of shape (channels, *size), not {tuple(input_shape)}")
    if any(size % 2**num_halvings for size in input_shape[1:]):
        size = " x ".join(map(str, input_shape[1:]))
        raise ValueError(
            f"{name} halves its input {num_halvings} times, so preprocessing.patch_size must be multiples of "
            f"{2**num_halvings}, not {size}"
        )
    if num_halvings and all(size == 2**num_halvings for size in input_shape[1:]):
        raise ValueError(
            f"{name} halves preprocessing.patch_size down to a single pixel, which has no variance to normalise; "
            "take a larger patch or fewer model.widths"
        )
    return len(input_shape) - 1


def check_widths(widths: Sequence[int], least: int = 2) -> None:
    """Refuses fewer resolutions than a network is made of.

    Raises:
        ValueError: of that.
    """
    if len(widths) < least:
        raise ValueError(f"model.widths: this U-Net needs {least} resolutions at least, not {len(widths)}")


class UNet(nets.UNet):
    """U-Net (Ronneberger et al., MICCAI 2015; 3D: Cicek et al., MICCAI 2016), with MONAI's residual units.

    Differs from the papers: strided convolutions instead of pooling, transposed ones on the way up, padding that keeps
    the size, and residual units (Kerfoot et al., STACOM 2018) where they are asked for.

    Args:
        input_shape: ``(channels, *size)`` of a patch, in two or three dimensions.
        output_size: Classes.
        widths: Channels at each resolution, which halves from one to the next.
        num_residual_units: At each resolution; 0 for plain convolutions.
        normalisation: ``instance`` or ``batch``.
        dropout: Share of the channels that are zeroed in training, in [0, 1).

    Raises:
        ValueError: the input is no image, or its size can't be halved as often.
    """

    checkpointed: ClassVar = (ResidualUnit, Convolution)

    def __init__(
        self,
        input_shape: tuple[int, ...],
        output_size: int,
        widths: list[Count],
        num_residual_units: Annotated[int, Field(ge=0)] = 2,
        normalisation: Literal["instance", "batch"] = "instance",
        dropout: Share = 0.0,
    ) -> None:
        check_widths(widths)
        super().__init__(
            spatial_dims=check_image("unet", input_shape, len(widths) - 1),
            in_channels=input_shape[0],
            out_channels=output_size,
            channels=widths,
            strides=[2] * (len(widths) - 1),
            num_res_units=num_residual_units,
            norm=normalisation,
            dropout=dropout,
        )
