import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.stats import ortho_group
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.preprocessing import StandardScaler

from medfit.evidence import generation
from medfit.evidence.generation import diversity, frechet_distance, memorisation, mmd, nearest, transfer

METRICS = [frechet_distance, mmd, diversity]
seeds = st.integers(0, 2**32 - 1)


def normal(count, size, seed=0, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, scale, (count, size))


def with_moments(count, mean, covariance, seed=0):
    """Samples that have a mean and a covariance exactly, not just on average."""
    x = normal(count, len(mean), seed)
    x = (x - x.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x @ np.linalg.cholesky(covariance).T + mean


def pair(seed):
    """Two sets of unlike sizes and distributions."""
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 6))
    a, b = (random.normal(size=(int(random.integers(5, 30)), size)) * random.uniform(0.1, 3, size) for _ in range(2))
    return a, b + random.normal(size=size)


# Fréchet distance


def test_frechet_distance_of_a_set_from_itself_is_zero():
    x = normal(50, 8)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_shifted_normals_is_the_squared_shift():
    a = with_moments(40, np.zeros(3), np.eye(3))
    b = with_moments(60, np.array([1.0, 2, 2]), np.eye(3), seed=1)
    assert frechet_distance(a, b) == pytest.approx(9)


def test_frechet_distance_of_scaled_normals_is_the_squared_difference_of_deviations():
    a = with_moments(40, np.zeros(3), np.diag([1.0, 4, 9]))
    b = with_moments(60, np.zeros(3), np.diag([4.0, 4, 25]), seed=1)
    assert frechet_distance(a, b) == pytest.approx((2 - 1) ** 2 + 0 + (5 - 3) ** 2)


def test_frechet_distance_in_one_dimension_has_the_closed_form():
    a, b = normal(30, 1), normal(40, 1, seed=1, scale=3, shift=2)
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_frechet_distance_is_the_one_by_scipys_root_of_a_matrix():
    a, b = normal(200, 10), normal(300, 10, seed=1) @ normal(10, 10, seed=2)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    cross = np.trace(sqrtm(first @ second).real)
    expected = np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + np.trace(first) + np.trace(second) - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_stands_fewer_samples_than_features():
    a, b = normal(5, 20), normal(7, 20, seed=1)
    assert 0 < frechet_distance(a, b) < np.inf


def test_frechet_distance_of_a_set_with_singular_covariance_from_itself_is_zero():
    x = normal(5, 20)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_constant_sets_is_the_squared_shift():
    assert frechet_distance(np.zeros((4, 2)), np.full((5, 2), 3.0)) == pytest.approx(18)


def test_frechet_distance_of_a_collapsed_generator_is_the_real_variance():
    a = with_moments(40, np.zeros(3), np.diag([1.0, 4, 9]))
    assert frechet_distance(a, np.zeros((10, 3))) == pytest.approx(14)


@given(seeds)
def test_frechet_distance_is_never_negative(seed):
    assert frechet_distance(*pair(seed)) >= 0


@given(seeds)
def test_frechet_distance_grows_with_the_square_of_the_unit(seed):
    a, b = pair(seed)
    assert frechet_distance(10 * a, 10 * b) == pytest.approx(100 * frechet_distance(a, b), rel=1e-6, abs=1e-6)


@given(seeds)
def test_frechet_distance_does_not_depend_on_the_origin(seed):
    a, b = pair(seed)
    assert frechet_distance(a + 5, b + 5) == pytest.approx(frechet_distance(a, b), rel=1e-6, abs=1e-6)


# Kernel distance


def test_mmd_is_the_sum_over_pairs_by_hand():
    a, b = normal(6, 3), normal(5, 3, seed=1)
    kernels = [polynomial_kernel(x, y, degree=3, gamma=1 / 3, coef0=1) for x, y in ((a, a), (b, b), (a, b))]
    within = [k[~np.eye(len(k), dtype=bool)].mean() for k in kernels[:2]]
    assert mmd(a, b) == pytest.approx(sum(within) - 2 * kernels[2].mean())


