import optuna
import pytest

from medfit import sweep
from medfit.config import instantiate
from medfit.config.instantiate import load_dataset
from medfit.errors import UserError
from medfit.search.space import read_space
from medfit.study.comparability import LONGEST_NAME, conditions, differences, study_name
from medfit.tracking import provenance

SMALL = ["regime=smoke", "regime.epochs=1", "sweep/sampler=random", "sweep.num_trials=1"]
NAMED = [*SMALL, "sweep.name=a study"]


def opened(cfg):
    return sweep.open_study(cfg, read_space(cfg), load_dataset(cfg))


def name_of(cfg):
    return study_name(cfg, load_dataset(cfg))


def test_a_study_has_its_experiments_name(compose):
    assert name_of(compose(experiment="heart_disease_diagnosis")) == "heart_disease_diagnosis"


def test_a_study_without_an_experiment_has_its_data_sets_name(compose):
    assert name_of(compose("dataset=heart_disease")) == "heart_disease dataset=heart_disease"


def test_what_the_command_line_changes_in_the_trainings_is_in_the_name(compose):
    cfg = compose("model.widths=[8,4]", "seed=3", experiment="heart_disease_diagnosis")
    assert name_of(cfg) == "heart_disease_diagnosis model.widths=[8,4] seed=3"


def test_what_the_command_line_changes_in_the_sweep_is_not_in_the_name(compose):
    lines = ["sweep.num_trials=7", "sweep/sampler=random", "sweep.space.regime.l1.high=1", "evaluate.num_seeds=2"]
    assert name_of(compose(*lines, "sample.seed=3", experiment="heart_disease_diagnosis")) == "heart_disease_diagnosis"


def test_settings_of_no_command_are_conditions_of_a_study_or_in_its_name(compose):
    cfg = compose()
    held = conditions(cfg, {}, load_dataset(cfg))["config"]
    assert {path.split(".")[0] for path in held} == {
        "seed",
        "split",
        "dataset",
        "model",
        "preprocessing",
        "task",
        "regime",
    }
    assert "dataset.strict" not in held
    lines = ["predict.device=cpu", "serve.port=5123", "validate.seed=3", "export.format=onnx", "register.name=a"]
    assert name_of(compose(*lines, experiment="heart_disease_diagnosis")) == "heart_disease_diagnosis"


def test_a_study_begun_before_a_command_was_there_goes_on(compose):
    study = opened(compose(*NAMED))
    old = study.user_attrs["facts"]
    study.set_user_attr(
        "facts", old | {"config": old["config"] | {"gone._target_": "medfit.gone.Gone", "serve.port": "1"}}
    )
    assert "changes" not in opened(compose(*NAMED, "serve.port=5123")).user_attrs


def test_a_study_has_the_name_that_it_is_given(compose):
    assert name_of(compose("seed=3", "sweep.name=mine")) == "mine"


def test_long_names_end_in_what_tells_them_apart(compose):
    widths = ",".join(["16"] * 100)
    one, two = (name_of(compose(f"model.widths=[{widths}]", f"seed={seed}")) for seed in (1, 2))
    assert one[:LONGEST_NAME] == two[:LONGEST_NAME]
    assert one != two
    assert len(one) < LONGEST_NAME + 10


def test_the_same_command_is_the_same_study(compose):
    one, two = opened(compose(*NAMED)), opened(compose(*NAMED))
    assert one._study_id == two._study_id


