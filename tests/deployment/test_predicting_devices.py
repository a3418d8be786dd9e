"""Predicting on a GPU, and where memory is short; what needs a GPU is skipped without one."""

from types import SimpleNamespace

import pytest
import torch

from image_packages import MASKS, package
from medfit.deployment.finished_model import FinishedModel
from medfit.errors import UserError
from medfit.evidence.decisions import Decisions
from medfit.training.parts import make_task
from small_data import write_masks

NETWORKS = {
    "table": ((7,), "regression", "model=mlp", "model.widths=[8]"),
    "codes": ((7,), "multiclass_codes", "model=mlp"),
    "series": ((2, 24), "binary", "model=cnn1d", "model.widths=[6]", "model.kernel_sizes=[3]"),
    "inception": ((2, 24), "multiclass", "model=inception_time", "model.num_networks=2", "model.depth=3", "model.width=4"),
    "images": ((3, 16, 16), "binary", "model=resnet", "model.depth=10", "model.width=2"),
}  # fmt: skip
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture
def model(compose):
    """A finished model with random weights."""

    def made(name="table"):
        shape, task, *overrides = NETWORKS[name]
        names = ["yes"] if task in ("binary", "regression") else ["a", "b", "c"]
        torch.manual_seed(0)
        task_of = make_task(compose(f"task={task}", *overrides), shape, names).eval().requires_grad_(False)
        about = {"input_shape": shape, "target_names": names, "task": task.removesuffix("_codes")}
        return FinishedModel(compose(), task_of, SimpleNamespace(), Decisions(), about)

    return made


@pytest.fixture
def short(monkeypatch):
    """Lets a device take so many samples at once, and fail as torch does of more; returns how many were tried."""

    def of(most):
        output, tried = FinishedModel._output, []

        def limited(self, x, some):
            tried.append(len(x[some]))
            if tried[-1] > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return output(self, x, some)

        monkeypatch.setattr(FinishedModel, "_output", limited)
        monkeypatch.setattr(FinishedModel, "at_once", property(lambda self: 16))
        return tried

    return of


def test_batches_are_halved_until_they_fit(model, short):
    own, x = model(), torch.randn(21, 7)
    whole = own.outputs(x)
    tried = short(5)
    torch.testing.assert_close(own.outputs(x), whole)
    assert tried == [16, 8, 4, 4, 4, 4, 4, 1]


def test_a_few_samples_that_do_not_fit_are_halved_too(model, short):
    own, x = model(), torch.randn(3, 7)
    whole = own.outputs(x)
    tried = short(1)
    torch.testing.assert_close(own.outputs(x), whole)
    assert tried == [3, 1, 1, 1]


def test_a_sample_that_does_not_fit_alone_is_told_in_a_line(model, short, monkeypatch):
    own, tried = model(), short(0)
    with pytest.raises(
        UserError, match="^predict: one sample and the network do not fit in the memory of cpu together$"
    ):
        own.outputs(torch.randn(3, 7))
    assert tried == [3, 1]


def test_other_errors_are_no_want_of_memory(model, monkeypatch):
    own = model()

    def broken(self, x, some):
        raise RuntimeError("the sizes differ")

    monkeypatch.setattr(FinishedModel, "_output", broken)
    with pytest.raises(RuntimeError, match="the sizes differ"):
        own.outputs(torch.randn(3, 7))


@pytest.mark.parametrize("name", ["table", "codes", "images"])  # networks of series ask whether any value is missing
def test_nothing_that_predicting_takes_stays_on_the_cpu(model, name):
    own = model(name)
    own.task.to("meta")  # where an operation with a tensor of the CPU fails
    made = own.task(own.placed(torch.randn(2, *NETWORKS[name][0])))
    assert made.device.type == "meta" and len(made) == 2


@needs_gpu
@pytest.mark.parametrize("name", NETWORKS)
def test_a_gpu_gives_the_cpus_numbers(model, name):
    own, x = model(name), torch.randn(40, *NETWORKS[name][0])
    if len(NETWORKS[name][0]) == 2:
        x[3, :, 20:] = torch.nan  # padding
    expected = own.outputs(x)
    found = own.on("auto").outputs(x)
    assert own.task.device.type == "cuda" and found.device.type == "cpu" and found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(own.on("cpu").outputs(x), expected)


@needs_gpu
def test_a_gpu_gives_the_cpus_masks(compose, tmp_path):
    own, _, away = package(compose, tmp_path, tmp_path / "own" / "images", *write_masks(tmp_path / "own", 16), *MASKS)
    expected = own.predict(away)
    found = own.on("auto").predict(away)
    assert own.task.device.type == "cuda"
    assert found["pixels/liver"].to_numpy() == pytest.approx(expected["pixels/liver"].to_numpy(), abs=2)


@needs_gpu
def test_a_gpu_that_is_too_small_is_told_in_a_line(model):
    own = model("images").on("auto")
    torch.cuda.set_per_process_memory_fraction(1e-6)
    torch.cuda.empty_cache()
    try:
        with pytest.raises(UserError, match=r"^predict: one sample and .* predict.device=cpu"):
            own.outputs(torch.randn(2, 3, 4096, 4096))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
