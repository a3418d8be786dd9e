import inspect

import numpy as np
import pandas as pd
import pytest

from medfit.errors import UserError
from medfit.evidence import paired, weighted
from medfit.evidence.predictions import Predictions, TargetKind
from medfit.evidence.settings import Settings
from medfit.evidence.summary import Unit, summarise, warnings
from medfit.evidence.targets.known import ALL, TARGETS, Unknown, named
from medfit.evidence.targets.quantities import Regression

KINDS = [*ALL, Unknown("colours")]
SCORED = [kind for kind in ALL if kind.name != "generation"]
FEW = Settings(num_resamples=100)
RANDOM = np.random.default_rng(0)
NUM = 40


def ids(kind):
    return kind.name


def table(kind):
    """Stored predictions, as the tasks write them."""
    names = {"binary": ["ill"], "regression": ["age"], "segmentation": ["a", "b"]}.get(kind.name, ["a", "b", "c"])
    found = pd.DataFrame({"patient": np.arange(NUM).astype(str)})
    for name in names:
        if kind.name == "segmentation":
            hit, more, missed = RANDOM.integers(1, 9, (3, NUM))
            found[[f"found/{name}", f"predicted/{name}", f"true/{name}"]] = np.stack(
                [hit, hit + more, hit + missed], axis=1
            )
        else:
            found[f"pred/{name}"] = RANDOM.uniform(0.1, 0.9, NUM)
            found[f"target/{name}"] = RANDOM.integers(0, 2, NUM).astype(float)
    if kind.name == "multiclass":
        found["target"] = RANDOM.choice(names, NUM)
    return found


def unit(kind):
    return Unit(0, 0, kind.read(table(kind)), kind.read(table(kind)))


def test_a_word_means_one_kind_and_kinds_of_a_class_are_equal():
    assert [named(kind.name) for kind in ALL] == list(ALL)
    assert len({*ALL, *(type(kind)() for kind in ALL)}) == len(ALL)


@pytest.mark.parametrize("kind", KINDS, ids=ids)
def test_a_kind_has_all_of_the_contract_and_nothing_beside_it(kind):
    own = {name for name in dir(kind) if not name.startswith("_")}
    assert own == {name for name in dir(TargetKind) if not name.startswith("_")}
    for name, method in inspect.getmembers(TargetKind, inspect.isfunction):
        its = inspect.signature(getattr(type(kind), name))
        assert list(its.parameters) == list(inspect.signature(method).parameters) or name == "__init__", name


@pytest.mark.parametrize(
    ("name", "true"),
    [
        ("binary", {"classifies"}),
        ("multilabel", {"classifies", "several_answers"}),
        ("multiclass", {"classifies"}),
        ("regression", set()),
        ("segmentation", {"of_images"}),
        ("generation", {"of_images"}),
    ],
)
def test_what_is_true_of_each_kind(name, true):
    said = {"classifies", "of_images", "several_answers"}
    assert {word for word in said if getattr(named(name), word)} == true


def test_the_area_of_one_answer_has_no_name_of_its_own():
    assert named("binary").areas(["ill"]) == named("multilabel").areas(["ill"]) == {"auroc": 0}
    assert named("multilabel").areas(["a", "b"]) == {"auroc/a": 0, "auroc/b": 1}


@pytest.mark.parametrize(
    ("kind", "target", "preds", "right"),
    [
        ("binary", [[1], [1], [0], [0]], [[0.9], [0.1], [0.1], [0.9]], [True, False, True, False]),
        ("multiclass", np.eye(3)[[0, 0, 1, 2]], np.eye(3)[[0, 2, 0, 2]] * 0.4 + 0.2, [True, False, False, True]),
    ],
)
def test_right_are_the_rows_whose_answer_is_true(kind, target, preds, right):
    target, preds = np.array(target, float), np.array(preds)
    names = list("abc")[: target.shape[1]]
    assert named(kind).right(Predictions(named(kind), names, np.array(list("pqrs")), target, preds)).tolist() == right


def test_events_are_patients_with_a_positive_row_each_once_over_all_trainings():
    target = np.array([[1.0], [1], [0], [0]])
    one = Predictions(named("binary"), ["ill"], np.array(list("ppqr")), target, target)
    other = Predictions(named("binary"), ["ill"], np.array(list("pqst")), target, target)
    assert named("binary").num_events([one]) == 1
    assert named("binary").num_events([one, other]) == 2


def test_distances_are_read_by_metric_and_class():
    counts = {f"{part}/{name}": [5.0] for part in ("found", "predicted", "true") for name in "ab"}
    distances = {"hausdorff95_mm/a": [1.0], "hausdorff95_mm/b": [2.0], "surface_distance_mm/a": [3.0]}
    found = named("segmentation").read(pd.DataFrame({"patient": ["p"], **counts, **distances}))
    np.testing.assert_array_equal(found.preds, [[[1, 2], [3, np.nan]]])


