"""Residual networks for images in two and three dimensions, by MONAI."""

from typing import Annotated, ClassVar, Literal

from jaxtyping import Float
from monai.networks import nets
from monai.networks.nets.resnet import ResNetBlock, ResNetBottleneck
from pydantic import Field
from torch import Tensor, nn

from medfit.models.unet import Count, check_image

LAYERS = {10: [1, 1, 1, 1], 18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3]}
SMALL = 64  # pixels a side, up to which the first convolution keeps the size, as for CIFAR


class ResNet(nn.Module):
    """Residual network (He et al., CVPR 2016; 3D: Hara et al., CVPR 2018).

    Images of at most 64 pixels a side keep their size in the first layer (a 3 x 3 kernel, no pooling).

    Args:
        input_shape: ``(channels, *size)``, in two or three dimensions.
        output_size: Numbers put out.
        depth: 10, 18, 34 or 50 layers.
        width: Channels of the first layer; the paper has 64.
        dropout: Share of the pooled channels that are zeroed in training, in [0, 1).

    Raises:
        ValueError: the input is no image.
    """

    checkpointed: ClassVar = (ResNetBlock, ResNetBottleneck)

    def __init__(
        self,
        input_shape: tuple[int, ...],
        output_size: int,
        depth: Literal[10, 18, 34, 50] = 18,
        width: Count = 64,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        dimensions = check_image("resnet", input_shape)
        small = max(input_shape[1:]) <= SMALL
        block = "bottleneck" if depth >= 50 else "basic"
        self.features = nets.ResNet(
            block,
            LAYERS[depth],
            [width * 2**level for level in range(4)],
            spatial_dims=dimensions,
            n_input_channels=input_shape[0],
            conv1_t_size=3 if small else 7,
            conv1_t_stride=1 if small else 2,
            no_max_pool=small,
            feed_forward=False,
            bias_downsample=False,
        )
        channels = width * 8 * (4 if depth >= 50 else 1)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, output_size))

    def forward(self, x: Float[Tensor, "batch channels *size"]) -> Float[Tensor, "batch output"]:
        """Returns one number per output for each image."""
        return self.head(self.features(x))
