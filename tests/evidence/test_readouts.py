import numpy as np
import pytest

from medfit.evidence import calibration, readouts, thresholds
from medfit.evidence.predictions import Predictions, TargetKind
from medfit.evidence.settings import Settings
from medfit.evidence.targets.known import named


def of_columns(number, size=40):
    rng = np.random.default_rng(0)
    preds = rng.random((size, number))
    target = (rng.random((size, number)) < preds).astype(float)
    names = [str(column) for column in range(number)]
    return [Predictions(named("multilabel"), names, np.arange(size).astype(str), target, preds)]


@pytest.mark.parametrize(("asked", "of_lines"), [(2000, 250), (400, 100)])
def test_read_outs_take_half_of_the_resamples_and_lines_an_eighth_and_a_hundred_at_least(monkeypatch, asked, of_lines):
    taken = {}
    own = {"readout": thresholds.readout, "table": calibration.table}

    def readout(*arguments, num_resamples):
        taken["rates"] = num_resamples
        return own["readout"](*arguments, num_resamples=20)

    def table(tests, vals, few, methods):
        taken["lines"] = few
        return own["table"](tests, vals, 20, methods)

    monkeypatch.setattr(thresholds, "readout", readout)
    monkeypatch.setattr(calibration, "table", table)
    made = of_columns(1)
    assert readouts.of_probabilities(made, made, Settings(num_resamples=asked))
    assert taken == {"rates": asked // 2, "lines": of_lines}


def test_more_than_ten_columns_have_none():
    few, many = of_columns(10), of_columns(11)
    assert readouts.of_probabilities(many, many, Settings(num_resamples=100)) == {}
    assert set(readouts.of_probabilities(few, few, Settings(num_resamples=20))["thresholds"].column) == set(
        few[0].names
    )


def test_kinds_are_equal_by_class_and_name():
    other = TargetKind()
    other.name = "binary"
    assert named("binary") == named("binary") != named("regression")
    assert named("binary") != other and other != TargetKind() and named("binary") != "binary"


def test_what_is_said_nowhere_is_what_the_guide_says():
    assert Settings() == Settings("youden", 0.9, 1.0, None, 0.9, 2000)
