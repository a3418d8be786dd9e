"""How another hospital's table is read: as the training's was, but for what is said otherwise."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from medfit.config.compose import compose
from medfit.config.instantiate import load_dataset
from medfit.deployment import new_tables
from medfit.errors import UserError
from medfit.validation import data


def single(cfg, about):
    """A model of one training."""
    made = SimpleNamespace(cfg=cfg, about=about)
    made.singles = (made,)
    return made


@pytest.fixture
def model(tmp_path):
    """What a validation must know of a model of a table with marks for missing cells, two units and a code."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"age": rng.integers(20, 90, 60), "crp": rng.integers(1, 50, 60), "stage": [1, 2, 3] * 20})
    table.assign(ill=[0, 1] * 30).to_csv(tmp_path / "own.csv", index=False)
    lines = [
        "dataset.missing_in={age: [999], crp: [-1]}",
        "dataset.units={age: years}",
        "dataset.kinds={stage: categorical}",
    ]
    cfg = compose(["dataset=table", f"dataset.path={tmp_path / 'own.csv'}", "dataset.target=ill", *lines])
    dataset = load_dataset(cfg)
    about = {"reader": "medfit.deployment.new_tables", "task": dataset.task, "target_names": dataset.target_names}
    return single(cfg, {**about, "expected": new_tables.describe(dataset, np.arange(60), cfg)})


def test_what_is_said_of_one_column_leaves_the_others_as_the_training_had_them(model, tmp_path):
    rows = {
        "age": [40, 999, 50, 60],
        "crp": [-1, -9, 5, 6],
        "stage": [1, 2, 3, 1],
        "site": [1, 2, 1, 2],
        "ill": [0, 1, 0, 1],
    }
    pd.DataFrame(rows).to_csv(tmp_path / "new.csv", index=False)
    changes = {"missing_in": {"crp": [-9]}, "units": {"crp": "mg/l"}, "kinds": {"crp": "numeric"}}
    cfg = data.settings(model, str(tmp_path / "new.csv"), changes)
    assert cfg.dataset.missing_in == {"age": [999], "crp": [-9]}
    assert cfg.dataset.units == {"age": "years", "crp": "mg/l"}
    assert cfg.dataset.kinds == {"age": "numeric", "crp": "numeric", "stage": "categorical"}
    x = load_dataset(cfg).x
    assert x["age"].isna().tolist() == [False, True, False, False] and x["crp"].tolist()[2:] == [5, 6]


def targets(known, here, columns, task="multilabel"):
    """The targets of two samples as a model's outputs have them; ``columns`` name those of the new data."""
    y = np.array([[0, 1], [1, 1]], dtype=np.float32)[:, : len(here)]
    new = SimpleNamespace(task=task, target_names=here, y=y, units={})
    about = {"task": task, "target_names": known, "units": {}}
    model = single(OmegaConf.create({"dataset": {"target": known}}), about)
    return data._targets(model, OmegaConf.create({"dataset": {"target": columns}}), new).tolist()


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_targets_in_another_order_are_brought_into_the_models(task):
    assert targets(["pain", "fever"], ["fever", "pain"], ["fever", "pain"], task) == [[1, 0], [1, 1]]
    assert targets(["pain", "fever"], ["pain", "fever"], ["pain", "fever"], task) == [[0, 1], [1, 1]]


def test_targets_of_other_names_are_taken_in_their_order_unless_one_is_in_anothers_place():
    assert targets(["pain", "fever"], ["pijn", "koorts"], ["pijn", "koorts"]) == [[0, 1], [1, 1]]
    assert targets(["pain", "fever"], ["pain", "koorts"], ["pain", "koorts"]) == [[0, 1], [1, 1]]
    with pytest.raises(UserError, match="^dataset.target: 'fever' stands in another place .*: 'pain', 'fever'$"):
        targets(["pain", "fever"], ["fever", "koorts"], ["fever", "koorts"])


def test_classes_of_masks_in_another_order_are_refused():
    new = SimpleNamespace(task="segmentation", target_names=["ground", "b", "a"], y=np.zeros((2, 0)), units={})
    about = {"task": "segmentation", "target_names": ["ground", "a", "b"], "units": {}}
    with pytest.raises(UserError, match="^dataset.classes: 'b' stands in another place"):
        data._targets(single(None, about), None, new)
