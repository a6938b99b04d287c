"""FFNeRV with and without CAM, from the settings and tensors of its program."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from einops import rearrange
from torch import Tensor, nn

from errors import InputError
from fields.nodes import build

_CONVOLUTIONS = {"conv": "plain", "compact": "compact"}
_MAX = 1_000_000


def _as_it_is(value: Tensor) -> Tensor:
    return value


def _knots_last(value: Tensor) -> Tensor:
    return rearrange(value, "t c 1 1 -> c t")


def _tensor(name: str, value: Tensor, num_stages: int) -> tuple[str, Tensor]:
    """Our name and shape of a tensor of the program.

    Raises:
        InputError: There is none of this name, or it has other axes.
    """
    rules: tuple[tuple[str, Callable[..., str], int, Callable[[Tensor], Tensor]], ...] = (
        (r"video_grid\.(\d+)", "latents.levels.{0}.values".format, 4, _as_it_is),
        (r"layers\.(\d+)\.conv\.conv1\.(weight|bias)", "blocks.{0}.conv.0.{1}".format, 0, _as_it_is),
        (r"layers\.(\d+)\.conv\.conv2\.(weight|bias)", "blocks.{0}.conv.1.{1}".format, 0, _as_it_is),
        (r"layers\.(\d+)\.norm\.mod_grid\.0", "blocks.{0}.cam.gamma.values".format, 4, _knots_last),
        (r"layers\.(\d+)\.norm\.mod_grid\.1", "blocks.{0}.cam.beta.values".format, 4, _knots_last),
        (rf"head_layers\.{num_stages - 3}\.(weight|bias)", "flow_head.{0}".format, 0, _as_it_is),
        (rf"head_layers\.{num_stages - 1}\.(weight|bias)", "frame_head.{0}".format, 0, _as_it_is),
    )
    for pattern, ours, num_axes, shape in rules:
        if found := re.fullmatch(pattern, name):
            if (num_axes and value.ndim != num_axes) or (shape is _knots_last and value.shape[2:] != (1, 1)):
                raise InputError(f"weights: {name!r} is {tuple(value.shape)}, which is not its shape in FFNeRV")
            return ours(*found.groups()), shape(value)
    raise InputError(f"weights: {name[:80]!r} is no tensor of FFNeRV")


def ffnerv(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> nn.Module:
    """The network of FFNeRV; `fields.ffnerv.FFNeRV` with ``official_warp`` makes it a field.

    Args:
        config: The program's settings: ``fc_hw_dim`` (9_16_156), ``t_dim`` ([64, 128]), ``strides``, ``expansion``,
            ``reduction``, ``lower_width``, ``conv_type`` ("conv" or "compact"), ``mod_dim`` (knots of CAM; 0 is none)
            and ``wbit`` (32 is no quantiser; 6 leaves heads at 8).
        state: Its tensors by name.

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    arguments = _arguments(config)
    network = build({"class_path": "fields.ffnerv.FFNeRVNetwork", "init_args": arguments}, len(state))
    found = dict(_tensor(name, value, len(arguments["strides"])) for name, value in state.items())
    expected = network.state_dict()
    for name in sorted({*found, *expected}):
        theirs, ours = (tuple(side[name].shape) if name in side else "missing" for side in (found, expected))
        if theirs != ours:
            raise InputError(f"weights: {name!r} (our name) is {theirs}, the settings ask {ours}")
    network.load_state_dict({name: value.detach().clone() for name, value in found.items()}, assign=True)
    return network.eval()


def _arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of our network."""
    parts = str(config.get("fc_hw_dim")).split("_")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        raise InputError(f"fc_hw_dim {str(config.get('fc_hw_dim'))[:40]!r}: give three whole numbers joined by _")
    height, width, channels = (_count("fc_hw_dim", int(part)) for part in parts)
    convolution, bits = config.get("conv_type", "conv"), _count("wbit", config.get("wbit", 32))
    if convolution not in _CONVOLUTIONS:
        raise InputError(f"conv_type {str(convolution)[:40]!r}: give one of {', '.join(_CONVOLUTIONS)}")
    if config.get("act", "gelu") != "gelu" or config.get("aggs", 4) != 4:
        raise InputError("act, aggs: FFNeRV is known with gelu and 4 neighbours")
    knots = _count("mod_dim", config.get("mod_dim", 0))
    return {
        "latent_times": _counts("t_dim", config.get("t_dim")),
        "latent_dim": channels,
        "latent_size": [height, width],
        "strides": _counts("strides", config.get("strides")),
        "expansion": float(config.get("expansion", 1)),
        "reduction": _count("reduction", config.get("reduction", 2)),
        "lower_width": _count("lower_width", config.get("lower_width", 32)),
        "convolution": _CONVOLUTIONS[convolution],
        "cam_knots": knots or None,
        "bits": None if bits == 32 else bits,
        "head_bits": 8 if bits == 6 else min(bits, 24),
    }


def _count(key: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MAX:
        raise InputError(f"{key} {str(value)[:40]!r}: give a whole number up to {_MAX}")
    return value


def _counts(key: str, values: Any) -> list[int]:
    if not isinstance(values, (list, tuple)) or not values:
        raise InputError(f"{key} {str(values)[:40]!r}: give a list of whole numbers")
    return [_count(key, value) for value in values]