def test_mmd_of_one_distribution_is_zero_on_average():
    found = [mmd(normal(15, 2, seed=2 * i), normal(10, 2, seed=2 * i + 1)) for i in range(600)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    assert min(found) < 0 < max(found)


def test_mmd_has_the_same_mean_for_small_and_for_large_sets():
    def found(count, runs):
        return [mmd(normal(count, 2, seed=i), normal(count, 2, seed=10_000 + i, shift=1)) for i in range(runs)]

    small, large = found(5, 1500), found(60, 100)
    error = np.hypot(np.std(small) / np.sqrt(len(small)), np.std(large) / np.sqrt(len(large)))
    assert abs(np.mean(small) - np.mean(large)) < 4 * error


def test_mmd_of_unlike_distributions_is_large():
    assert mmd(normal(200, 2), normal(200, 2, seed=1, shift=2)) > 10


def test_mmd_tells_distributions_with_like_mean_and_covariance_apart():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2000, 1)), random.exponential(size=(2000, 1)) - 1
    assert mmd(a, b) > 10 * abs(mmd(a, random.normal(size=(2000, 1))))


def test_mmd_of_sets_larger_than_a_chunk_is_the_same(monkeypatch):
    a, b = normal(20, 3), normal(15, 3, seed=1, shift=1)
    whole = mmd(a, b)
    monkeypatch.setattr(generation, "CHUNK", 4)
    assert mmd(a, b) == pytest.approx(whole)


# What both distances have in common


