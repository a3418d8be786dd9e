import lightning as L
import numpy as np
import pytest
import torch

from medfit.data.preprocessing.arrays import Arrays
from medfit.deployment.finished_model import FinishedModel
from medfit.errors import UserError
from medfit.evidence.decisions import Decisions
from medfit.training.parts import make_task
from medfit.validation import predictions


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            "^validate: the samples and the network",
        ),
        (RuntimeError("the sizes differ"), "^the sizes differ$"),
    ],
)
def test_samples_that_do_not_fit_are_told_in_a_line(compose, monkeypatch, error, told):
    def fails(*_):
        raise error

    cfg = compose("task=binary", "model=linear")
    model = FinishedModel(cfg, make_task(cfg, (7,), ["yes"]), None, Decisions(), {})  # type: ignore[arg-type]
    prepared = predictions.Prepared(Arrays(torch.randn(5, 7), torch.zeros(5, 1), lambda x: x), np.arange(5))
    monkeypatch.setattr(predictions.Samples, "__init__", lambda self: None)
    monkeypatch.setattr(predictions.Samples, "of", lambda self, single: prepared)
    samples = predictions.Samples()
    assert len(predictions.outputs(model, samples)[0]) == 5
    monkeypatch.setattr(L.Trainer, "predict", fails)
    with pytest.raises(UserError if "memory" in str(error) else RuntimeError, match=told) as caught:
        predictions.outputs(model, samples)
    assert "\n" not in str(caught.value)
