"""The original's settings, as far as the shapes of its tensors tell them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor

_CONV_CLAMP = 256.0  # every released network; not visible in the tensors


def infer_config(generator: Mapping[str, Tensor], discriminator: Mapping[str, Tensor]) -> dict[str, Any]:
    """Settings for `build_generator` and `build_discriminator` from official-named tensors.

    What no tensor tells is assumed as in the shipped settings: codes as far apart as the shortest period, random
    sampling, a clamp of 256, minibatch groups of 4.

    Raises:
        ValueError: If the channels do not follow the original's table.
    """
    resolution = max(_block_sizes(discriminator))
    channels = {r: len(generator[f"synthesis.b{r}.conv1.weight"]) for r in _block_sizes(generator)}
    channel_max, channel_base = channels[4], channels[resolution] * resolution
    for r, count in channels.items():
        if count != min(channel_base // r, channel_max):
            raise ValueError(f"b{r}: {count} channels do not follow min({channel_base} / r, {channel_max})")
    widths = {"channel_base": channel_base, "channel_max": channel_max, "conv_clamp": _CONV_CLAMP}
    joined, divisor, num_frames = _joining(discriminator)
    c_dim = generator["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in generator else 0
    sampling = {"max_num_frames": len(discriminator["time_encoder.const_embed.weight"]), "type": "random"}
    layers = {"G": _count(generator, r"mapping\.fc\d+\.weight"), "D": _count(discriminator, r"mapping\.fc\d+\.weight")}
    return {
        "resolution": resolution,
        "c_dim": c_dim,
        "num_frames_per_video": num_frames,
        "model": {
            "generator": {**_generator_section(generator), "sampling": sampling},
            "discriminator": {"sampling": sampling, "concat_res": joined, "num_frames_div_factor": divisor},
        },
        "derived": {
            "G_kwargs": {"mapping_kwargs": {"num_layers": layers["G"]}, "synthesis_kwargs": widths},
            "D_kwargs": {
                "mapping_kwargs": {"num_layers": layers["D"]},
                "epilogue_kwargs": {"mbstd_group_size": 4},
                **widths,
            },
        },
    }


def _generator_section(state: Mapping[str, Tensor]) -> dict[str, Any]:
    prefix = "synthesis.motion_encoder"
    freqs = state[f"{prefix}.time_encoder.freqs"].flatten()
    shortest, longest = (round(2 * math.pi / float(freq)) for freq in (freqs[-1], freqs[0]))
    noise_conv, code_conv = (state[f"{prefix}.conv.{i}.weight"] for i in (0, 1))
    return {
        "z_dim": state["mapping.fc0.weight"].shape[1] - (len(state["mapping.embed.bias"]) if _labelled(state) else 0),
        "w_dim": len(state["mapping.w_avg"]),
        "use_noise": any(name.endswith("noise_strength") for name in state),
        "motion": {
            "z_dim": len(noise_conv),
            "v_dim": len(code_conv),
            "motion_z_distance": shortest,
            "gen_strategy": "conv",
            "kernel_size": noise_conv.shape[2],
        },
        "time_enc": {
            "cond_type": "concat_const",
            "dim": len(freqs),
            "min_period_len": shortest,
            "max_period_len": longest,
        },
    }


def _labelled(state: Mapping[str, Tensor]) -> bool:
    return "mapping.embed.weight" in state


def _block_sizes(state: Mapping[str, Tensor]) -> list[int]:
    return sorted({int(m.group(1)) for m in (re.match(r"(?:synthesis\.)?b(\d+)\.", name) for name in state) if m})


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return sum(bool(re.fullmatch(pattern, name)) for name in state)


def _joining(state: Mapping[str, Tensor]) -> tuple[int, int, int]:
    """Where frames are joined, the divisor of their channels there, and how many there are."""
    blocks = _block_sizes(state)[:0:-1]  # from the frame's size down, without the last
    for above, block in pairwise(blocks):
        given, taken = len(state[f"b{above}.conv1.weight"]), state[f"b{block}.conv0.weight"].shape[1]
        own = len(state[f"b{block}.conv0.weight"])
        if taken != own or given != own:
            return block, own // given, taken // given
    raise ValueError("no block of the discriminator joins frames")
