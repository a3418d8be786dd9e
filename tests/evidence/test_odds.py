import numpy as np
import pytest
from scipy.special import logit as scipys

from medfit.evidence.odds import logit


def test_log_odds_are_scipys():
    preds = np.array([0.01, 0.2, 0.5, 0.75, 0.999])
    assert logit(preds) == pytest.approx(scipys(preds))


def test_certainty_counts_as_one_in_a_million_from_it():
    assert logit(np.array([0.0, 1e-9, 1.0])) == pytest.approx(scipys(np.array([1e-6, 1e-6, 1 - 1e-6])))
