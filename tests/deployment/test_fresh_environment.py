"""Finished models elsewhere: in another environment, without the data and the project, they predict what they did."""

import inspect
import json
import shutil
import typing
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import pytest
from mlflow import MlflowClient

import fresh_environment
from medfit.config import folders
from medfit.config.compose import compose
from medfit.data.preprocessing.table import TablePreprocessing
from medfit.train import train
from medfit.training.parts import prepare
from small_data import IMAGES, RECORDS, SERIES, SmallData, target

FAMILIES = {"mlp", "linear"}  # that take records
OF_SERIES = {"cnn1d": [], "inception_time": ["model.width=4"], "resnet1d": ["model.widths=[4,4]"]}
OF_IMAGES = {"resnet": ["model.depth=10", "model.width=2"]}
OF_OTHER_DATA = {"attention_unet", "dyn_unet", "gan", "unet"}  # which predict no number of a sample
TASKS = {
    "binary": target("ill"),
    "multiclass": target("grade"),
    "multiclass_codes": target("grade"),
    "multilabel": target("pain", "fever"),
    "regression": target("score"),
}
OF_OTHER_TARGETS = {"adversarial", "inferred", "masked", "segmentation"}
NUMBERS = {"missing_value": [-1], "num_neighbours": [3], "min_variance": [0.01], "num_best": [3], "pca": [2, 0.9]}
ONLY_WITH = {"missing_value": "missing=constant", "num_neighbours": "missing=knn"}
HOLDS_ROWS = {"preprocessing.missing=knn": "tracking.patients_in_models=true"}  # which such a model takes
SERIES_OPTIONS = ["scaling=train", "scaling=none", "length=crop", "length=50", "difference=true"]
IMAGE_OPTIONS = ["scaling=unit", "scaling=per_image", "scaling=train", "size=[8,8]", "window=[10,90]"]
APPLY = """
import json, sys
import medfit
for job in json.load(open(sys.argv[1])):
    medfit.load_model(job["model"], *job["overrides"]).predict(job["data"]).to_csv(job["out"], index=False)
print(medfit.__file__)
"""


class Case(NamedTuple):
    """A training whose model has to predict elsewhere what it did here."""

    name: str
    data: SmallData
    overrides: list[str]


def values_of(name: str, hint: Any) -> list[Any]:
    """The values of a setting: all choices, or those above; one that is in neither turns this red."""
    if typing.get_origin(hint) is Literal:
        return list(typing.get_args(hint))
    return [True] if hint is bool else NUMBERS[name]


def options() -> Iterator[list[str]]:
    """Yields overrides for each value of each setting that the preprocessing of tables has."""
    hints = typing.get_type_hints(TablePreprocessing.__init__)
    for name in list(inspect.signature(TablePreprocessing).parameters)[1:]:
        for value in values_of(name, hints[name]):
            lines = [f"{name}={value}", *filter(None, [ONLY_WITH.get(name)])]
            made = [f"preprocessing.{line}" for line in lines]
            yield [*made, *(more for line, more in HOLDS_ROWS.items() if line in made)]


CASES = {
    case.name: case
    for case in [
        *(Case(lines[0], RECORDS, [*TASKS["binary"], *lines]) for lines in options()),
        *(
            Case(f"{task} {family}", RECORDS, [f"task={task}", f"model={family}", *targets])
            for task, targets in TASKS.items()
            for family in sorted(FAMILIES)
        ),
        *(Case(f"series {name}", SERIES, [f"model={name}", *lines]) for name, lines in OF_SERIES.items()),
        *(Case(f"series {line}", SERIES, ["model=cnn1d", f"preprocessing.{line}"]) for line in SERIES_OPTIONS),
        *(Case(f"images {name}", IMAGES, [f"model={name}", *lines]) for name, lines in OF_IMAGES.items()),
        *(
            Case(f"images {line}", IMAGES, ["model=resnet", *OF_IMAGES["resnet"], f"preprocessing.{line}"])
            for line in IMAGE_OPTIONS
        ),
    ]
}


