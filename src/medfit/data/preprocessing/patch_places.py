"""Where patches lie in images, and what is added where an image is smaller."""

from collections.abc import Sequence

import torch
from torch import Tensor


def random_marked(mask: Tensor, generator: torch.Generator) -> list[int] | None:
    """Returns a random voxel of the foreground; None where there is none."""
    in_layer = mask.flatten(1).count_nonzero(dim=1)  # one layer is searched then: a volume's voxels are many
    if not in_layer.any():
        return None
    layer = int(torch.multinomial(in_layer.double(), 1, generator=generator))
    marked = mask[layer].nonzero()
    return [layer, *marked[int(torch.randint(len(marked), (), generator=generator))].tolist()]


def pad(x: Tensor, size: Sequence[int]) -> Tensor:
    """Returns a tensor whose last axes are padded with zeros on both sides up to a size."""
    missing = [max(0, new - old) for old, new in zip(x.shape[-len(size) :], size, strict=True)]
    widths = [width for m in reversed(missing) for width in (m // 2, m - m // 2)]
    return torch.nn.functional.pad(x, widths) if any(widths) else x