@pytest.mark.slow
def test_two_seeds_are_two_studies(compose):
    assert opened(compose(*SMALL, "seed=1")).study_name != opened(compose(*SMALL, "seed=2")).study_name


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    "lines",
    [
        ["sweep.num_trials=9", "sweep.max_hours=1", "sweep.patience=3", "sweep.pick=0", "sweep.start=[own]"],
        ["sweep.workers=2", "sweep.threads=1", "sweep.trial_timeout_s=9", "sweep.heartbeat_s=3", "sweep.num_retries=0"],
        ["sweep/sampler=tpe", "sweep/pruner=none"],
        ["tracking.plots=true", "evaluate.num_seeds=2"],
    ],
    ids=["how long", "by whom", "how it is searched", "what is recorded"],
)
def test_what_changes_no_score_is_no_change(compose, lines):
    opened(compose(*NAMED))
    opened(compose(*NAMED, *lines))


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["sweep.space.regime.l1.high=0.5"], "sweep.space.regime.l1 (FloatDistribution(high=0.01, log=True, low=1e-06"),
        (
            ["~sweep.space.regime.l1"],
            "sweep.space.regime.l1 (FloatDistribution(high=0.01, log=True, low=1e-06, step=None) -> nothing)",
        ),
        (["sweep.space.regime.l1.when={model: mlp}"], "step=None){'model': ('mlp',)})"),
        (["sweep.objective=val/auroc", "sweep.direction=max"], "sweep.objective (val/cross_entropy -> val/auroc)"),
        (["sweep.direction=max"], "sweep.direction (min -> max)"),
        (["sweep.constraints=['val/auroc >= 0.5']"], "sweep.constraints ( -> val/auroc >= 0.5)"),
        (["sweep.folds=3"], "sweep.folds (None -> 3)"),
        (["regime.epochs=2"], "regime.epochs (1 -> 2)"),
        (["seed=1"], "seed (0 -> 1)"),
        (["split.seed=1"], "split.seed (0 -> 1)"),
        (["model.widths=[8]"], "model.widths ([64,32] -> [8])"),
        (["model=linear"], "model (mlp -> linear)"),
    ],
)
def test_what_changes_scores_is_refused_and_named(compose, lines, words):
    opened(compose(*NAMED))
    with pytest.raises(UserError) as caught:
        opened(compose(*NAMED, *lines))
    assert words in str(caught.value)
    assert str(caught.value).startswith("sweep: since the study 'a study' was begun, this changed: ")
    assert "sweep.name=<another> begins a new study, sweep.accept_changes=true goes on" in str(caught.value)


def test_changed_data_are_refused_and_named(compose, tmp_path):
    path = tmp_path / "table.csv"
    lines = [*NAMED, "dataset=table", f"dataset.path='{path}'", "dataset.target=y"]
    path.write_text("a,b,y\n" + "1,2,0\n3,4,1\n" * 20)
    opened(compose(*lines))
    path.write_text("a,b,y\n" + "1,2,0\n3,5,1\n" * 20)
    instantiate._load_dataset.cache_clear()
    with pytest.raises(UserError, match="this changed: the data's fingerprint. sweep.name"):
        opened(compose(*lines))


@pytest.mark.slow
def test_changed_code_is_refused_and_named(compose, monkeypatch):
    opened(compose(*NAMED))
    monkeypatch.setattr(provenance, "source", lambda: "other")
    with pytest.raises(UserError, match="this changed: medfit's code. sweep.name"):
        opened(compose(*NAMED))


def test_a_refused_command_leaves_the_study_as_it_was(compose):
    opened(compose(*NAMED))
    with pytest.raises(UserError):
        opened(
            compose(*NAMED, "sweep.objective=[val/auroc,val/brier]", "sweep.direction=[max,min]", "sweep/pruner=none")
        )
    study = opened(compose(*NAMED))
    assert study.metric_names == ["val/cross_entropy"]
    assert "changes" not in study.user_attrs


def test_of_many_changes_a_few_are_told(compose):
    opened(compose(*NAMED))
    with pytest.raises(UserError, match=r"; 2 more\. "):
        opened(
            compose(
                *NAMED,
                *(f"split.{key}=0.1" for key in ("val", "test")),
                "seed=1",
                "split.seed=1",
                "model.widths=[8]",
                "regime.epochs=2",
                "regime.patience=3",
            )
        )


@pytest.mark.slow
def test_changes_that_are_meant_are_noted_with_the_trial_that_they_begin_with(compose):
    sweep.sweep(compose(*NAMED))
    study = sweep.sweep(compose(*NAMED, "sweep.num_trials=2", "regime.epochs=2", "sweep.accept_changes=true"))
    assert study.user_attrs["changes"] == ["from trial 1: regime.epochs (1 -> 2)"]
    assert len(study.trials) == 2


@pytest.mark.slow
def test_after_changes_that_were_meant_the_changed_command_goes_on_by_itself(compose):
    opened(compose(*NAMED))
    opened(compose(*NAMED, "regime.epochs=2", "sweep.accept_changes=true"))
    study = opened(compose(*NAMED, "regime.epochs=2"))
    assert len(study.user_attrs["changes"]) == 1


@pytest.mark.slow
def test_nothing_is_noted_where_nothing_changed(compose):
    opened(compose(*NAMED))
    assert "changes" not in opened(compose(*NAMED, "sweep.accept_changes=true")).user_attrs


@pytest.mark.slow
def test_the_configs_own_value_of_a_searched_path_may_change(compose):
    sweep.sweep(compose(*NAMED))
    study = sweep.sweep(compose(*NAMED, "regime.l1=1e-3", "sweep.num_trials=2"))
    assert len(study.trials) == 2 and "changes" not in study.user_attrs


