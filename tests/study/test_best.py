import optuna
import pytest
import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from optuna.trial import create_trial

from medfit.study.best import as_yaml, shortest


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["regime.optimizer.lr", "regime.batch_size"], ["lr", "batch_size"]),
        (["a.generator.lr", "a.discriminator.lr", "l1"], ["generator.lr", "discriminator.lr", "l1"]),
        (["a.x.lr", "b.x.lr"], ["a.x.lr", "b.x.lr"]),
        (["lr"], ["lr"]),
        ([], []),
    ],
    ids=["last parts", "two parts", "whole paths", "one", "none"],
)
def test_a_column_has_the_shortest_name_that_is_its_own(paths, names):
    assert shortest(paths) == names


@pytest.fixture
def study():
    made = optuna.create_study()
    made.add_trial(create_trial(value=0.5, user_attrs={"scores": {"val/cross_entropy": 0.5}}))
    return made


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("line", "path", "value"),
    [
        ("model.widths=[8,4]", "model.widths", [8, 4]),
        ("regime.optimizer.lr=1e-3", "regime.optimizer.lr", 1e-3),
        ("regime.patience=null", "regime.patience", None),
        ("++regime.l1=0.5", "regime.l1", 0.5),
        ("+dataset.kinds={a:categorical}", "dataset.kinds", {"a": "categorical"}),
        ("dataset.missing_values=[off,'9',x y]", "dataset.missing_values", ["off", "9", "x y"]),
        (r"dataset.missing_values=['it\'s']", "dataset.missing_values", ["it's"]),
    ],
)
def test_what_the_command_line_gave_is_in_best_yaml_as_it_was_meant(compose, study, tmp_path, line, path, value):
    (tmp_path / "table.csv").write_text("a,b,y\n" + "1,2,0\n3,4,1\n" * 20)
    cfg = compose("dataset=table", f"dataset.path='{tmp_path / 'table.csv'}'", "dataset.target=y", line)
    written = yaml.safe_load(as_yaml(cfg, study))
    found = OmegaConf.select(OmegaConf.create({key: part for key, part in written.items() if key != "defaults"}), path)
    assert found == value and type(found) in (type(value), ListConfig, DictConfig)


ODD = ["CK-MB [U/L]", "a=b", "Hb.A1c %", "it's"]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("line", ["dataset.kinds.{}=categorical", "dataset.kinds={{'{}': categorical, c: numeric}}"])
def test_columns_of_any_name_are_in_best_yaml_as_they_are_called(compose, study, tmp_path, name, line):
    (tmp_path / "table.csv").write_text(f"{name},c,y\n" + "1,2,0\n3,4,1\n" * 20)
    more = "evaluate.subgroups.c=null", "dataset.kinds.c=numeric"
    line = line.format(name.replace("'", r"\'") if "{{" in line else name)
    cfg = compose("dataset=table", f"dataset.path='{tmp_path / 'table.csv'}'", "dataset.target=y", line, *more)
    assert yaml.safe_load(as_yaml(cfg, study))["dataset"]["kinds"] == {name: "categorical", "c": "numeric"}


@pytest.mark.slow
def test_choices_of_the_command_line_are_in_best_yaml(compose, study):
    written = yaml.safe_load(as_yaml(compose("model=linear", "regime/optimizer=sgd"), study))
    assert {"override /model": "linear"} in written["defaults"]
    assert {"override /regime/optimizer": "sgd"} in written["defaults"]


def test_what_only_the_sweep_needs_is_not_in_best_yaml(compose, study):
    text = as_yaml(compose("sweep.num_trials=3", "sweep/sampler=random", "sample.seed=3", "seed=4"), study)
    assert yaml.safe_load(text)["seed"] == 4
    assert "num_trials" not in text and "sampler" not in text and "sample" not in text
