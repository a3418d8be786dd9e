import warnings

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial

from medfit.config import schema
from medfit.config.compose import compose
from medfit.config.overrides import as_override, parsed, plain
from medfit.search.space import Entry, read_space
from medfit.search.values import applies, own_values, set_values, suggest_config
from medfit.study import storage
from medfit.workers.worker import make_sampler

GROUPS = ["sweep.space.model=[mlp,linear]", "sweep.space.regime.optimizer=[adamw,sgd]"]
MOMENTUM = "sweep.space.regime.optimizer.momentum={low: 0.0, high: 0.9}"
SHARED = {
    "regime.optimizer.lr": 2e-3,
    "regime.optimizer.weight_decay": 1e-4,
    "regime.l1": 1e-5,
    "regime.batch_size": 64,
}


def suggested(cfg, values):
    trial = FixedTrial(values)
    made = suggest_config(trial, cfg, read_space(cfg))
    schema.check(made)
    return made, trial.params


def asked(cfg, values=None, **study):
    """Returns the config and the trial of a study that was given some values."""
    made = optuna.create_study(**study)
    made.enqueue_trial(values or {})
    trial = made.ask()
    return suggest_config(trial, cfg, read_space(cfg)), trial


def test_a_trial_has_its_values_in_its_config():
    cfg, params = suggested(compose([]), {**SHARED, "model.dropout": 0.25})
    assert (cfg.regime.optimizer.lr, cfg.regime.batch_size, cfg.model.dropout) == (2e-3, 64, 0.25)
    assert params == {**SHARED, "model.dropout": 0.25}


def test_a_trial_has_its_groups_in_its_config():
    values = {"model": "linear", "regime/optimizer": "sgd", **SHARED, "regime.optimizer.momentum": 0.5}
    cfg, params = suggested(compose([*GROUPS, MOMENTUM]), values)
    assert (cfg.choices.model, cfg.model._target_) == ("linear", "medfit.models.linear.Linear")
    assert (cfg.choices["regime/optimizer"], cfg.regime.optimizer._target_) == ("sgd", "torch.optim.SGD")
    assert cfg.regime.optimizer.momentum == 0.5
    assert params == values


@pytest.mark.slow
def test_groups_are_proposed_before_values():
    values = {"model": "linear", "regime/optimizer": "sgd", **SHARED, "regime.optimizer.momentum": 0.5}
    assert list(suggested(compose([*GROUPS, MOMENTUM]), values)[1])[:2] == ["model", "regime/optimizer"]


@pytest.mark.slow
def test_only_the_paths_of_the_chosen_groups_are_proposed():
    cfg, params = suggested(
        compose([*GROUPS, MOMENTUM]),
        {"model": "mlp", "regime/optimizer": "adamw", **SHARED, "model.dropout": 0.1, "regime.optimizer.momentum": 0.5},
    )
    assert "regime.optimizer.momentum" not in params
    assert "momentum" not in cfg.regime.optimizer
    assert params["model.dropout"] == 0.1


@pytest.mark.slow
def test_a_group_that_the_chosen_one_does_not_have_is_not_proposed():
    searched = ["sweep.space.preprocessing=[image,series]", "sweep.space.preprocessing.augmentation=[none,light]"]
    cfg = compose(["experiment=", "dataset=pneumonia_mnist", *searched])
    fixed = {**SHARED, "model.dropout": 0.1, "regime.batch_size": 16, "regime.l1": 1e-8}
    _, params = suggested(cfg, {"preprocessing": "series", "preprocessing/augmentation": "light", **fixed})
    assert params["preprocessing"] == "series" and "preprocessing/augmentation" not in params


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_whatever_a_sampler_proposes_composes(sampler):
    cfg = compose([*GROUPS, MOMENTUM, "sweep.space.model.widths=[[32],[64,32]]", f"sweep/sampler={sampler}"])
    space = read_space(cfg)
    with storage.quiet():
        study = optuna.create_study(sampler=make_sampler(cfg))
        for number in range(12):
            trial = study.ask()
            made = suggest_config(trial, cfg, space)
            schema.check(made)
            for path, value in trial.params.items():
                assert (made.choices[path] if path in made.choices else OmegaConf.select(made, path)) == plain(value)
            study.tell(trial, number % 5)
    groups = {(trial.params["model"], trial.params["regime/optimizer"]) for trial in study.trials}
    assert {model for model, _ in groups} == {"mlp", "linear"} and {name for _, name in groups} == {"adamw", "sgd"}


