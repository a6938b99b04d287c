"""A generator as an exported program: its graph, with open numbers of videos, frames and codes, and its weights."""

from __future__ import annotations

import torch
from torch.export import Dim, ExportedProgram

from stylegan_v.exporting.inputs import BATCH, CODES, FRAMES, Take, draw_inputs, input_ports
from stylegan_v.exporting.plain_generator import PlainGenerator, PlainSynthesis
from stylegan_v.networks import Generator, MotionEncoder

_EXAMPLE_TIMES = (0.0, 0.5, 1.0)
_TRACES = ("stack_trace", "from_node")  # where on this machine a line of code stands


def trace(generator: Generator, take: Take = "z") -> ExportedProgram:
    """The graph of the whole way to frames, for any numbers of videos, frames and motion noise codes.

    Args:
        generator: The network, on the CPU, in evaluation mode, without gradients.
        take: Whether it starts from content noise or from styles.

    Raises:
        InputError: Its kind of motion has no form for other programs.
    """
    module = PlainGenerator(generator) if take == "z" else PlainSynthesis(generator.synthesis)
    motion = generator.synthesis.motion
    fewest = motion.reach + 2 if isinstance(motion, MotionEncoder) else 1
    sizes = {BATCH: Dim(BATCH), FRAMES: Dim(FRAMES), CODES: Dim(CODES, min=fewest)}
    shapes = {
        port.name: {axis: sizes[size] for axis, size in enumerate(port.shape) if isinstance(size, str)}
        for port in input_ports(generator, take)
    }
    # Sizes of one are taken for constants, so the example has more of everything.
    example = draw_inputs(generator, take, 0, range(2), torch.tensor(_EXAMPLE_TIMES, dtype=torch.float64))
    program = torch.export.export(module.eval(), (), kwargs=example, dynamic_shapes=shapes)
    _forget_traces(program)
    return program


def _forget_traces(program: ExportedProgram) -> None:
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for name in _TRACES:
                    node.meta.pop(name, None)
