"""Two hospitals: a model is trained on the patients of one, and validated on those of the other."""

import numpy as np
import pandas as pd
import pytest

from medfit.__main__ import main
from medfit.validate import validate


@pytest.fixture
def hospital(tmp_path):
    """Writes a hospital's table: two rows a patient, whose risk rises with ``crp`` and ``stage``."""

    def written(name, seed, num_patients=60, shift=0.0, change=None):
        rng = np.random.default_rng(seed)
        patient = np.repeat(np.arange(num_patients), 2)
        crp = rng.normal(10 + shift, 3, len(patient)).round(2)
        stage = rng.choice(["I", "II", "III"], len(patient))
        sex = rng.choice(["f", "m"], len(patient))
        risk = 1 / (1 + np.exp(-(crp - 10) - 2 * (stage == "III") + 1))
        ill = np.where(rng.random(len(patient)) < risk, "ill", "healthy")
        table = pd.DataFrame({"mrn": [f"p{p:03}" for p in patient], "crp": crp, "stage": stage, "sex": sex, "dx": ill})
        table = table if change is None else change(table)
        path = tmp_path / name
        table.to_csv(path, index=False)
        return path

    return written


@pytest.fixture
def trained(compose, client, hospital):
    """Trains a model on one hospital's table; returns its run."""
    from medfit.train import train

    def run(*overrides):
        path = hospital("own.csv", 0)
        fixed = ["dataset=table", f"dataset.path={path}", "dataset.target=dx", "dataset.patient=mrn", "regime=smoke"]
        train(compose(*fixed, "regime.epochs=3", "tracking.models=true", "model=linear", *overrides))
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        return client.search_runs(ids, "tags.kind = 'run'")[0]

    return run


@pytest.fixture
def run_of(compose, client):
    """Trains a model on any data; returns its run."""
    from medfit.train import train

    def run(*overrides):
        train(compose("regime=smoke", "tracking.models=true", *overrides))
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        return client.search_runs(ids, "tags.kind = 'run'")[0]

    return run


@pytest.fixture
def stored(client, tmp_path):
    """Reads the predictions of the new patients that a validation has stored."""

    def read(found):
        return pd.read_csv(client.download_artifacts(found.run_id, "predictions/new.csv", str(tmp_path)))

    return read


@pytest.fixture
def validated(compose):
    """Validates a run, as Python calls it."""

    def found(run, *overrides):
        fixed = [f"validate.model={run.info.run_id}", "validate.num_resamples=200"]
        return validate(compose(*fixed, *overrides))

    return found


@pytest.fixture
def refused(output_dir, capsys):
    """Runs the command, which has to fail in one line; returns it."""

    def told(*arguments):
        assert main(["validate", *map(str, arguments), f"output_dir={output_dir}", "tracking.plots=false"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return told