def test_the_configs_own_group_takes_no_composing_of_another():
    cfg, _ = asked(compose(["seed=3"]), {"model.dropout": 0.25})
    assert cfg.seed == 3 and cfg.model.dropout == 0.25


@pytest.mark.parametrize(("activation", "expected"), [("gelu", True), ("relu", False)])
def test_a_condition_is_on_what_the_trial_has(activation, expected):
    lines = ["sweep.space.regime.l1.when={model.activation: gelu}", "sweep.space.model.activation=[relu,gelu]"]
    _, trial = asked(compose(lines), {"model.activation": activation})
    assert ("regime.l1" in trial.params) == expected


@pytest.mark.mostly_slow
@pytest.mark.parametrize(("model", "expected"), [("mlp", True), ("linear", False)])
def test_a_condition_is_on_the_group_that_the_trial_has(model, expected):
    lines = ["sweep.space.regime.l1.when={model: mlp}", "sweep.space.model=[mlp,linear]"]
    _, trial = asked(compose(lines), {"model": model})
    assert ("regime.l1" in trial.params) == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, True),
        ({"model": ("mlp",)}, True),
        ({"model": ("linear",)}, False),
        ({"model": ("linear", "mlp"), "regime.epochs": (60,)}, True),
        ({"model": ("mlp",), "regime.epochs": (61,)}, False),
        ({"regime/optimizer": ("adamw",)}, True),
        ({"model.widths": ([64, 32],)}, True),
        ({"regime.gradient_clip": (None,)}, True),
        ({"regime.gradient_clip": (1.0,)}, False),
    ],
)
def test_an_entry_applies_if_all_its_conditions_hold(when, expected):
    assert applies(Entry(FloatDistribution(0, 1), when), compose([])) == expected


@pytest.mark.slow
def test_choices_that_are_lists_come_back_from_storage_as_lists(tmp_path):
    cfg = compose(["sweep.space.model.widths=[[32],[64,32]]"])
    storage = f"sqlite:///{tmp_path / 'optuna.db'}"
    made, _ = asked(cfg, {"model.widths": "[64,32]"}, storage=storage, study_name="s")
    (trial,) = optuna.load_study(study_name="s", storage=storage).trials
    again = set_values(cfg, trial.params)
    assert made.model.widths == again.model.widths == [64, 32]
    schema.check(again)


def test_setting_values_leaves_the_config_as_it_was():
    cfg = compose([])
    before = OmegaConf.to_yaml(cfg)
    assert set_values(cfg, {"regime.optimizer.lr": 0.5}).regime.optimizer.lr == 0.5
    assert OmegaConf.to_yaml(cfg) == before


def test_setting_a_group_leaves_the_config_as_it_was():
    cfg = compose([])
    before = OmegaConf.to_yaml(cfg)
    assert set_values(cfg, {"model": "linear"}).choices.model == "linear"
    assert OmegaConf.to_yaml(cfg) == before


def test_setting_a_group_twice_gives_two_configs():
    cfg = compose([])
    set_values(cfg, {"model": "linear"}).seed = 9
    assert set_values(cfg, {"model": "linear"}).seed == 0


def test_setting_a_group_keeps_the_command_lines_other_overrides(compose, output_dir):
    cfg = compose("regime.epochs=7", "sweep.num_trials=2", "seed=3", "model=mlp")
    made = set_values(cfg, {"model": "linear", "regime.l1": 0.1})
    assert (made.choices.model, made.regime.epochs, made.sweep.num_trials, made.seed) == ("linear", 7, 2, 3)
    assert (made.output_dir, made.regime.l1) == (str(output_dir), 0.1)


