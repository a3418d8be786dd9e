"""The multi-layer perceptron."""

from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

ACTIVATIONS = {
    "relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "elu": nn.ELU, "leaky_relu": nn.LeakyReLU,
}  # fmt: skip
NORMALISATIONS = {"none": None, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class MLP(nn.Module):
    """Multi-layer perceptron: linear, normalisation, activation and dropout for each width, then linear.

    Args:
        input_shape: ``(features,)``.
        output_size: Numbers put out.
        widths: Units of each hidden layer; none makes it linear.
        activation: ``relu``, ``gelu``, ``silu``, ``tanh``, ``elu`` or ``leaky_relu``.
        normalisation: ``none``, ``batch`` or ``layer``.
        dropout: Share of hidden units that are zeroed in training, in [0, 1).
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        output_size: int,
        widths: list[Annotated[int, Field(ge=1)]],
        activation: Literal["relu", "gelu", "silu", "tanh", "elu", "leaky_relu"] = "relu",
        normalisation: Literal["none", "batch", "layer"] = "none",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        if len(input_shape) != 1:
            raise ValueError(f"mlp takes records of shape (features,), not {tuple(input_shape)}")
        normalise = NORMALISATIONS[normalisation]
        layers: list[nn.Module] = []
        size = input_shape[0]
        for width in widths:
            layers.append(nn.Linear(size, width))
            if normalise:
                layers.append(normalise(width))
            layers += [ACTIVATIONS[activation](), nn.Dropout(dropout)]
            size = width
        self.layers = nn.Sequential(*layers, nn.Linear(size, output_size))

    def forward(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, "batch output"]:
        """Returns one number per output for each record."""
        return self.layers(x)
