import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from medfit.evidence import calibration
from medfit.evidence.decisions import Decisions, numbers
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.targets.known import named


def made(task, names, target, preds):
    return Predictions(named(task), names, np.arange(len(preds)).astype(str), np.asarray(target, float), preds)


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    target = rng.random((400, 2)) < [0.3, 0.6]
    logits = 3 * (target - 0.5) + rng.normal(size=(400, 2))
    return made("multilabel", ["a", "b"], target, 1 / (1 + np.exp(-logits)))


def test_decisions_are_taken_at_the_validation_threshold(answers):
    found = answers.kind.decisions(answers, None, Settings("sensitivity", 0.95))
    cases = np.sort(answers.preds[answers.target[:, 0] > 0.5, 0])
    assert np.mean(cases >= found.thresholds["a"]) >= 0.95 > np.mean(cases > found.thresholds["a"] + 0.05)
    told = answers.kind.told(answers.names, answers.preds, found)
    assert list(told) == [f"{what}/{name}" for name in "ab" for what in ("decision", "probability", "recalibrated")]
    assert (told["decision/a"] == np.where(answers.preds[:, 0] >= found.thresholds["a"], "yes", "no")).all()
    assert (told["probability/b"] == answers.preds[:, 1]).all()


def test_recalibration_is_the_line_of_log_odds_that_logistic_regression_finds(answers):
    line = answers.kind.decisions(answers, None, Settings()).lines["b"]
    log_odds, yes = np.log(answers.preds[:, 1] / (1 - answers.preds[:, 1]))[:, None], answers.target[:, 1] > 0.5
    soft = np.where(yes, (yes.sum() + 1) / (yes.sum() + 2), 1 / ((~yes).sum() + 2))  # Platt 1999, section 2.2
    twice, weights = np.r_[np.ones(400), np.zeros(400)], np.r_[soft, 1 - soft]
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(np.r_[log_odds, log_odds], twice, weights)
    assert line == pytest.approx([fitted.intercept_[0], fitted.coef_[0, 0]], abs=1e-3)


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_recalibrated_probabilities_are_those_of_an_evaluation(answers, task):
    if task == "multiclass":
        preds = np.concatenate([answers.preds, np.full((400, 1), 0.4)], axis=1)
        truth = np.eye(3)[np.where(answers.target[:, 0] > 0.5, 0, np.where(answers.target[:, 1] > 0.5, 1, 2))]
        answers = made(task, ["a", "b", "c"], truth, preds / preds.sum(axis=1, keepdims=True))
    found = Decisions.of_values(answers.kind.decisions(answers, None, Settings()).values())
    told = answers.kind.told(answers.names, answers.preds, found)
    method = {"multilabel": "platt", "multiclass": "temperature"}[task]
    expected = calibration.recalibrated(method, answers, answers).preds
    assert told[[f"recalibrated/{name}" for name in answers.names]].to_numpy() == pytest.approx(expected, abs=1e-12)
    assert not np.allclose(expected, answers.preds)


def test_the_likeliest_class_is_decided_for():
    kind = named("multiclass")
    told = kind.told(["1", "2"], np.array([[0.2, 0.8], [0.9, 0.1]]), Decisions())
    assert list(told) == ["class", "probability/1", "probability/2"]
    assert told["class"].tolist() == ["2", "1"]


def test_an_answer_that_no_validation_patient_has_is_not_decided(answers):
    one = made("binary", ["a"], np.zeros((400, 1)), answers.preds[:, :1])
    found = one.kind.decisions(one, None, Settings())
    assert found == Decisions() and list(one.kind.told(["a"], one.preds, found)) == ["probability/a"]


def test_equal_predictions_are_recalibrated_to_the_share_of_cases():
    one = made("binary", ["a"], np.arange(10)[:, None] < 3, np.full((10, 1), 0.9))
    told = one.kind.told(["a"], one.preds, one.kind.decisions(one, None, Settings()))
    assert told["recalibrated/a"].to_numpy() == pytest.approx(0.3)


def test_intervals_of_numbers_hold_for_the_share_that_is_asked_for():
    rng = np.random.default_rng(0)
    target, errors = rng.normal(size=(999, 1)), rng.normal(size=(999, 1))
    val = made("regression", ["pulse"], target, target + errors)
    found = val.kind.decisions(val, None, Settings(coverage=0.8))
    assert found.half_widths["pulse"] == np.sort(np.abs(errors[:, 0]))[799]  # (999 + 1) * .8, from 1
    told = val.kind.told(["pulse"], val.preds, found)
    assert list(told) == ["prediction/pulse", "low/pulse", "high/pulse"]
    assert (told["high/pulse"] - told["low/pulse"]).to_numpy() == pytest.approx(2 * found.half_widths["pulse"])


def test_intervals_are_made_of_test_patients_errors_where_they_were_scored():
    val = made("regression", ["pulse"], np.zeros((99, 1)), np.ones((99, 1)))
    test = made("regression", ["pulse"], np.zeros((99, 1)), np.full((99, 1), 3.0))
    assert val.kind.decisions(val, test, Settings()).half_widths == {"pulse": 3}
    assert val.kind.decisions(val, test, Settings()).intervals_from == "test"
    assert val.kind.decisions(val, None, Settings()).half_widths == {"pulse": 1}


def test_too_few_patients_give_no_interval():
    val = made("regression", ["pulse"], np.zeros((4, 1)), np.ones((4, 1)))
    found = val.kind.decisions(val, None, Settings(coverage=0.9))
    assert found == Decisions(coverage=0.9, intervals_from="val")
    assert list(numbers(["pulse"], val.preds, found)) == ["prediction/pulse"]


def test_predictions_that_fit_in_no_table_are_refused():
    kind = named("segmentation")
    assert (
        kind.decisions(made("segmentation", ["a"], np.zeros((1, 1)), np.zeros((1, 1))), None, Settings()) == Decisions()
    )
    with pytest.raises(Exception, match="fit in no table"):
        kind.told(["a"], np.zeros((1, 1)), Decisions())


def test_tables_hold_a_row_each_sample(answers):
    assert isinstance(answers.kind.told(answers.names, answers.preds, Decisions()), pd.DataFrame)