@pytest.mark.parametrize("metric", [frechet_distance, mmd])
@given(seed=seeds)
def test_distance_is_symmetric(metric, seed):
    a, b = pair(seed)
    assert metric(a, b) == pytest.approx(metric(b, a), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@given(seed=seeds)
def test_order_of_the_samples_does_not_matter(metric, seed):
    a, b = pair(seed)
    random = np.random.default_rng(seed)
    assert metric(random.permutation(a), random.permutation(b)) == pytest.approx(metric(a, b), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=30)
@given(seed=seeds)
def test_rotation_of_both_sets_does_not_matter(metric, seed):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(20, 4)), random.normal(1, 2, size=(15, 4))
    rotation = ortho_group.rvs(4, random_state=seed)
    assert metric(a @ rotation, b @ rotation) == pytest.approx(metric(a, b), rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_single_sample_is_refused(metric):
    with pytest.raises(ValueError, match=r"at least two samples .* not \(1, 3\) and \(5, 3\)"):
        metric(normal(1, 3), normal(5, 3))


@pytest.mark.parametrize("metric", METRICS)
def test_unlike_features_are_refused(metric):
    with pytest.raises(ValueError, match=r"with the same features, not \(5, 3\) and \(5, 4\)"):
        metric(normal(5, 3), normal(5, 4))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(metric, value):
    with pytest.raises(ValueError, match="finite"):
        metric(normal(5, 3), np.full((5, 3), value))


# Diversity


def test_diversity_of_the_real_samples_themselves_is_one():
    x = normal(50, 4)
    assert diversity(x, x) == 1


def test_diversity_of_a_collapsed_generator_is_zero():
    assert diversity(normal(50, 4), np.repeat(normal(1, 4), 30, axis=0)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_diversity_is_the_ratio_of_spreads(scale):
    x = normal(50, 4)
    assert diversity(x, scale * x + 3) == pytest.approx(scale)


def test_spread_is_the_root_mean_squared_distance_of_two_samples():
    a, b = normal(12, 3), normal(9, 3, seed=1, scale=2)
    squared = [np.square(x[:, None] - x[None]).sum(axis=2)[~np.eye(len(x), dtype=bool)].mean() for x in (a, b)]
    assert diversity(a, b) == pytest.approx(np.sqrt(squared[1] / squared[0]))


def test_diversity_beside_real_samples_that_do_not_differ_is_undefined():
    assert np.isnan(diversity(np.ones((5, 3)), normal(5, 3)))


# Memorisation


def test_memorisation_of_new_samples_of_the_distribution_is_about_one():
    found = memorisation(normal(300, 4), normal(300, 4, seed=1), normal(300, 4, seed=2))
    assert found == pytest.approx(1, abs=0.15)


def test_memorisation_of_copies_is_zero():
    train = normal(100, 4)
    assert memorisation(train, normal(50, 4, seed=1), train[::2]) == 0


def test_memorisation_of_nearly_copies_is_near_zero():
    train = normal(100, 4)
    assert memorisation(train, normal(50, 4, seed=1), train + normal(100, 4, seed=2, scale=1e-3)) < 0.01


def test_memorisation_of_samples_unlike_any_is_large():
    assert memorisation(normal(100, 4), normal(50, 4, seed=1), normal(50, 4, seed=2, shift=20)) > 10


def test_memorisation_is_by_hand_the_ratio_of_medians():
    train, held_out, made = np.array([[0.0], [10]]), np.array([[1.0], [12], [6]]), np.array([[0.5], [11], [9.5], [10]])
    assert memorisation(train, held_out, made) == pytest.approx(np.median([0.5, 1, 0.5, 0]) / np.median([1, 2, 4]))


def test_memorisation_beside_held_out_copies_is_undefined():
    train = normal(20, 3)
    assert np.isnan(memorisation(train, train[:5], normal(5, 3, seed=1)))


@settings(max_examples=30)
@given(seeds, st.floats(0.01, 100))
def test_memorisation_has_no_unit(seed, unit):
    train, held_out, made = (normal(15, 3, seed=seed + i) for i in range(3))
    assert memorisation(unit * train, unit * held_out, unit * made) == pytest.approx(
        memorisation(train, held_out, made)
    )


def test_nearest_gives_distance_and_number():
    distances, numbers = nearest(np.array([[0.0, 0], [3, 4]]), np.array([[3.0, 3], [0, 1]]))
    assert distances.tolist() == [1, 1]
    assert numbers.tolist() == [1, 0]


def test_nearest_of_sets_larger_than_a_chunk_is_the_same(monkeypatch):
    train, samples = normal(30, 3), normal(25, 3, seed=1)
    whole = nearest(train, samples)
    monkeypatch.setattr(generation, "CHUNK", 4)
    found = nearest(train, samples)
    assert np.array_equal(whole[0], found[0])
    assert np.array_equal(whole[1], found[1])


# Train on synthetic, test on real


def classes(count, seed, num_classes=2):
    y = np.random.default_rng(seed).integers(0, num_classes, count)
    return normal(count, 3, seed) + 1.5 * np.eye(3)[y], y


def test_transfer_scores_a_logistic_regression_on_scaled_features():
    (x, y), (test_x, test_y) = classes(80, 0), classes(60, 1)
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(max_iter=2000).fit(scaler.transform(x), y)
    probability = model.predict_proba(scaler.transform(test_x))[:, 1]
    expected = {"accuracy": ((probability > 0.5) == test_y).mean(), "auroc": roc_auc_score(test_y, probability)}
    assert transfer((x, y), (test_x, test_y), 2) == pytest.approx(expected)


def test_transfer_from_labels_that_mean_nothing_tells_nothing():
    x, y = classes(400, 0)
    shuffled = np.random.default_rng(2).permutation(y)
    assert transfer((x, shuffled), classes(400, 1), 2)["auroc"] == pytest.approx(0.5, abs=0.25)


def test_transfer_of_several_classes_is_the_mean_of_each_against_the_others():
    assert 0.7 < transfer(classes(200, 0, 3), classes(200, 1, 3), 3)["auroc"] < 1


@pytest.mark.parametrize("lacking", ["training", "test"])
def test_transfer_without_a_class_is_undefined(lacking):
    x, y = classes(40, 0)
    sets = [(x, y), (x, y)]
    sets[lacking == "test"] = (x, np.zeros_like(y))
    assert np.isnan(list(transfer(*sets, 2).values())).all()
