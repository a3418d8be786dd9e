"""The network of nnU-Net, by MONAI."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from monai.networks import nets
from monai.networks.blocks.dynunet_block import UnetBasicBlock, UnetResBlock, UnetUpBlock
from pydantic import Field

from medfit.models.unet import Count, check_image, check_widths

SMALLEST = 4  # pixels a side at the lowest resolution


class DynUNet(nets.DynUNet):
    """nnU-Net's U-Net (Isensee et al., Nature Methods 2021): an axis is halved only while enough of it is left.

    Without the paper's deep supervision.

    Args:
        input_shape: ``(channels, *size)`` of a patch, in two or three dimensions.
        output_size: Classes.
        widths: Channels at each resolution, of which there are three at least.
        residual: Whether blocks have a residual connection.
        dropout: Share of the values that are zeroed in training, in [0, 1).

    Raises:
        ValueError: the input is no image, or its size can't be halved as often.
    """

    checkpointed: ClassVar = (UnetBasicBlock, UnetResBlock, UnetUpBlock)

    def __init__(
        self,
        input_shape: tuple[int, ...],
        output_size: int,
        widths: list[Count],
        residual: bool = False,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        check_widths(widths, least=3)
        dimensions = check_image("dyn_unet", input_shape)
        strides = _strides(input_shape[1:], len(widths))
        super().__init__(
            spatial_dims=dimensions,
            in_channels=input_shape[0],
            out_channels=output_size,
            kernel_size=[[3] * dimensions] * len(widths),
            strides=strides,
            upsample_kernel_size=strides[1:],
            filters=widths,
            dropout=dropout or None,
            res_block=residual,
        )


def _strides(size: Sequence[int], num_resolutions: int) -> list[list[int]]:
    """Returns each resolution's strides, 1 or 2 along each axis.

    Raises:
        ValueError: a size that is to be halved is odd.
    """
    size, strides = list(size), [[1] * len(size)]
    for _ in range(num_resolutions - 1):
        stride = [2 if n >= 2 * SMALLEST else 1 for n in size]
        if any(n % s for n, s in zip(size, stride, strict=True)):
            raise ValueError(
                f"dyn_unet can't halve preprocessing.patch_size as often as its {num_resolutions} widths ask; "
                f"take multiples of {2 ** (num_resolutions - 1)}"
            )
        size = [n // s for n, s in zip(size, stride, strict=True)]
        strides.append(stride)
    return strides
