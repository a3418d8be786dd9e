"""The linear model."""

from jaxtyping import Float
from torch import Tensor, nn


class Linear(nn.Module):
    """y = Wx + b: linear regression, or logistic regression under a classification task.

    Args:
        input_shape: ``(features,)``.
        output_size: Numbers put out.
    """

    def __init__(self, input_shape: tuple[int, ...], output_size: int) -> None:
        super().__init__()
        if len(input_shape) != 1:
            raise ValueError(f"linear takes records of shape (features,), not {tuple(input_shape)}")
        self.layer = nn.Linear(input_shape[0], output_size)

    def forward(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, "batch output"]:
        """Returns Wx + b."""
        return self.layer(x)
