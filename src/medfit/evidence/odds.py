"""Log odds of probabilities."""

import numpy as np

TINY = 1e-6


def logit(preds: np.ndarray) -> np.ndarray:
    """Returns log odds; a probability of 0 or 1 counts as one in a million from it."""
    kept = np.clip(preds, TINY, 1 - TINY)
    return np.log(kept / (1 - kept))
