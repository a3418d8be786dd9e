import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemars
from statsmodels.stats.multitest import multipletests

from medfit.evidence import paired
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.summary import Unit
from medfit.evidence.targets.known import named

FEW = Settings(num_resamples=500)


def predictions(seed, size=60, noise=1.0, kind="binary", prefix="p"):
    truth, rng = np.random.default_rng(7), np.random.default_rng(seed)
    target = (truth.random(size) < 0.5).astype(float)
    preds = 1 / (1 + np.exp(-(3 * (target - 0.5) + noise * rng.normal(0, 1, size))))
    if kind == "regression":
        target = truth.normal(0, 1, size)
        preds = target + noise * rng.normal(0, 1, size)
    return Predictions(
        named(kind), ["y"], np.char.add(prefix, np.arange(size).astype(str)), target[:, None], preds[:, None]
    )


def units(*seeds, fold=0, **kind):
    made = [predictions(seed, **kind) for seed in seeds]
    return [Unit(fold, seed, one, one) for seed, one in zip(seeds, made, strict=True)]


def row_of(table, metric):
    return table[table.metric == metric].iloc[0]


def test_better_is_positive_whatever_the_metric():
    good, bad = units(1, noise=0.5), units(2, noise=3)
    table = paired.compare(good, bad, ["auroc", "cross_entropy", "brier", "accuracy"], FEW)
    assert (table.gain > 0).all()
    reverse = paired.compare(bad, good, ["auroc", "cross_entropy", "brier", "accuracy"], FEW)
    np.testing.assert_allclose(reverse.gain, -table.gain)


def test_single_columns_gain_by_smaller_errors_as_their_mean_does():
    truth = np.arange(40.0)[:, None] * [1, 2]
    patients = np.arange(40).astype(str)
    near, far = (
        [Unit(0, 0, one, one)]
        for one in (
            Predictions(named("regression"), ["a", "b"], patients, truth, truth + off) for off in ([1, 2], [4, 7])
        )
    )
    table = paired.compare(near, far, ["mae"], FEW).set_index("metric")
    assert table.gain.to_dict() == pytest.approx({"mae": 4, "mae/a": 3, "mae/b": 5})
    assert table.low.to_dict() == pytest.approx({"mae": 4, "mae/a": 3, "mae/b": 5})


def test_a_model_gains_nothing_over_itself():
    one = units(1)
    table = paired.compare(one, one, ["auroc", "brier"], FEW)
    np.testing.assert_allclose(table[["gain", "low", "high"]].astype(float), 0, atol=1e-12)
    np.testing.assert_allclose(table.p, 1)


def test_the_paired_interval_of_errors_is_students():
    one, other = units(1, kind="regression", size=200), units(2, kind="regression", size=200, noise=1.5)
    found = row_of(paired.compare(one, other, ["mae"], Settings(num_resamples=4000)), "mae")
    gaps = np.abs(other[0].test.preds - other[0].test.target) - np.abs(one[0].test.preds - one[0].test.target)
    expected = stats.ttest_1samp(gaps[:, 0], 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.03)


def test_mcnemar_is_statsmodels():
    one, other = predictions(1, noise=1), predictions(2, noise=4)
    right = [(unit.preds > 0.5) == (unit.target > 0.5) for unit in (one, other)]
    table = [[(right[0] == a)[right[1] == b].sum() for b in (True, False)] for a in (True, False)]
    assert paired.mcnemar([one], [other]) == pytest.approx(mcnemars(table, exact=True).pvalue)


@pytest.mark.parametrize(("better", "expected"), [(0, 1.0), (1, 1.0), (6, 2 / 2**6)])
def test_mcnemar_where_one_model_is_never_right_alone(better, expected):
    one = predictions(1)
    right = Predictions(one.kind, one.names, one.patient, one.target, one.target)
    other = one.target.copy()
    other[:better] = 1 - other[:better]
    wrong = Predictions(one.kind, one.names, one.patient, one.target, other)
    assert paired.mcnemar([right], [wrong]) == paired.mcnemar([wrong], [right]) == pytest.approx(expected)


def test_mcnemar_pairs_by_patient_whatever_the_order():
    one, other = predictions(1), predictions(2, noise=4)
    shuffled = other.rows(np.random.default_rng(0).permutation(len(other)))
    assert paired.mcnemar([one], [shuffled]) == paired.mcnemar([one], [other])


def test_mcnemar_knows_no_repeats():
    one = predictions(1)
    twice = one.rows(np.r_[np.arange(60), 0])
    assert np.isnan(paired.mcnemar([twice], [twice]))
    assert np.isnan(paired.mcnemar([one, one], [one]))


def folds(number, **kind):
    return [units(10 * fold + 1, fold=fold, prefix=f"f{fold}-", **kind)[0] for fold in range(number)]


