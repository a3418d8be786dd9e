import pytest
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from medfit import config
from medfit.errors import UserError
from medfit.study.space import read_space
from medfit.study.values import own_values, set_values


def test_the_default_space_covers_rate_batch_and_regularisation():
    space = read_space(config.compose([]))
    assert {path: entry.distribution for path, entry in space.items()} == {
        "regime.optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
        "regime.optimizer.weight_decay": FloatDistribution(1e-5, 1.0, log=True),
        "regime.l1": FloatDistribution(1e-6, 1e-2, log=True),
        "regime.batch_size": CategoricalDistribution([16, 32, 64, 128]),
        "model.dropout": FloatDistribution(0.0, 0.5),
    }


def test_a_model_without_a_space_of_its_own_is_swept_over_the_rest():
    assert "model.dropout" not in read_space(config.compose(["model=linear"]))


def test_an_end_is_changed_on_the_command_line():
    cfg = config.compose(["sweep.space.regime.optimizer.lr.high=0.5"])
    assert read_space(cfg)["regime.optimizer.lr"].distribution.high == 0.5


def test_two_integers_make_an_integer_range():
    cfg = config.compose(["+sweep.space.regime.epochs={low: 5, high: 20}"])
    assert read_space(cfg)["regime.epochs"].distribution == IntDistribution(5, 20)


def test_a_key_is_taken_out_on_the_command_line():
    assert "regime.l1" not in read_space(config.compose(["~sweep.space.regime.l1"]))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["+sweep.space.model.widhts.choices=[1]"], "the config has no 'model.widhts'; did you mean 'model.widths'?"),
        (
            ["sweep.space.model.dropout.high=1.5"],
            "sweep.space.model.dropout: model.dropout: input should be less than 1",
        ),
        (["sweep.space.model.dropout.low=0.9"], "sweep.space.model.dropout: low must be below high"),
        (["sweep.space.model.dropout.low=x"], "low and high must be numbers"),
        (["+sweep.space.model.dropout.stpe=0.1"], "unknown key 'sweep.space.model.dropout.stpe'; did you mean 'step'?"),
        (["~sweep.space.model.dropout.high"], "sweep.space.model.dropout: needs both low and high"),
        (["sweep.space.regime.batch_size.choices=3"], "choices take a list"),
        (["sweep.space.regime.batch_size.choices=[]"], "sweep.space.regime.batch_size"),
        (["sweep.space.regime.batch_size.choices=[16,-1]"], "regime.batch_size: input should be greater"),
        (["sweep.space.regime.optimizer.lr.low=0"], "sweep.space.regime.optimizer.lr"),
        (["sweep.space.model=3"], "expected {low, high} or {choices}, not 3"),
        (["~sweep.space.model", "~sweep.space.regime"], "sweep.space: is empty"),
    ],
)
def test_a_wrong_space_is_refused_before_any_trial(overrides, words):
    with pytest.raises(UserError) as caught:
        read_space(config.compose(overrides))
    assert words in str(caught.value)


def test_setting_values_leaves_the_config_as_it_was():
    cfg = config.compose([])
    before = OmegaConf.to_yaml(cfg)
    assert set_values(cfg, {"regime.optimizer.lr": 0.5}).regime.optimizer.lr == 0.5
    assert OmegaConf.to_yaml(cfg) == before


def test_the_configs_own_values_are_given_within_their_ranges(compose):
    cfg = compose("regime.optimizer.lr=0.5", "regime.l1=0", "model.dropout=0.2", "regime.batch_size=7")
    own = own_values(cfg, read_space(cfg))
    assert own == {
        "regime.optimizer.lr": 1e-2,
        "regime.optimizer.weight_decay": 1e-2,
        "regime.l1": 1e-6,
        "model.dropout": 0.2,
    }
