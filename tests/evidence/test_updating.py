import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from medfit.evidence import updating
from medfit.evidence.odds import logit
from medfit.evidence.predictions import Predictions
from medfit.evidence.targets.known import named

NUMBER = 400


def made(kind, names, target, preds, patient=None):
    patient = [f"p{row}" for row in range(len(target))] if patient is None else patient
    return Predictions(named(kind), names, np.array(patient), np.asarray(target, float), np.asarray(preds, float))


@pytest.fixture
def answers():
    """Predictions that are too extreme and too high: the true log odds are -.7 + .6 times those predicted."""
    rng = np.random.default_rng(0)
    odds = rng.normal(0.5, 2, NUMBER)
    target = rng.random(NUMBER) < 1 / (1 + np.exp(0.7 - 0.6 * odds))
    return made("binary", ["ill"], target[:, None], 1 / (1 + np.exp(-odds))[:, None])


@pytest.fixture
def classes():
    rng = np.random.default_rng(1)
    logs = rng.normal(0, 2, (NUMBER, 3))
    wrong = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    true = np.exp(np.array([0, 0.5, -1]) + np.array([0.5, 0.7, 0.4]) * np.log(wrong))
    drawn = (rng.random(NUMBER)[:, None] > np.cumsum(true / true.sum(axis=1, keepdims=True), axis=1)).sum(axis=1)
    return made("multiclass", ["a", "b", "c"], np.eye(3)[drawn], wrong)


@pytest.fixture
def numbers():
    rng = np.random.default_rng(2)
    preds = rng.normal(200, 30, NUMBER)
    return made("regression", ["volume"], (160 + 0.5 * preds + rng.normal(0, 5, NUMBER))[:, None], preds[:, None])


def test_the_line_of_log_odds_is_logistic_regressions(answers):
    odds = logit(answers.preds[:, 0])
    expected = sm.GLM(answers.target[:, 0], sm.add_constant(odds), sm.families.Binomial()).fit().params
    (line,) = updating.learnt("intercept and slope", answers)
    assert line == pytest.approx(tuple(expected), abs=1e-6)


def test_the_intercept_is_that_of_log_odds_that_are_given(answers):
    odds = logit(answers.preds[:, 0])
    model = sm.GLM(answers.target[:, 0], np.ones(NUMBER), sm.families.Binomial(), offset=odds)
    assert updating.learnt("intercept", answers) == [(pytest.approx(model.fit().params[0], abs=1e-6), 1.0)]


def test_the_lines_of_classes_are_a_maximum(classes):
    lines = updating.learnt("vector", classes)
    assert lines[0][0] == 0

    def likelihood(of):
        return np.log((updating.updated(classes, of).preds * classes.target).sum(axis=1)).sum()

    best = likelihood(lines)
    for column in range(3):
        for end in range(2):
            for step in (-0.05, 0.05):
                moved = [list(line) for line in lines]
                moved[column][end] += step
                if (column, end) != (0, 0):
                    assert likelihood(moved) < best
    fitted = sm.MNLogit  # the same likelihood where all columns may mix is at least as high
    odds = np.log(classes.preds)
    free = fitted(classes.target.argmax(axis=1), sm.add_constant(odds[:, 1:] - odds[:, :1])).fit(disp=False).llf
    assert best <= free + 1e-6
    assert lines[1] == (pytest.approx(0.5, abs=0.6), pytest.approx(0.7, abs=0.25))
    assert np.allclose(updating.updated(classes, lines).preds.sum(axis=1), 1)


def test_the_temperature_divides_all_log_probabilities(classes):
    ((add, times), *others) = updating.learnt("temperature", classes)
    assert add == 0 and 0.3 < times < 0.9 and others == [(add, times)] * 2


def test_numbers_are_shifted_or_put_on_a_line(numbers):
    (shift,) = updating.learnt("shift", numbers)
    assert shift == (pytest.approx((numbers.target - numbers.preds).mean()), 1.0)
    (line,) = updating.learnt("line", numbers)
    expected = LinearRegression().fit(numbers.preds, numbers.target[:, 0])
    assert line == (pytest.approx(expected.intercept_), pytest.approx(expected.coef_[0]))  # beyond 100, in its unit


