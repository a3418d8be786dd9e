"""A finished model as MLflow knows models: its own files inside those that MLflow's tools read."""

import logging
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra.utils import get_object

from medfit.deployment.finished_model import AnyModel
from medfit.version import VERSION

OURS = "medfit"  # the folder of the finished model's own files
PACKAGES = ("torch", "lightning", "scikit-learn", "skops", "safetensors", "mlflow", "pandas", "numpy")


def write(model: AnyModel, folder: Path) -> None:
    """Writes the model into a new folder, so that MLflow loads, registers and serves it.

    Args:
        model: The model.
        folder: Must not be there yet.
    """
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)  # it tells each step of what is done here
    example = get_object(model.about["reader"]).example(model.about["expected"])
    predicted = None if example is None else model.predict(example)
    with TemporaryDirectory() as made, warnings.catch_warnings():
        model.save(Path(made) / OURS)
        warnings.simplefilter("ignore")  # MLflow's own, of its hints and of what it calls in pandas
        import mlflow.pyfunc  # late: a quick start
        from mlflow.models import infer_signature

        mlflow.pyfunc.save_model(
            folder,
            loader_module="medfit.deployment.served",
            data_path=str(Path(made) / OURS),
            signature=None if example is None else infer_signature(example, predicted),
            input_example=example,
            pip_requirements=requirements(),
            metadata={"medfit": VERSION, "task": model.about["task"], "samples": model.about["samples"]},
        )


def drop_signature(folder: Path) -> None:
    """Lets the model itself check what it is given: MLflow's check tells the rows that it refuses, value by value."""
    from mlflow.models import Model  # late: a quick start

    files = Model.load(str(folder))
    files.signature = None
    files.save(str(folder / "MLmodel"))


def requirements() -> list[str]:
    """Returns the packages that prediction takes, at the versions of this environment; medfit is among them."""
    from importlib.metadata import version  # late: a quick start

    return [f"medfit=={VERSION}", *(f"{name}=={version(name).split('+')[0]}" for name in PACKAGES)]
