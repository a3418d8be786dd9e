import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from medfit.config.compose import compose
from medfit.errors import UserError
from medfit.search.space import read_space, values_of


def test_the_default_space_covers_rate_batch_and_regularisation():
    space = read_space(compose([]))
    assert {path: entry.distribution for path, entry in space.items()} == {
        "regime.optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
        "regime.optimizer.weight_decay": FloatDistribution(1e-5, 1.0, log=True),
        "regime.l1": FloatDistribution(1e-6, 1e-2, log=True),
        "regime.batch_size": CategoricalDistribution([16, 32, 64, 128]),
        "model.dropout": FloatDistribution(0.0, 0.5),
    }


def test_a_model_without_a_space_of_its_own_is_swept_over_the_rest():
    assert "model.dropout" not in read_space(compose(["model=linear"]))


def test_an_end_is_changed_on_the_command_line():
    cfg = compose(["sweep.space.regime.optimizer.lr.high=0.5"])
    assert read_space(cfg)["regime.optimizer.lr"].distribution.high == 0.5


def test_two_integers_make_an_integer_range():
    cfg = compose(["+sweep.space.regime.epochs={low: 5, high: 20}"])
    assert read_space(cfg)["regime.epochs"].distribution == IntDistribution(5, 20)


def test_a_key_is_taken_out_on_the_command_line():
    assert "regime.l1" not in read_space(compose(["~sweep.space.regime.l1"]))


def test_a_whole_part_is_taken_out_on_the_command_line():
    space = read_space(compose(["~sweep.space.regime.optimizer"]))
    assert set(space) == {"regime.l1", "regime.batch_size", "model.dropout"}


def test_a_list_on_the_command_line_replaces_a_range():
    cfg = compose(["sweep.space.regime.optimizer.lr=[1e-3,1e-2]"])
    assert read_space(cfg)["regime.optimizer.lr"].distribution == CategoricalDistribution([1e-3, 1e-2])


def test_a_list_on_the_command_line_adds_a_path():
    cfg = compose(["sweep.space.model.activation=[relu,gelu]"])
    assert read_space(cfg)["model.activation"].distribution == CategoricalDistribution(["relu", "gelu"])


def test_a_range_replaces_choices_that_are_taken_out():
    cfg = compose(["~sweep.space.regime.batch_size.choices", "sweep.space.regime.batch_size={low: 8, high: 64}"])
    assert read_space(cfg)["regime.batch_size"].distribution == IntDistribution(8, 64)


def test_a_range_has_steps():
    cfg = compose(["sweep.space.regime.epochs={low: 5, high: 20, step: 5}"])
    assert read_space(cfg)["regime.epochs"].distribution == IntDistribution(5, 20, step=5)


def test_a_range_whose_steps_do_not_reach_its_end_ends_at_the_last_step():
    cfg = compose(["sweep.space.regime.epochs={low: 5, high: 22, step: 5}"])
    assert read_space(cfg)["regime.epochs"].distribution == IntDistribution(5, 20, step=5)


def test_a_null_takes_a_range_out_of_an_experiment(write_experiment):
    cfg = write_experiment("sweep: {space: {regime: {l1: null, optimizer: null}}}")
    assert set(read_space(cfg)) == {"regime.batch_size", "model.dropout"}


def test_choices_that_are_lists_are_stored_as_overrides():
    cfg = compose(["sweep.space.model.widths={choices: [[32],[64,32]]}"])
    assert read_space(cfg)["model.widths"].distribution == CategoricalDistribution(["[32]", "[64,32]"])


