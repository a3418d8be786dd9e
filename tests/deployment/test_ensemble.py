import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

import broken_model
import medfit
from medfit.deployment import ensemble, logged
from medfit.deployment.ensemble import Ensemble
from medfit.deployment.expected_columns import Column, joined_columns
from medfit.deployment.finished_model import WEIGHTS
from medfit.deployment.model_files import ABOUT
from medfit.deployment.packing import packed
from medfit.errors import UserError
from medfit.evidence.decisions import Decisions
from medfit.training.parts import prepare

SETTINGS = [("model=mlp",), ("model=linear", "preprocessing.scaling=robust"), ("model=mlp", "split.num_folds=2")]


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    made = pd.DataFrame({"age": rng.normal(60, 10, 80), "stage": rng.choice(["I", "II"], 80), "yes": np.arange(80) % 2})
    made.loc[5, "stage"], made.loc[::7, "age"] = "III", None  # few training splits have the rare level
    return made


@pytest.fixture
def members(compose, tmp_path, table):
    """Networks before their training, one with another family and preprocessing, one with other training rows."""
    path = tmp_path / "clinic.csv"
    table.to_csv(path, index=False)
    found = []
    for number, overrides in enumerate(SETTINGS):
        cfg = compose("dataset=table", f"dataset.path={path}", "dataset.target=yes", f"seed={number}", *overrides)
        found.append(packed(cfg, prepare(cfg), {}, f"run{number}", str))
    path.unlink()
    return found


@pytest.fixture
def mean(members, tmp_path):
    """Their ensemble, stored and loaded."""
    Ensemble.of(members, Decisions(thresholds={"yes": 0.5}), "parent").save(tmp_path / "model")
    return ensemble.load(tmp_path / "model", "it")


def test_it_predicts_the_mean_of_what_each_member_makes_of_its_own_preparation(members, mean, table):
    each = np.stack([member.predict(table)["probability/yes"] for member in members])
    assert len({tuple(row) for row in each.round(3).tolist()}) == 3
    told = mean.predict(table)
    assert list(told) == ["decision/yes", "probability/yes", "remarks"]
    assert told["probability/yes"].to_numpy() == pytest.approx(each.mean(axis=0), abs=1e-7)
    assert (told["decision/yes"] == np.where(each.mean(axis=0) >= 0.5, "yes", "no")).all()
    alone = pd.concat([mean.predict(table.iloc[[row]]) for row in range(5)])
    assert alone["probability/yes"].to_numpy() == pytest.approx(told["probability/yes"][:5].to_numpy(), abs=1e-6)


def test_what_it_says_of_itself_is_what_its_members_have_in_common(members, mean):
    assert [own["run_id"] for own in mean.about["members"]] == ["run0", "run1", "run2"]
    assert len({own["split_sha256"] for own in mean.about["members"]}) == 2
    assert mean.about["run_id"] == "parent" and mean.about["target_names"] == ["yes"]
    assert "input_shape" not in mean.about and "split_sha256" not in mean.about
    assert all(mean.about[key] == members[0].about[key] for key in ("task", "reader", "data_sha256"))


def test_a_level_that_one_member_knows_is_no_oddity(members, mean):
    known = ["III" in member.about["expected"]["columns"][1]["levels"] for member in members]
    assert sorted(set(known)) == [False, True]
    new = pd.DataFrame({"age": [60.0, 60.0], "stage": ["III", "IV"]})
    assert mean.predict(new)["remarks"].tolist() == ["", "stage: a level that no training row had"]