def test_setting_a_group_keeps_the_experiment(compose):
    made = set_values(compose(experiment="heart_disease_diagnosis"), {"model": "linear"})
    assert (made.experiment, made.best, made.choices.dataset) == ("heart_disease_diagnosis", False, "heart_disease")


def test_setting_a_group_keeps_an_experiments_best_values(compose):
    best = compose(experiment="heart_disease_diagnosis/best")
    made = set_values(best, {"regime/optimizer": "sgd"})
    assert (made.experiment, made.best) == ("heart_disease_diagnosis", True)
    assert made.regime.optimizer.lr == best.regime.optimizer.lr


def test_the_configs_own_values_are_given_within_their_ranges(compose):
    cfg = compose("regime.optimizer.lr=0.5", "regime.l1=0", "model.dropout=0.2", "regime.batch_size=7")
    own = own_values(cfg, read_space(cfg))
    assert own == {
        "regime.optimizer.lr": 1e-2,
        "regime.optimizer.weight_decay": 1e-2,
        "regime.l1": 1e-6,
        "model.dropout": 0.2,
    }


@pytest.mark.slow
def test_the_configs_own_choices_are_given():
    cfg = compose([*GROUPS, MOMENTUM, "regime/optimizer=sgd"])
    own = own_values(cfg, read_space(cfg))
    assert (own["model"], own["regime/optimizer"], own["regime.optimizer.momentum"]) == ("mlp", "sgd", 0.0)


@pytest.mark.slow
def test_own_choices_that_are_not_searched_are_left_out():
    cfg = compose(["model=linear", "sweep.space.model=[mlp,cnn1d]"])
    assert "model" not in own_values(cfg, read_space(cfg))


def test_an_own_list_is_given_as_its_choice_is_stored():
    cfg = compose(["sweep.space.model.widths=[[32],[64,32]]"])
    assert own_values(cfg, read_space(cfg))["model.widths"] == "[64,32]"


@given(value=st.floats(-10, 200), low=st.integers(0, 20), steps=st.integers(1, 9), step=st.integers(1, 7))
def test_an_own_number_is_given_as_the_nearest_that_the_range_has(value, low, steps, step):
    entry = Entry(IntDistribution(low, low + steps * step, step=step))
    (near,) = own_values(OmegaConf.create({"a": value, "choices": {}}), {"a": entry}).values()
    grid = range(low, low + steps * step + 1, step)
    assert near in grid
    assert abs(near - value) == min(abs(one - value) for one in grid)


@given(value=st.floats(-10, 10), steps=st.integers(1, 9), step=st.sampled_from([0.1, 0.25, 1 / 3]))
def test_an_own_number_is_given_on_the_steps_of_its_range(value, steps, step):
    with warnings.catch_warnings(action="ignore"):  # of ranges that no whole number of steps divides
        entry = Entry(FloatDistribution(0.1, 0.1 + steps * step, step=step))
    (near,) = own_values(OmegaConf.create({"a": value, "choices": {}}), {"a": entry}).values()
    assert entry.distribution._contains(near)


@pytest.mark.parametrize("value", [3, 2.5, True, None, "relu", "a,b", "{model"[1:]])
def test_a_plain_value_stays_itself(value):
    assert plain(value) is value


KEYS = st.from_regex("[a-z_][a-z0-9_]{0,5}", fullmatch=True)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("\\'\"ab1e-. ${}[],:=é")


@settings(deadline=None)
@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=6))
def test_any_value_is_itself_after_it_was_stored(value):
    assert parsed(as_override(value)) == value


@settings(deadline=None)
@given(st.lists(SCALARS) | st.dictionaries(KEYS, SCALARS))
def test_any_list_or_mapping_is_itself_after_it_was_a_choice(value):
    (stored,) = CategoricalDistribution([as_override(value)]).choices
    assert plain(stored) == value
