"""Segmentation: a class for every pixel or voxel, scored by patient."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from medfit.errors import UserError
from medfit.evidence import segmentation as evidence
from medfit.evidence.segmentation import COUNTS
from medfit.evidence.targets import regions
from medfit.plots.overlays import Overlay, overlay, slice_of
from medfit.tasks.base import one_input
from medfit.tasks.native_grid import class_numbers, linear, nearest
from medfit.tasks.supervised import Supervised

SLICES_AT_ONCE = 64
Loss = Literal["dice_cross_entropy", "dice", "cross_entropy", "focal", "tversky"]

OF_A_BATCH = ("dice_cross_entropy", "dice", "tversky")


class ScoredImage(NamedTuple):
    """What is kept of an image that was scored.

    Args:
        patient: Its number.
        counts: Voxels found, predicted and true of each class but the background, in the shape (3, classes).
        distances_mm: 95 % Hausdorff and average surface distance, in the shape (2, classes); None where not measured.
        overlay: The slice to show; None where not wanted.
        loss: Mean over the voxels that the network sees.
        resampled: Whether the network sees another grid than that of the file, which all else is of.
    """

    patient: int
    counts: np.ndarray
    distances_mm: np.ndarray | None
    overlay: Overlay | None
    loss: float
    resampled: bool = False


class Segmentation(Supervised):
    """Learns from patches, predicts whole images by a sliding window, and scores each patient's images together.

    A 2D network takes a volume slice by slice, along the volume's first axis. Windows overlap and are weighted by a
    Gaussian (Isensee et al., Nature Methods 2021). Scores are means over patients, for each class but the background
    (class 0) and over the classes: a class that a patient neither has nor is given counts in no mean.

    Scores are of the masks as they were read, in every epoch: where images are resampled, probabilities are brought
    back to the file's grid. The loss alone is of what the network sees; it is called ``val/loss_resampled`` then, and
    can't steer a training, as it does not compare between spacings.

    Args:
        loss: ``dice_cross_entropy``, ``dice`` (Milletari et al., 3DV 2016), ``cross_entropy``, ``focal`` (Lin et al.,
            ICCV 2017) or ``tversky`` (Salehi et al., MLMI 2017), by MONAI; overlaps are those of a whole batch, as
            slices without a class have none of their own.
        false_negative_weight: Of ``tversky``; false positives weigh 1 minus this.
        focus: Of ``focal``: the exponent; 0 for cross-entropy, divided by the number of classes.
        overlap: Of neighbouring windows, as a share.
    """

    fits = frozenset({regions.Segmentation()})
    has_baselines = False
    available = dict.fromkeys(evidence.OVERLAPS + evidence.DISTANCES)  # type: ignore[assignment]

    def __init__(
        self,
        *,
        loss: Loss = "dice_cross_entropy",
        false_negative_weight: Annotated[float, Field(gt=0, lt=1)] = 0.7,
        focus: Annotated[float, Field(ge=0)] = 2.0,
        overlap: Annotated[float, Field(ge=0, lt=1)] = 0.25,
        **kwargs: Any,
    ) -> None:
        if (monitor := kwargs["monitor"].removeprefix("val/").split("/")[0]) in evidence.DISTANCES:
            raise UserError(f"task.monitor: {monitor} takes long, so it is measured once, after training")
        super().__init__(**kwargs)
        self.overlap, self.window = overlap, one_input(kwargs["input_shape"], "segmentation")[1:]
        if loss in OF_A_BATCH:
            self.whole_batch = f"task.loss={loss} takes the overlap on each device's part of a batch"
        self.criterion = _loss(loss, false_negative_weight, focus)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of a patch's output: (classes, *size)."""
        return (self.output_size, *input_shape[1:])

    def logged(self) -> list[str]:
        """Returns the names of the scores of every epoch; distances are measured once, after training."""
        names = [name for name in self.metrics if name in evidence.OVERLAPS]
        own = self.target_names[1:] if len(self.target_names) > 2 else []
        return ["val/loss", *(f"val/{n}" for n in names), *(f"val/{n}/{c}" for n in names for c in own)]

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Returns the mean loss of logits (batch, classes, *size) for class numbers (batch, *size)."""
        return self.criterion(output, target[:, None])

    def predict(self, output: Tensor) -> Tensor:
        """Returns the classes' probabilities."""
        return output.softmax(dim=1)

    def infer(self, x: Tensor) -> Tensor:
        """Returns the logits of whole images.

        Args:
            x: In the shape (batch, channels, *size); a volume for a 2D network is a batch of its own, and has its
                slices along the first axis.
        """
        from monai.inferers.utils import sliding_window_inference  # late: a quick start

        sliced = x.ndim - 2 > len(self.window)
        parts = x[0].movedim(1, 0).split(SLICES_AT_ONCE) if sliced else [x]
        windows = SLICES_AT_ONCE if len(self.window) == 2 else 1
        made = [
            sliding_window_inference(part, self.window, windows, self.model, overlap=self.overlap, mode="gaussian")
            for part in parts
        ]
        output: Tensor = torch.cat(made)  # type: ignore[arg-type]
        return output.movedim(0, 1)[None] if sliced else output

    def masks(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """Returns the class numbers (batch, *size) of whole images on the grid that is wanted, as they are scored.

        Args:
            x: As :meth:`infer` takes it.
            size: Of the grid.
        """
        return class_numbers(self.infer(x), size)

    def shares(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """Returns the classes' probabilities (batch, classes, *size) of whole images on the grid that is wanted.

        Args:
            x: As :meth:`infer` takes it.
            size: Of the grid.
        """
        return linear(self.predict(self.infer(x).float()), size)

    def validation_step(self, batch: Any, number: int) -> None:
        """Keeps what is quickly counted in each image."""
        self._validated += self._scored_images(batch, thorough=False)

    def epoch_scores(self, outputs: list[Any]) -> dict[str, float]:
        """Returns the mean loss of the images, and the metrics that are quick to have.

        Raises:
            UserError: the loss is monitored, and is of resampled images.
        """
        resampled = any(image.resampled for image in outputs)
        if resampled and self.monitor == "val/loss":
            raise UserError(
                "task.monitor=val/loss: with preprocessing.spacing_mm or size the loss is of resampled masks, which "
                "are easier the coarser they are; monitor val/dice, which is of the masks as they were read"
            )
        loss = float(np.mean([image.loss for image in outputs]))
        return {"loss_resampled" if resampled else "loss": loss, **self.scores(outputs)}

    def predict_step(self, batch: Any, batch_index: int) -> list[ScoredImage]:
        """Returns what is counted and measured in each image, and a slice to show."""
        return self._scored_images(batch, thorough=True)

    def join(self, batches: Sequence[list[ScoredImage]]) -> tuple[list[ScoredImage]]:
        """Returns the images of all batches."""
        return ([image for scored in batches for image in scored],)

    def scores(self, scored: list[ScoredImage]) -> dict[str, float]:
        """Returns ``metric`` and, where there are several classes, ``metric/class``."""
        names = self.target_names[1:]
        found: dict[str, float] = {}
        for metric, values in self._of_patients(scored).items():
            of_class = evidence.mean(values, axis=0)
            found[metric] = float(evidence.mean(of_class, axis=0))
            if len(names) > 1:
                found |= {f"{metric}/{name}": float(value) for name, value in zip(names, of_class, strict=True)}
        return found

    def table(self, scored: list[ScoredImage]) -> pd.DataFrame:
        """Returns each image's scores and voxels (found, predicted and true) by class, a row each image."""
        counts = np.stack([image.counts for image in scored])
        columns: dict[str, np.ndarray] = {}
        for metric, values in self._values(scored).items():
            columns |= {f"{metric}/{name}": values[:, k] for k, name in enumerate(self.target_names[1:])}
        for place, part in enumerate(COUNTS):
            columns |= {f"{part}/{name}": counts[:, place, k] for k, name in enumerate(self.target_names[1:])}
        return pd.DataFrame(columns)

    def figures(self, scored: list[ScoredImage]) -> dict[str, Figure]:
        """Returns the images of the best, the median and the worst patient, with true and predicted outlines."""
        patients, counts = self._counts(scored)
        dice = evidence.mean(evidence.overlaps(counts)["dice"], axis=1)
        order = [place for place in np.argsort(-dice, kind="stable") if np.isfinite(dice[place])]
        if not order:
            return {}
        made = {}
        for name, place in {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}.items():
            own = [image.overlay for image in scored if image.patient == patients[place] and image.overlay is not None]
            shown = max(own, key=lambda image: (np.count_nonzero(image.target), np.count_nonzero(image.preds)))
            made[f"overlay_{name}"] = overlay(shown, self.target_names, f"{name} patient, Dice {dice[place]:.3f}")
        return made

    def _scored_images(self, batch: Any, thorough: bool) -> list[ScoredImage]:
        """Scores a batch: images of one size, masks as they were read, their patients and their spacings in mm."""
        x, y, patients, spacings_mm = batch
        output = self.infer(x)
        made = output.split(1) if len(x) > 1 else [output]
        images = zip(x.split(1), y.split(1), patients, spacings_mm, made, strict=True)
        return [self._scored_image(*image, thorough) for image in images]

    def _scored_image(
        self, x: Tensor, y: Tensor, patient: int, spacing_mm: tuple[float, ...], output: Tensor, thorough: bool
    ) -> ScoredImage:
        """Returns what is kept of one image (1, channels, *size), with the mask (1, *size as it was read)."""
        native, seen = tuple(y.shape[1:]), tuple(output.shape[2:])
        preds = class_numbers(output, native)[0].cpu().numpy().astype(np.uint8)
        target = y[0].cpu().numpy().astype(np.uint8)
        size = len(self.target_names)
        wanted = thorough and any(name in evidence.DISTANCES for name in self.metrics)
        distances = evidence.distances_mm(preds, target, size, spacing_mm) if wanted else None
        shown = None
        if thorough:  # numpy knows no bfloat16
            shown = slice_of(linear(x[:, :1], native)[0, 0].float().cpu().numpy(), target, preds, spacing_mm)
        loss = float(self.loss(output, nearest(y, seen)))
        return ScoredImage(
            patient, evidence.counts(preds, target, size), distances, shown, loss, resampled=native != seen
        )

    def _counts(self, scored: list[ScoredImage]) -> tuple[list[int], np.ndarray]:
        """Returns the patients, and the counts of each one's images together, in the shape (patients, 3, classes)."""
        counts: dict[int, np.ndarray] = {}
        for image in scored:
            counts[image.patient] = counts.get(image.patient, 0) + image.counts
        return list(counts), np.stack(list(counts.values()))

    def _of_patients(self, scored: list[ScoredImage]) -> dict[str, np.ndarray]:
        """Returns each metric of each patient, in the shape (patients, classes)."""
        patients, counts = self._counts(scored)
        values = evidence.overlaps(counts)
        if all(image.distances_mm is not None for image in scored):
            measured: dict[int, list[Any]] = {patient: [] for patient in patients}
            for image in scored:
                measured[image.patient].append(image.distances_mm)
            means = np.stack([evidence.mean(np.stack(images), axis=0) for images in measured.values()])
            values |= {name: means[:, place] for place, name in enumerate(evidence.DISTANCES)}
        return {name: values[name] for name in self.metrics if name in values}

    def _values(self, scored: list[ScoredImage]) -> dict[str, np.ndarray]:
        """Returns each metric of each image, in the shape (images, classes)."""
        alone = [image._replace(patient=place) for place, image in enumerate(scored)]
        return self._of_patients(alone)


def _loss(name: Loss, false_negative_weight: float, focus: float) -> Callable[[Tensor, Tensor], Tensor]:
    from monai import losses  # late: a quick start

    match name:
        case "dice_cross_entropy":
            return losses.DiceCELoss(softmax=True, to_onehot_y=True, batch=True)
        case "dice":
            return losses.DiceLoss(softmax=True, to_onehot_y=True, batch=True)
        case "cross_entropy":
            return lambda output, target: torch.nn.functional.cross_entropy(output, target[:, 0])
        case "focal":
            return losses.FocalLoss(use_softmax=True, to_onehot_y=True, gamma=focus)
        case "tversky":
            return losses.TverskyLoss(
                softmax=True, to_onehot_y=True, batch=True, alpha=1 - false_negative_weight, beta=false_negative_weight
            )
