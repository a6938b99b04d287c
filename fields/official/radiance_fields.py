"""Radiance fields with and without CAM, from the settings and tensors of the programs: Mip-NeRF's (flax), NerfAcc's.

What tensors show, such as grids and octaves, is taken from them; the settings say the rest, under the programs' names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from errors import InputError
from fields.nodes import build

Config = Mapping[str, Any]
State = Mapping[str, Tensor]
Rule = tuple[str, Callable[..., str], Callable[[Tensor], Tensor]]

_MAX_COUNT = 1_000_000
_MAX_OCTAVES = 64
_TRUNK_HEAD = {0: "density", 1: "bottleneck", 2: "colour", 3: "rgb"}  # layers of Mip-NeRF behind its trunk


def mipnerf(config: Config, state: State) -> nn.Module:
    """A Mip-NeRF; with modulation where there are grids.

    Args:
        config: ``num_samples`` (128) and ``num_levels`` (2), ``net_depth`` (8), ``net_width`` (256), ``skip_layer``
            (4), ``net_width_condition`` (128), ``max_deg_point`` (16), ``deg_view`` (4), ``ray_shape`` ("cone" or
            "cylinder") and ``w_bit`` (32).
        state: Tensors by their paths joined by "/", kernels as (in, out).

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    count = _counter(config)
    depth = count("net_depth", 8)
    state = {name.removeprefix("params/").removeprefix("MLP_0/"): value for name, value in state.items()}
    shape = config.get("ray_shape", "cone")
    if shape not in ("cone", "cylinder"):
        raise InputError(f"ray_shape {str(shape)[:40]!r}: give cone or cylinder")
    arguments = {
        "num_samples": [count("num_samples", 128)] * min(count("num_levels", 2), 100),
        "num_octaves": min(count("max_deg_point", 16), _MAX_OCTAVES),
        "view_octaves": min(count("deg_view", 4), _MAX_OCTAVES),
        "width": count("net_width", 256),
        "depth": depth,
        "skip": count("skip_layer", 4),
        "colour_width": count("net_width_condition", 128),
        "view_knots": list(state["affine_0/gamma"].shape) if "affine_0/gamma" in state else None,
        "elevation": "official",
        "shape": shape,
        "bits": count("w_bit", 32),
    }

    def dense(number: str, kind: str) -> str:
        index = int(number)
        layer = f"trunk.layers.{index}" if index < depth else _TRUNK_HEAD.get(index - depth, "beyond")
        return f"network.{layer}.{'weight' if kind == 'kernel' else 'bias'}"

    rules: tuple[Rule, ...] = (
        (r"Dense(?:_Q)?_(\d{1,4})/(kernel|bias)", dense, lambda value: value.T if value.ndim == 2 else value),
        (r"affine_(\d+)/(gamma|beta)", "network.trunk.modulations.{}.{}.values".format, lambda value: value[None]),
    )
    return _filled("fields.radiance.mipnerf.MipNeRF", arguments, _renamed(state, rules))


def nerf(config: Config, state: State) -> nn.Module:
    """A static field of NerfAcc's kind without modulation.

    Args:
        config: ``num_samples`` (64), ``net_depth`` (8), ``net_width`` (256), ``skip_layer`` (4) and
            ``net_width_condition`` (128).
        state: Its tensors by name.

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    arguments = _sizes(_counter(config)) | {
        "num_octaves": _octaves(state, "posi_encoder"),
        "view_octaves": _octaves(state, "view_encoder"),
        "view_knots": None,
    }
    return _filled("fields.radiance.nerf.NeRF", arguments, _renamed(_without_scales(state), _canonical("")))


def tnerf(config: Config, state: State) -> nn.Module:
    """A T-NeRF; with modulation where there are grids.

    Args:
        config: As for `nerf`, and of the deformation ``warp_depth`` (4) and ``warp_width`` (64).
        state: Its tensors by name.

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    count = _counter(config)
    grids = state.get("nerf.mlp.base.affines.0")
    octaves = _octaves(state, "posi_encoder")
    if _octaves(state, "time_encoder") != octaves:
        raise InputError("time_encoder.scales: the deformation is known with as many octaves of time as of place")
    arguments = _sizes(count) | {
        "num_octaves": _octaves(state, "nerf.posi_encoder"),
        "view_octaves": _octaves(state, "nerf.view_encoder"),
        "time_knots": None if grids is None else grids.shape[2],
        "warp_octaves": octaves,
        "warp_width": count("warp_width", 64),
        "warp_depth": count("warp_depth", 4),
    }
    rules: tuple[Rule, ...] = (
        (r"warp\.hidden_layers\.(\d+)\.(weight|bias)", "deformation.trunk.layers.{}.{}".format, _as_it_is),
        (r"warp\.output_layer\.(weight|bias)", "deformation.shift.{}".format, _as_it_is),
    )
    state = _pairs_of_grids(_without_scales(state))
    return _filled("fields.radiance.tnerf.TNeRF", arguments, _renamed(state, (*rules, *_canonical("nerf."))))


