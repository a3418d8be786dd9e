"""The space in which generated images are compared with real ones."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medfit.errors import UserError

CHUNK = 256  # images that go through a network at once
MOST_FITTED = 10_000  # images that components are fitted on: more change little and take memory
BUFFERS = ("mean", "components")


class FeatureSpace(nn.Module):
    """Principal components of pixels, or of a network's features, fitted on training images alone.

    ``mean`` and ``components`` are kept with the weights. The training images' own features are not, as images of
    patients could be drawn from them.

    Args:
        num_components: At most; fewer where there are fewer images or features.
        network: File of an exported network (``torch.export.save``, with a batch of any size) that takes the images
            and gives features; None for the pixels themselves.

    Attributes:
        train_features: Features of the training images (images, components); None until fitted.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, num_components: int, network: str | None = None) -> None:
        super().__init__()
        self.num_components, self.path = num_components, network
        self.train_features: np.ndarray | None = None
        self.register_buffer("mean", torch.zeros(0))
        self.register_buffer("components", torch.zeros(0, 0))

    def fit(self, images: Tensor) -> None:
        """Finds the components, and keeps the images' features.

        Args:
            images: Of the training split, in the shape (images, channels, height, width).
        """
        from sklearn.decomposition import PCA  # late: a quick start

        x = self._raw(images).numpy()
        fitted = x[:: -(-len(x) // MOST_FITTED)]
        pca = PCA(min(self.num_components, *fitted.shape), random_state=0).fit(fitted)
        self.mean, self.components = torch.from_numpy(pca.mean_).float(), torch.from_numpy(pca.components_).float()
        self.train_features = pca.transform(x)

    def forward(self, images: Tensor) -> Tensor:
        """Returns features (images, components), float32."""
        return (self._raw(images) - self.mean.float()) @ self.components.float().T

    def _raw(self, images: Tensor) -> Tensor:
        if self.path is None:
            return images.flatten(1).float()
        network = self._network(images.device)
        try:
            return torch.cat([network(part.float()).flatten(1) for part in images.split(CHUNK)]).float().detach()
        except (RuntimeError, AssertionError, ValueError) as error:
            why = str(error).splitlines()[0]
            raise UserError(
                f"task.feature_network: it does not take images of {tuple(images.shape)} ({why})"
            ) from error

    @functools.cache  # noqa: B019 - one network for a space, which is not a module of it, so not in its checkpoints
    def _network(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        assert self.path is not None
        try:
            return torch.export.load(Path(self.path).expanduser()).module().to(device)
        except Exception as error:  # of many kinds, depending on what the file is
            raise UserError(
                f"task.feature_network: '{self.path}' is no network that torch.export.save wrote"
            ) from error

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Takes components of any number, as a space that was never fitted can't know it."""
        for name in BUFFERS:
            if (value := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(value, device=self.mean.device))
        super()._load_from_state_dict(state_dict, prefix, *others)
