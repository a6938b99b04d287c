"""The clips of an update: real ones as the loader brings them, generated ones as functions of (seed, update, phase, n).

Shape legend
    B       clips of a micro-batch
    T       frames of a clip
    C, H, W colours, height, width
    Z, K    dimension of the content noise and of the label
    M, N    codes of motion noise and the dimension of one
    L, D    layers that take a style, width of a style (``w_dim``)
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from datasets.datamodule import ClipDataModule
from stylegan_v.networks import Generator
from stylegan_v.noise import AddressedRandom


@dataclass(frozen=True)
class Clips:
    """Clips of a micro-batch, real or generated.

    Attributes:
        clip: Frames, float in [-1, 1].
        t: Frame numbers.
        c: Labels; None without labels.
        numbers: Numbers of the clips in the global batch.
    """

    clip: Float[Tensor, "B T C H W"]
    t: Float64[Tensor, "B T"]
    c: Float[Tensor, "B K"] | None
    numbers: list[int]


def split(batch: dict[str, Tensor], numbers: list[int], num_micro_batches: int) -> list[Clips]:
    """The micro-batches of a batch: every so many-th clip, so that groups of neighbours stay groups.

    Args:
        batch: From the loader: clip uint8, t, c.
        numbers: Numbers of its clips in the global batch, on the host.
        num_micro_batches: How many; divides the batch.
    """
    parts = [slice(i, None, num_micro_batches) for i in range(num_micro_batches)]
    labelled = batch["c"].shape[1] > 0
    return [
        Clips(
            clip=batch["clip"][part] / 127.5 - 1,
            t=batch["t"][part].double(),
            c=batch["c"][part] if labelled else None,
            numbers=numbers[part],
        )
        for part in parts
    ]


@dataclass(frozen=True)
class FakeInputs:
    """What generated clips are made from.

    Attributes:
        z: Content noise.
        t: Frame times.
        c: Labels; None without labels.
        motion_z: Motion noise.
        first_code: Number of the motion code that ``motion_z[:, 0]`` is, for all clips or for each.
        random: Further draws for the same clips.
    """

    z: Float[Tensor, "B Z"]
    t: Float64[Tensor, "B T"]
    c: Float[Tensor, "B K"] | None
    motion_z: Float[Tensor, "B M N"]
    first_code: int | Int64[Tensor, " B"]
    random: AddressedRandom


def draw_inputs(
    generator: Generator, data: ClipDataModule, update: int, phase: str, numbers: list[int], device: torch.device
) -> FakeInputs:
    """Inputs of the generator for clips of one phase.

    Label and length of a generated video are those of a real one, drawn uniformly, so that their times have the same
    statistics. Only those motion codes are drawn that the times need; the codes are independent, so which ones they
    are called makes no difference.

    Args:
        generator: The network they are for.
        data: Whose labels, lengths and frame sampler to follow; its seed is the run's.
        update: Number of the update.
        phase: Name of the phase within the update.
        numbers: Numbers of the clips in the global batch.
        device: Where the tensors live.
    """
    random = AddressedRandom(data.seed, update, phase, torch.tensor(numbers).to(device, non_blocking=True))
    motion = generator.synthesis.motion
    t, labels = [], []
    for number in numbers:
        rng = np.random.default_rng([data.seed % 2**32, update, number, zlib.crc32(phase.encode())])
        video = int(rng.integers(len(data.video_lengths)))
        t.append(data.frame_sampler.sample(int(data.video_lengths[video]), rng, fractional=not motion.whole_frames))
        labels.append(data.labels[video])

    # Motion is located on the host: asking the device for the number of codes would wait for it.
    times = torch.from_numpy(np.stack(t).astype(np.float64))
    first, num_codes = motion.window(times)
    return FakeInputs(
        z=random.normal("z", generator.z_dim),
        t=times.to(device, non_blocking=True),
        c=torch.from_numpy(np.stack(labels)).to(device, non_blocking=True) if generator.c_dim else None,
        motion_z=random.normal("motion_z", num_codes, motion.z_dim),
        first_code=first if isinstance(first, int) else first.to(device, non_blocking=True),
        random=random,
    )


def generate(
    generator: Generator, inputs: FakeInputs, style_mixing_prob: float = 0.0
) -> tuple[Float[Tensor, "B T C H W"], Float[Tensor, "B L D"]]:
    """Clips and the styles they were made with; the running mean of styles does not move.

    Args:
        generator: In training mode.
        inputs: Of the clips.
        style_mixing_prob: Share of clips whose later layers take the style of another latent, [0, 1].
    """
    ws = generator.mapping(inputs.z, inputs.c, update_w_avg=False)
    if style_mixing_prob > 0:
        other_z = inputs.random.normal("other_z", generator.z_dim)
        other = generator.mapping(other_z, inputs.c, update_w_avg=False)
        ws = mix_styles(ws, other, style_mixing_prob, inputs.random)
    clip = generator.synthesis(
        ws, inputs.t, inputs.c, inputs.motion_z, first_code=inputs.first_code, random=inputs.random
    )
    return clip, ws


def mix_styles(
    ws: Float[Tensor, "B L D"], other: Float[Tensor, "B L D"], probability: float, random: AddressedRandom
) -> Float[Tensor, "B L D"]:
    """Styles whose later layers follow ``other`` in a share of the clips (StyleGAN, Karras et al. 2019, section 3.1).

    Args:
        ws: The styles; their first layer always stays.
        other: Styles of other latents.
        probability: Share of clips that are mixed, [0, 1].
        random: Decides which clips, and from which layer on.
    """
    num_layers = ws.shape[1]
    crossover = 1 + (random.uniform("crossover", 1) * (num_layers - 1)).long()
    mixed = random.uniform("mixed", 1) < probability
    later = torch.arange(num_layers, device=ws.device) >= crossover  # [B, L]
    return torch.where((mixed & later).unsqueeze(2), other, ws)
