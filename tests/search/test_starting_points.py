import pytest
from optuna.trial import TrialState

from medfit import sweep
from medfit.config.compose import compose
from medfit.errors import UserError
from medfit.search.space import read_space
from medfit.search.starting_points import points

SMALL = ["regime=smoke", "regime.epochs=1", "sweep/sampler=random", "sweep.num_trials=3"]


@pytest.fixture
def table(tmp_path):
    """Writes a CSV and returns the override that starts with it."""

    def written(text):
        (tmp_path / "points.csv").write_text(text)
        return f"sweep.start=['{tmp_path / 'points.csv'}']"

    return written


def points_of(*overrides):
    cfg = compose(overrides)
    return points(cfg, read_space(cfg))


def test_nothing_is_where_a_study_starts_by_default():
    assert points_of() == []


def test_a_study_starts_with_the_configs_own_values():
    (own,) = points_of("sweep.start=[own]", "regime.optimizer.lr=3e-3", "model.dropout=0.1", "regime.l1=1e-4")
    assert (own["regime.optimizer.lr"], own["model.dropout"], own["regime.l1"]) == (3e-3, 0.1, 1e-4)


def test_a_study_starts_with_an_experiments_best_values(compose):
    (point,) = points_of("sweep.start=[heart_disease_diagnosis/best]")
    best = compose(experiment="heart_disease_diagnosis/best")
    assert point["regime.optimizer.lr"] == best.regime.optimizer.lr
    assert point["regime.batch_size"] == best.regime.batch_size


@pytest.mark.slow
def test_a_study_starts_with_a_tables_rows(table):
    text = "regime.optimizer.lr,model.dropout,regime.batch_size\n1e-3,0.1,32\n0.01,0.5,128\n"
    assert points_of(table(text)) == [
        {"regime.optimizer.lr": 1e-3, "model.dropout": 0.1, "regime.batch_size": 32},
        {"regime.optimizer.lr": 1e-2, "model.dropout": 0.5, "regime.batch_size": 128},
    ]


def test_a_study_starts_with_another_studys_trials(table):
    text = "number,state,value,duration,params_regime.l1,params_model.dropout\n0,COMPLETE,0.3,1,1e-4,0.2\n"
    assert points_of(table(text)) == [{"regime.l1": 1e-4, "model.dropout": 0.2}]


@pytest.mark.slow
def test_a_study_starts_with_a_finished_studys_own_table(compose, client, tmp_path):
    cfg = compose(*SMALL, "sweep.space.model=[mlp,linear]", "sweep.space.model.widths=[[8],[8,4]]")
    study = sweep.sweep(cfg)
    path = client.download_artifacts(study.user_attrs["run_id"], "trials.csv", str(tmp_path))
    cfg = compose("sweep.space.model=[mlp,linear]", "sweep.space.model.widths=[[8],[8,4]]", f"sweep.start=['{path}']")
    found = points(cfg, read_space(cfg))
    assert len(found) == 3
    for one, trial in zip(found, study.trials, strict=True):
        assert one == pytest.approx(trial.params)


def test_an_empty_cell_leaves_the_value_to_the_sampler(table):
    assert points_of(table("regime.l1,regime.batch_size\n,16\n1e-5,\n")) == [
        {"regime.batch_size": 16},
        {"regime.l1": 1e-5},
    ]


def test_a_table_has_groups_and_what_only_another_of_their_choices_has(table):
    lines = ["model=linear", "sweep.space.model=[linear,mlp]"]
    assert points_of(*lines, table("model,model.dropout\nmlp,0.1\nlinear,\n")) == [
        {"model": "mlp", "model.dropout": 0.1},
        {"model": "linear"},
    ]


def test_a_table_has_lists_as_they_are_spelled_in_overrides(table):
    assert points_of("sweep.space.model.widths=[[32],[64,32]]", table('model.widths\n"[64,32]"\n')) == [
        {"model.widths": "[64,32]"}
    ]


def test_a_table_has_truths(table):
    found = points_of(
        "dataset=breast_cancer",
        "experiment=",
        "sweep.space.preprocessing.missing_indicator=[true,false]",
        table("preprocessing.missing_indicator\nTrue\nfalse\n"),
    )
    assert found == [{"preprocessing.missing_indicator": True}, {"preprocessing.missing_indicator": False}]


