"""A generator in a file for other programs, with its description, checked before the file gets its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from errors import InputError
from stylegan_v.checkpoints import replacing
from stylegan_v.exporting.checking import TOLERANCE, checked_times, largest_difference
from stylegan_v.exporting.formats import FileFormat
from stylegan_v.exporting.inputs import Take, input_ports, output_port
from stylegan_v.exporting.tracing import trace
from stylegan_v.networks import Generator, MotionEncoder


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The file.
        num_bytes: Its size.
        times: Frame times it was checked at.
        difference: The largest one from PyTorch, of all values of all frames there.
    """

    path: Path
    num_bytes: int
    times: list[float]
    difference: float


def write_generator(
    generator: Generator, path: Path, format: FileFormat, take: Take = "z", facts: Mapping[str, Any] | None = None
) -> Exported:
    """Leaves the generator in a file, and what is to be known of it in ``<file>.json``; a wrong file gets no name.

    Args:
        generator: The network, on the CPU, in evaluation mode, without gradients.
        path: The final name; the folder must exist. A file that is there is replaced when the new one is right.
        format: The kind of file.
        take: Whether it starts from content noise or from styles.
        facts: What is known of the generator's training, plain values.

    Raises:
        InputError: It cannot be exported, or draws other frames than PyTorch.
        OSError: The disk is full, or the folder cannot be written.
    """
    ports = [*input_ports(generator, take), output_port(generator)]
    metadata = {**_description(generator, format), "facts": dict(facts or {})}
    metadata |= {"inputs": [asdict(port) for port in ports[:-1]], "outputs": [asdict(ports[-1])]}
    content = format.serialize(trace(generator, take), ports, metadata)
    with replacing(path) as file:
        file.write(content)
        file.flush()
        difference = largest_difference(format.open(Path(file.name)), generator, take)
        if not difference <= TOLERANCE:  # nor if it is no number
            raise InputError(
                f"{path}: not written: its frames would differ from PyTorch's by {difference:.2g}, more than "
                f"{TOLERANCE:g}: choose another format or opset"
            )
    times = checked_times(generator)
    check = {"times": times, "largest_difference_from_pytorch": difference}
    with replacing(path.with_name(f"{path.name}.json")) as file:
        file.write(json.dumps({**metadata, "check": check}, indent=2).encode() + b"\n")
    return Exported(path, len(content), times, difference)


def _description(generator: Generator, format: FileFormat) -> dict[str, Any]:
    """What the file is, for whoever has nothing else."""
    motion = generator.synthesis.motion
    about: dict[str, Any] = {"kind": type(motion).__name__}
    if isinstance(motion, MotionEncoder):
        about |= {
            "encoding": type(motion.time_encoder).__name__,
            "distance": motion.distance,
            "codes_beyond": motion.reach,
        }
    return {
        "format": format.name,
        "description": "StyleGAN-V generator: noise and times to frames of videos, at any times",
        "written_by": f"stylegan-v-fields with torch {torch.__version__}",
        "resolution": list(generator.resolution),
        "num_parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "motion": about,
    }
