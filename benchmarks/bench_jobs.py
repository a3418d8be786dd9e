"""What a config trains, as a job for the hand-written loop: the same network, data, loss and scores."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from bench_hand import Job, judge_whole
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional as F

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "binary": F.binary_cross_entropy_with_logits,
    "multiclass": F.cross_entropy,
}


def make(cfg: DictConfig, parts: Any) -> Job:
    """Returns the job of a training on a table, series or images with masks, with AdamW and a cosine.

    Args:
        cfg: The training's, without class weights, gradient clipping and augmentation.
        parts: What it builds; the job trains its network.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if parts.datamodule.dataset.task == "segmentation":
        x, y, loss, judge = _of_masks(parts, device)
    else:
        x, y, loss, judge = _of_targets(parts, device)
    model, regime = parts.task.model.to(device), cfg.regime
    if x.is_cuda and x.ndim == 4:  # as is quicker there
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    return Job(
        model,
        x,
        y,
        loss,
        judge,
        batch_size=parts.datamodule.batch_size,
        epochs=regime.epochs,
        planned_epochs=regime.epochs,
        lr=regime.optimizer.lr,
        weight_decay=regime.optimizer.weight_decay,
        l1=regime.l1,
        l2=regime.l2,
        warmup=regime.scheduler.warmup,
        seed=cfg.seed,
    )


def _of_targets(parts: Any, device: torch.device) -> tuple[Tensor, Tensor, Any, Any]:
    """Returns the training tensors, the loss and the judge of a data set with targets."""
    task, module = parts.task, parts.datamodule
    x, y = (tensor.to(device) for tensor in module.arrays("train"))
    val_x, val_y = (tensor.to(device) for tensor in module.arrays("val"))
    loss = LOSSES[module.dataset.task]
    name = task.monitor.removeprefix("val/")

    def scores(output: Tensor, target: Tensor) -> dict[str, float]:
        found = task.scores(task.predict(output), target)
        return found | {"monitor": found[name]}

    return x, y, loss, judge_whole(val_x, val_y, loss, scores)


def _of_masks(parts: Any, device: torch.device) -> tuple[Tensor, Tensor, Any, Any]:
    """Returns the training tensors, the loss and the judge of images with masks, of which none exceeds a patch."""
    from monai.losses import DiceCELoss

    criterion = DiceCELoss(softmax=True, to_onehot_y=True, batch=True)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return criterion(output, target[:, None])

    x, y = (torch.cat(parts).to(device) for parts in zip(*parts.datamodule.train_batches, strict=True))
    return x, y, loss, _judge_of_masks(parts, loss, device)


def _judge_of_masks(parts: Any, loss: Any, device: torch.device) -> Callable[[nn.Module], float]:
    """Returns a judge that takes all slices as one batch, where medfit takes those of one size together."""
    from medfit.data.preprocessing.patch_places import pad
    from medfit.evidence import segmentation as evidence
    from medfit.tasks.segmentation import ScoredImage

    task, batches = parts.task, parts.datamodule.batches("val")
    images = [image for x, y, patients, _ in batches for image in zip(x.split(1), y.split(1), patients, strict=True)]
    window = parts.datamodule.input_shape[1:]
    x = torch.cat([pad(image, window) for image, *_ in images]).to(device)
    targets = [(y.to(device), np.asarray(y[0], dtype=np.uint8), patient) for _, y, patient in images]

    def judge(model: nn.Module) -> float:
        model.eval()
        with torch.inference_mode():
            outputs = model(x)
            found = []
            for output, (y, truth, patient) in zip(outputs, targets, strict=True):
                own = output[(slice(None), *_inside(y.shape[1:], window))]
                preds = own.argmax(dim=0).cpu().numpy().astype(np.uint8)
                counts = evidence.counts(preds, truth, len(task.target_names))
                found.append(ScoredImage(patient, counts, None, None, float(loss(own[None], y))))
        return -task.scores(found)["dice"]

    return judge


def _inside(size: Any, window: Any) -> list[slice]:
    """Returns where an image lies in the window that it was padded to."""
    starts = [(whole - own) // 2 for own, whole in zip(size, window, strict=True)]
    return [slice(start, start + own) for start, own in zip(starts, size, strict=True)]
