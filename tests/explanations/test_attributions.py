import pytest
import torch
from torch import nn

from medfit.explanations.attributions import MOST_VALUES, at_once, integrated_gradients, occlusion

X = torch.randn(1, 2, 60, generator=torch.Generator().manual_seed(0))


class Weighted(nn.Module):
    """Two weighted sums of a series."""

    def __init__(self):
        super().__init__()
        self.weight = torch.randn(2, 2, 60, generator=torch.Generator().manual_seed(1))

    def forward(self, x):
        return (x.nan_to_num()[:, None] * self.weight).flatten(2).sum(dim=2).double()


class Bent(Weighted):
    def forward(self, x):
        return super().forward(x).tanh()


class Planted(nn.Module):
    """Answers to samples 40 to 49 of the second channel."""

    def forward(self, x):
        return x[:, 1:, 40:50].square().mean(dim=2).double()


@pytest.mark.parametrize("target", [0, 1])
def test_integrated_gradients_of_a_sum_are_weight_times_difference(target):
    net, baseline = Weighted(), torch.full_like(X, 0.3)
    made, gap = integrated_gradients(net, X, baseline, target)
    assert torch.allclose(made.double(), (net.weight[target] * (X - baseline))[0].double(), atol=1e-6)
    assert abs(gap) < 1e-5


def test_integrated_gradients_add_up_to_the_change():
    net, baseline = Bent(), torch.zeros_like(X)
    made, gap = integrated_gradients(net, X / 10, baseline, 1)
    assert float(made.sum()) == pytest.approx(float(net(X / 10)[0, 1]), abs=1e-3)
    assert abs(gap) < 1e-3


def test_padding_is_attributed_nothing():
    x = X.clone()
    x[:, :, 50:] = torch.nan
    made, gap = integrated_gradients(Weighted(), x, torch.zeros_like(x), 0)
    assert (made[:, 50:] == 0).all() and made[:, :50].abs().min() > 0
    assert abs(gap) < 1e-5
    flat = torch.zeros_like(x).masked_fill(x.isnan(), torch.nan)
    assert (occlusion(Weighted(), x, flat, 0, (1, 5), (1, 5))[:, 50:] == 0).all()


def test_occlusion_finds_the_planted_window():
    x = X.clone()
    x[0, 1, 40:50] += 3
    made = occlusion(Planted(), x, torch.zeros_like(x), 0, (1, 4), (1, 2))
    assert (made[0] == 0).all()
    assert int(made[1].argmax()) in range(40, 50)
    assert made[1, :36].abs().max() == made[1, 54:].abs().max() == 0


def test_occlusion_of_disjoint_windows_is_the_fall_of_the_output():
    net, zeros = Weighted(), torch.zeros_like(X)
    made = occlusion(net, X, zeros, 1, (1, 6), (1, 6))
    hidden = X.clone()
    hidden[0, 0, 12:18] = 0
    assert float(made[0, 14]) == pytest.approx(float((net(X) - net(hidden))[0, 1]), abs=1e-5)


def test_large_inputs_are_computed_one_by_one():
    assert at_once(torch.zeros(1, 30)) == MOST_VALUES // 30
    assert at_once(torch.zeros(1, 1, 300, 300)) == 1
