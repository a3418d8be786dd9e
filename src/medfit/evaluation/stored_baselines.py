"""Baselines as an evaluation fitted them, in MLflow without pickle: those alone that hold no patient's values.

Trees keep the edges of their bins, and neighbours the patients themselves; both are fitted again where the data are.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from medfit.evaluation.estimators import PatientRidge
from medfit.tracking.run import Run
from medfit.tracking.store import Store

FILE = "baseline/estimator.skops"
COEFFICIENTS = (DummyClassifier, DummyRegressor, LogisticRegression, PatientRidge)
TRUSTED = ["medfit.evaluation.estimators.PatientRidge"]  # beside what skops trusts by itself


def log(run: Run, estimator: Any) -> None:
    """Logs a fitted estimator with its run, if it holds no patient's values.

    Args:
        run: The baseline's.
        estimator: Of scikit-learn; None where a baseline is none.
    """
    import skops.io  # late: a quick start

    inner = estimator.estimator if isinstance(estimator, OneVsRestClassifier) else estimator
    if isinstance(inner, COEFFICIENTS):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "estimator.skops"
            skops.io.dump(estimator, path)
            run.log_files({FILE: path})


def load(store: Store, seed_run_id: str) -> dict[str, Any]:
    """Returns the fitted baselines that an evaluation has kept for one of its trainings, by name.

    Args:
        store: That has the evaluation.
        seed_run_id: Of the training; one that is no part of an evaluation has none.
    """
    import skops.io  # late: a quick start

    run = store.client.get_run(seed_run_id)
    if run.data.tags.get("kind") != "seed":
        return {}
    place = {key: run.data.tags[key] for key in ("mlflow.parentRunId", "fold")}
    found = {}
    runs = store.runs_of(run.info.experiment_id, {"kind": "baseline", **place})
    for one in sorted(runs, key=lambda run: run.info.start_time):
        if FILE in {file.path for file in store.client.list_artifacts(one.info.run_id, "baseline")}:
            with TemporaryDirectory() as folder:
                path = store.client.download_artifacts(one.info.run_id, FILE, folder)
                found[one.data.tags["baseline"]] = skops.io.load(path, trusted=TRUSTED)
    return found
