from types import SimpleNamespace

import numpy as np
import pytest

from medfit.evidence.single_cases import Numbers, by_certainty
from medfit.explanations.cases import Question, choose, effect, targets_of


def dataset(task, y, names, **units):
    return SimpleNamespace(task=task, y=np.asarray(y), target_names=names, units=units)


YES_OR_NO = dataset("binary", np.array([[1], [1], [0], [0], [1]], dtype=np.float32), ["ill"])
PREDS = np.array([[0.9], [0.2], [0.97], [0.45], [0.8]])


def test_the_surest_right_the_surest_wrong_and_the_least_certain_are_shown():
    cases = choose(YES_OR_NO, np.arange(5), PREDS, 3)
    assert [(case.question.row, case.title.split(":")[0]) for case in cases] == [
        (0, "most confident right"),
        (2, "most confident wrong"),
        (3, "least certain"),
    ]
    assert cases[1].title == "most confident wrong: ill predicted 0.97, truly no"


def test_rows_are_the_data_sets():
    shifted = dataset("binary", np.concatenate([np.zeros((10, 1)), YES_OR_NO.y]), ["ill"])
    assert [case.question.row for case in choose(shifted, np.arange(10, 15), PREDS, 3)] == [10, 12, 13]


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (5, 5), (9, 5)])
def test_no_case_is_shown_twice(count, expected):
    rows = [case.question.row for case in choose(YES_OR_NO, np.arange(5), PREDS, count)]
    assert len(set(rows)) == len(rows) == expected


def test_where_all_is_right_there_is_no_wrong_case():
    cases = choose(YES_OR_NO, np.arange(5), YES_OR_NO.y.astype(float), 5)
    assert not any("wrong" in case.title for case in cases)


def test_of_classes_the_predicted_one_is_explained():
    classes = dataset("multiclass", [2, 0], ["a", "b", "c"])
    cases = choose(classes, np.arange(2), np.array([[0.1, 0.2, 0.7], [0.3, 0.6, 0.1]]), 2)
    assert [case.question for case in cases] == [Question(0, 2), Question(1, 1)]
    assert cases[1].title == "most confident wrong: predicted b (0.60), truly a"


def test_numbers_are_chosen_by_their_error_and_told_with_their_unit():
    numbers = dataset("regression", np.array([[10.0], [20.0], [30.0]]), ["pressure"], pressure="mmHg")
    cases = choose(numbers, np.arange(3), np.array([[10.0], [28.0], [33.0]]), 3)
    assert [case.question.row for case in cases] == [0, 1, 2]
    assert cases[1].title == "largest error: pressure predicted 28 mmHg, truly 20 mmHg"
    assert cases[2].title.startswith("median error")


def test_each_ranking_has_all_of_its_samples():
    found = by_certainty(np.array([0.1, 0.9, 0.5]), np.array([True, False, True]))
    assert {why: places.tolist() for why, places in found.items()} == {
        "most confident right": [2, 0],
        "most confident wrong": [1],
        "least certain": [0, 2, 1],
    }
    numbers = Numbers().rankings(np.array([[1.0], [5], [3]]), np.zeros((3, 1)))
    assert {why: places.tolist() for why, places in numbers.items()} == {
        "least error": [0, 2, 1],
        "largest error": [1, 2, 0],
        "median error": [2, 0, 1],
    }


def test_errors_of_several_numbers_are_in_standard_deviations_of_the_truth():
    truth = np.array([[0.0, 0.0, 5.0], [1.0, 100.0, 5.0], [2.0, 200.0, 5.0]])
    numbers = dataset("regression", truth, ["a", "b", "c"])
    preds = truth + np.array([[0.5, 0, 0], [0, 40, 0], [0, 0, 0]])  # .61 and .49 standard deviations, and none
    cases = choose(numbers, np.arange(3), preds, 3)
    assert [case.title.split(":")[0] for case in cases] == ["least error", "largest error", "median error"]
    assert [case.question.row for case in cases] == [2, 0, 1]
    assert [case.question.target for case in cases][2] == 1


def test_of_several_answers_all_have_to_be_right_and_the_likeliest_is_told():
    truth = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    preds = np.array([[0.9, 0.2], [0.95, 0.9], [0.6, 0.45]])
    cases = choose(dataset("multilabel", truth, ["a", "b"]), np.arange(3), preds, 3)
    assert [case.question.row for case in cases] == [0, 1, 2]
    assert cases[1].title == "most confident wrong: a predicted 0.95, truly yes"


def test_a_summary_asks_for_the_predicted_class_or_for_all_targets():
    preds = np.array([0.1, 0.7, 0.2])
    assert list(targets_of(dataset("multiclass", [0], "abc"), preds)) == [1]
    assert list(targets_of(dataset("multilabel", [[0, 0, 0]], "abc"), preds)) == [0, 1, 2]


def test_effects_are_told_in_the_targets_unit():
    assert effect(dataset("regression", [[1.0]], ["age"], age="years")) == "effect on the prediction (years)"
    assert effect(dataset("regression", [[1.0, 2]], ["age", "pulse"], age="years", pulse="1/min")) == (
        "effect on the prediction"
    )
    assert effect(dataset("regression", [[1.0]], ["age"])) == "effect on the prediction"
    assert effect(YES_OR_NO) == "effect on the probability"
