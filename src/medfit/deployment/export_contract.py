"""What an exported file says of itself: what goes in, what comes out, and what to make of it; no patient's value."""

from collections.abc import Mapping
from typing import Any

from medfit.data.preprocessing.fitted import Fitted
from medfit.data.preprocessing.series import FittedSeries
from medfit.data.preprocessing.table import FittedTable
from medfit.deployment.export_program import Exportable
from medfit.deployment.export_table import Cells, TableSteps
from medfit.deployment.finished_model import AnyModel
from medfit.version import VERSION

FORMAT = 1
CELLS = (
    "a row a patient, a column as listed, in its unit; a missing cell is NaN; boolean: 0 or 1; categorical: the place "
    "of the level in 'levels', from 0, and -1 for any other. All preprocessing is inside."
)
NEEDED = "a row that lacks one of the columns in 'needed' has NaN for its output"
PREPARED = (
    "samples as medfit's preprocessing gives them: 'preprocessing' holds its settings and what it has learnt; "
    "it is not inside"
)
PADDED = "shorter series are NaN behind their end"
PATCH = (
    "one patch; medfit slides it over a whole image, takes the mean of the logarithms of the output with Gaussian "
    "weights, and the softmax of that"
)
NOISE = "numbers drawn from a normal distribution of mean 0 and standard deviation 1"
OUTPUTS = {
    "probabilities": "raw, as the network tells them: neither recalibrated nor compared with a threshold",
    "predictions": "numbers in the units of the targets",
    "images": "made-up images, values from 0 to 1",
}
DECISIONS = (
    "answers: yes where the probability is at or above 'thresholds'; 'lines': "
    "recalibrated = 1 / (1 + exp(-(intercept + slope * log(p / (1 - p))))); 'temperature': "
    "recalibrated = softmax(log(p) / temperature); numbers: the truth lies within 'half_widths' in the share "
    "'coverage' of new patients. All were chosen on validation patients, but intervals where 'intervals_from' is test."
)


def of_model(model: AnyModel, exportable: Exportable) -> dict[str, Any]:
    """Returns what JSON can hold of a finished model's file."""
    about, fitted = model.about, model.singles[0].fitted  # prepared alike, where it is not inside
    names = list(about["target_names"])
    units = {name: fitted.units[name] for name in names if name in fitted.units}
    made = {
        **_of_all(about["run_id"], about["task"], exportable),
        "samples": about["samples"],
        "decisions": {"how": DECISIONS, **model.decisions.values()},
    }
    if len(model.singles) > 1:
        made["mean_of"] = [single.about["run_id"] for single in model.singles]
    made["outputs"][0] |= {"names": names, "units": units}
    if isinstance(fitted, FittedTable):
        assert exportable.cells is not None
        made["inputs"][0] |= _of_cells(exportable.cells)
    else:
        made["preprocessing"] = fitted.values()
        for given in made["inputs"]:
            given |= _of_prepared(fitted, about["task"])
    return made


def of_generator(run_id: str, task: Any, exportable: Exportable) -> dict[str, Any]:
    """Returns what JSON can hold of a generator's file."""
    made = _of_all(run_id, "generation", exportable)
    made["inputs"][0]["is"] = NOISE
    if task.num_classes:
        made["inputs"][1] |= {"is": "the number of the class in 'names', from 0", "names": task.class_names}
    return made


def _of_all(run_id: str, task: str, exportable: Exportable) -> dict[str, Any]:
    inputs = [
        {"name": name, "type": str(x.dtype).removeprefix("torch."), "shape": ["batch", *x.shape[1:]]}
        for name, x in exportable.inputs.items()
    ]
    outputs = [{"name": exportable.output, "type": "float32", "is": OUTPUTS[exportable.output]}]
    return {"format": FORMAT, "medfit": VERSION, "run_id": run_id, "task": task, "inputs": inputs, "outputs": outputs}


def _of_cells(taken: TableSteps | Cells) -> dict[str, Any]:
    more = {"needed": taken.needed, "is": f"{CELLS} {NEEDED}."} if taken.needed else {"is": CELLS}
    return {**more, "columns": taken.columns}


def _of_prepared(fitted: Fitted, task: str) -> dict[str, Any]:
    """Returns what prepared samples are, with how far their samples or voxels are apart."""
    values: Mapping[str, Any] = fitted.values()
    words, facts = [PREPARED], dict[str, Any](channels=list(fitted.features))
    if isinstance(fitted, FittedSeries):
        facts["sampling_rate_hz"] = fitted.cleaning.resample_hz or fitted.sampling_rate_hz
        words += [PADDED] if fitted.pad else []
    if "spacing_mm" in values:
        facts["spacing_mm"] = values["spacing_mm"] or values.get("own_spacing_mm")
    words += [PATCH] if task == "segmentation" else []
    return {"is": "; ".join(words), **facts}