def test_patients_who_are_told_apart_teach_no_line():
    apart = made("binary", ["ill"], [[0], [0], [1], [1]], [[0.1], [0.2], [0.8], [0.9]])
    assert updating.learnt("intercept and slope", apart) is None
    alike = made("binary", ["ill"], [[0], [0], [0]], [[0.1], [0.2], [0.3]])
    assert updating.learnt("intercept", alike) is None
    flat = made("regression", ["volume"], [[1], [2]], [[5], [5]])
    assert updating.learnt("line", flat) is None


@given(st.integers(2, 60), st.floats(0.05, 0.95), st.integers(0, 3))
def test_no_patient_teaches_and_is_scored(number, share, seed):
    rng = np.random.default_rng(seed)
    patient = np.repeat([f"p{k}" for k in range(number)], 2)
    target = rng.integers(0, 2, (2 * number, 1))
    whole = made("binary", ["ill"], target, rng.random((2 * number, 1)), patient)
    parts = updating.divided(whole, share, seed)
    if parts is None:
        assert int(number * share + 1e-9) == 0
        return
    teachers, scored = set(parts.learnt_from.patient), set(parts.scored.patient)
    assert not teachers & scored and len(teachers) + len(scored) == number
    assert len(teachers) == int(number * share + 1e-9)
    assert len(parts.learnt_from) == 2 * len(teachers)


def test_each_class_teaches_in_proportion():
    target = np.r_[np.ones(20), np.zeros(80)][:, None]
    whole = made("binary", ["ill"], target, np.full((100, 1), 0.3))
    for seed in range(3):
        parts = updating.divided(whole, 0.2, seed)
        assert parts.learnt_from.target.sum() == 4 and len(parts.learnt_from) == 20
    others = [set(updating.divided(whole, 0.2, seed).learnt_from.patient) for seed in (0, 0, 1)]
    assert others[0] == others[1] != others[2]


def test_updating_makes_calibration_right_for_those_who_taught_nothing(answers):
    parts = updating.divided(answers, 0.5, 0)
    developed = updating.updated(parts.scored, [(1.0, 1.0)])
    found = updating.tables(parts, developed, 100)
    table = found["updating"]
    assert list(dict.fromkeys(table.recalibration)) == ["none", "as at development", "intercept", "intercept and slope"]
    cell = table.set_index(["recalibration", "measure"]).estimate
    assert cell["none", "slope"] < 0.75 and abs(cell["intercept and slope", "slope"] - 1) < 0.3
    assert cell["none", "intercept"] < -0.3 and abs(cell["intercept", "intercept"]) < 0.3
    assert cell["as at development", "intercept"] == pytest.approx(cell["none", "intercept"] - 1)
    assert cell["intercept and slope", "cross_entropy"] < cell["none", "cross_entropy"]
    odds = logit(parts.scored.preds[:, 0])
    expected = sm.GLM(parts.scored.target[:, 0], sm.add_constant(odds), sm.families.Binomial()).fit().params[1]
    assert cell["none", "slope"] == pytest.approx(expected, abs=1e-6)
    assert set(table.patients) == {200}
    assert table.groupby("recalibration").learnt_from.first().to_dict() == {
        "none": 0, "as at development": 0, "intercept": 200, "intercept and slope": 200,
    }  # fmt: skip
    (line,) = updating.learnt("intercept and slope", parts.learnt_from)
    told = found["updates"].set_index("recalibration").loc["intercept and slope"]
    assert (told.intercept, told.slope) == line and told.learnt_from == 200
    assert set(found["updating_curve"].recalibration) == set(table.recalibration)


def test_numbers_are_scored_by_their_errors(numbers):
    parts = updating.divided(numbers, 0.25, 0)
    found = updating.tables(parts, None, 100)
    cell = found["updating"].set_index(["recalibration", "measure"]).estimate
    errors = (parts.scored.preds - parts.scored.target)[:, 0]
    assert cell["none", "bias"] == pytest.approx(errors.mean())
    assert cell["none", "rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    slope = LinearRegression().fit(parts.scored.preds, parts.scored.target[:, 0]).coef_[0]
    assert cell["none", "slope"] == pytest.approx(slope)
    assert cell["line", "rmse"] < cell["shift", "rmse"] < cell["none", "rmse"]
    assert "updating_curve" not in found


def test_what_can_not_be_learnt_is_told_and_left_out():
    target = np.r_[np.ones(2), np.zeros(38)][:, None]
    whole = made("binary", ["ill"], target, np.linspace(0.9, 0.1, 40)[:, None])
    found = updating.tables(updating.divided(whole, 0.2, 0), None, 100)
    assert found["updates"].slope.isna().all() and set(found["updating"].recalibration) == {"none"}
