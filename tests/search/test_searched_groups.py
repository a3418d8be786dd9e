import pytest
import yaml

from medfit import sweep
from medfit.config.compose import compose as compose_config
from medfit.config.overrides import as_override
from medfit.evaluate import evaluate
from medfit.study import best
from medfit.train import train

SMALL = ["regime=smoke", "sweep/sampler=random", "sweep.num_trials=6", "seed=1"]
MODELS = "sweep.space.model=[mlp,linear]"


def trials_of(client):
    ids = [e.experiment_id for e in client.search_experiments()]
    return {int(run.data.tags["trial"]): run for run in client.search_runs(ids, "tags.kind = 'trial'")}


@pytest.mark.slow
def test_each_of_the_searched_models_is_trained_and_its_run_says_so(compose, client):
    study = sweep.sweep(compose(*SMALL, MODELS))
    assert {trial.params["model"] for trial in study.trials} == {"mlp", "linear"}
    runs = trials_of(client)
    for trial in study.trials:
        params = runs[trial.number].data.params
        assert params["model"] == trial.params["model"]
        assert ("model.dropout" in params) == ("model.dropout" in trial.params) == (trial.params["model"] == "mlp")
        assert runs[trial.number].data.tags["model"] == trial.params["model"]


@pytest.mark.slow
def test_the_run_of_each_searched_optimizer_says_so(compose, client):
    lines = ["sweep.space.regime.optimizer=[adamw,sgd]", "sweep.space.regime.optimizer.momentum={low: 0.0, high: 0.9}"]
    study = sweep.sweep(compose(*SMALL, *lines))
    assert {trial.params["regime/optimizer"] for trial in study.trials} == {"adamw", "sgd"}
    for trial in study.trials:
        params = trials_of(client)[trial.number].data.params
        is_sgd = trial.params["regime/optimizer"] == "sgd"
        assert ("regime.optimizer.momentum" in params) == ("regime.optimizer.momentum" in trial.params) == is_sgd


def test_the_best_model_is_in_best_yaml_which_trains_to_its_score(write_experiment, experiments, compose, capsys):
    cfg = write_experiment("sweep: {space: {model: {choices: [linear]}}}", *SMALL, "regime.epochs=3")
    sweep.main(cfg)
    study = sweep.sweep(cfg)
    written = yaml.safe_load((experiments / "own" / "best.yaml").read_text())
    assert {"override /model": "linear"} in written["defaults"]
    again = compose(experiment="own/best")
    assert again.choices.model == "linear" and again.regime.epochs == 3
    assert train(again)["val/cross_entropy"] == pytest.approx(study.best_value)
    assert f"trial {study.best_trial.number}" in capsys.readouterr().out


@pytest.mark.slow
def test_every_trial_of_searched_groups_can_be_composed_from_its_best_yaml(write_experiment, experiments, compose):
    lines = [MODELS, "sweep.space.regime.optimizer=[adamw,sgd]", "sweep.space.model.widths=[[8],[8,4]]"]
    cfg = write_experiment("", *SMALL, "sweep.num_trials=3", *lines)
    study = sweep.sweep(cfg)
    for one in study.trials:
        cfg.sweep.pick = one.number
        (experiments / "own" / "best.yaml").write_text(best.as_yaml(cfg, study))
        again = compose(experiment="own/best")
        assert again.choices.model == one.params["model"]
        assert again.choices["regime/optimizer"] == one.params["regime/optimizer"]
        assert again.regime.optimizer.lr == one.params["regime.optimizer.lr"]
        assert as_override(list(again.model.get("widths", []))) == one.params.get("model.widths", "[]")


def test_lists_are_trained_as_lists_and_written_as_lists(write_experiment, experiments, compose, client):
    cfg = write_experiment("", *SMALL, "sweep.num_trials=2", "sweep.space.model.widths=[[6,3]]")
    study = sweep.sweep(cfg)
    assert [trial.params["model.widths"] for trial in study.trials] == ["[6,3]"] * 2
    assert {run.data.params["model.widths"] for run in trials_of(client).values()} == {"[6,3]"}
    assert yaml.safe_load(best.as_yaml(cfg, study))["model"]["widths"] == [6, 3]


@pytest.mark.slow
def test_the_next_command_chooses_the_best_model(compose, capsys):
    sweep.main(compose(*SMALL, "dataset=breast_cancer", "sweep.space.model=[linear]"))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Next")]
    assert " model=linear " in line
    composed = compose_config(["experiment=", *line.split("medfit evaluate ")[1].split()])
    assert composed.choices.model == "linear"


@pytest.mark.slow
def test_a_nested_evaluation_takes_each_folds_best_model(compose, client):
    cfg = compose(
        *SMALL,
        "sweep.space.model=[linear]",
        "sweep.num_trials=2",
        "evaluate.num_folds=2",
        "evaluate.nested=true",
        "evaluate.num_seeds=1",
    )
    table = evaluate(cfg).trainings
    assert len(table[table.model.str.contains("tuned")]) == 2
    ids = [e.experiment_id for e in client.search_experiments()]
    seeds = client.search_runs(ids, "tags.kind = 'seed'")
    assert [run.data.params["model"] for run in seeds] == ["linear", "linear"]
    assert {run.data.params["split.fold"] for run in seeds} == {"0", "1"}
