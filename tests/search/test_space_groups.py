import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from medfit.config.compose import compose
from medfit.errors import UserError
from medfit.search.space import groups_of, read_space, values_of, variants_of

IMAGES = ["experiment=", "dataset=pneumonia_mnist"]


def choices_of(cfg, group):
    return read_space(cfg)[group].distribution.choices


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    "line",
    [
        "sweep.space.model=[mlp,linear]",
        "+sweep.space.model=[mlp,linear]",
        "++sweep.space.model=[mlp,linear]",
        "sweep.space.model={choices: [mlp,linear]}",
        "sweep.space.model.choices=[mlp,linear]",
    ],
)
def test_models_are_searched_from_the_command_line_beside_their_own_ranges(line):
    space = read_space(compose([line]))
    assert space["model"].distribution == CategoricalDistribution(["mlp", "linear"])
    assert space["model.dropout"].distribution == FloatDistribution(0.0, 0.5)


def test_models_are_searched_from_a_file_beside_their_own_ranges(write_experiment):
    cfg = write_experiment("sweep: {space: {model: {choices: [mlp, linear], dropout: {high: 0.3}}}}")
    space = read_space(cfg)
    assert space["model"].distribution == CategoricalDistribution(["mlp", "linear"])
    assert space["model.dropout"].distribution == FloatDistribution(0.0, 0.3)


@pytest.mark.slow
def test_a_range_of_one_of_the_models_is_changed_on_the_command_line():
    cfg = compose(["sweep.space.model=[mlp,linear]", "sweep.space.model.dropout.high=0.3"])
    assert read_space(cfg)["model.dropout"].distribution == FloatDistribution(0.0, 0.3)


@pytest.mark.slow
def test_a_range_of_one_of_the_models_is_taken_out_on_the_command_line():
    space = read_space(compose(["sweep.space.model=[mlp,linear]", "~sweep.space.model.dropout"]))
    assert "model" in space and "model.dropout" not in space


@pytest.mark.slow
def test_the_ranges_of_a_model_that_is_not_the_first_are_in_the_space():
    space = read_space(compose(["model=linear", "sweep.space.model=[linear,mlp]"]))
    assert space["model.dropout"].distribution == FloatDistribution(0.0, 0.5)


@pytest.mark.parametrize(
    "text",
    ["sweep: {space: {model: [mlp, linear]}}", "sweep: {space: {regime: {optimizer: [adamw, sgd]}}}"],
    ids=["model", "optimizer"],
)
def test_a_plain_list_over_ranges_in_a_file_is_refused_with_what_to_write(write_experiment, text):
    with pytest.raises(UserError) as caught:
        write_experiment(text)
    assert str(caught.value) == (
        "In 'experiments/own/config': a list and keys can't be merged; in sweep.space write model: {choices: [...]}"
    )


@pytest.mark.slow
def test_a_plain_list_in_a_file_where_there_are_no_ranges_is_choices(write_experiment):
    cfg = write_experiment("sweep: {space: {regime: {scheduler: [cosine, constant]}}}")
    assert choices_of(cfg, "regime/scheduler") == ("cosine", "constant")


def test_optimizers_are_searched_beside_their_ranges():
    space = read_space(compose(["sweep.space.regime.optimizer=[adamw,sgd]"]))
    assert space["regime/optimizer"].distribution == CategoricalDistribution(["adamw", "sgd"])
    assert "regime.optimizer.lr" in space


def test_a_path_that_one_of_the_choices_has_is_searched_with_that_one_alone():
    cfg = compose(
        ["sweep.space.regime.optimizer=[adamw,sgd]", "sweep.space.regime.optimizer.momentum={low: 0.0, high: 0.9}"]
    )
    space = read_space(cfg)
    assert "regime.optimizer.momentum" in space
    with_it = [one for one in variants_of(cfg, space) if "regime.optimizer.momentum" in values_of(one)]
    assert [one.choices["regime/optimizer"] for one in with_it] == ["sgd"]


