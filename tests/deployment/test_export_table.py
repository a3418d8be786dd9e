from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from medfit.data.datasets.records import Records
from medfit.data.preprocessing.table import TablePreprocessing
from medfit.deployment.export import difference
from medfit.deployment.export_files import FORMATS
from medfit.deployment.export_numbers import LEAST, interpolated, normal
from medfit.deployment.export_program import of_model
from medfit.deployment.export_samples import of_rows
from medfit.deployment.export_steps import layer
from medfit.deployment.export_table import TableSteps
from medfit.deployment.finished_model import FinishedModel
from medfit.errors import UserError
from medfit.evidence.decisions import Decisions
from medfit.training.parts import make_task

KINDS = {"age": "numeric", "crp": "numeric", "visits": "numeric", "smoker": "boolean", "stage": "categorical", "side": "categorical"}  # fmt: skip


def rows(seed, num_rows=80, missing=0.2):
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(
        {
            "age": rng.normal(2000, 3, num_rows),
            "crp": np.exp(rng.normal(size=num_rows)),
            "visits": rng.integers(0, 4, num_rows).astype(float),
            "smoker": rng.integers(0, 2, num_rows).astype(float),
            "stage": rng.choice(["I", "II", "III"], num_rows).astype(object),
            "side": rng.choice(["left", "right"], num_rows).astype(object),
        }
    )
    for name in ("crp", "smoker", "stage"):
        x.loc[rng.random(num_rows) < missing, name] = np.nan
    return x


def fitted(x, **options):
    y = (np.arange(len(x)) % 2)[:, None].astype(np.float32)
    kinds = {name: KINDS[name] for name in x}
    data = Records(name="made", x=x, y=y, task="binary", target_names=["t"], kinds=kinds, units={"age": "years"})
    steps = TablePreprocessing(data, **options)
    return steps.fit(np.flatnonzero(steps.usable()))


