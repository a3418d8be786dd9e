"""``medfit export``: a finished model as one file for programs without medfit, checked against medfit's own output."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from omegaconf import DictConfig

from medfit.config.instantiate import build
from medfit.errors import UserError
from medfit.terminal.console import say
from medfit.tracking.store import Store

if TYPE_CHECKING:
    from medfit.deployment.export import Checked


@dataclass(frozen=True)
class Export:
    """What is written.

    Args:
        model: The MLflow id of a finished training or of an evaluation, or a model's address, as
            ``models:/name@champion``.
        format: ``onnx``, which takes the extra ``onnx``, or ``torch_export``, a program of PyTorch's.
        out: The file; one that is there is replaced. None for ``model.onnx`` or ``model.pt2``.
    """

    model: str | None = None
    format: Literal["onnx", "torch_export"] = "onnx"
    out: str | None = None


def export(cfg: DictConfig) -> tuple[Path, "Checked"]:
    """Writes the file, and returns it and what its check found.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.

    Raises:
        UserError: there is no such model, it fits in no such file, or the file's output is another than medfit's.
    """
    asked: Export = build(cfg.export)
    if not asked.model:
        raise UserError("export.model is needed: medfit export <run id> format=onnx; medfit ui shows the ids of runs")
    from medfit.deployment import export as files  # late: a quick start
    from medfit.deployment import generator, logged
    from medfit.deployment.export_files import FORMATS

    out = Path(asked.out or f"model{FORMATS[asked.format].ending}").expanduser()
    if not out.parent.is_dir():
        raise UserError(f"export.out: there is no folder '{out.parent}'")
    if out.is_dir():
        raise UserError(f"export.out: '{out}' is a folder; give a file's name")
    store = Store(cfg)
    if "/" not in asked.model and generator.is_one(store, asked.model, "export.model"):
        task = generator.load(store, asked.model, "export.model")
        return out, files.write_generator(task, asked.model, asked.format, out)
    model = logged.load(store, asked.model, "export.model")
    return out, files.write_model(model, asked.format, out, store.folder)


def main(cfg: DictConfig) -> None:
    """Writes the file, and says how far its output is from medfit's."""
    out, found = export(cfg)
    say(f"File      {out} ({out.stat().st_size / 2**20:.1f} MB); what it takes and gives stands in it under 'medfit'")
    if found.note:
        say(f"Note: {found.note}.")
    blank = f", {found.blank} of them without an output for missing cells" if found.blank else ""
    difference = f"the largest difference from medfit's is {found.difference:.1e}"
    say(f"Checked   {found.count} {found.samples}{blank}: {difference}")
