import numpy as np
import pandas as pd
import pytest

from medfit.evidence.averaged import Stored, average, decide
from medfit.evidence.decisions import Decisions
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.targets.known import named

RNG = np.random.default_rng(0)


def made(first=0, number=60, task="binary"):
    """Predictions of patients from one number on, whose answers follow from the number."""
    patient = np.arange(first, first + number)
    target = (patient % 3 == 0).astype(float)[:, None]
    preds = np.clip(0.3 * target + 0.7 * RNG.random((number, 1)), 0.01, 0.99)
    return Predictions(named(task), ["yes"], patient.astype(str), target, preds)


def again(predictions):
    return Predictions(
        predictions.kind,
        predictions.names,
        predictions.patient,
        predictions.target,
        RNG.random(predictions.preds.shape),
    )


def test_seeds_on_one_division_are_averaged_patient_by_patient():
    val, test = made(), made(100)
    seeds = [Stored("a", val, test), Stored("a", again(val), again(test)), Stored("a", again(val), again(test))]
    found = average(seeds)
    assert found.one_division and found.val.patient.tolist() == val.patient.tolist()
    for split in ("val", "test"):
        mean = np.mean([getattr(one, split).preds for one in seeds], axis=0)
        assert getattr(found, split).preds == pytest.approx(mean)
    assert decide(found, Settings()) == found.val.kind.decisions(found.val, found.test, Settings())
    assert decide(found, Settings()).lines and not decide(found, Settings()).out_of_fold


def test_each_patient_of_folds_is_predicted_by_those_alone_that_had_not_learnt_from_it():
    folds = [(made(0), made(100)), (made(200), made(300))]
    trainings = [Stored(str(fold), again(val), again(test)) for fold, (val, test) in enumerate(folds) for _ in range(2)]
    found = average(trainings)
    assert not found.one_division
    assert found.test.patient.tolist() == [str(n) for n in (*range(100, 160), *range(300, 360))]
    mean = [(trainings[k].test.preds + trainings[k + 1].test.preds) / 2 for k in (0, 2)]
    assert found.test.preds == pytest.approx(np.concatenate(mean))
    decisions = decide(found, Settings("sensitivity", 0.95))
    cases = found.test.preds[found.test.target > 0.5]
    assert np.mean(cases >= decisions.thresholds["yes"]) >= 0.95
    assert decisions.thresholds == found.test.kind.decisions(found.test, None, Settings("sensitivity", 0.95)).thresholds
    assert decisions.out_of_fold and decisions.lines == {}


def test_folds_that_were_validated_alone_decide_by_their_validation_patients():
    found = average([Stored(str(fold), made(100 * fold), None) for fold in range(3)])
    assert found.test is None and len(found.val) == 180
    decisions = decide(found, Settings())
    assert decisions.thresholds == found.val.kind.decisions(found.val, None, Settings()).thresholds
    assert decisions.out_of_fold


@pytest.mark.parametrize(("test", "split"), [(True, "test"), (False, "val")])
def test_intervals_of_numbers_say_whose_errors_made_them(test, split):
    trainings = [
        Stored(
            str(fold), made(100 * fold, task="regression"), made(100 * fold + 500, task="regression") if test else None
        )
        for fold in range(2)
    ]
    decisions = decide(average(trainings), Settings())
    assert decisions.intervals_from == split and decisions.half_widths["yes"] > 0 and decisions.out_of_fold


def test_classes_of_folds_have_no_temperature():
    table = pd.DataFrame({"patient": list("abcd"), "target": list("xyxy"), "pred/x": [0.9, 0.2, 0.6, 0.4]})
    table["pred/y"] = 1 - table["pred/x"]
    val = named("multiclass").read(table)
    assert decide(average([Stored("a", val, None)] * 2), Settings()).temperature is not None
    folds = decide(average([Stored("a", val, None), Stored("b", val, None)]), Settings())
    assert folds.temperature is None and folds.out_of_fold


def test_where_not_all_have_predictions_nothing_is_decided():
    val = made()
    none = val.rows(np.arange(0))
    for stored in ([val, None], [none, none], [none, val], [None, None]):
        found = average([Stored("a", one, None) for one in stored])
        assert found.val is None and decide(found, Settings()) == Decisions()
        found = average([Stored(str(k), one, None) for k, one in enumerate(stored)])
        assert found.val is None and decide(found, Settings()) == Decisions()


def test_stored_counts_of_voxels_tell_nothing_of_the_mean_mask():
    columns = {"patient": ["a", "b"], "found/x": [1, 2], "predicted/x": [2, 2], "true/x": [2, 3]}
    counts = named("segmentation").read(pd.DataFrame(columns))
    found = average([Stored("a", counts, counts)] * 2)
    assert (found.val, found.test) == (None, None)


def test_other_rows_or_another_order_have_no_mean():
    val = made()
    for other in (val.rows(np.arange(60)[::-1]), made(1)):
        with pytest.raises(ValueError, match="same rows in the same order"):
            average([Stored("a", val, None), Stored("a", other, None)])
