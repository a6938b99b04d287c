"""The original's settings, as far as the shapes of its tensors tell them.

Where several values make the same shapes, such as a channel table that is cut off anyway, a hint decides: what the file
says of itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from errors import InputError

State = Mapping[str, Tensor]
_MOTION = "synthesis.motion_encoder"
_EMBEDDING_DIM = 256  # of a time difference


def tensor_settings(generator: State, discriminator: State, hints: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Settings by the names of `networks.NETWORK_SETTINGS`; those that no tensor tells are left out.

    Args:
        generator: Tensors by official names.
        discriminator: The same.
        hints: Values to prefer among those that make the same shapes.

    Raises:
        InputError: The tensors are not those of such networks.
    """
    hints = hints or {}
    settings = _generator(generator, hints) | _discriminator(discriminator, hints)
    sizes = [_sizes(state)[-1] for state in (generator, discriminator)]
    if len(set(sizes)) > 1:
        raise InputError(f"G makes frames of {sizes[0]} pixels, D takes {sizes[1]}: they do not belong together")
    c_dim = _tensor(generator, "mapping.embed.weight", 2).shape[1] if "mapping.embed.weight" in generator else 0
    spacing = _spacing(discriminator, c_dim, settings["num_frames"])
    return {"resolution": sizes[0], "c_dim": c_dim} | settings | spacing


def _generator(state: State, hints: Mapping[str, Any]) -> dict[str, Any]:
    if any(name.startswith(f"{_MOTION}.rnn") for name in state):
        raise InputError("G: has the motion of the MoCoGAN baseline: only StyleGAN-V itself can be read")
    noise_conv, code_conv = (_tensor(state, f"{_MOTION}.conv.{i}.weight", 3) for i in (0, 1))
    w_dim = len(_tensor(state, "mapping.w_avg", 1))
    labelled = "mapping.embed.weight" in state
    channels = {r: len(_tensor(state, f"synthesis.b{r}.conv1.weight", 4)) for r in _sizes(state)}
    base, maximum = _channel_table(channels, hints.get("g_channel_base"), hints.get("g_channel_max"))
    return {
        "z_dim": _tensor(state, "mapping.fc0.weight", 2).shape[1] - (w_dim if labelled else 0),
        "w_dim": w_dim,
        "g_mapping_layers": _count(state, r"mapping\.fc\d+\.weight"),
        "motion_z_dim": len(noise_conv),
        "motion_v_dim": len(code_conv),
        "kernel_size": noise_conv.shape[2],
        **_time(state, w_dim, hints),
        "noise_inputs": any(name.endswith("noise_strength") for name in state),
        "g_channel_base": base,
        "g_channel_max": maximum,
    }


def _time(state: State, w_dim: int, hints: Mapping[str, Any]) -> dict[str, Any]:
    """Periods of the time encoding, and where it enters."""
    freqs = _tensor(state, f"{_MOTION}.time_encoder.freqs", 2).double().flatten()
    if not len(freqs) or not (freqs.isfinite() & (freqs > 0)).all():
        raise InputError(f"{_MOTION}.time_encoder.freqs: no positive frequencies: the file is damaged")
    shortest, longest = (2 * math.pi / float(freq) for freq in (freqs[-1], freqs[0]))
    width = 2 * len(freqs)
    const = next((state[n] for n in ("synthesis.b4.input.input.const", "synthesis.b4.input.input") if n in state), None)
    if const is None or const.ndim < 3:
        raise InputError("synthesis.b4.input: the constant input is missing from the file: it is damaged")
    joined = _tensor(state, "synthesis.b4.conv1.weight", 4).shape[1] > const.shape[-3]
    entries = _time_conditionings(_tensor(state, "synthesis.b4.torgb.affine.weight", 2).shape[1], w_dim, width, joined)
    told = len(entries) == 1 or hints.get("time_conditioning", entries[0]) not in entries
    return {
        "num_frequencies": len(freqs),
        "min_period": _period(shortest, hints.get("min_period")),
        "max_period": _period(longest, hints.get("max_period")),
        "motion_input": joined,
        **({"time_conditioning": entries[0]} if told else {}),
    }


def _time_conditionings(style_dim: int, w_dim: int, width: int, joined: bool) -> list[str]:
    """Ways in which time can enter a network whose styles have ``style_dim`` values."""
    if style_dim == w_dim + width:
        return ["concat_w"]
    possible = ["concat_const"] if joined else []
    return possible + (["sum_w"] if w_dim == width else []) or ["concat_const"]


