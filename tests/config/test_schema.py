import pytest
from omegaconf import OmegaConf

from medfit.config import schema
from medfit.config.compose import _compose, compose
from medfit.errors import UserError


def test_the_defaults_pass():
    schema.check(compose([]))


@pytest.mark.mostly_slow(fast=4)
@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.dropout=1.5", "model.dropout: input should be less than 1, not 1.5"),
        ("model.widths=[8,0]", "model.widths: input should be greater than or equal to 1"),
        ("model.widths=8", "model.widths: input should be a valid list, not 8"),
        ("model.activation=rleu", "model.activation: input should be 'relu'"),
        ("regime.epochs=abc", "regime.epochs: input should be a valid integer"),
        ("regime.epochs=0", "regime.epochs: input should be greater than or equal to 1, not 0"),
        ("regime.batch_size=-1", "regime.batch_size: input should be greater than or equal to 1, not -1"),
        ("regime.optimizer.lr=high", "regime.optimizer.lr: input should be a valid number"),
        ("regime.l1=-1", "regime.l1: input should be greater than or equal to 0, not -1"),
        ("regime.precision=8", "regime.precision: input should be '32-true'"),
        ("split.val=1.5", "split.val: input should be less than 1, not 1.5"),
        ("split.seed=-1", "split.seed: input should be greater than or equal to 0, not -1"),
        ("preprocessing.missing=men", "preprocessing.missing: input should be 'drop', 'mean'"),
        ("preprocessing.pca=-1", "preprocessing.pca"),
        ("seed=abc", "seed: input should be a valid integer"),
        ("tracking.plots=perhaps", "tracking.plots: input should be a valid boolean"),
        ("sweep.num_trials=0", "sweep.num_trials: input should be greater than or equal to 1, not 0"),
        ("evaluate.num_folds=1", "evaluate.num_folds: input should be greater than or equal to 2, not 1"),
        ("task.class_weight=some", "task.class_weight: input should be 'balanced'"),
    ],
)
def test_a_wrong_type_or_range_names_the_path_what_was_expected_and_what_came(override, words):
    with pytest.raises(UserError) as caught:
        compose([override])
    assert words in str(caught.value)


def test_a_missing_value_is_asked_for():
    with pytest.raises(UserError, match="dataset.path is needed: give dataset.path="):
        schema.check_node(_compose(["dataset=series_table", "dataset.target=x"]).dataset, "dataset")


def test_an_argument_without_default_is_asked_for():
    node = OmegaConf.create({"_target_": "medfit.data.datasets.heart_rate.HeartRate"})
    with pytest.raises(UserError, match="dataset.targets is needed"):
        schema.check_node(node, "dataset")


def test_a_target_that_does_not_exist_is_named():
    node = OmegaConf.create({"_target_": "medfit.models.mlp.MLQ"})
    with pytest.raises(UserError, match="cannot find 'medfit.models.mlp.MLQ'"):
        schema.check_node(node, "model")


def test_nodes_in_lists_are_checked():
    node = OmegaConf.create([{"_target_": "torch.nn.Linear", "in_fetures": 3}])
    with pytest.raises(UserError, match=r"unknown key 'x\[0\].in_fetures'; did you mean 'x\[0\].in_features'"):
        schema.check_node(node, "x")
