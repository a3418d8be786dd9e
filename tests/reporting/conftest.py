"""Small real experiments, run once, and their reports."""

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from medfit import evaluate, explain, report, sweep
from medfit.config import folders
from medfit.config.compose import compose
from medfit.reporting import collect
from medfit.tracking.store import Store

FEW = [
    "evaluate.num_seeds=2",
    "evaluate.num_folds=null",
    "evaluate.nested=false",
    "evaluate.num_resamples=100",
]


@dataclass(frozen=True)
class Lab:
    """A folder of runs and a copy of the experiments."""

    folder: Path

    def compose(self, *overrides, experiment):
        fixed = [f"output_dir={self.folder}", "sweep.workers=0", "tracking.plots=true"]
        return compose([f"experiment={experiment}", *fixed, *overrides])

    @cache  # noqa: B019 there is one laboratory in a session
    def facts(self, experiment):
        store = Store(self.compose(experiment=experiment))
        found = store.client.get_experiment_by_name(experiment)
        return collect.collect(store, found.experiment_id, experiment, folders.EXPERIMENTS / experiment)

    @cache  # noqa: B019 there is one laboratory in a session
    def report(self, experiment):
        """Runs the command; returns its page and its summary."""
        report.main(self.compose(experiment=experiment))
        folder = folders.EXPERIMENTS / experiment
        return (folder / "report.html").read_text(), (folder / "REPORT.md").read_text()

    def evaluated(self, experiment, *overrides, regime="smoke", **keys):
        cfg = self.compose(f"regime={regime}", *FEW, *overrides, experiment=experiment)
        for key, value in keys.items():
            cfg[key] = OmegaConf.create(value)
        evaluate.main(cfg)

    def results(self, experiment):
        return pd.read_csv(folders.EXPERIMENTS / experiment / "results.csv")


@pytest.fixture(scope="session")
def lab(tmp_path_factory, store_template):
    folder = tmp_path_factory.mktemp("lab")
    (folder / "runs").mkdir()
    shutil.copy(store_template, folder / "runs" / "mlflow.db")
    shutil.copytree(folders.EXPERIMENTS, folder / "experiments")
    for results in (folder / "experiments").glob("*/results.csv"):
        results.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folders, "EXPERIMENTS", folder / "experiments")
        yield Lab(folder / "runs")


@pytest.fixture(scope="session")
def diagnosis(lab):
    """A diagnosis from a table: searched, evaluated twice, once with subgroups, and explained."""
    name = "heart_disease_diagnosis"
    sweep.main(lab.compose("regime=smoke", "sweep=smoke", experiment=name))
    lab.evaluated(name, "evaluate.num_seeds=1", "tracking.plots=false")
    lab.evaluated(name, "evaluate.subgroups={gender: null, age: [50,60]}")
    seed = lab.facts.__wrapped__(lab, name).trained  # not the facts to keep
    asked = [
        f"explain.run={seed.id}",
        "explain.num_samples=5",
        "explain.methods=[feature_ablation]",
        "explain.num_cases=1",
    ]
    explain.main(lab.compose(*asked, experiment=name))
    return name


@pytest.fixture(scope="session")
def regression(lab):
    lab.evaluated("diabetes_progression", "evaluate.num_seeds=1")
    return "diabetes_progression"


@pytest.fixture(scope="session")
def segmentation(lab):
    lab.evaluated("tissue_segmentation", "evaluate.num_seeds=1", "regime.epochs=1", "model.widths=[4,8]")
    return "tissue_segmentation"


@pytest.fixture(scope="session")
def generation(lab):
    fixed = ["preprocessing=image", "preprocessing.scaling=none", "model.width=4", "regime.epochs=1"]
    data = {"_target_": "squares.Squares"}
    lab.evaluated(
        "xray_generation", "evaluate.num_seeds=1", *fixed, "task.num_samples=20", regime="adversarial", dataset=data
    )
    return "xray_generation"