def test_whole_numbers_come_as_such(table):
    (point,) = points_of("sweep.space.regime.epochs={low: 5, high: 20}", table("regime.epochs\n7.0\n"))
    assert point == {"regime.epochs": 7} and isinstance(point["regime.epochs"], int)


def test_several_starting_points_come_in_their_order(table):
    line = table("regime.l1\n1e-3\n").replace("=[", "=[own,")
    first, second = points_of(line)
    assert len(first) > 1 and second == {"regime.l1": 1e-3}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("regime.l2\n0.1\n", "has a column 'regime.l2', no path of sweep.space; did you mean 'regime.l1'?"),
        ("regime.l1\n1e-4\n0.5\n", "row 2, regime.l1: the value is not in sweep.space (FloatDistribution"),
        ("regime.batch_size\n24\n", "row 1, regime.batch_size: the value is not in sweep.space (CategoricalDist"),
        ("regime.l1\nsmall\n", "row 1, regime.l1: the value is not in sweep.space"),
        ("", "sweep.start: cannot read"),
    ],
    ids=["wrong column", "out of range", "no choice", "no number", "empty"],
)
def test_a_wrong_table_is_refused(table, text, words):
    with pytest.raises(UserError) as caught:
        points_of(table(text))
    assert words in str(caught.value)


@pytest.mark.mostly_slow
@pytest.mark.parametrize("value", ["7.5", "22", "4", "6"])
def test_a_number_between_an_integer_ranges_steps_is_refused(table, value):
    with pytest.raises(UserError, match="row 1, regime.epochs: the value is not in sweep.space"):
        points_of("sweep.space.regime.epochs={low: 5, high: 20, step: 5}", table(f"regime.epochs\n{value}\n"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.csv", "sweep.start: cannot read 'missing.csv' ([Errno 2] No such file or directory"),
        ("onw", "sweep.start: experiment=onw: there is no such experiment"),
        ("heart_rate/best", "sweep.start: experiment=heart_rate/best: no sweep has written"),
    ],
)
def test_a_start_that_there_is_not_is_refused(name, words):
    with pytest.raises(UserError) as caught:
        points_of(f"sweep.start=['{name}']")
    assert words in str(caught.value)


def test_a_wrong_start_is_refused_before_anything_is_recorded(compose, client):
    with pytest.raises(UserError, match="sweep.start"):
        sweep.sweep(compose(*SMALL, "sweep.start=[missing.csv]"))
    assert not client.search_runs([e.experiment_id for e in client.search_experiments()])


def test_starting_points_come_first_and_once(compose, table):
    start = table("regime.l1,model.dropout\n1e-3,0.25\n1e-4,\n")
    sweep.sweep(compose(*SMALL, start, "sweep.num_trials=1"))
    study = sweep.sweep(compose(*SMALL, start, "sweep.num_trials=4"))
    assert [trial.params["regime.l1"] for trial in study.trials[:2]] == [1e-3, 1e-4]
    assert study.trials[0].params["model.dropout"] == 0.25
    assert 0 <= study.trials[1].params["model.dropout"] <= 0.5
    assert len(study.trials) == 4
    assert sum(trial.params["regime.l1"] in (1e-3, 1e-4) for trial in study.trials) == 2


@pytest.mark.slow
def test_more_starting_points_than_trials_wait_for_a_larger_number(compose, table):
    start = table("regime.l1\n1e-3\n1e-4\n1e-5\n")
    study = sweep.sweep(compose(*SMALL, start, "sweep.num_trials=2"))
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    study = sweep.sweep(compose(*SMALL, start, "sweep.num_trials=4"))
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    assert [trial.params["regime.l1"] for trial in study.trials[:3]] == [1e-3, 1e-4, 1e-5]


def test_a_range_that_does_not_apply_is_not_taken_from_a_starting_point(compose, table):
    lines = ["sweep.space.model.dropout.when={model.activation: gelu}", table("model.dropout,regime.l1\n0.1,1e-3\n")]
    study = sweep.sweep(compose(*SMALL, *lines, "sweep.num_trials=1"))
    assert "model.dropout" not in study.trials[0].params
    assert study.trials[0].params["regime.l1"] == 1e-3
