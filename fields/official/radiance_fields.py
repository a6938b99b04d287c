"""Radiance fields with and without CAM, from the settings and tensors of the programs: Mip-NeRF's (flax), NerfAcc's.

What tensors show, such as grids and octaves, is taken from them; the settings say the rest, under the programs' names.
Of NerfAcc's tensors the scales of its encoders are constants here, which are checked and kept by no field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from errors import InputError
from fields.nodes import build
from fields.radiance.mipnerf import MipNeRF
from fields.radiance.nerf import NeRF
from fields.radiance.tnerf import TNeRF

Config = Mapping[str, Any]
State = Mapping[str, Tensor]

_MAX_SIZE = 1_000_000
_MAX_LEVELS = 100
_MAX_OCTAVES = 64
_GRIDS = ("gamma", "beta")
_KINDS = ("weight", "bias")


def mipnerf(config: Config, state: State) -> nn.Module:
    """A Mip-NeRF; with modulation where there are grids.

    Args:
        config: ``num_samples`` (128) and ``num_levels`` (2), ``net_depth`` (8), ``net_width`` (256), ``skip_layer``
            (4), ``net_width_condition`` (128), ``max_deg_point`` (16), ``deg_view`` (4), ``ray_shape`` ("cone" or
            "cylinder") and ``w_bit`` (32).
        state: Tensors by their paths joined by "/", with ``params/MLP_0/`` before them or not, kernels as (in, out).

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    state = {_short(name): value for name, value in state.items()}
    depth, grids = _depth(config, "net_depth", 8, state), state.get("affine_0/gamma")
    arguments = {
        "num_samples": [_count(config, "num_samples", 128)] * _count(config, "num_levels", 2, _MAX_LEVELS),
        "num_octaves": _count(config, "max_deg_point", 16, _MAX_OCTAVES),
        "view_octaves": _count(config, "deg_view", 4, _MAX_OCTAVES),
        "width": _count(config, "net_width", 256),
        "depth": depth,
        "skip": _count(config, "skip_layer", 4),
        "colour_width": _count(config, "net_width_condition", 128),
        "view_knots": None if grids is None else list(grids.shape),
        "elevation": "official",
        "shape": config.get("ray_shape", "cone"),
        "bits": _count(config, "w_bit", 32),
    }
    found = {name: _ours(name, value) for name, value in state.items()}
    names = _mipnerf_names(depth, grids is not None)
    return _filled("fields.radiance.mipnerf.MipNeRF", arguments, found, names)


def mipnerf_state(field: MipNeRF) -> dict[str, Tensor]:
    """The tensors of a Mip-NeRF under the names and in the shapes of its program."""
    trunk, state = field.network.trunk, field.state_dict()
    names = _mipnerf_names(len(trunk.layers), bool(trunk.modulations))
    theirs = {name: state[ours] for name, ours in names.items()}
    return {f"params/MLP_0/{name}": value[0] if "affine" in name else _turned(value) for name, value in theirs.items()}


