"""One file of a finished model or a generator, for programs without medfit; checked before it gets its name."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medfit.deployment import export_contract, export_samples
from medfit.deployment.export_files import FORMATS, Run
from medfit.deployment.export_program import Exportable, of_generator, of_model
from medfit.deployment.export_samples import Batch
from medfit.deployment.finished_model import AnyModel
from medfit.errors import UserError

MOST = 1e-4  # difference of a probability, or of a number in standard deviations of the training targets


@dataclass(frozen=True)
class Checked:
    """What the check of a file found.

    Args:
        samples: That it was checked with, in words.
        count: Of them.
        difference: The largest one from medfit's own output.
        blank: Samples without an output, in the file as in medfit.
        note: Why there is no better check; None if it is the best.
    """

    samples: str
    count: int
    difference: float
    blank: int
    note: str | None = None


def write_model(model: AnyModel, form: str, out: Path, folder: Path) -> Checked:
    """Writes a finished model.

    Args:
        model: The model.
        form: A name in :data:`medfit.deployment.export_files.FORMATS`.
        out: The file, which is replaced if it is there.
        folder: The output folder, which knows where the run's data lie.

    Raises:
        UserError: the network fits in no such file, or the file's output is another than medfit's.
    """
    _check(model)
    exportable = of_model(model)
    about = export_contract.of_model(model, exportable)
    try:
        source = Source(export_samples.of_validation(model, exportable, folder), "validation samples")
    except UserError as error:
        made_up = export_samples.made_up(model, exportable)
        source = Source(made_up, "made-up samples", f"the validation samples can't be had: {error}")
    spreads: list[Any] = [single.task.std for single in model.singles if hasattr(single.task, "std")]
    scale = torch.stack(spreads).amin(dim=0) if spreads and exportable.output == "predictions" else None
    return _written(exportable, about, form, out, source, scale)


def _check(model: AnyModel) -> None:
    """Refuses what no file can hold yet."""
    if odd := {weight.dtype for single in model.singles for weight in single.task.parameters()} - {torch.float32}:
        raise UserError(
            f"export.model: its weights are {str(odd.pop()).removeprefix('torch.')} (regime.precision); only those of "
            "32 bits can be exported"
        )


def write_generator(task: Any, run_id: str, form: str, out: Path) -> Checked:
    """Writes a generator; see :func:`write_model`.

    Args:
        task: As :func:`medfit.deployment.generator.load` gives it.
        run_id: Of its run.
        form: The format's name.
        out: The file.
    """
    exportable = of_generator(task)
    about = export_contract.of_generator(run_id, task, exportable)
    return _written(exportable, about, form, out, Source(export_samples.of_noise(task, exportable), "samples of noise"))


@dataclass(frozen=True)
class Source:
    """Where the samples of a check come from.

    Args:
        batches: The samples.
        samples: What they are, in words.
        note: Why there are no better ones; None if they are the best.
    """

    batches: Iterable[Batch]
    samples: str
    note: str | None = None


def _written(
    exportable: Exportable, about: Mapping[str, Any], form: str, out: Path, source: Source, scale: Tensor | None = None
) -> Checked:
    """Writes a file under another name, and gives it its own once what it does has been found to be right."""
    chosen = FORMATS[form]
    chosen.check()
    made, draft = chosen.write(exportable, about), out.with_name(f".{out.name}.draft")
    try:
        with _writing(out):
            draft.write_bytes(made)
        found = _checked(chosen.open(draft), source, scale)
        if not found.difference <= MOST:
            raise UserError(
                f"export: {chosen.runner} gives another output of the file than medfit of the model: over "
                f"{found.count} {found.samples} they differ by {found.difference:.1e}, and {MOST:g} is allowed; "
                "no file was written"
            )
        with _writing(out):
            draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    return found


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"export.out: cannot write to '{out}' ({error.strerror})") from error


def _checked(run: Run, source: Source, scale: Tensor | None) -> Checked:
    count, blank, largest = 0, 0, 0.0
    for inputs, expected in source.batches:
        made = run(inputs)
        count += len(expected)
        blank += int(expected.flatten(1).isnan().all(dim=1).sum())
        largest = max(largest, difference(made, expected, scale))
        alone = run({name: x[:1].contiguous() for name, x in inputs.items()})
        largest = max(largest, difference(alone, expected[:1], scale))
    return Checked(source.samples, count, largest, blank, source.note)


def difference(made: Tensor, expected: Tensor, scale: Tensor | None = None) -> float:
    """Returns the largest difference, infinite where one is missing and the other not, or shapes differ."""
    if made.shape != expected.shape:
        return float("inf")
    both = made.isnan() & expected.isnan()
    apart = (made.double() - expected.double()).abs() / (1.0 if scale is None else scale.double())
    return float(apart.masked_fill(both, 0.0).nan_to_num(nan=torch.inf, posinf=torch.inf).max())