def _discriminator(state: State, hints: Mapping[str, Any]) -> dict[str, Any]:
    channels = {r: len(_first_conv(state, r)) for r in _sizes(state)}
    base, maximum = _channel_table(channels, hints.get("d_channel_base"), hints.get("d_channel_max"))
    conditioned = "mapping.embed.weight" in state
    rows = "time_encoder.const_embed.weight"
    joining = _joining(state, channels, hints)
    if (rows in state) != (joining["num_frames"] > 1):
        raise InputError(f"D: takes {joining['num_frames']} frames, which does not go with its time encoder")
    return {
        **joining,
        **({"max_num_frames": len(_tensor(state, rows, 2))} if rows in state else {}),
        "condition_dim": len(_tensor(state, "mapping.embed.weight", 2)) if conditioned else channels[4],
        "d_mapping_layers": _count(state, r"mapping\.fc\d+\.weight") if conditioned else 2,
        "d_channel_base": base,
        "d_channel_max": maximum,
    }


def _joining(state: State, channels: Mapping[int, int], hints: Mapping[str, Any]) -> dict[str, Any]:
    """Where frames are joined, the divisor of their channels there, and how many there are."""
    found = []
    for above, block in pairwise(sorted(channels, reverse=True)):
        given = len(_tensor(state, f"b{above}.conv1.weight", 4))
        taken = _first_conv(state, block).shape[1] - (block == 4)  # the last block also sees a deviation
        if (given, taken) != (channels[block], channels[block]):
            found.append((block, given, taken))
    if not found:
        return {"num_frames": 1, "num_frames_div_factor": 1}
    block, given, taken = found[0]
    divisors = [n for n in (hints.get("num_frames_div_factor"), channels[block] // max(given, 1)) if isinstance(n, int)]
    fitting = [n for n in divisors if n > 0 and channels[block] // n == given]
    if len(found) > 1 or not fitting or taken % given:
        raise InputError(f"b{block}: {given} channels go in, {taken} are taken: no way of joining frames does that")
    return {"num_frames": taken // given, "concat_res": block, "num_frames_div_factor": fitting[0]}


def _spacing(state: State, c_dim: int, num_frames: int) -> dict[str, bool]:
    """Whether only the first time difference is encoded; two frames have only one."""
    if num_frames < 3:
        return {}
    coefficients = _tensor(state, "time_encoder.time_encoder.fourier_coefs", 2).numel()
    encoded = _tensor(state, "mapping.embed.weight", 2).shape[1] - c_dim
    return {"uniform_spacing": encoded == _EMBEDDING_DIM + 2 * coefficients}


def _channel_table(channels: Mapping[int, int], base: Any, maximum: Any) -> tuple[int, int]:
    """Base and maximum of ``min(base // r, maximum)``: those given where they fit, else the smallest that do.

    Raises:
        InputError: The channels follow no such table.
    """
    if isinstance(base, int) and isinstance(maximum, int) and _follow(channels, base, maximum):
        return base, maximum
    base, maximum = max(count * r for r, count in channels.items()), channels[4]
    if not _follow(channels, base, maximum):
        r, count = next((r, n) for r, n in channels.items() if n != min(base // r, maximum))
        raise InputError(f"b{r}: {count} channels do not follow min({base} / r, {maximum}), as the original's do")
    return base, maximum


def _follow(channels: Mapping[int, int], base: int, maximum: int) -> bool:
    return all(count == min(base // r, maximum) for r, count in channels.items())


def _period(measured: float, hint: Any) -> float:
    """A period in frames: the hint, or a whole number, where float32 cannot tell the difference."""
    candidates = [hint] if isinstance(hint, int | float) else []
    near = [n for n in (*candidates, round(measured)) if math.isclose(n, measured, rel_tol=1e-5)]
    return near[0] if near else float(f"{measured:.6g}")


def _sizes(state: State) -> list[int]:
    """Sizes of the blocks: 4, 8, ... up to the frame's."""
    found = sorted({int(m[1]) for m in (re.match(r"(?:synthesis\.)?b(\d{1,5})\.", name) for name in state) if m})
    if found != [4 * 2**i for i in range(len(found))] or len(found) < 2:
        raise InputError(f"blocks {found or 'none'}: not those of a network of the original, 4, 8, 16, ...")
    return found


def _first_conv(state: State, r: int) -> Tensor:
    return _tensor(state, "b4.conv.weight" if r == 4 else f"b{r}.conv0.weight", 4)


def _tensor(state: State, name: str, ndim: int) -> torch.Tensor:
    if name not in state:
        raise InputError(f"{name}: missing from the file: it is damaged, or of another version of the original")
    if state[name].ndim != ndim or not state[name].numel():
        raise InputError(f"{name}: has the shape {list(state[name].shape)}: the file is damaged")
    return state[name]


def _count(state: State, pattern: str) -> int:
    return sum(bool(re.fullmatch(pattern, name)) for name in state)
