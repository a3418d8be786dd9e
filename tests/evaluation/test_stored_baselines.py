import numpy as np
import pytest
import skops.io

from medfit.evaluation import stored_baselines
from medfit.evaluation.estimators import baselines, fit, predict


class Kept:
    """A run that keeps what it is told to log."""

    content = None

    def log_files(self, files):
        self.content = files[stored_baselines.FILE].read_bytes()


RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
TARGETS = {
    "binary": RNG.integers(0, 2, (60, 1)).astype(np.float32),
    "multiclass": RNG.integers(0, 3, 60),
    "multilabel": RNG.integers(0, 2, (60, 2)).astype(np.float32),
    "regression": RNG.normal(size=(60, 1)).astype(np.float32),
}


@pytest.mark.parametrize("third", ["trees", "neighbour"])
@pytest.mark.parametrize("task", TARGETS)
def test_what_is_kept_predicts_the_same_and_holds_no_patient(task, third):
    size = {"multiclass": 3, "multilabel": 2}.get(task, 1)
    kept = set()
    for name, estimator in baselines(task, third, size).items():
        fit(estimator, X, TARGETS[task], np.arange(60) // 2)
        run = Kept()
        stored_baselines.log(run, estimator)
        if run.content is not None:
            kept.add(name)
            again = skops.io.loads(run.content, trusted=stored_baselines.TRUSTED)
            assert np.array_equal(predict(again, X, size), predict(estimator, X, size))
    assert kept == ({"mean", "ridge"} if task == "regression" else {"prevalence", "logistic"})


def test_a_baseline_that_is_no_estimator_is_not_kept():
    run = Kept()
    stored_baselines.log(run, None)
    assert run.content is None
