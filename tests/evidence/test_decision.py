import numpy as np
import pytest

from medfit.evidence.decision import curves, net_benefit
from medfit.evidence.predictions import Predictions
from medfit.evidence.targets.known import named


def test_net_benefit_is_true_alarms_less_false_ones_at_the_odds():
    # of 10, at .2: 3 true and 2 false alarms, and a false one weighs a quarter
    preds = np.array([0.9, 0.8, 0.3, 0.5, 0.2, 0.1, 0.1, 0.0, 0.0, 0.0])
    target = np.array([1.0, 1, 1, 0, 0, 1, 0, 0, 0, 0])
    assert net_benefit(preds, target, np.array([0.2]))[0] == pytest.approx(0.3 - 0.2 / 4)


def test_acting_on_all_is_worth_nothing_at_the_prevalence():
    target = np.repeat([1.0, 0.0], [20, 80])
    unit = Predictions(named("binary"), ["ill"], np.arange(100).astype(str), target[:, None], target[:, None])
    table = curves([unit]).set_index("threshold")
    assert table.loc[0.2, "all"] == pytest.approx(0)
    assert table.loc[0.01, "all"] == pytest.approx(0.2 - 0.8 / 99)
    np.testing.assert_allclose(table.model, 0.2)  # a perfect model finds every case at any threshold
    assert (table.none == 0).all()
