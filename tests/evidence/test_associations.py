import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from medfit.evidence.associations import Area, AreaOfPairs, Association, RankCorrelation

RNG = np.random.default_rng(0)


def test_the_area_is_sklearns_and_either_way_the_larger():
    truth = np.arange(50) % 3 == 0
    values = (RNG.normal(size=50) - truth).round(1)
    area = roc_auc_score(truth, values)
    assert area < 0.5
    assert Area().strength(values, truth, either=False) == pytest.approx(area)
    assert Area().strength(values, truth) == pytest.approx(1 - area)


def test_the_correlation_is_scipys_and_either_way_without_its_sign():
    truth = RNG.normal(size=60).round(1)
    values = (RNG.normal(size=60) - truth).round(1)
    expected = stats.spearmanr(values, truth).statistic
    assert expected < 0
    assert RankCorrelation().strength(values, truth, either=False) == pytest.approx(expected)
    assert RankCorrelation().strength(values, truth) == pytest.approx(-expected)
    assert RankCorrelation().strength(np.ones(60), truth) == 0


@pytest.mark.parametrize(("positive", "asked"), [(9, 0), (10, 1), (20, 1), (21, 0)])
def test_a_label_is_asked_for_if_ten_samples_have_it_and_ten_lack_it(positive, asked):
    y = (np.arange(30) < positive).astype(float)[:, None]
    assert len(Area().questions(y, ["ill"])) == asked


def test_labels_are_named_and_a_single_one_is_the_target():
    y = np.stack([np.arange(40) % 2, np.arange(40) < 3, np.arange(40) % 4 == 0], axis=1).astype(float)
    found = Area().questions(y, ["a", "b", "c"])
    assert [question.about for question in found] == ["'a'", "'c'"]
    ((places, truth),) = found[1].parts
    assert places.tolist() == list(range(40)) and truth.tolist() == y[:, 2].tolist()
    assert Area().questions(y[:, :1], ["a"])[0].about == "the target"


def test_classes_are_asked_for_in_pairs_of_common_ones():
    y = np.repeat([0, 1, 2, 3], [10, 9, 12, 11])
    (found,) = AreaOfPairs().questions(y, ["0", "1", "2", "3"])
    pairs = [(set(y[places].tolist()), set(y[places][truth].tolist())) for places, truth in found.parts]
    assert pairs == [({0, 2}, {2}), ({0, 3}, {3}), ({2, 3}, {3})]
    assert found.about == "the target"
    assert AreaOfPairs().questions(np.repeat([0, 1], [30, 9]), ["0", "1"]) == []


def test_of_many_classes_eight_are_held_against_one_another():
    (found,) = AreaOfPairs().questions(np.repeat(np.arange(12), 10), list("abcdefghijkl"))
    assert len(found.parts) == 8 * 7 / 2


@pytest.mark.parametrize(("size", "asked"), [(29, 0), (30, 1)])
def test_numbers_are_asked_for_from_thirty_on(size, asked):
    assert len(RankCorrelation().questions(RNG.normal(size=(size, 1)), ["age"])) == asked


def test_a_target_that_no_column_can_tell_is_not_asked_for():
    nothing = Association()
    assert nothing.questions(np.zeros((50, 1)), ["x"]) == []
    assert nothing.strength(np.arange(50), np.arange(50)) == 0
