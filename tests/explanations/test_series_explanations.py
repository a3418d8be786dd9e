from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from medfit.explanations.cases import Question
from medfit.explanations.series import Signal


class Window(nn.Module):
    """A task that answers to samples 60 to 69 of the second channel."""

    def __init__(self):
        super().__init__()
        self.model = nn.Identity()

    def predict(self, output):
        return output.nan_to_num()[:, 1:, 60:70].square().mean(dim=2)


def family(rate_hz=100.0, scaling="per_series", padded=False):
    x = torch.randn(20, 2, 120, generator=torch.Generator().manual_seed(0))
    x[:, 1, 60:70] += 2
    if padded:
        x[::2, :, 100:] = torch.nan
    dataset = SimpleNamespace(
        task="regression", target_names=["power"], channels=["I", "II"], sampling_rate_hz=rate_hz,
        units={"I": "mV", "II": "mV"}, y=np.zeros((20, 1)), groups=np.arange(20), name="waves",
    )  # fmt: skip
    data = SimpleNamespace(dataset=dataset, rows={"train": np.arange(10), "val": np.arange(10, 20)}, data=Data(x))
    parts = SimpleNamespace(task=Window(), datamodule=data)
    cfg = SimpleNamespace(preprocessing={"scaling": scaling, "resample_hz": None})
    return Signal(SimpleNamespace(cfg=cfg, parts=parts, store=SimpleNamespace(folder=None)), "val", None, 0)


class Data:
    evaluation_batch = 8

    def __init__(self, x):
        self.x = x

    def __getitem__(self, rows):
        return self.x[torch.as_tensor(rows)], None


@pytest.mark.parametrize("method", Signal.methods)
@pytest.mark.parametrize("padded", [False, True])
def test_the_planted_window_is_found(method, padded):
    signal = family(padded=padded)
    questions = signal.questions()
    table = signal.summary(method, questions, signal.attribute(method, signal.task, questions))[".csv"]
    best = table.loc[table.mean_size.idxmax()]
    assert (best.target, best.channel) == ("power", "II")
    assert 0.6 <= best.time_s < 0.7
    assert table[table.channel == "I"].mean_size.max() == 0
    assert signal.headline(method, questions, signal.attribute(method, signal.task, questions)).startswith("II at 0.6")


def test_time_is_in_samples_where_the_rate_is_not_known():
    signal = family(rate_hz=None)
    questions = signal.questions()
    table = signal.summary("occlusion", questions, signal.attribute("occlusion", signal.task, questions))[".csv"]
    assert table["sample"].max() == 119
    assert signal.told["occlusion"] == {"window_samples": 6}


def test_windows_are_told_in_seconds():
    assert family().told["occlusion"] == {"window_s": 0.06}


def test_a_case_is_drawn_with_units():
    signal = family(scaling="none")
    question = Question(12, 0)
    found = {method: signal.attribute(method, signal.task, [question])[0] for method in signal.methods}
    figure = signal.case(SimpleNamespace(question=question, title="why"), found)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert "II\n(mV)" in labels
    assert "effect on the prediction" in labels
    assert figure.axes[2].get_xlabel() == "time (s)"
