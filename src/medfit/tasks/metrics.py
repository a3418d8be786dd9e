"""Metrics on the predictions of a whole split, by torchmetrics where it has them.

Those of a column take ``preds`` and ``target`` of the shape (samples,); those of classes take probabilities
(samples, classes) and class numbers (samples,). A metric that the data leave undefined (AUROC with one class) is NaN.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics.functional import classification as c
from torchmetrics.functional import regression as r

Metric = Callable[[Tensor, Tensor], Tensor]
TINY = 1e-7


def cross_entropy(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the mean negative log likelihood of the classes, in nats."""
    return -(_of_class(preds, target).clamp(TINY, 1)).log().mean()


def accuracy(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the share of samples whose likeliest class is right."""
    return (preds.argmax(dim=1) == target).float().mean()


def balanced_accuracy(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the mean over the classes that occur of the share of their samples that is found."""
    hit = (preds.argmax(dim=1) == target).float()
    return torch.stack([hit[target == k].mean() for k in target.unique()]).mean()


def f1(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the mean over classes of the harmonic mean of precision and recall."""
    return c.multiclass_f1_score(preds, target, preds.shape[1], average="macro")


def mcc(preds: Tensor, target: Tensor) -> Tensor:
    """Returns Matthews' correlation coefficient (Gorodkin 2004 for several classes); 0 for a constant prediction.

    Our own, as torchmetrics 1.9 gives other values than 0 for constant predictions.
    """
    size = preds.shape[1]
    counts = torch.bincount(target * size + preds.argmax(dim=1), minlength=size * size).reshape(size, size).double()
    true, predicted, total = counts.sum(dim=1), counts.sum(dim=0), counts.sum()
    covariance = counts.trace() * total - true @ predicted
    scale = (total**2 - true @ true).sqrt() * (total**2 - predicted @ predicted).sqrt()
    return covariance / scale if scale > 0 else covariance.new_tensor(0.0)


def brier(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the mean over samples of the squared error summed over classes (Brier 1950)."""
    truth = torch.nn.functional.one_hot(target, preds.shape[1])
    return (preds - truth).square().sum(dim=1).mean()


def calibration_error(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the expected calibration error of the likeliest class (Guo et al., ICML 2017)."""
    confidence, likeliest = preds.max(dim=1)
    return binary_calibration_error(confidence, (likeliest == target).float())


def binary_calibration_error(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the mean gap of predicted probability and observed share over ten bins, weighed by their samples.

    Our own, as torchmetrics 1.9 gives a probability of 1 an eleventh bin; these are closed above.
    """
    edges = torch.linspace(0, 1, 11, dtype=preds.dtype, device=preds.device)
    bins = torch.bucketize(preds, edges[1:-1])
    gaps = preds.new_zeros(10).index_add(0, bins, target.to(preds.dtype) - preds)
    return gaps.abs().sum() / len(preds)


def auroc(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the mean over the classes that occur of the area under the ROC curve against all others."""
    return _mean_over_classes(binary_auroc, preds, target)


def auprc(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the mean over the classes that occur of the average precision against all others."""
    return _mean_over_classes(binary_auprc, preds, target)


def binary_auroc(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the area under the ROC curve."""
    return c.binary_auroc(preds, target.int()) if _both(target) else preds.new_tensor(torch.nan)


def binary_auprc(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the average precision, the area under the precision-recall curve's steps."""
    return c.binary_average_precision(preds, target.int()) if _both(target) else preds.new_tensor(torch.nan)


def binary_balanced_accuracy(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the mean of sensitivity and specificity at a probability of a half."""
    return balanced_accuracy(_two_classes(preds), target.long())


def r2(preds: Tensor, target: Tensor) -> Tensor:
    """Returns the share of variance explained; 0 for a target that does not vary, or 1 if it is met exactly.

    Our own, as torchmetrics 1.9 takes a target in a small unit for a constant, loses digits where the mean is
    large, and refuses a single sample, which is NaN here.
    """
    target = target.double()
    residual = (target - preds).square().sum()
    total = (target - target.mean()).square().sum()
    if len(target) < 2:
        return total.new_tensor(torch.nan)
    return 1 - residual / total if total > 0 else (residual == 0).double()


CLASSES: dict[str, Metric] = {
    "cross_entropy": cross_entropy,
    "auroc": auroc,
    "auprc": auprc,
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "f1": f1,
    "mcc": mcc,
    "brier": brier,
    "calibration_error": calibration_error,
}
BINARY: dict[str, Metric] = {
    "cross_entropy": lambda p, t: cross_entropy(_two_classes(p), t.long()),
    "auroc": binary_auroc,
    "auprc": binary_auprc,
    "accuracy": lambda p, t: ((p > 0.5) == t.bool()).float().mean(),
    "balanced_accuracy": binary_balanced_accuracy,
    "f1": lambda p, t: c.binary_f1_score(p, t.int()),
    "mcc": lambda p, t: mcc(_two_classes(p), t.long()),
    "brier": lambda p, t: (p - t).square().mean(),
    "calibration_error": binary_calibration_error,
}
REGRESSION: dict[str, Metric] = {
    "mse": r.mean_squared_error,
    "rmse": lambda p, t: r.mean_squared_error(p, t, squared=False),
    "mae": r.mean_absolute_error,
    "r2": r2,
}


def by_column(metric: Metric, preds: Tensor, target: Tensor) -> Tensor:
    """Returns a column metric for each column of (samples, columns)."""
    return torch.stack([metric(p.contiguous(), t.contiguous()) for p, t in zip(preds.T, target.T, strict=True)])


def _of_class(preds: Tensor, target: Tensor) -> Tensor:
    return preds.gather(1, target[:, None])[:, 0]


def _two_classes(preds: Tensor) -> Tensor:
    return torch.stack([1 - preds, preds], dim=1)


def _both(target: Tensor) -> bool:
    return bool((target == 1).any() and (target == 0).any())


def _mean_over_classes(metric: Metric, preds: Tensor, target: Tensor) -> Tensor:
    columns = [metric(preds[:, k].contiguous(), target == k) for k in range(preds.shape[1])]
    return torch.stack(columns).nanmean()
