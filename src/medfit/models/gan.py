"""Generative adversarial network for images."""

from itertools import pairwise
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

Count = Annotated[int, Field(ge=1)]
Norm = Literal["spectral", "batch", "none"]
SMALLEST, LARGEST = 28, 128  # pixels
MOST_GROWTH = 8  # channels at the coarsest level, in widths
SLOPE = 0.2  # of the leaky ReLU, DCGAN's


def check_images(input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns channels and size.

    Raises:
        ValueError: the input is no square image of a size that the networks are laid out for.
    """
    if len(input_shape) != 3:
        way_out = "; dataset.slices=true takes slices of DICOM volumes" if len(input_shape) == 4 else ""
        raise ValueError(f"gan takes flat images of shape (channels, size, size), not {tuple(input_shape)}{way_out}")
    channels, height, width = input_shape
    if height != width:
        raise ValueError(f"gan takes square images, not {height} x {width} pixels; set preprocessing.size")
    if not SMALLEST <= height <= LARGEST:
        raise ValueError(
            f"gan takes images of {SMALLEST} to {LARGEST} pixels, not {height} x {width}; set preprocessing.size"
        )
    return channels, height


def channels_by_level(size: int, width: int) -> list[int]:
    """Returns the hidden channels from the finest level to the coarsest, of 4 to 8 pixels; each halves the size."""
    num_levels = (size // 4).bit_length() - 1
    return [width * min(2**level, MOST_GROWTH) for level in range(num_levels)]


class Generator(nn.Module):
    """Transposed convolutions that double the size each, from a linear map of noise and class (DCGAN).

    Batch normalisation and ReLU lie between them; the last has a sigmoid, as images lie in [0, 1]. A size that is no
    multiple is cut from the middle of the next larger one.

    Args:
        channels: Of the image.
        size: Of the image in pixels.
        latent_size: Numbers of noise.
        width: Channels of the finest hidden level.
        num_classes: 0 without labels; else each class has an embedding beside the noise.
    """

    def __init__(self, channels: int, size: int, latent_size: int, width: int, num_classes: int) -> None:
        super().__init__()
        hidden = channels_by_level(size, width)[::-1]
        self.size, self.start = size, -(-size // 2 ** len(hidden))
        self.embedding = nn.Embedding(num_classes, latent_size) if num_classes else None
        self.project = nn.Linear(latent_size * (2 if num_classes else 1), hidden[0] * self.start**2, bias=False)
        layers: list[nn.Module] = []
        for into, out in pairwise(hidden):
            layers += [nn.BatchNorm2d(into), nn.ReLU(), nn.ConvTranspose2d(into, out, 4, 2, 1, bias=False)]
        last = nn.ConvTranspose2d(hidden[-1], channels, 4, 2, 1)
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(hidden[-1]), nn.ReLU(), last, nn.Sigmoid())
        self.apply(_initialise)

    def forward(
        self, z: Float[Tensor, "batch latent"], label: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch channels size size"]:
        """Returns images in [0, 1].

        Args:
            z: Normal noise.
            label: Class numbers; needed if there are classes, ignored if not.
        """
        if self.embedding is not None:
            z = torch.cat([z, self.embedding(label)], dim=1)
        x = self.layers(self.project(z).unflatten(1, (-1, self.start, self.start)))
        edge = (x.shape[-1] - self.size) // 2
        return x[..., edge : edge + self.size, edge : edge + self.size]


class Discriminator(nn.Module):
    """Strided convolutions that halve the size each, leaky ReLU, and a linear map to one number (DCGAN).

    With classes the embedding of an image's class is projected on its features (Miyato & Koyama, ICLR 2018).

    Args:
        channels: Of the image.
        size: Of the image in pixels.
        width: Channels of the finest hidden level.
        norm: See :class:`GAN`.
        num_classes: 0 without labels.
    """

    def __init__(self, channels: int, size: int, width: int, norm: Norm, num_classes: int) -> None:
        super().__init__()
        sizes = [channels, *channels_by_level(size, width)]
        layers: list[nn.Module] = []
        for level, (into, out) in enumerate(pairwise(sizes)):
            layers.append(_made(nn.Conv2d(into, out, 4, 2, 1), norm))
            layers += [nn.BatchNorm2d(out)] if norm == "batch" and level else []  # DCGAN's first layer has none
            layers.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(*layers, nn.Flatten())
        num_features = sizes[-1] * (size >> (len(sizes) - 1)) ** 2
        self.head = _made(nn.Linear(num_features, 1), norm)
        self.embedding = _made(nn.Embedding(num_classes, num_features), norm) if num_classes else None

    def forward(
        self, x: Float[Tensor, "batch channels size size"], label: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, " batch"]:
        """Returns a number for each image, large where it is taken for real.

        Args:
            x: Images in [0, 1].
            label: Class numbers; needed if there are classes, ignored if not.
        """
        features = self.layers(2 * x - 1)
        output = self.head(features)[:, 0]
        return output if self.embedding is None else output + (features * self.embedding(label)).sum(dim=1)


class GAN(nn.Module):
    """Deep convolutional GAN (Radford et al., ICLR 2016) for square images of 28 to 128 pixels in [0, 1].

    Args:
        input_shape: ``(channels, size, size)``.
        output_size: Classes of the data set; 1 means the two of a yes-or-no target. Read only if ``conditional``.
        latent_size: Numbers of noise that an image is made of.
        width: Channels of the finest hidden level, in both networks; they double with each coarser one, up to 8 times.
        discriminator_norm: ``batch`` normalisation as the DCGAN has it, ``spectral`` normalisation (Miyato et al.,
            ICLR 2018), or ``none``; a penalty on gradients needs one of the latter.
        conditional: Whether both networks are told an image's class.

    Attributes:
        num_classes: 0 unless ``conditional``.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        output_size: int,
        latent_size: Count = 64,
        width: Count = 32,
        discriminator_norm: Norm = "batch",
        conditional: bool = False,
    ) -> None:
        super().__init__()
        channels, size = check_images(input_shape)
        if conditional and output_size < 1:
            raise ValueError("conditional=true needs images with classes, which this data set has none of")
        self.latent_size = latent_size
        self.num_classes = (2 if output_size == 1 else output_size) if conditional else 0
        self.generator = Generator(channels, size, latent_size, width, self.num_classes)
        self.discriminator = Discriminator(channels, size, width, discriminator_norm, self.num_classes)

    def forward(
        self, z: Float[Tensor, "batch latent"], label: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch channels size size"]:
        """Returns the generator's images."""
        return self.generator(z, label)


def _initialise(module: nn.Module) -> None:
    """Draws weights as DCGAN does: normal around 0, of batch normalisation around 1."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def _made(layer: nn.Module, norm: Norm) -> nn.Module:
    """Returns a layer of the discriminator.

    DCGAN's small first weights need batch normalisation after them, without which the output would hardly vary.
    """
    if norm == "batch":
        _initialise(layer)
    return spectral_norm(layer) if norm == "spectral" else layer