def nerf(config: Config, state: State) -> nn.Module:
    """A static field of NerfAcc's kind without modulation.

    Args:
        config: ``num_samples`` (64), ``net_depth`` (8), ``net_width`` (256), ``skip_layer`` (4) and
            ``net_width_condition`` (128).
        state: Its tensors by name.

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    arguments = _sizes(config, state) | {
        "num_octaves": _octaves(state, "posi_encoder"),
        "view_octaves": _octaves(state, "view_encoder"),
        "view_knots": None,
    }
    names = _canonical_names("", arguments["depth"], modulated=False)
    return _filled("fields.radiance.nerf.NeRF", arguments, _without_scales(state), names)


def nerf_state(field: NeRF) -> dict[str, Tensor]:
    """The tensors of a static field under the names of the program, grids left out."""
    names, state = _canonical_names("", len(field.radiance.network.trunk.layers), modulated=False), field.state_dict()
    return {name: state[ours] for name, ours in names.items()} | _scales("", field.radiance)


def tnerf(config: Config, state: State) -> nn.Module:
    """A T-NeRF; with modulation where there are grids.

    Args:
        config: As for `nerf`, and of the deformation ``warp_depth`` (4) and ``warp_width`` (64).
        state: Its tensors by name.

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    octaves = _octaves(state, "posi_encoder")
    if _octaves(state, "time_encoder") != octaves:
        raise InputError("time_encoder.scales: the deformation is known with as many octaves of time as of place")
    found = _split_grids(_without_scales(state))
    grids = found.get("nerf.mlp.base.affines.0/gamma")
    arguments = _sizes(config, state) | {
        "num_octaves": _octaves(state, "nerf.posi_encoder"),
        "view_octaves": _octaves(state, "nerf.view_encoder"),
        "time_knots": None if grids is None else grids.shape[1],
        "warp_octaves": octaves,
        "warp_width": _count(config, "warp_width", 64),
        "warp_depth": _depth(config, "warp_depth", 4, state),
    }
    names = _tnerf_names(arguments["depth"], arguments["warp_depth"], grids is not None)
    return _filled("fields.radiance.tnerf.TNeRF", arguments, found, names)


def tnerf_state(field: TNeRF) -> dict[str, Tensor]:
    """The tensors of a T-NeRF under the names and in the shapes of its program."""
    trunk, state = field.radiance.network.trunk, field.state_dict()
    names = _tnerf_names(len(trunk.layers), len(field.deformation.trunk.layers), bool(trunk.modulations))
    warp = 2.0 ** torch.arange(field.deformation.num_octaves)
    scales = {"posi_encoder.scales": warp.long(), "time_encoder.scales": warp.long()}
    theirs = {name: state[ours] for name, ours in names.items()}
    return _joined_grids(theirs) | scales | _scales("nerf.", field.radiance)


def _mipnerf_names(depth: int, modulated: bool) -> dict[str, str]:
    """Our names by theirs."""
    layers = [*(f"trunk.layers.{number}" for number in range(depth)), "density", "bottleneck", "colour", "rgb"]
    kinds = {"kernel": "weight", "bias": "bias"}
    names = {
        f"Dense_Q_{number}/{theirs}": f"network.{layer}.{ours}"
        for number, layer in enumerate(layers)
        for theirs, ours in kinds.items()
    }
    grids = [(number, grid) for number in range(depth if modulated else 0) for grid in _GRIDS]
    return names | {f"affine_{k}/{grid}": f"network.trunk.modulations.{k}.{grid}.values" for k, grid in grids}


def _canonical_names(prefix: str, depth: int, modulated: bool) -> dict[str, str]:
    """Our names of a field at rest by theirs."""
    layers = {f"base.hidden_layers.{number}": f"trunk.layers.{number}" for number in range(depth)} | {
        "sigma_layer.output_layer": "density",
        "bottleneck_layer.output_layer": "bottleneck",
        "rgb_layer.hidden_layers.0": "colour",
        "rgb_layer.output_layer": "rgb",
    }
    ours = "radiance.network"
    names = {f"{prefix}mlp.{a}.{kind}": f"{ours}.{b}.{kind}" for a, b in layers.items() for kind in _KINDS}
    grids = [(number, grid) for number in range(depth if modulated else 0) for grid in _GRIDS]
    pairs = ((f"base.affines.{k}/{grid}", f"trunk.modulations.{k}.{grid}.values") for k, grid in grids)
    return names | {f"{prefix}mlp.{a}": f"{ours}.{b}" for a, b in pairs}


def _tnerf_names(depth: int, warp_depth: int, modulated: bool) -> dict[str, str]:
    layers = {f"hidden_layers.{number}": f"trunk.layers.{number}" for number in range(warp_depth)}
    layers["output_layer"] = "shift"
    warp = {f"warp.{a}.{kind}": f"deformation.{b}.{kind}" for a, b in layers.items() for kind in _KINDS}
    return warp | _canonical_names("nerf.", depth, modulated)


