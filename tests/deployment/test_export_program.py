"""Each network that medfit ships, in each format, on each kind of data that it takes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from medfit.deployment import export_samples
from medfit.deployment.export import difference
from medfit.deployment.export_files import FORMATS
from medfit.deployment.export_program import EXAMPLES, of_generator, of_model, traced
from medfit.deployment.finished_model import FinishedModel
from medfit.errors import UserError
from medfit.evidence.decisions import Decisions
from medfit.training.parts import make_task

SERIES, FLAT, VOLUME = (2, 24), (3, 16, 16), (1, 16, 16, 16)
SMALL_CNN = ("model=cnn1d", "model.widths=[6,5]", "model.kernel_sizes=[4,3]")
SMALL_RESNET = ("model=resnet", "model.depth=10", "model.width=4")
SMALL_UNET = "model.widths=[4,6,8]"
NETWORKS = {
    "linear": ((7,), "binary", "model=linear"),
    "mlp": ((7,), "regression", "model=mlp", "model.widths=[8,8]"),
    "mlp_batch": ((7,), "multiclass", "model=mlp", "model.normalisation=batch", "model.activation=gelu"),
    "mlp_layer": ((7,), "multilabel", "model=mlp", "model.normalisation=layer", "model.activation=silu"),
    "mlp_codes": ((7,), "multiclass_codes", "model=mlp", "model.activation=elu"),
    "cnn1d": (SERIES, "multiclass", *SMALL_CNN),
    "resnet1d": (SERIES, "binary", "model=resnet1d", "model.widths=[6,6]", "model.kernel_sizes=[4,3]"),
    "inception_time": (SERIES, "regression", "model=inception_time", "model.num_networks=2", "model.depth=4", "model.width=4", "model.bottleneck=3", "model.kernel_sizes=[5,4]"),
    "resnet_flat": (FLAT, "multiclass", *SMALL_RESNET),
    "resnet_volume": (VOLUME, "binary", *SMALL_RESNET),
    "resnet_large": ((1, 72, 72), "binary", "model=resnet", "model.depth=50", "model.width=4"),
    "unet_flat": (FLAT, "segmentation", "model=unet", SMALL_UNET, "model.num_residual_units=0"),
    "unet_volume": (VOLUME, "segmentation", "model=unet", SMALL_UNET, "model.normalisation=batch"),
    "attention_unet_flat": (FLAT, "segmentation", "model=attention_unet", SMALL_UNET),
    "attention_unet_volume": (VOLUME, "segmentation", "model=attention_unet", SMALL_UNET),
    "dyn_unet_flat": (FLAT, "segmentation", "model=dyn_unet", SMALL_UNET),
    "dyn_unet_volume": (VOLUME, "segmentation", "model=dyn_unet", SMALL_UNET, "model.residual=true"),
}  # fmt: skip
SLOW = (
    "resnet_large",
    "resnet_volume",
    "attention_unet_flat",
    "unet_volume",
    "attention_unet_volume",
    "dyn_unet_volume",
)
CASES = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in NETWORKS]
ORIGINS = (b"/site-packages", b"\\site-packages", b".py", str(torch.__file__).encode()[:12], b"medfit.models")


@pytest.fixture
def network(compose):
    """A finished model with random weights, whose running means are not those it began with."""

    def made(shape, task, *overrides):
        torch.manual_seed(0)
        names = ["yes"] if task == "binary" else ["a", "b", "c"]
        task_of = make_task(compose(f"task={task}", *overrides), shape, names)
        for _ in range(3):
            task_of.train()(0.5 + 2 * torch.randn(4, *shape))
        word = "multiclass" if task == "multiclass_codes" else task
        about = {"input_shape": shape, "target_names": names, "task": word}
        frozen = task_of.eval().requires_grad_(False)
        return FinishedModel(compose(), frozen, SimpleNamespace(pad=len(shape) == 2), Decisions(), about)

    return made


def single(**attributes):
    """A model of one training."""
    model = SimpleNamespace(**attributes)
    model.singles = [model]
    return model


@pytest.fixture
def opened(tmp_path):
    """Writes a file and opens it again."""

    def made(exportable, form):
        if form == "onnx":
            pytest.importorskip("onnxruntime")
            pytest.importorskip("onnxscript")
        path = tmp_path / "file"
        path.write_bytes(FORMATS[form].write(exportable, {}))
        assert not [origin for origin in ORIGINS if origin in path.read_bytes()]
        return FORMATS[form].open(path)

    return made


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", CASES)
def test_each_network_gives_what_medfit_gives_in_batches_of_any_size(network, opened, name, form):
    model = network(*NETWORKS[name])
    exportable = of_model(model)
    run = opened(exportable, form)
    for count in (1, 3, 17):
        x = torch.randn(count, *NETWORKS[name][0])
        inputs, expected = export_samples.of_prepared(model, exportable, x)
        assert difference(run(inputs), expected) < 1e-5
        if x.ndim == 3:  # series of several lengths
            for number, series in enumerate(x):
                series[:, 24 - number % 20 :] = torch.nan
            assert x.isnan().any() == (count > 1)
            inputs, expected = export_samples.of_prepared(model, exportable, x)
            assert not expected.isnan().any() and difference(run(inputs), expected) < 1e-5


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("conditional", [False, True])
def test_a_generator_gives_its_averages_images(compose, opened, conditional, form):
    overrides = ("model.width=4", "model.latent_size=5", f"model.conditional={conditional}")
    task = make_task(compose("dataset=pneumonia_mnist", "model=gan", *overrides), (1, 28, 28), ["yes"])
    for weight in task.average.module.parameters():
        weight.mul_(8)
    exportable = of_generator(task.eval())
    run = opened(exportable, form)
    ((inputs, expected),) = export_samples.of_noise(task, exportable)
    assert expected.shape == (16, 1, 28, 28) and len(inputs) == 1 + conditional
    assert expected.std(dim=0).max() > 0.01 and difference(run(inputs), expected) < 1e-5
    first = {name: x[:1] for name, x in inputs.items()}
    assert difference(run(first), expected[:1]) < 1e-5


@pytest.mark.parametrize("form", FORMATS)
def test_several_inputs_keep_their_names(opened, form):
    class Both(torch.nn.Module):
        def forward(self, x):
            return x["record"] + x["image"].mean(dim=(1, 2, 3), keepdim=False)[:, None]

    about = {"input_shape": {"image": (1, 4, 4), "record": (3,)}, "task": "regression"}
    model = single(task=Both(), fitted=None, about=about)
    exportable = of_model(model)
    x = {"image": torch.randn(5, 1, 4, 4), "record": torch.randn(5, 3)}
    inputs, expected = export_samples.of_prepared(model, exportable, x)
    assert list(exportable.inputs) == ["image", "record"] and expected.shape == (5, 3)
    assert difference(opened(exportable, form)(inputs), expected) < 1e-6


def test_a_network_that_asks_its_samples_is_refused():
    class Asks(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    model = single(task=Asks(), fitted=None, about={"input_shape": (2,), "task": "regression"})
    with pytest.raises(UserError, match=r"^export: the network can't be put in one file: "):
        traced(of_model(model))


def test_made_up_series_have_several_lengths(network):
    model = network(*NETWORKS["cnn1d"])
    exportable = of_model(model)
    ((inputs, expected),) = export_samples.made_up(model, exportable)
    lengths = (~inputs["x"][:, 0].isnan()).sum(dim=1).tolist()
    assert lengths[0] == 24 and len(set(lengths)) > 1 and not expected.isnan().any()
    assert len(next(iter(exportable.inputs.values()))) == EXAMPLES


@pytest.mark.parametrize(
    ("made", "expected", "scale", "apart"),
    [
        ([1.0, np.nan], [1.0, np.nan], None, 0.0),
        ([1.0, 2.0], [1.0, np.nan], None, np.inf),
        ([1.0, np.nan], [1.0, 2.0], None, np.inf),
        ([1.0, 2.0], [1.5, 2.0], None, 0.5),
        ([1.0, 2.0], [1.5, 2.0], 10.0, 0.05),
        ([1.0], [1.0, 2.0], None, np.inf),
        ([np.inf], [0.0], None, np.inf),
    ],
)
def test_the_difference_is_the_largest_and_infinite_where_one_is_missing(made, expected, scale, apart):
    scale = None if scale is None else torch.tensor([scale])
    assert difference(torch.tensor(made), torch.tensor(expected), scale) == pytest.approx(apart)
