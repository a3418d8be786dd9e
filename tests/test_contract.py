"""Every model file with every data set file trains an epoch, or is refused in one line; a new file is tested by existing."""

import pytest

from medfit import config
from medfit.errors import UserError
from medfit.train import train

GROUPS = config.groups()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "patients.csv"
    rows = [f"p{i // 2},{i % 7},{'abc'[i % 3]},{i % 2}" for i in range(120)]
    path.write_text("patient,age,stage,outcome\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    path = tmp_path_factory.mktemp("series") / "beats.csv"
    rows = [",".join(str((i * t) % 11) for t in range(1, 25)) + f",{i % 2}" for i in range(60)]
    path.write_text(",".join(f"t{t}" for t in range(24)) + ",outcome\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def values(table, series):
    return {
        "series_table": [f"dataset.path={series}", "dataset.target=outcome"],
        "table": [f"dataset.path={table}", "dataset.target=outcome", "dataset.patient=patient"],
    }


@pytest.mark.parametrize("dataset", GROUPS["dataset"])
@pytest.mark.parametrize("model", GROUPS["model"])
def test_every_model_trains_on_every_data_set_or_is_refused(compose, values, model, dataset):
    overrides = [f"dataset={dataset}", f"model={model}", "regime=smoke", "regime.epochs=1", *values.get(dataset, [])]
    cfg = compose(*overrides)
    try:
        scores = train(cfg)
    except UserError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 300
    else:
        assert cfg.task.monitor in scores


@pytest.mark.parametrize("regime", GROUPS["regime"])
def test_every_regime_trains(compose, regime):
    assert train(compose(f"regime={regime}", "regime.epochs=1"))["val/auroc"] >= 0


@pytest.mark.parametrize("scheduler", GROUPS["regime/scheduler"])
@pytest.mark.parametrize("optimizer", GROUPS["regime/optimizer"])
def test_every_optimizer_and_scheduler_trains(compose, optimizer, scheduler):
    overrides = [f"regime/optimizer={optimizer}", f"regime/scheduler={scheduler}", "regime.epochs=2"]
    assert train(compose("regime=smoke", *overrides))["val/auroc"] >= 0


@pytest.mark.parametrize("task", [t for t in GROUPS["task"] if t != "inferred"])
def test_a_task_learns_its_own_kind_of_target_and_refuses_others(compose, task):
    cfg = compose("dataset=breast_cancer", f"task={task}", "regime=smoke")
    if task == "binary":
        assert train(cfg)["val/auroc"] > 0.5
    else:
        with pytest.raises(UserError, match=f"task={task} learns .* targets, but the data set's are binary"):
            train(cfg)