@pytest.mark.mostly_slow(fast=4)
@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["+sweep.space.model.widhts.choices=[1]"], "the config has no 'model.widhts'; did you mean 'model.widths'?"),
        (["sweep.space.model.widhts=[1]"], "the config has no 'model.widhts'; did you mean 'model.widths'?"),
        (["sweep.space.model.dropot.high=0.3"], "the config has no 'model.dropot'; did you mean 'model.dropout'?"),
        (["~sweep.space.model.dropot"], "the config has no 'model.dropot'; did you mean 'model.dropout'?"),
        (["~sweep.space.regime.optimzer"], "the config has no 'regime.optimzer'; did you mean 'regime.optimizer'?"),
        (
            ["sweep.space.regime.optimizer.momentum={low: 0.0, high: 0.9}"],
            "the config has no 'regime.optimizer.momentum'",
        ),
        (
            ["sweep.space.model.dropout.high=1.5"],
            "sweep.space.model.dropout: model.dropout: input should be less than 1",
        ),
        (["sweep.space.model.dropout.low=0.9"], "sweep.space.model.dropout: low must be below high"),
        (["sweep.space.model.dropout.low=x"], "low and high must be numbers"),
        (["sweep.space.model.dropout.low=true"], "low and high must be numbers"),
        (["+sweep.space.model.dropout.stpe=0.1"], "unknown key 'sweep.space.model.dropout.stpe'; did you mean 'step'?"),
        (["~sweep.space.model.dropout.high"], "sweep.space.model.dropout: needs both low and high"),
        (["sweep.space.regime.batch_size.choices=3"], "choices take a list"),
        (["sweep.space.regime.batch_size.choices=[]"], "sweep.space.regime.batch_size"),
        (["sweep.space.regime.batch_size.choices=[16,-1]"], "regime.batch_size: input should be greater"),
        (["sweep.space.regime.batch_size={low: 8, high: 64}"], "choices take a list and nothing beside it but when"),
        (["sweep.space.regime.optimizer.lr.low=0"], "sweep.space.regime.optimizer.lr"),
        (["sweep.space.model=3"], "expected {low, high} or {choices}, not 3"),
        (["sweep.space.model=mlp"], "expected {low, high} or {choices}, not 'mlp'"),
        (["~sweep.space.model", "~sweep.space.regime"], "sweep.space: is empty"),
        (["sweep.space.task.monitor=[val/auroc]"], "scores with different values of task.monitor don't compare"),
        (["sweep.space.split.val={low: 0.1, high: 0.3}"], "scores with different values of split.val don't compare"),
        (["sweep.space.output_dir=[a,b]"], "the config has no 'output_dir'"),
        (["sweep.space.sweep.num_trials={low: 1, high: 3}"], "the config has no 'sweep.num_trials'"),
    ],
)
def test_a_wrong_space_is_refused_before_any_trial(overrides, words):
    with pytest.raises(UserError) as caught:
        read_space(compose(overrides))
    assert words in str(caught.value)


def test_how_rows_are_sampled_can_be_searched():
    space = read_space(compose(["sweep.space.split.sampling=[none,over]"]))
    assert space["split.sampling"].distribution == CategoricalDistribution(["none", "over"])


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{model.activation: gelu}", {"model.activation": ("gelu",)}),
        ("{model.activation: [gelu,relu]}", {"model.activation": ("gelu", "relu")}),
        ("{model: mlp}", {"model": ("mlp",)}),
        ("{regime/optimizer: [sgd]}", {"regime/optimizer": ("sgd",)}),
        ("{regime.l1: 0, model: mlp}", {"regime.l1": (0,), "model": ("mlp",)}),
        ("{model.widths: [[8,4]]}", {"model.widths": ([8, 4],)}),
    ],
    ids=["a value", "several values", "a group", "a group in a group", "two conditions", "a value that is a list"],
)
def test_a_range_has_conditions(condition, expected):
    cfg = compose([f"sweep.space.model.dropout.when={condition}"])
    assert read_space(cfg)["model.dropout"].when == expected


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("mlp", "sweep.space.model.dropout.when: expected {path: value} or {path: [values]}, not 'mlp'"),
        ("[mlp]", "sweep.space.model.dropout.when: expected {path: value} or {path: [values]}, not ['mlp']"),
        ("{modl: mlp}", "sweep.space.model.dropout.when: the config has no 'modl'; did you mean 'model'?"),
        ("{model: mpl}", "sweep.space.model.dropout.when: there is no model=mpl; did you mean 'mlp'?"),
        ("{model.dropout: 0.1}", "sweep.space: each of these waits for another: model.dropout"),
    ],
)
def test_a_wrong_condition_is_refused(condition, words):
    with pytest.raises(UserError) as caught:
        read_space(compose([f"sweep.space.model.dropout.when={condition}"]))
    assert words in str(caught.value)


def test_a_path_comes_behind_those_that_it_depends_on():
    lines = ["sweep.space.regime.l1.when={model.activation: gelu}", "sweep.space.model.activation=[relu,gelu]"]
    paths = list(values_of(compose(lines)))
    assert paths.index("model.activation") < paths.index("regime.l1")


def test_ranges_that_wait_for_each_other_are_refused():
    lines = ["sweep.space.regime.l1.when={regime.batch_size: 16}", "sweep.space.regime.batch_size.when={regime.l1: 0}"]
    with pytest.raises(UserError, match="each of these waits for another: regime"):
        read_space(compose(lines))