def test_all_families_and_tasks_are_thought_of():
    assert set(folders.groups()["model"]) == FAMILIES | {*OF_SERIES, *OF_IMAGES} | OF_OTHER_DATA
    assert set(folders.groups()["task"]) == set(TASKS) | OF_OTHER_TARGETS


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return fresh_environment.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    return fresh_environment.make(tmp_path_factory.mktemp("fresh") / "environment", wheel)


@pytest.fixture(scope="module")
def project(tmp_path_factory, store_template):
    """A folder with data and runs."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "runs").mkdir()
    shutil.copy(store_template, folder / "runs" / "mlflow.db")
    return folder


@pytest.fixture(scope="module")
def jobs(project, tmp_path_factory):
    """Trains each case; the data are gone afterwards, and the models' files lie somewhere else."""
    away, done, seen = tmp_path_factory.mktemp("away"), {}, set()
    client = MlflowClient(f"sqlite:///{project / 'runs' / 'mlflow.db'}")
    fixed = [f"output_dir={project / 'runs'}", "tracking.plots=false", "regime=smoke"]
    for number, case in enumerate(CASES.values()):
        data, place = project / str(number), away / str(number)
        data.mkdir()
        place.mkdir()
        cfg = compose([*fixed, *case.data.write(data), *case.overrides])
        train(cfg)
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        (model,) = (one for one in client.search_logged_models(experiments) if one.model_id not in seen)
        seen.add(model.model_id)
        shutil.copytree(model.artifact_location.removeprefix("file://"), place / "model")
        done[case.name] = {
            "model": str(place / "model"),
            "overrides": [],
            "data": str(case.data.pick(data, prepare(cfg).datamodule.rows["val"], place)),
            "out": str(place / "predictions.csv"),
            "stored": client.download_artifacts(model.source_run_id, "predictions/val.csv", str(place)),
            "run": model.source_run_id,
        }
        shutil.rmtree(data)
    return done


@pytest.fixture(scope="module")
def predicted(jobs, python, tmp_path_factory):
    """Has all models predict in the fresh environment, from an empty folder."""
    empty = tmp_path_factory.mktemp("empty")
    (asked := empty.parent / "jobs.json").write_text(json.dumps(list(jobs.values())))
    done = fresh_environment.run(python, ["-W", "error", "-c", APPLY, str(asked)], empty)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.split()[-1]).is_relative_to(python.parents[1])
    assert list(empty.iterdir()) == []
    return jobs


def raw(told: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """The columns of predictions that a run stores, as it calls them."""
    names = {f"{kind}/{name[5:]}": name for name in stored for kind in ("probability", "prediction")}
    return told.rename(columns=names)[[name for name in stored if name.startswith("pred/")]]


def read(path: str) -> pd.DataFrame:
    return pd.read_csv(path)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_stored_predictions_come_back_in_a_fresh_environment_without_data_and_project(predicted, case):
    told, stored = read(predicted[case]["out"]), read(predicted[case]["stored"])
    assert len(told) == len(stored) > 10
    again = raw(told, stored)
    assert again.to_numpy() == pytest.approx(stored[again.columns].to_numpy(), rel=1e-6, abs=1e-6)


@pytest.mark.slow
def test_the_command_takes_a_run_of_another_place_in_a_fresh_environment(predicted, project, python, tmp_path):
    job = predicted["multiclass mlp"]
    store = f"tracking.uri=sqlite:///{project / 'runs' / 'mlflow.db'}"
    arguments = ["-m", "medfit", "predict", job["run"], f"data={job['data']}", "out=told.csv", store]
    done = fresh_environment.run(python, arguments, tmp_path)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(read(str(tmp_path / "told.csv")).drop(columns="row"), read(job["out"]))


@pytest.mark.slow
def test_a_wheel_holds_all_that_the_package_and_the_configs_hold(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    source = folders.ROOT / "src"
    package = {path.relative_to(source).as_posix() for path in (source / "medfit").rglob("*") if path.is_file()}
    configs = {f"medfit/conf/{path.relative_to(folders.CONF)}" for path in folders.CONF.rglob("*.yaml")}
    assert {name for name in package if "__pycache__" not in name} | configs <= held