def test_levels_and_ranges_are_those_of_all_training_rows():
    def columns(low, high, levels, missing):
        number = {"name": "age", "kind": "numeric", "unit": "years", "low": low, "high": high, "missing": missing}
        return [number, {"name": "stage", "kind": "categorical", "levels": levels}]

    age, stage = joined_columns([columns(1.0, 5.0, ["b"], 0.5), columns(2.0, 6.0, ["a", "b"], 0.0)])
    assert Column(**age) == Column("age", "numeric", "years", [], 1.0, 6.0, 0.25)
    assert Column(**stage) == Column("stage", "categorical", levels=["a", "b"])
    one = [{"name": "stage", "kind": "categorical", "levels": ["b"], "shares": [1.0]}]
    two = [{"name": "stage", "kind": "categorical", "levels": ["a", "b"], "shares": [0.5, 0.5]}]
    assert joined_columns([one, two])[0]["shares"] == [0.25, 0.75]
    number = {"name": "age", "kind": "numeric", "low": 1.0, "high": 5.0}
    known, unknown = {**number, "mean": 3.0, "sd": 1.0}, {**number, "mean": 5.0, "sd": None}
    assert [joined_columns([[known], [unknown]])[0][key] for key in ("mean", "sd")] == [4.0, 1.0]


def test_outcomes_are_the_means_of_the_trainings(members, mean):
    shares = [member.about["outcomes"]["yes"]["mean"] for member in members]
    assert mean.about["outcomes"]["yes"]["mean"] == pytest.approx(sum(shares) / len(shares))
    assert mean.about["outcomes"]["yes"]["missing"] == 0


def test_rows_that_one_member_leaves_out_have_no_prediction(members, table):
    other = replace(members[0], about={**members[0].about, "expected": {**members[0].about["expected"]}})
    other.about["expected"]["drop_missing"] = True
    told = Ensemble.of([members[1], other], Decisions(), "parent").predict(table)
    assert (told["probability/yes"].isna() == table["age"].isna()).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data_sha256": "other"}, "trainings whose data_sha256 differ make no ensemble"),
        ({"target_names": ["no"]}, "trainings whose target_names differ make no ensemble"),
        ({"expected": {"reading": {}, "columns": []}}, "trainings that read files in different ways make no ensemble"),
        ({"reader": "medfit.version", "expected": {}}, "trainings whose reader differ make no ensemble"),
    ],
)
def test_trainings_that_differ_in_their_data_make_none(members, change, told):
    other = replace(members[1], about={**members[1].about, **change})
    with pytest.raises(UserError, match=f"^{told}$"):
        Ensemble.of([members[0], other], Decisions(), "parent")


def test_a_reader_that_cannot_join_what_differs_makes_none(members):
    both = [
        replace(one, about={**one.about, "reader": "medfit.version", "expected": k}) for k, one in enumerate(members)
    ]
    with pytest.raises(UserError, match="^trainings that expect different samples make no ensemble of version$"):
        Ensemble.of(both, Decisions(), "parent")


def test_one_that_is_not_whole_is_refused(mean, tmp_path):
    whole = tmp_path / "model"
    assert logged.own_files(tmp_path, "it") == whole

    refusal = partial(broken_model.refusal, whole)
    weights = f"members/1/{WEIGHTS}"
    assert refusal(lambda f: (f / weights).unlink()) == f"it, member 1: its file {WEIGHTS} is missing"
    assert refusal(lambda f: (f / weights).write_bytes(b"")).startswith(f"it, member 1: its file {WEIGHTS} is not as")
    other = refusal(lambda f: shutil.copytree(f / "members/0", f / "members/1", dirs_exist_ok=True))
    assert other == "it: its file members/1/model.json is not as it was written"
    assert refusal(lambda f: shutil.rmtree(f / "members")) == "it: its file members/0/model.json is missing"
    assert refusal(lambda f: (f / ABOUT).unlink()).startswith("it: holds no finished model of medfit")

    def of_format(folder):
        (folder / ABOUT).write_text(json.dumps(json.loads((folder / ABOUT).read_text()) | {"format": 2}))

    assert refusal(of_format).startswith("it: is of format 2, but medfit")


def test_it_loads_by_a_python_call(mean, table, tmp_path):
    assert medfit.load_model(str(tmp_path)).predict(table).equals(mean.predict(table))