@pytest.mark.slow
def test_a_range_that_is_widened_goes_on(compose):
    sweep.sweep(compose(*NAMED))
    study = sweep.sweep(
        compose(*NAMED, "sweep.num_trials=3", "sweep.space.regime.l1.high=0.5", "sweep.accept_changes=true")
    )
    assert [trial.distributions["regime.l1"].high for trial in study.trials] == [0.01, 0.5, 0.5]


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("sweep.space.regime.batch_size=[16,32]", "regime.batch_size"),
        ("sweep.space.regime.l1=[0.0,0.1]", "regime.l1"),
        ("sweep.space.regime.l1.log=false", "regime.l1"),
        ("sweep.space.regime.l1={low: 1, high: 2}", "regime.l1"),
    ],
    ids=["other choices", "choices for a range", "another scale", "integers"],
)
def test_what_optuna_cannot_mix_is_refused_even_then(compose, line, path):
    sweep.sweep(compose(*NAMED))
    with pytest.raises(
        UserError, match=rf"sweep.space.{path}: .* can't change within a study; give sweep.name=<another>"
    ):
        sweep.sweep(compose(*NAMED, line, "sweep.accept_changes=true"))


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    "lines",
    [
        ["sweep.direction=max"],
        ["sweep.objective=[val/auroc,val/brier]", "sweep.direction=[max,min]", "sweep/pruner=none"],
    ],
    ids=["the other way", "several objectives"],
)
def test_another_direction_is_refused_even_then(compose, lines):
    opened(compose(*NAMED))
    with pytest.raises(UserError, match="sweep.direction: can't change within a study; give sweep.name=<another>"):
        opened(compose(*NAMED, *lines, "sweep.accept_changes=true"))


@pytest.mark.slow
def test_a_path_that_joins_or_leaves_the_space_goes_on(compose):
    sweep.sweep(compose(*NAMED))
    lines = ["~sweep.space.regime.l1", "sweep.space.model.activation=[relu,gelu]", "sweep.accept_changes=true"]
    study = sweep.sweep(compose(*NAMED, *lines, "sweep.num_trials=2"))
    assert "regime.l1" not in study.trials[1].params and "model.activation" in study.trials[1].params


@pytest.mark.slow
def test_a_study_that_was_exhausted_goes_on_in_a_larger_space(compose):
    space = ["~sweep.space.regime", "~sweep.space.model.dropout", "sweep/sampler=grid"]
    study = sweep.sweep(compose(*NAMED, *space, "sweep.num_trials=9", "sweep.space.model.widths=[[4],[2]]"))
    assert len(study.trials) == 2
    more = ["sweep.space.model.activation=[relu,gelu]", "sweep.accept_changes=true"]
    study = sweep.sweep(compose(*NAMED, *space, "sweep.num_trials=3", "sweep.space.model.widths=[[4],[2]]", *more))
    assert len(study.trials) == 3


@pytest.mark.slow
def test_the_ranges_of_all_searched_groups_are_facts(compose):
    opened(compose(*NAMED, "model=linear", "sweep.space.model=[linear,mlp]"))
    with pytest.raises(UserError, match="sweep.space.model.dropout"):
        opened(
            compose(
                *NAMED,
                "model=linear",
                "sweep.space.model=[linear,mlp]",
                "sweep.space.model.dropout={low: 0.0, high: 0.9}",
            )
        )


def test_what_is_searched_is_no_fact_of_the_config(compose):
    cfg = compose("sweep.space.model=[mlp,linear]")
    found = conditions(cfg, read_space(cfg), load_dataset(cfg))
    assert "regime.optimizer.lr" not in found["config"] and "regime.epochs" in found["config"]
    assert "model" not in found["choices"] and "dataset" in found["choices"]


def test_facts_survive_being_stored(compose):
    cfg = compose(*NAMED)
    study = opened(cfg)
    assert differences(study.user_attrs["facts"], conditions(cfg, read_space(cfg), load_dataset(cfg))) == []
    assert isinstance(study, optuna.Study)


def test_a_study_begun_before_modules_moved_goes_on(compose):
    cfg = compose(*NAMED)
    study = opened(cfg)
    now = study.user_attrs["facts"]
    names = {"medfit.data.": "medfit.", "medfit.tasks.regime": "medfit.regime"}
    then = dict(now["config"])
    for new, old in names.items():
        then = {path: value.replace(new, old) for path, value in then.items()}
    assert then != now["config"]
    study.set_user_attr("facts", now | {"config": then})
    assert opened(cfg)._study_id == study._study_id
    assert opened(cfg).user_attrs["facts"] == now
