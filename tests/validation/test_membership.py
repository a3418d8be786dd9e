import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from medfit.validation.membership import features, scores


def groups(shift, number=200):
    rng = np.random.default_rng(0)
    then, now = rng.normal(size=(number, 3)), rng.normal(size=(number, 3))
    now[:, 1] += shift
    return then.astype(np.float32), now.astype(np.float32), (np.arange(number), np.arange(number))


@pytest.mark.parametrize("trees", [False, True])
def test_the_same_patients_are_not_told_apart_and_others_are(trees):
    alike, apart = (scores(*groups(shift), trees).set_index("classifier").auroc for shift in (0.0, 3.0))
    assert list(alike.index) == ["logistic", "gradient boosting"][: 1 + trees]
    assert (np.abs(alike - 0.5) < 0.1).all() and (apart > 0.95).all()


def test_the_score_is_near_that_of_a_model_of_all(capsys):
    then, now, whose = groups(1.0)
    x, y = np.concatenate([then, now]), np.r_[np.zeros(200), np.ones(200)]
    known = roc_auc_score(y, LogisticRegression().fit(x, y).predict_proba(x)[:, 1])
    assert scores(then, now, whose, False).auroc.item() == pytest.approx(known, abs=0.03)


def test_a_patients_own_rows_give_nobody_away():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(20), 10)
    traits = rng.normal(size=(40, 8))[np.r_[patient, 20 + patient]].astype(np.float32)  # the same in all ten rows
    found = scores(traits[:200], traits[200:], (patient, patient), True)
    assert (found.auroc < 0.75).all()  # were rows divided, each would be told by its patient's others


def test_too_few_patients_have_no_score():
    then, now, _ = groups(1.0, 12)
    assert len(scores(then, now, (np.arange(12), np.arange(12) // 3), False)) == 0


def test_samples_of_any_shape_are_rows_of_numbers():
    assert features(torch.zeros(4, 2, 3)).shape == (4, 6)
    assert features({"image": torch.zeros(4, 2, 3), "record": torch.ones(4, 5)}).shape == (4, 11)