def _as_it_is(value: Tensor) -> Tensor:
    return value


def _canonical(prefix: str) -> tuple[Rule, ...]:
    """Names of the field at rest."""
    start, network = re.escape(f"{prefix}mlp."), "radiance.network"
    heads = {"sigma_layer.output_layer": "density", "bottleneck_layer.output_layer": "bottleneck"}
    heads |= {"rgb_layer.hidden_layers.0": "colour", "rgb_layer.output_layer": "rgb"}
    return (
        (rf"{start}base\.hidden_layers\.(\d+)\.(weight|bias)", f"{network}.trunk.layers.{{}}.{{}}".format, _as_it_is),
        (
            rf"{start}base\.affines\.(\d+)/(gamma|beta)",
            f"{network}.trunk.modulations.{{}}.{{}}.values".format,
            _as_it_is,
        ),
        *(
            (rf"{start}{re.escape(theirs)}\.(weight|bias)", f"{network}.{ours}.{{}}".format, _as_it_is)
            for theirs, ours in heads.items()
        ),
    )


def _pairs_of_grids(state: State) -> dict[str, Tensor]:
    """Grids stored as [1, 2, T, 1], scale and shift in one, as two of [1, T]."""
    found = {}
    for name, value in state.items():
        if ".affines." not in name:
            found[name] = value
        elif value.ndim != 4 or value.shape[:2] != (1, 2) or value.shape[3] != 1:
            raise InputError(f"weights: {name!r} is {tuple(value.shape)}, where grids over time are (1, 2, knots, 1)")
        else:
            found |= {f"{name}/gamma": value[0, :1, :, 0], f"{name}/beta": value[0, 1:, :, 0]}
    return found


def _octaves(state: State, encoder: str) -> int:
    """How many octaves an encoder has, whose scales are powers of two from 1.

    Raises:
        InputError: They are not, or are missing.
    """
    name = f"{encoder}.scales"
    scales = state.get(name)
    if scales is None or scales.ndim != 1 or not 0 < len(scales) <= _MAX_OCTAVES:
        raise InputError(f"weights: {name!r} is missing, or is no list of up to {_MAX_OCTAVES} scales")
    if not torch.equal(scales.double(), 2.0 ** torch.arange(len(scales), dtype=torch.float64)):
        raise InputError(f"weights: {name!r} has other scales than 1, 2, 4, ...")
    return len(scales)


def _without_scales(state: State) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not re.fullmatch(r"(nerf\.)?\w+_encoder\.scales", name)}


def _sizes(count: Callable[[str, int], int]) -> dict[str, Any]:
    return {
        "num_samples": [count("num_samples", 64)],
        "width": count("net_width", 256),
        "depth": count("net_depth", 8),
        "skip": count("skip_layer", 4),
        "colour_width": count("net_width_condition", 128),
    }


def _counter(config: Config) -> Callable[[str, int], int]:
    """Reads whole numbers of the settings, or their usual values; no bool or text passes for one."""

    def count(key: str, usual: int) -> int:
        value = config.get(key, usual)
        if type(value) is not int or not 0 < value <= _MAX_COUNT:
            raise InputError(f"{key} {str(value)[:40]!r}: give a whole number from 1 to {_MAX_COUNT}")
        return value

    return count


def _renamed(state: State, rules: Iterable[Rule]) -> dict[str, Tensor]:
    """Tensors under our names and in our shapes.

    Raises:
        InputError: There is none of a name.
    """
    found = {}
    for name, value in state.items():
        matches = ((re.fullmatch(pattern, name), ours, shaped) for pattern, ours, shaped in rules)
        hit = next(((match, ours, shaped) for match, ours, shaped in matches if match), None)
        if hit is None:
            raise InputError(f"weights: {name[:80]!r} is no tensor of such a model")
        match, ours, shaped = hit
        found[ours(*match.groups())] = shaped(value)
    return found


def _filled(class_path: str, arguments: Config, state: State) -> nn.Module:
    """A field with tensors.

    Raises:
        InputError: They are not those of such a field.
    """
    model = build({"class_path": class_path, "init_args": dict(arguments)}, len(state))
    expected = model.state_dict()
    for name in [*expected, *state]:
        ours, theirs = (tuple(side[name].shape) if name in side else "missing" for side in (expected, state))
        if ours != theirs:
            raise InputError(f"weights: {name!r} (our name) is {theirs}, the settings ask {ours}")
    model.load_state_dict({name: value.detach().clone() for name, value in state.items()}, assign=True)
    return model.eval()