@pytest.mark.parametrize("kind", SCORED, ids=ids)
def test_a_kind_reads_scores_and_tells_what_is_stored(kind):
    one = unit(kind)
    made = one.test.by_patient().metrics()
    assert kind.headline in made
    tables = summarise({"net": [one], "base": [unit(kind)]}, [kind.headline], FEW)
    assert {"scores", "against"} < set(tables)
    assert isinstance(warnings(tables, kind), list)
    assert len(kind.truth(one.test)) == len(one.test)


@pytest.mark.parametrize("kind", SCORED, ids=ids)
def test_two_models_are_compared_on_the_kinds_headline(kind):
    one = unit(kind)
    found = paired.compare([one], [one], [kind.headline], FEW)
    assert found.gain.abs().max() == 0
    assert np.isnan(found.p_mcnemar).all()


@pytest.mark.parametrize("kind", SCORED, ids=ids)
def test_a_kind_has_the_tables_of_its_sections(kind):
    one = unit(kind)
    made = set(kind.tables([one.test], [one.val], FEW))
    expected = {"calibration": "calibration", "decisions": "decision_curve", "agreement": "agreement"}
    assert {expected.get(section, section) for section in kind.sections} <= made


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.classifies], ids=ids)
def test_what_is_no_probability_is_not_recalibrated(kind):
    numbers = np.ones((2, 1))
    for recalibrate in (lambda: kind.tempered(numbers, 2.0), lambda: kind.normalised(numbers)):
        with pytest.raises(TypeError, match="no probabilities"):
            recalibrate()
    with pytest.raises(TypeError, match="no probabilities"):
        kind.likelihood(numbers, numbers)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.classifies], ids=ids)
def test_a_temperature_of_one_changes_no_probability(kind):
    preds = RANDOM.dirichlet([1, 1, 1], 9)
    np.testing.assert_allclose(kind.tempered(preds, 1.0), preds, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(kind.normalised(preds), preds)


def test_classes_are_shares_of_their_sum_and_all_alike_where_there_is_none():
    found = named("multiclass").normalised(np.array([[2.0, 1, 1], [0, 0, 0], [0.1, 0.1, 0.3]]))
    np.testing.assert_allclose(found, [[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3], [0.2, 0.2, 0.6]])


@pytest.mark.parametrize("word", ["generation", "colours"])
def test_a_kind_without_stored_predictions_reads_none(word):
    with pytest.raises(UserError, match=word):
        named(word).read(pd.DataFrame({"patient": [1], "pred/a": [0.5], "target/a": [1]}))


class Counts(Regression):
    """Numbers of events: judged by the mean deviance of Poisson's distribution."""

    name = "counts"
    headline = "deviance"
    smaller_is_better = Regression.smaller_is_better | {"deviance"}

    def metrics(self, predictions):
        deviance = {"deviance": _deviance}
        return super().metrics(predictions) | weighted.by_column(deviance, predictions)

    def right(self, predictions):
        return predictions.preds[:, 0].round() == predictions.target[:, 0]


def _deviance(preds, target, weights):
    log = np.where(target > 0, target * np.log(np.where(target > 0, target, 1) / preds), 0)
    return weighted.share(weights @ (2 * (log - target + preds)), weights.sum(axis=1))


def test_a_new_kind_of_target_goes_through_evidence_without_an_edit_there(monkeypatch):
    from sklearn.metrics import mean_poisson_deviance

    monkeypatch.setitem(TARGETS, "counts", Counts())
    truth = RANDOM.poisson(3, NUM).astype(float)

    def made(error):
        preds = np.maximum(truth + RANDOM.normal(0, error, NUM), 0.2)
        stored = pd.DataFrame({"patient": np.arange(NUM), "target/falls": truth, "pred/falls": preds})
        found = named("counts").read(stored)
        return Unit(0, 0, found, found)

    good, bad = made(0.5), made(3)
    tables = summarise({"net": [bad], "base": [good]}, ["deviance"], FEW)
    expected = mean_poisson_deviance(truth, bad.test.preds[:, 0])
    assert tables["scores"].estimate.iloc[0] == pytest.approx(expected)
    assert set(tables) == {"scores", "against", "agreement", "calibration_curve", "prediction_intervals"}
    assert any("does not beat the baseline 'base' in deviance" in line for line in warnings(tables, good.test.kind))
    compared = paired.compare([good], [bad], ["deviance"], FEW)
    assert np.isfinite(compared.p).all()
    assert paired.mcnemar([good.test], [bad.test]) < 0.05


def test_predictions_of_a_subset_keep_their_kind():
    found = unit(Regression()).test
    assert isinstance(found.rows(np.arange(3)), Predictions)
    assert found.rows(np.arange(3)).kind == Regression()
