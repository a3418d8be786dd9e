"""How generated samples compare with real ones: their distribution, their variety, and whether they are copies.

All take features in the shape (samples, features), such as principal components of pixels; the numbers compare only
within one feature space, and between sets of about the same size, as all but :func:`mmd` shrink with more samples.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import svdvals
from scipy.spatial.distance import cdist

CHUNK = 1024  # rows that are compared at once: all pairs of large sets don't fit in memory


def frechet_distance(real: ArrayLike, generated: ArrayLike) -> float:
    """Returns the squared Fréchet distance of two normal distributions with the sets' means and covariances.

    That is the FID (Heusel et al., NeurIPS 2017) in whatever feature space is given: 0 or more, 0 for like means and
    covariances. It is biased upwards by about the covariances' error, so two real sets have more than 0.

    Raises:
        ValueError: fewer than two samples, unlike features, or values that are no finite numbers.
    """
    a, b = _checked(real, generated)
    (root_a, total_a), (root_b, total_b) = _root(a), _root(b)
    # The trace of (AB)^(1/2) is the sum of the singular values of A^(1/2) B^(1/2): no root of a matrix that is not
    # symmetric, which would fail where a covariance is singular.
    shared = svdvals(root_a @ root_b).sum()
    shift = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return max(0.0, float(shift + total_a + total_b - 2 * shared))


def mmd(real: ArrayLike, generated: ArrayLike) -> float:
    """Returns the unbiased squared maximum mean discrepancy with the kernel ``(x·y / features + 1)^3``.

    That is the KID (Binkowski et al., ICLR 2018): 0 on average for samples of one distribution whatever their number,
    so it may come out below 0. Not the mean over subsets, but all pairs.

    Raises:
        ValueError: as :func:`frechet_distance`.
    """
    a, b = _checked(real, generated)
    within = sum((_kernel_sum(x, x) - _kernel(np.square(x).sum(axis=1), x).sum()) / (len(x) * (len(x) - 1))
                 for x in (a, b))  # fmt: skip
    return float(within - 2 * _kernel_sum(a, b) / (len(a) * len(b)))


def diversity(real: ArrayLike, generated: ArrayLike) -> float:
    """Returns the generated samples' spread over the real ones': about 1 as it should be, 0 for copies of one sample.

    The spread is the root mean squared distance between two samples. NaN where the real ones don't differ.

    Raises:
        ValueError: as :func:`frechet_distance`.
    """
    a, b = _checked(real, generated)
    spread = a.var(axis=0, ddof=1).sum()  # half the mean squared distance of two samples
    return float(np.sqrt(b.var(axis=0, ddof=1).sum() / spread)) if spread > 0 else float("nan")


def memorisation(train: ArrayLike, held_out: ArrayLike, generated: ArrayLike) -> float:
    """Returns how far generated samples lie from the training samples, over how far real ones that were held out do.

    Each is the median distance to the nearest training sample. About 1: generated samples are as new as new patients'.
    Near 0: they are copies of training samples. Somewhat below 1 need not be copying, as smooth images lie nearer to
    all others; above 1, they are unlike real ones. NaN where the held-out samples are themselves copies.

    Raises:
        ValueError: as :func:`frechet_distance`.
    """
    seen, new = _checked(train, held_out)
    _, made = _checked(train, generated)
    usual = np.median(nearest(seen, new)[0])
    return float(np.median(nearest(seen, made)[0]) / usual) if usual > 0 else float("nan")


def transfer(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], num_classes: int
) -> dict[str, float]:
    """Returns the accuracy and the AUROC on real samples of a logistic regression that was trained on others.

    Trained on generated samples that is "train on synthetic, test on real" (Esteban et al., arXiv 2017): as good as
    with real training samples where generated ones of a class hold what tells it from others. NaN where a set lacks
    a class. The AUROC of several classes is the mean of each against the others.

    Args:
        train: Features (samples, features) and class numbers (samples,).
        test: The same of the real samples.
        num_classes: Of the data set.
    """
    from sklearn.linear_model import LogisticRegression  # late: a quick start
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    (x, y), (real_x, real_y) = train, test
    if any(len(np.unique(labels)) < num_classes for labels in (y, real_y)) or not np.isfinite(x).all():
        return {"accuracy": float("nan"), "auroc": float("nan")}
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(x, y)
    probability = classifier.predict_proba(real_x)
    auroc = roc_auc_score(real_y, probability[:, 1] if num_classes == 2 else probability, multi_class="ovr")
    return {"accuracy": float((probability.argmax(axis=1) == real_y).mean()), "auroc": float(auroc)}


def nearest(train: np.ndarray, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each sample's Euclidean distance to its nearest training sample, and that one's number."""
    found = [(d.min(axis=1), d.argmin(axis=1)) for part in _chunks(samples) for d in [cdist(part, train)]]
    distances, numbers = zip(*found, strict=True)
    return np.concatenate(distances), np.concatenate(numbers)


def _checked(*sets: ArrayLike) -> list[np.ndarray]:
    arrays = [np.asarray(part, dtype=np.float64) for part in sets]
    for array in arrays:
        if array.ndim != 2 or len(array) < 2 or array.shape[1] != arrays[0].shape[1]:
            raise ValueError(
                "expected at least two samples in the shape (samples, features), with the same features, not "
                + " and ".join(str(part.shape) for part in arrays)
            )
        if not np.isfinite(array).all():
            raise ValueError("features must be finite numbers")
    return arrays


def _root(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the symmetric root of the covariance of samples, and its trace."""
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(x, rowvar=False)))
    values = values.clip(min=0)  # rounding makes zeros negative
    return (vectors * np.sqrt(values)) @ vectors.T, float(values.sum())


def _kernel(products: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (products / x.shape[1] + 1) ** 3


def _kernel_sum(a: np.ndarray, b: np.ndarray) -> float:
    return float(sum(_kernel(part @ b.T, b).sum() for part in _chunks(a)))


def _chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    return (x[start : start + CHUNK] for start in range(0, len(x), CHUNK))