def _short(name: str) -> str:
    """A name of Mip-NeRF's program without the path that all share; plain layers count like those with bits."""
    short = name.removeprefix("params/").removeprefix("MLP_0/")
    return short if short.startswith("Dense_Q_") else short.replace("Dense_", "Dense_Q_", 1)


def _ours(name: str, value: Tensor) -> Tensor:
    """A tensor of Mip-NeRF's program in the shape of ours."""
    return value[None] if name.startswith("affine") else _turned(value)


def _turned(value: Tensor) -> Tensor:
    """A kernel as weights or the other way round; biases as they are."""
    return value.T if value.ndim == 2 else value


def _split_grids(state: State) -> dict[str, Tensor]:
    """Grids stored as [1, 2, T, 1], scale and shift in one, as two of [1, T]."""
    found = {}
    for name, value in state.items():
        if ".affines." not in name:
            found[name] = value
        elif value.ndim != 4 or value.shape[:2] != (1, 2) or value.shape[3] != 1:
            raise InputError(f"weights: {name!r} is {tuple(value.shape)}, where grids over time are (1, 2, knots, 1)")
        else:
            found |= {f"{name}/{grid}": value[:, number, :, 0] for number, grid in enumerate(_GRIDS)}
    return found


def _joined_grids(state: State) -> dict[str, Tensor]:
    """What `_split_grids` has split."""
    found = {name: value for name, value in state.items() if ".affines." not in name}
    for name in state:
        if name.endswith("/gamma"):
            whole = name.removesuffix("/gamma")
            found[whole] = torch.stack([state[f"{whole}/{grid}"] for grid in _GRIDS], dim=1)[..., None]
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


def _scales(prefix: str, radiance: nn.Module) -> dict[str, Tensor]:
    """The constants of the encoders of a field at rest."""
    counts = {"posi_encoder": radiance.num_octaves, "view_encoder": radiance.view_octaves}
    return {f"{prefix}{name}.scales": 2 ** torch.arange(count) for name, count in counts.items()}


def _without_scales(state: State) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.endswith("_encoder.scales")}


def _sizes(config: Config, state: State) -> dict[str, Any]:
    return {
        "num_samples": [_count(config, "num_samples", 64)],
        "width": _count(config, "net_width", 256),
        "depth": _depth(config, "net_depth", 8, state),
        "skip": _count(config, "skip_layer", 4),
        "colour_width": _count(config, "net_width_condition", 128),
    }


def _count(config: Config, key: str, usual: int, most: int = _MAX_SIZE) -> int:
    """A whole number of the settings, or its usual value; no bool or text passes for one."""
    value = config.get(key, usual)
    if type(value) is not int or not 0 < value <= most:
        raise InputError(f"{key} {str(value)[:40]!r}: give a whole number from 1 to {most}")
    return value


def _depth(config: Config, key: str, usual: int, state: State) -> int:
    """Layers, which cannot be more than there are tensors."""
    return _count(config, key, usual, max(usual, len(state)))


def _filled(class_path: str, arguments: Config, state: State, names: Mapping[str, str]) -> nn.Module:
    """A field with tensors.

    Args:
        class_path: Of the field.
        arguments: Its settings.
        state: Tensors by their names, in our shapes.
        names: Our names by theirs.

    Raises:
        InputError: The tensors are not those of such a field.
    """
    model = build({"class_path": class_path, "init_args": dict(arguments)}, 2 * len(state) + 20)
    expected = model.state_dict()
    for name in [*names, *state]:
        theirs = tuple(state[name].shape) if name in state else "missing"
        wanted = tuple(expected[names[name]].shape) if name in names else "none of this name"
        if theirs != wanted:
            raise InputError(f"weights: {name[:80]!r} is {theirs}, the settings ask {wanted}")
    model.load_state_dict({names[name]: value.detach().clone() for name, value in state.items()}, assign=True)
    return model.eval()