MISSING = ("drop", "mean", "median", "most_frequent", "constant", "knn")
SCALING = ("standard", "min_max", "robust", "quantile", "none")
OPTIONS = [
    *({"missing": missing, "missing_indicator": marks} for missing in MISSING for marks in (False, True)),
    *({"scaling": scaling, "categories": codes} for scaling in SCALING for codes in ("one_hot", "ordinal")),
    {"missing": "constant", "missing_value": -1.5, "categories": "ordinal"},
    {"min_variance": 0.05}, {"num_best": 3}, {"pca": 2}, {"pca": 0.9}, {"num_best": 4, "pca": 2, "scaling": "quantile"},
]  # fmt: skip
OF_EACH_LAYER = [  # which takes ten times as long in ONNX
    {"missing": "drop", "missing_indicator": True},
    {"missing": "knn", "missing_indicator": False},
    {"missing": "constant", "missing_value": -1.5, "categories": "ordinal"},
    {"scaling": "robust", "categories": "one_hot"},
    {"min_variance": 0.05},
    {"num_best": 4, "pca": 2, "scaling": "quantile"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_each_choice_gives_the_features_that_the_preprocessing_gives(options):
    learnt = fitted(rows(0), **options)
    new = rows(1)
    new.loc[0, ["age", "stage"]] = [9999.0, "IV"]
    new.loc[1, ["age", "side"]] = [-9999.0, None]
    steps = TableSteps(learnt, drop_missing=options.get("missing") == "drop")
    made = steps(steps.cells(new))
    whole = new[steps.needed].notna().all(axis=1).to_numpy().copy()
    expected = learnt.apply(SimpleNamespace(x=new))
    assert made.dtype == torch.float32 and whole.sum() > 20
    torch.testing.assert_close(made[whole], expected[whole], rtol=1e-6, atol=1e-6)
    assert made[~whole].isnan().all()
    assert bool((~whole).any()) == (options.get("missing") in ("drop", "knn"))


@pytest.mark.parametrize(
    ("form", "options"),
    [*(("torch_export", options) for options in OPTIONS), *(("onnx", options) for options in OF_EACH_LAYER)],
    ids=str,
)
@pytest.mark.mostly_slow(fast=4)
def test_each_choice_is_inside_the_file(compose, tmp_path, options, form):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    learnt, new = fitted(rows(0), **options), rows(1)
    new.loc[0, "stage"] = "IV"
    shape = (learnt.apply(SimpleNamespace(x=new)).shape[1],)
    cfg = compose("model=mlp", "model.widths=[8]", "task=binary")
    task = make_task(cfg, shape, ["t"]).eval()
    expected = {"drop_missing": options.get("missing") == "drop"}
    about = {"task": "binary", "expected": expected, "input_shape": shape}
    model = FinishedModel(cfg, task, learnt, Decisions(), about)
    exportable = of_model(model)
    path = tmp_path / "file"
    path.write_bytes(FORMATS[form].write(exportable, {}))
    run = FORMATS[form].open(path)
    blank = 0
    for part in (new.iloc[:1], new.iloc[1:4], new.iloc[4:21]):
        inputs, output = of_rows(model, exportable.cells, part)
        assert difference(run(inputs), output) < 1e-5
        blank += int(output.isnan().sum())
    assert (blank > 0) == (options.get("missing") in ("drop", "knn"))


@pytest.mark.parametrize("kind", ["numeric", "boolean", "categorical"])
@pytest.mark.parametrize("options", [{}, {"missing_indicator": True, "scaling": "quantile"}], ids=str)
def test_columns_of_one_kind_alone_will_do(kind, options):
    chosen = [name for name in KINDS if KINDS[name] == kind]
    learnt, new = fitted(rows(0)[chosen], **options), rows(1)[chosen]
    steps = TableSteps(learnt)
    torch.testing.assert_close(steps(steps.cells(new)), learnt.apply(SimpleNamespace(x=new)), rtol=1e-6, atol=1e-6)


def test_each_column_is_told_with_its_unit_and_the_codes_of_its_levels():
    steps = TableSteps(fitted(rows(0), missing="constant"))
    assert steps.columns[0] == {"name": "age", "kind": "numeric", "unit": "years"}
    assert steps.columns[4] == {
        "name": "stage",
        "kind": "categorical",
        "unit": "",
        "levels": ["I", "II", "III", "missing"],
    }
    new = rows(1).iloc[:3].assign(stage=["III", None, "IV"])
    assert steps.cells(new)[:, 4].nan_to_num(nan=9).tolist() == [2, 9, -1]


@pytest.mark.parametrize("code", [-1.0, 3.0, 0.5, 1e9])
@pytest.mark.parametrize("categories", ["one_hot", "ordinal"])
def test_a_code_that_is_no_levels_is_an_unseen_level(categories, code):
    learnt, new = fitted(rows(0), categories=categories, scaling="none"), rows(1).assign(stage="IV")
    steps = TableSteps(learnt)
    cells = steps.cells(new)
    cells[:, 4] = code
    torch.testing.assert_close(steps(cells), learnt.apply(SimpleNamespace(x=new)))


def test_rows_of_patients_stay_out_of_the_steps():
    x = rows(0)
    steps = TableSteps(fitted(x, missing="knn", missing_indicator=True))
    assert steps.needed == ["age", "crp", "visits"]
    assert max(tensor.numel() for tensor in steps.state_dict().values()) < len(x)


def test_a_step_that_is_not_known_is_named():
    with pytest.raises(UserError, match=r"^export: the preprocessing has a step .*\(dict\)"):
        layer({})


@given(st.floats(LEAST, 1 - LEAST))
def test_values_of_the_normal_distribution_are_those_of_scipy(share):
    assert float(normal(torch.tensor(share, dtype=torch.float64))) == pytest.approx(
        norm.ppf(share), rel=1e-12, abs=1e-12
    )


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=40), st.floats(0, 1))
def test_interpolation_is_numpys_with_equal_points_too(points, place):
    known, values = np.sort(points).astype(float), np.linspace(0, 1, len(points))
    x = np.append(known[:-1][known[:-1] < known[-1]], known[0] + place * (known[-1] - known[0]))
    x = x[x < known[-1]]
    made = interpolated(torch.tensor(x)[:, None], torch.tensor(known)[None], torch.tensor(values))
    np.testing.assert_allclose(made[:, 0], np.interp(x, known, values), rtol=1e-12, atol=1e-12)
