"""What an exported generator takes and gives, and the tensors that make it draw what `generate.py sample` draws.

Shape legend
    B, T    videos and frames of a video
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor

from stylegan_v.networks import Generator, MotionEncoder
from stylegan_v.networks.mapping import MappingNetwork
from stylegan_v.noise import AddressedRandom
from stylegan_v.rendering import VideoLatents, draw_latents

Take = Literal["z", "ws"]
BATCH, FRAMES, CODES = "batch", "frames", "codes"


@dataclass(frozen=True)
class Port:
    """One input or output of the file.

    Attributes:
        name: Of the tensor.
        dtype: Of its values, as numpy calls it.
        shape: Sizes; those with a name are open.
        meaning: What it is, for whoever has nothing but the file.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    meaning: str


def input_ports(generator: Generator, take: Take) -> list[Port]:
    """What the file asks for, in its order; see `Generator.forward`.

    Args:
        generator: The network.
        take: Whether it starts from content noise or from styles.
    """
    motion, mapping = generator.synthesis.motion, generator.mapping
    ports = _content_ports(mapping, take)
    ports.append(Port("t", "float64", (BATCH, FRAMES), "times, in frames of the training data; any order, fractions"))
    if isinstance(motion, MotionEncoder):
        code, last = f"floor(t / {motion.distance:g})", motion.reach + 1
        noise = "motion noise, standard normal; code i of a video is the same in every call"
        noise += f", and a time t needs codes {code} to {code} + {last}"
        ports.append(Port("motion_z", "float32", (BATCH, CODES, motion.z_dim), noise))
        first = f"number of the code that motion_z[:, 0] is, at most {code} of the smallest t"
        ports.append(Port("first_code", "int64", (BATCH,), first))
    if motion.c_dim or (take == "z" and mapping.c_dim):
        ports.append(Port("c", "float32", (BATCH, generator.c_dim), "label, one 1 among zeros"))
    return ports


def _content_ports(mapping: MappingNetwork, take: Take) -> list[Port]:
    if take == "ws":
        width = mapping.w_avg.shape[0]
        return [Port("ws", "float32", (BATCH, mapping.num_ws, width), "styles, one per layer")]
    psi = "1 keeps the full variety, 0 draws the mean video of the label"
    return [
        Port("z", "float32", (BATCH, mapping.in_dim), "content noise, standard normal"),
        Port("truncation_psi", "float32", (BATCH,), psi),
    ]


def output_port(generator: Generator) -> Port:
    """What the file gives."""
    meaning = "red, green, blue, nominally in [-1, 1]; a byte is 127.5 x + 128, cut off at 0 and 255"
    return Port("frames", "float32", (BATCH, FRAMES, 3, *generator.resolution), meaning)


def draw_inputs(
    generator: Generator,
    take: Take,
    seed: int,
    videos: Sequence[int],
    t: Float64[Tensor, " T"],
    *,
    truncation_psi: float = 1.0,
) -> dict[str, Tensor]:
    """Inputs with which the file draws the videos of these numbers, those of `generate.py sample` with this seed.

    Args:
        generator: The network that was exported.
        take: Whether the file starts from content noise or from styles.
        seed: Of the sampling run.
        videos: Numbers of the videos.
        t: Times in frames, not negative, the same for every video.
        truncation_psi: 1 leaves the styles, 0 replaces them by the mean style (of the class).
    """
    latents = draw_latents(generator, seed, videos, truncation_psi=truncation_psi)
    num_videos, motion = len(latents), generator.synthesis.motion
    tensors = {
        "ws": latents.ws,
        "truncation_psi": torch.full((num_videos,), float(truncation_psi)),
        "t": t.repeat(num_videos, 1),
        "c": latents.c,
    }
    if take == "z":
        content = AddressedRandom(seed, 0, "content", torch.tensor(list(videos), dtype=torch.int64))
        tensors["z"] = content.normal("z", generator.z_dim)
    if isinstance(motion, MotionEncoder):
        tensors |= _window(latents, motion, t)
    # Contiguous, as a graph would ask for the strides of its example.
    return {port.name: tensors[port.name].contiguous() for port in input_ports(generator, take)}


def _window(latents: VideoLatents, motion: MotionEncoder, t: Float64[Tensor, " T"]) -> dict[str, Tensor]:
    """The motion noise that times ``t`` need, and which code it starts with."""
    first = math.floor(float(t.min()) / motion.distance)
    num = math.floor(float(t.max()) / motion.distance) - first + 2 + motion.reach
    return {"motion_z": latents.motion.window(first, num), "first_code": torch.full((len(latents),), first)}
