"""The formats of exported files: how each is written, and opened again by what others will run it with."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from medfit.deployment.export_program import Exportable, quiet, traced
from medfit.errors import UserError

ABOUT = "medfit"  # what a file says of itself, as JSON: an ONNX model's property, a member of a torch.export archive
Run = Callable[[Mapping[str, Tensor]], Tensor]


class Format(NamedTuple):
    """A format of files.

    Args:
        ending: Of their names.
        runner: What opens them.
        check: Refuses where a package is missing.
        write: Returns a file's bytes of what is exported and what is said of it.
        open: Returns what a file does with inputs by name.
    """

    ending: str
    runner: str
    check: Callable[[], None]
    write: Callable[[Exportable, Mapping[str, Any]], bytes]
    open: Callable[[Path], Run]


def _write_onnx(exportable: Exportable, about: Mapping[str, Any]) -> bytes:
    program = traced(exportable)
    with quiet():
        made: Any = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=list(exportable.inputs),
            output_names=[exportable.output],
        )
    model = made.model_proto
    _forget_origins(model.graph)
    model.metadata_props.add(key=ABOUT, value=json.dumps(about))
    try:
        written: bytes = model.SerializeToString()
    except Exception as error:  # protobuf's own, of more than 2 GB
        raise UserError("export.format: an ONNX file holds 2 GB at most; take format=torch_export") from error
    return written


def _forget_origins(graph: Any) -> None:
    """Takes out where each node comes from, and names the dimension that counts samples."""
    del graph.metadata_props[:], graph.value_info[:]
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*graph.input, *graph.output]:
        del value.metadata_props[:]
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _open_onnx(path: Path) -> Run:
    import onnxruntime  # late: an extra

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda inputs: torch.from_numpy(session.run(None, {name: x.numpy() for name, x in inputs.items()})[0])


def _write_torch(exportable: Exportable, about: Mapping[str, Any]) -> bytes:
    made = io.BytesIO()
    program = traced(exportable)
    with quiet():
        torch.export.save(program, made, extra_files={f"{ABOUT}.json": json.dumps(about)})
    return made.getvalue()


def _open_torch(path: Path) -> Run:
    with quiet():
        network = torch.export.load(io.BytesIO(path.read_bytes())).module()
    return lambda inputs: network(*inputs.values())


def _check_onnx() -> None:
    """Refuses where packages of the extra are missing."""
    try:
        import onnx  # noqa: F401, late: an extra
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            "export.format: onnx needs the packages onnx, onnxscript and onnxruntime: pip install 'medfit[onnx]'; "
            "format=torch_export needs none"
        ) from error


FORMATS = {
    "onnx": Format(".onnx", "onnxruntime", _check_onnx, _write_onnx, _open_onnx),
    "torch_export": Format(".pt2", "torch.export", lambda: None, _write_torch, _open_torch),
}
