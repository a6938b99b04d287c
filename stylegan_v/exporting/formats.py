"""The two kinds of files: ONNX, for any runtime, and torch.export's own, for PyTorch without this project."""

from __future__ import annotations

import io
import json
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from errors import InputError
from stylegan_v.exporting.inputs import Port

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

Run = Callable[[Mapping[str, Tensor]], Tensor]  # inputs by name to frames
Metadata = Mapping[str, Any]
METADATA = "metadata.json"
OPSETS = range(18, 24)  # those that torch.onnx writes
_MAX_ONNX_BYTES = 2_000_000_000  # of a protobuf, with some room for the graph
_MISSING = "pip install onnx onnxscript onnxruntime (requirements.txt has the tested versions, the extra is `export`)"


class FileFormat(ABC):
    """How a traced generator becomes a file, and how that file is run."""

    name: str

    @abstractmethod
    def serialize(self, program: ExportedProgram, ports: Sequence[Port], metadata: Metadata) -> bytes | memoryview:
        """The file's content.

        Args:
            program: From `tracing.trace`.
            ports: Its inputs and its output.
            metadata: Plain values by name, embedded in the file.

        Raises:
            InputError: It would be too large for this kind of file.
        """

    @abstractmethod
    def open(self, path: Path) -> Run:
        """The file as a function, on the CPU."""


class Pt2(FileFormat):
    """An archive of `torch.export`, with the metadata as its extra file "metadata.json".

    It is used by ``torch.export.load(path).module()(z=..., t=...)``, on other devices than the CPU after
    ``torch.export.passes.move_to_device_pass``.
    """

    name = "torch.export program"

    def serialize(self, program: ExportedProgram, ports: Sequence[Port], metadata: Metadata) -> memoryview:
        file = io.BytesIO()
        torch.export.save(program, file, extra_files={METADATA: json.dumps(metadata)})
        return file.getbuffer()

    def open(self, path: Path) -> Run:
        with open(path, "rb") as file:
            module = torch.export.load(file).module()
        return lambda inputs: module(**inputs)


class Onnx(FileFormat):
    """One ONNX file, weights included.

    Every operator that the graph needs is in opset 18, the oldest one that torch.onnx writes, so that is what the most
    runtimes can read (onnxruntime from 1.14 on).

    Args:
        opset: Version of ONNX's operators, 18 to 23.

    Raises:
        InputError: There is no such opset, or packages are missing.
    """

    def __init__(self, opset: int = OPSETS.start) -> None:
        if opset not in OPSETS:
            raise InputError(f"opset: {opset}: give {OPSETS.start} to {OPSETS[-1]}")
        try:
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401  (of torch.onnx)
        except ImportError as error:
            raise InputError(f"format: onnx needs {error.name}, which is not installed: {_MISSING}") from error
        self.opset, self.name = opset, f"ONNX, opset {opset}"

    def serialize(self, program: ExportedProgram, ports: Sequence[Port], metadata: Metadata) -> bytes:
        size = sum(tensor.nbytes for tensor in program.state_dict.values())
        if size > _MAX_ONNX_BYTES:
            raise InputError(f"format: weights of {size / 1e9:.1f} GB do not fit into one onnx file: give pt2")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch about itself
            exported = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=self.opset,
                output_names=[ports[-1].name],
                custom_translation_table={torch.ops.aten.scalar_tensor.default: _exact_number},
                verbose=False,
            )
        return _tidied(exported.model_proto, ports, metadata).SerializeToString()

    def open(self, path: Path) -> Run:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

        def run(inputs: Mapping[str, Tensor]) -> Tensor:
            (frames,) = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
            return torch.from_numpy(frames)

        return run


def _exact_number(s: float, dtype: int = 1, layout: str = "", device: str = "", pin_memory: bool = False) -> Any:
    """A number of a type of ONNX. torch.onnx makes it a float32 first, which whole turns of long times would show."""
    from onnxscript import ir, opset18

    return opset18.Constant(value=ir.tensor(s, dtype=ir.DataType(dtype)))


def _tidied(model: ModelProto, ports: Sequence[Port], metadata: Metadata) -> ModelProto:
    """The model with names for its open sizes and with the metadata, without what torch notes at every node.

    Args:
        model: Changed in place.
        ports: Its inputs and its output.
        metadata: Texts stay, other values become JSON.
    """
    from onnx import helper

    graph = model.graph
    for part in (*graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output, graph):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    _name_open_sizes(graph, ports)
    model.ir_version = helper.find_min_ir_version_for(model.opset_import)
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}
    helper.set_model_props(model, texts)
    return model


def _name_open_sizes(graph: GraphProto, ports: Sequence[Port]) -> None:
    """Puts the ports' names of open sizes in place of torch's symbols, wherever in the graph."""
    shapes = {port.name: port.shape for port in ports}
    names = {
        size.dim_param: name
        for value in graph.input
        for size, name in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True)
        if size.dim_param
    }
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:  # may be a product of symbols
                size.dim_param = re.sub(r"\w+", lambda symbol: names.get(symbol[0], symbol[0]), size.dim_param)
