"""Finished models of images as they are before training: packed, stored, and loaded with the data away."""

import shutil

from medfit.deployment.finished_model import FinishedModel
from medfit.deployment.packing import packed
from medfit.training.parts import prepare
from medfit.training.trainer import make_trainer, predictions

IMAGES = ["model=resnet", "model.depth=10", "model.width=2"]
MASKS = ["model=unet", "model.widths=[2,4]", "model.num_residual_units=1"]


def package(compose, tmp_path, data, *overrides):
    """Returns a model, the data set's files and stored predictions of the validation split, and the data moved away."""
    cfg = compose(*overrides)
    parts = prepare(cfg)
    output = predictions(parts, make_trainer(parts), ("val",))["val"]
    val = parts.task.table(*output)
    rows = parts.datamodule.rows["val"]
    val.insert(0, "patient", parts.datamodule.dataset.groups[rows].astype(str))
    packed(cfg, parts, {"val": val}, "run", lambda text: text.replace(str(tmp_path), "")).save(tmp_path / "model")
    files = [parts.datamodule.dataset.file_names[row] for row in rows]
    away = tmp_path / "elsewhere"
    shutil.move(data, away)
    return FinishedModel.load(tmp_path / "model", "it"), val.assign(file=files), away