def test_a_path_that_none_of_the_choices_has_is_refused_with_the_nearest_of_all():
    with pytest.raises(UserError, match="has no 'regime.optimizer.momentun'; did you mean 'regime.optimizer.momentum'"):
        read_space(
            compose(["sweep.space.regime.optimizer=[adamw,sgd]", "sweep.space.regime.optimizer.momentun=[0.0,0.9]"])
        )


def test_preprocessings_are_searched():
    cfg = compose([*IMAGES, "sweep.space.preprocessing=[image,square]"])
    assert choices_of(cfg, "preprocessing") == ("image", "square")


@pytest.mark.slow
def test_augmentations_are_searched():
    cfg = compose([*IMAGES, "sweep.space.preprocessing.augmentation=[none,light,strong]"])
    assert choices_of(cfg, "preprocessing/augmentation") == ("none", "light", "strong")


def test_a_group_comes_behind_the_one_that_it_is_in():
    space = {"preprocessing/augmentation": 1, "model": 2, "model.dropout": 3, "preprocessing": 4}
    assert list(groups_of(space)) == ["model", "preprocessing", "preprocessing/augmentation"]


@pytest.mark.slow
def test_a_group_that_only_another_choice_has_is_searched_with_that_one():
    searched = ["sweep.space.preprocessing=[series,image]", "sweep.space.preprocessing.augmentation=[none,light]"]
    cfg = compose([*IMAGES, "preprocessing=series", *searched])
    chosen = [
        (one.choices.preprocessing, one.choices.get("preprocessing/augmentation"))
        for one in variants_of(cfg, read_space(cfg))
    ]
    assert chosen == [("series", None), ("image", "none"), ("image", "light")]


def test_an_augmentation_where_there_is_none_is_refused():
    with pytest.raises(UserError, match="sweep.space.preprocessing.augmentation: .* there is nothing to choose here"):
        read_space(compose(["sweep.space.preprocessing.augmentation=[none,light]"]))


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dataset=[breast_cancer,heart_disease]", "scores with different choices of dataset don't compare"),
        ("task=[binary,multiclass]", "scores with different choices of task don't compare"),
        ("sweep=[default,smoke]", "scores with different choices of sweep don't compare"),
        ("sweep.sampler=[tpe,random]", "scores with different choices of sweep/sampler don't compare"),
        ("model=[mlp,liner]", "sweep.space.model: there is no model=liner; did you mean 'linear'?"),
        ("regime.optimizer=[adamv]", "sweep.space.regime.optimizer: there is no regime/optimizer=adamv; did you mean"),
        ("model=[]", "sweep.space.model: The `choices` must contain one or more elements"),
        ("model={choices: mlp}", "sweep.space.model: choices take a list, not 'mlp'"),
    ],
)
def test_wrong_choices_of_a_group_are_refused(line, words):
    with pytest.raises(UserError) as caught:
        read_space(compose([f"sweep.space.{line}"]))
    assert words in str(caught.value)


def test_a_model_with_a_task_of_its_own_is_refused():
    with pytest.raises(UserError, match="sweep.space.model: gan has a task of its own, adversarial"):
        read_space(compose([*IMAGES, "sweep.space.model=[resnet,gan]"]))


@pytest.mark.slow
def test_a_value_that_another_choice_has_no_room_for_is_told_with_that_choice():
    with pytest.raises(UserError, match="sweep.space.model: with model=linear: unknown key 'model.widths'"):
        read_space(compose(["model.widths=[8]", "sweep.space.model=[mlp,linear]"]))


@pytest.mark.slow
def test_choices_on_which_the_searched_groups_disagree_are_refused_with_what_to_give():
    with pytest.raises(UserError) as caught:
        read_space(compose([*IMAGES, "model=mlp", "sweep.space.model=[mlp,resnet]"]))
    assert str(caught.value) == (
        "sweep.space.regime.batch_size: the searched groups disagree on it, [16,32,64,128] and [8,16,32]; "
        "give sweep.space.regime.batch_size=[16,32,64,128] or another for all"
    )


@pytest.mark.slow
def test_choices_given_for_all_searched_groups_settle_it():
    cfg = compose([*IMAGES, "model=mlp", "sweep.space.model=[mlp,resnet]", "sweep.space.regime.batch_size=[16,32]"])
    assert choices_of(cfg, "regime.batch_size") == (16, 32)