def test_wilcoxon_is_scipys_over_the_folds():
    one, other = folds(8, noise=0.8), folds(8, noise=2)
    gaps = [paired._score(a, "brier") - paired._score(b, "brier") for a, b in zip(one, other, strict=True)]
    found = row_of(paired.compare(one, other, ["brier"], FEW), "brier")
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(gaps).pvalue)


def test_few_folds_have_no_wilcoxon():
    assert np.isnan(paired.wilcoxon(folds(5), folds(5, noise=2), "brier"))
    assert 2 / 2**6 <= paired.wilcoxon(folds(6), folds(6, noise=2), "brier") < 1
    assert paired.wilcoxon(folds(6), folds(6), "brier") == 1


def test_a_folds_score_is_the_mean_of_its_seeds():
    several = [*units(1, 2, 3, fold=4), *units(5, fold=2)]
    found = paired._by_fold(several, "brier").to_dict()
    each = [paired._score(unit, "brier") for unit in several]
    assert found == pytest.approx({4: np.mean(each[:3]), 2: each[3]})


def test_holm_is_statsmodels():
    p = [0.01, 0.04, 0.03, 0.005, 0.5]
    np.testing.assert_allclose(paired.holm(p), multipletests(p, method="holm")[1])


def test_holm_leaves_out_what_is_unknown():
    np.testing.assert_allclose(paired.holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])


def test_a_gain_is_held_against_the_noise_of_seeds():
    one, other = units(1, 2, 3, noise=0.5), units(4, 5, 6, noise=6)
    found = row_of(paired.compare(one, other, ["brier"], FEW), "brier")
    spread = [np.std([paired._score(u, "brier") for u in of], ddof=1) for of in (one, other)]
    assert found.seed_sd == pytest.approx(np.hypot(*spread))
    assert found.beyond_seeds
    same = row_of(paired.compare(one, units(7, 8, 9, noise=0.5), ["accuracy"], FEW), "accuracy")
    assert not same.beyond_seeds


def test_single_seeds_tell_nothing_of_their_noise():
    found = row_of(paired.compare(units(1), units(2), ["brier"], FEW), "brier")
    assert np.isnan(found.seed_sd)
    assert found.beyond_seeds is None


def test_the_same_patients_do_not_differ():
    assert paired.patients_differ({"a": units(1), "b": units(2)}) is None


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (lambda: units(1, size=50), "50 patients were scored with both, 10 with a alone and 0 with b alone"),
        (lambda: folds(2), "a was scored in 1 folds, b in 2"),
        (list, "a was scored in 1 folds, b in 0"),
        (lambda: [Unit(0, 1, *[flipped(predictions(1))] * 2)], "different targets or samples of the same patients"),
        (lambda: [Unit(0, 1, *[named_otherwise(predictions(1))] * 2)], "different targets or samples"),
        (lambda: [Unit(0, 1, *[twice(predictions(1))] * 2)], "different targets or samples"),
    ],
)
def test_how_the_patients_differ_is_told(other, told):
    assert told in paired.patients_differ({"a": units(1), "b": other()})


def named_otherwise(one):
    return Predictions(one.kind, ["z"], one.patient, one.target, one.preds)


def twice(one):
    return one.rows(np.r_[np.arange(len(one)), 0])


def flipped(one):
    return Predictions(one.kind, one.names, one.patient, 1 - one.target, one.preds)


def test_the_same_targets_of_patients_in_another_order_differ():
    one = predictions(1)
    other = Predictions(one.kind, one.names, one.patient[::-1], one.target, one.preds)
    told = paired.patients_differ({"a": units(1), "b": [Unit(0, 1, other, other)]})
    assert "different targets or samples of the same patients" in told


def of_errors(*sizes):
    """Trainings whose mean absolute errors are these."""
    patient, nought = np.arange(8).astype(str), np.zeros((8, 1))
    made = [Predictions(named("regression"), ["y"], patient, nought, np.full((8, 1), size)) for size in sizes]
    return [Unit(0, seed, one, one) for seed, one in enumerate(made)]


@pytest.mark.parametrize(("better", "beyond"), [(0.3, False), (0.39, False), (0.41, True)])
def test_a_gain_is_beyond_seeds_from_twice_their_standard_deviation_on(better, beyond):
    spread = 0.2 / np.sqrt(2)  # two trainings 0.2 apart; of the difference of two such models, 0.2
    one, other = of_errors(2 - better, 2.2 - better), of_errors(2.0, 2.2)
    found = row_of(paired.compare(one, other, ["mae"], FEW), "mae")
    assert (found.gain, found.seed_sd) == pytest.approx((better, np.hypot(spread, spread)))
    assert bool(found.beyond_seeds) is beyond
