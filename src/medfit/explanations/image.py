"""Explanations of whole images: which places count."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from medfit.explanations.attributions import occlusion
from medfit.explanations.cases import Case, Question
from medfit.explanations.explainer import Attributions, Family, Prediction, title
from medfit.plots import explanation_maps as figures
from medfit.tasks.base import Task

NUM_WINDOWS = {2: 7, 3: 4}  # along each axis, by the number of dimensions: in volumes they are many
OVERLAP = {2: 2, 3: 1}


class Image(Family):
    """Images or volumes of one size, with a class or a number each.

    Grad-CAM (Selvaraju et al., ICCV 2017) weighs the network's last feature map by its slopes. Occlusion lays a grey
    window, of the training images' mean, over all channels of one place after another.
    """

    methods = ("grad_cam", "occlusion")
    unsigned = frozenset({"grad_cam"})
    enough: ClassVar[int] = 24
    num_untrained = 2
    num_checked = 5

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        images = self.inputs(self.data.rows["train"])
        self.grey = images.mean(dim=(0, *range(2, images.ndim)))

    def summary(self, method: str, questions: Sequence[Question], found: Attributions) -> dict[str, Any]:
        """Returns a figure of the mean sizes over the mean image, of each predicted class or target."""
        maps = {}
        for target in sorted({question.target for question in questions}):
            places = [i for i, question in enumerate(questions) if question.target == target]
            images = self.inputs([questions[i].row for i in places]).mean(dim=(0, 1))
            mean = np.abs(np.stack([found[i] for i in places])).mean(axis=0)
            maps[f"{self.names[target]}, mean of {len(places)}"] = (images.numpy(), mean)
        return {".png": figures.mean_maps(maps, title(method), self.effect(method))}

    def case(self, case: Case, found: dict[str, np.ndarray]) -> Any:
        """Returns the image beside each method's map; of a volume, the slice with most attribution."""
        image = self.inputs([case.question.row])[0].mean(dim=0).numpy()
        named = {title(method): (values, self.effect(method)) for method, values in found.items()}
        return figures.maps(image, named, case.title)

    def headline(self, method: str, questions: Sequence[Question], found: Attributions) -> str:
        """Returns how much of an image holds half of all attribution."""
        sizes = [np.sort(np.abs(values).ravel())[::-1] for values in found]
        shares = [float(np.searchsorted(np.cumsum(s), s.sum() / 2) + 1) / s.size for s in sizes if s.any()]
        return f"half of it on {np.mean(shares):.0%} of the image" if shares else "nothing"

    def _grad_cam(self, task: Task, questions: Sequence[Question]) -> Attributions:
        net = Prediction(task)
        return [grad_cam(net, self.inputs([row]), target).numpy() for row, target in questions]

    def _occlusion(self, task: Task, questions: Sequence[Question]) -> Attributions:
        net = Prediction(task)
        return [grey_window(net, self.inputs([row]), self.grey, target).numpy() for row, target in questions]


def grad_cam(net: nn.Module, x: Tensor, target: int) -> Tensor:
    """Returns Grad-CAM's map in the input's size.

    Args:
        net: Gives (1, outputs).
        x: In the shape (1, channels, *size).
        target: The output's number.
    """
    from captum.attr import LayerAttribution, LayerGradCam  # late: a quick start

    layer = deepest(net, x)
    made = LayerGradCam(net, layer).attribute(x.clone().requires_grad_(), target, relu_attributions=True)
    mode = "bilinear" if x.ndim == 4 else "trilinear"
    made = LayerAttribution.interpolate(cast(Tensor, made), tuple(x.shape[2:]), mode)
    return made.detach()[0, 0]


def grey_window(net: nn.Module, x: Tensor, grey: Tensor, target: int) -> Tensor:
    """Returns occlusion's map in the input's size, for a window over all channels.

    Args:
        net: Gives (1, outputs).
        x: In the shape (1, channels, *size).
        grey: What the window shows, in the shape (channels,).
        target: The output's number.
    """
    size = x.shape[2:]
    window = [-(-n // NUM_WINDOWS[len(size)]) for n in size]
    stride = [max(1, n // OVERLAP[len(size)]) for n in window]
    flat = grey.view(1, -1, *[1] * len(size)).expand_as(x)
    return occlusion(net, x, flat, target, (x.shape[1], *window), (x.shape[1], *stride))[0]


def deepest(net: nn.Module, x: Tensor) -> nn.Module:
    """Returns what makes the last feature map of the lowest resolution: in a U-Net, that of its bottleneck.

    A module that is called several times, as activations are, cannot be told from itself; what holds it can.

    Args:
        net: That is called.
        x: In the shape (1, channels, *size).

    Raises:
        ValueError: the network makes no feature maps.
    """
    made: dict[nn.Module, list[tuple[int, ...]]] = {}

    def note(module: nn.Module, _: Any, output: Any) -> None:
        shape = tuple(output.shape) if isinstance(output, Tensor) else ()
        made[module] = [*made.pop(module, []), shape]  # pop: in the order in which they end

    hooks = [module.register_forward_hook(note) for module in net.modules()]
    try:
        with torch.no_grad():
            net(x)
    finally:
        for hook in hooks:
            hook.remove()
    maps = {m: shapes[0] for m, shapes in made.items() if len(shapes) == 1 and len(shapes[0]) == x.ndim}
    sizes = {module: int(np.prod(shape[2:])) for module, shape in maps.items()}
    lowest = min((size for size in sizes.values() if size > 1), default=None)
    if lowest is None:
        raise ValueError("the network makes no feature maps")
    return [module for module, size in sizes.items() if size == lowest][-1]
