"""``medfit sample``: images from a finished run of a generator, whose data need not be there any more."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from omegaconf import DictConfig
from pydantic import Field

from medfit.config import folders
from medfit.config.instantiate import build
from medfit.deployment.generator import load
from medfit.errors import UserError, suggest
from medfit.terminal.console import say
from medfit.tracking.store import Store


@dataclass(frozen=True)
class Sample:
    """What is drawn.

    Args:
        run: The MLflow id of a finished run of a generator.
        num_samples: Images.
        format: ``png``, 8 bit, with all of them in ``<name>_grid.png`` too; or ``nifti``, float32 in [0, 1].
        folder: Where they go, from the project's folder; None for ``samples/<run>`` in the output folder.
        seed: Of the noise: the same images every time.
        label: Class of a conditional model, by its name or number; None for each as often as in the training data.
    """

    run: str | None = None
    num_samples: Annotated[int, Field(ge=1)] = 16
    format: Literal["png", "nifti"] = "png"
    folder: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    label: int | str | None = None


def sample(cfg: DictConfig) -> list[Path]:
    """Writes generated images, and what each is of into ``samples.json``, and returns their files.

    They are named by the class, where one is asked for, so that one class's do not replace another's.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it; says which run, whose own config tells all else.

    Raises:
        UserError: no such run, one that is not finished or no generator, or a label that it does not know.
    """
    asked: Sample = build(cfg.sample)
    if not asked.run:
        raise UserError("sample.run is needed: give sample.run=<id of an MLflow run>, which medfit ui shows")
    task = load(Store(cfg), asked.run)
    labels = _labels(task, asked)
    images = task.sample(asked.num_samples, labels, asked.seed).float().numpy()
    classes = [None] * len(images) if labels is None else [task.class_names[number] for number in labels.tolist()]
    stem = "sample" if asked.label is None else str(classes[0]).replace("/", "_")
    folder = folders.ROOT / asked.folder if asked.folder else folders.output_dir(cfg) / "samples" / asked.run
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = _WRITERS[asked.format](folder, images, stem)
        about = [{"generated_by_run": asked.run, "seed": asked.seed} | ({"class": c} if c else {}) for c in classes]
        _record(folder / "samples.json", dict(zip((file.name for file in files), about, strict=True)))
    except OSError as error:
        raise UserError(f"sample.folder: cannot write to '{folder}' ({error.strerror})") from error
    return files


def main(cfg: DictConfig) -> None:
    """Writes the images and says where."""
    files = sample(cfg)
    say(f"{cfg.sample.num_samples} images of run {cfg.sample.run} in {files[0].parent}")


def _labels(task: Any, asked: Sample) -> Any:
    """Returns the class numbers of all images, or None."""
    import torch  # late: a quick start

    if asked.label is None:
        return task.draw_labels(asked.num_samples, asked.seed)
    names: Sequence[str] = task.class_names
    if not names:
        raise UserError(
            f"sample.label: run {asked.run} was trained without model.conditional=true, so it has no classes"
        )
    known = {name: number for number, name in enumerate(names)} | {str(n): n for n in range(len(names))}
    if str(asked.label) not in known:
        raise UserError(
            f"sample.label: there is no class '{asked.label}'{suggest(str(asked.label), names)} "
            f"(known: {', '.join(names)}, or their numbers from 0)"
        )
    return torch.full((asked.num_samples,), known[str(asked.label)])


def _record(path: Path, about: dict[str, Any]) -> None:
    """Adds what is known of files to what is known of those written before."""
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | about, indent=2))


def _write_png(folder: Path, images: np.ndarray, stem: str) -> list[Path]:
    from PIL import Image  # late: a quick start

    from medfit.plots.generation import as_pixels, tile  # late: a quick start

    files = _names(folder, len(images), stem, "png")
    for file, image in zip(files, images, strict=True):
        Image.fromarray(as_pixels(image)).save(file)
    Image.fromarray(tile(images, max(1, round(len(images) ** 0.5)))).save(folder / f"{stem}_grid.png")
    return files


def _write_nifti(folder: Path, images: np.ndarray, stem: str) -> list[Path]:
    """Writes (columns, rows from the bottom, 1[, channels]), which viewers show upright, 1 mm a pixel."""
    import nibabel  # late: a quick start

    files = _names(folder, len(images), stem, "nii.gz")
    for file, image in zip(files, images, strict=True):
        volume = image[:, ::-1].transpose(2, 1, 0)[:, :, None]
        nibabel.save(nibabel.Nifti1Image(volume[..., 0] if len(image) == 1 else volume, np.eye(4)), file)
    return files


def _names(folder: Path, count: int, stem: str, ending: str) -> list[Path]:
    digits = len(str(count - 1))
    return [folder / f"{stem}_{number:0{digits}}.{ending}" for number in range(count)]


_WRITERS = {"png": _write_png, "nifti": _write_nifti}
