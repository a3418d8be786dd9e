"""U-Net with attention gates, by MONAI."""

from typing import Annotated, ClassVar

from monai.networks import nets
from monai.networks.blocks.convolutions import Convolution
from monai.networks.nets.attentionunet import AttentionBlock, ConvBlock, UpConv
from pydantic import Field

from medfit.models.unet import Count, check_image, check_widths


class AttentionUNet(nets.AttentionUnet):
    """Attention U-Net (Oktay et al., MIDL 2018): gates weigh what the way up takes from the way down.

    Args:
        input_shape: ``(channels, *size)`` of a patch, in two or three dimensions.
        output_size: Classes.
        widths: Channels at each resolution, which halves from one to the next.
        dropout: Share of the channels that are zeroed in training, in [0, 1).

    Raises:
        ValueError: the input is no image, or its size can't be halved as often.
    """

    checkpointed: ClassVar = (ConvBlock, UpConv, AttentionBlock, Convolution)

    def __init__(
        self,
        input_shape: tuple[int, ...],
        output_size: int,
        widths: list[Count],
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        check_widths(widths)
        super().__init__(
            spatial_dims=check_image("attention_unet", input_shape, len(widths) - 1),
            in_channels=input_shape[0],
            out_channels=output_size,
            channels=widths,
            strides=[2] * (len(widths) - 1),
            dropout=dropout,
        )
