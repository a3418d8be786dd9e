import pytest
import torch
from torch import nn

from medfit.errors import UserError
from medfit.models.cnn1d import CNN1d
from medfit.models.resnet1d import ResNet1d
from medfit.tasks.layers import HELD, freeze, hold_statistics, trained


def cnn():
    return CNN1d((1, 30), 3, [6, 5], [5, 3])


def test_patterns_of_a_shell_choose_parameters_by_name():
    network = cnn()
    count = freeze(network, ["blocks.0.*", "*.bias"])
    assert set(trained(network)) == {"blocks.1.0.1.weight", "blocks.1.1.weight", "head.1.weight"}
    assert count == 6 * 5 + 6 + 6 + 5 + 3


def test_normalisation_is_held_where_all_of_it_is_frozen():
    network = cnn()
    freeze(network, ["blocks.0.*", "blocks.1.1.weight"])
    assert [name for name, one in network.named_modules() if getattr(one, HELD, False)] == ["blocks.0.1"]
    network.train()
    hold_statistics(network)
    assert not network.blocks[0][1].training and network.blocks[1][1].training


def test_normalisation_without_parameters_is_held_with_the_block_that_it_is_in():
    network = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, affine=False)), nn.Linear(3, 1))
    freeze(network, ["0.*"])
    network.train()
    hold_statistics(network)
    assert not network[0][1].training
    before = network[0][1].running_mean.clone()
    network(torch.randn(8, 3) + 5)
    assert torch.equal(network[0][1].running_mean, before)


@pytest.mark.parametrize("pattern", ["blocks.0", "block*.weights", "HEAD.*", ""])
def test_a_pattern_that_matches_nothing_is_refused_with_what_there_is(pattern):
    told = f"'{pattern}' matches no parameter; there are blocks.0.*, blocks.1.*, head.1.*".replace("*", r"\*")
    with pytest.raises(UserError, match=f"^model.freeze: {told}$"):
        freeze(cnn(), ["blocks.0.*", pattern])


def test_of_many_layers_a_few_are_named():
    with pytest.raises(UserError, match=r"blocks.7.\* and 3 more$"):
        freeze(ResNet1d((1, 30), 2, [4] * 10, [3]), ["none"])


def test_all_frozen_is_refused():
    with pytest.raises(UserError, match="^model.freeze: it matches all parameters"):
        freeze(cnn(), ["*"])
