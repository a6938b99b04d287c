"""Networks of the original StyleGAN-V as nodes of our configs, and built from its tensors.

Settings are a flat dictionary: what `inference` reads from shapes and `network_settings` from what a snapshot carries.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from errors import InputError
from stylegan_v.checkpoints import build
from stylegan_v.networks import Discriminator, Generator, MotionEncoder, ProjectionConditioning
from stylegan_v.official.names import to_ours

Node = dict[str, Any]

# Our argument -> the setting that it takes.
_GENERATOR = {
    "resolution": "resolution",
    "z_dim": "z_dim",
    "w_dim": "w_dim",
    "c_dim": "c_dim",
    "num_mapping_layers": "g_mapping_layers",
    "time_conditioning": "time_conditioning",
    "motion_input": "motion_input",
    "channel_base": "g_channel_base",
    "channel_max": "g_channel_max",
    "conv_clamp": "g_conv_clamp",
    "noise_inputs": "noise_inputs",
}
_MOTION = {
    "z_dim": "motion_z_dim",
    "v_dim": "motion_v_dim",
    "c_dim": "c_dim",
    "num_frequencies": "num_frequencies",
    "distance": "motion_z_distance",
    "kernel_size": "kernel_size",
    "min_period": "min_period",
    "max_period": "max_period",
    "max_num_frames": "max_num_frames",
}
_DISCRIMINATOR = {
    "resolution": "resolution",
    "channel_base": "d_channel_base",
    "channel_max": "d_channel_max",
    "conv_clamp": "d_conv_clamp",
    "mbstd_group_size": "mbstd_group_size",
    "concat_res": "concat_res",
    "num_frames_div_factor": "num_frames_div_factor",
}
_CONDITIONING = {
    "num_frames": "num_frames",
    "c_dim": "c_dim",
    "dim": "condition_dim",
    "num_layers": "d_mapping_layers",
    "max_num_frames": "max_num_frames",
    "uniform_spacing": "uniform_spacing",
    "ignored": "condition_ignored",
}
NETWORK_SETTINGS = tuple(
    dict.fromkeys(s for t in (_GENERATOR, _MOTION, _DISCRIMINATOR, _CONDITIONING) for s in t.values())
)


def generator_node(settings: Mapping[str, Any]) -> Node:
    """The generator of these settings as a config has it, with its motion.

    Args:
        settings: By the names of `NETWORK_SETTINGS`.
    """
    return _node(Generator, _GENERATOR, settings, motion=_node(MotionEncoder, _MOTION, settings))


def discriminator_node(settings: Mapping[str, Any]) -> Node:
    """The discriminator of these settings as a config has it, with its conditioning; arguments as `generator_node`."""
    conditioning = _node(ProjectionConditioning, _CONDITIONING, settings)
    return _node(Discriminator, _DISCRIMINATOR, settings, conditioning=conditioning)


def settings_of(generator: Any, discriminator: Any) -> dict[str, Any]:
    """The settings that two nodes stand for, the defaults of what they leave out included; undoes the nodes above.

    Raises:
        InputError: The original has no such networks; the message says why.
    """
    g, d = _arguments(generator, Generator), _arguments(discriminator, Discriminator)
    motion = _arguments(g["motion"] or _node(MotionEncoder, {"c_dim": "c_dim"}, g), MotionEncoder)
    conditioning = _arguments(d["conditioning"], ProjectionConditioning)
    if g["motion_input"] is None:
        g["motion_input"] = g["time_conditioning"] == "concat_const"

    settings: dict[str, Any] = {}
    parts = ((g, _GENERATOR), (motion, _MOTION), (d, _DISCRIMINATOR), (conditioning, _CONDITIONING))
    for given, table in parts:
        for argument, setting in table.items():
            value = _side(given[argument]) if argument == "resolution" else given[argument]
            if settings.setdefault(setting, value) != value:
                raise InputError(
                    f"{setting}: {settings[setting]} and {value}: the original has one for all of its parts"
                )
    width = min(settings["d_channel_base"] // 4, settings["d_channel_max"])
    if settings["condition_dim"] != width:
        raise InputError(f"conditioning.dim: the original's condition is as wide as its last layers, {width}")
    return settings


def _side(resolution: Any) -> int:
    sides = set(resolution) if isinstance(resolution, list | tuple) else {resolution}
    side = sides.pop()
    if sides or not isinstance(side, int) or side < 4 or side & (side - 1):
        raise InputError("resolution: the original holds only squares with a side that is a power of two")
    return side


def build_generator(settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> Generator:
    """A generator with the original's weights, in evaluation mode.

    Args:
        settings: By the names of `NETWORK_SETTINGS`.
        state: Tensors by their official names.

    Raises:
        InputError: A tensor is missing, unknown or of another shape.
    """
    return _load(build(generator_node(settings)), to_ours(state))


def build_discriminator(settings: Mapping[str, Any], state: Mapping[str, Tensor]) -> Discriminator:
    """A discriminator with the original's weights, in evaluation mode. Arguments and errors as `build_generator`."""
    return _load(build(discriminator_node(settings)), to_ours(state))


def check(node: Node, state: Mapping[str, Tensor]) -> int:
    """Sees that tensors fill the network of a node, nothing missing and nothing left over.

    Args:
        node: Of a network.
        state: Tensors by our names.

    Returns:
        The number of the network's parameters.

    Raises:
        InputError: They do not.
    """
    with torch.device("meta"):
        network = build(node)
    _check_fits(network, state)
    return sum(parameter.numel() for parameter in network.parameters())


def _node(made: type, table: Mapping[str, str], settings: Mapping[str, Any], **parts: Node) -> Node:
    arguments = {argument: settings[setting] for argument, setting in table.items()}
    return {"class_path": f"stylegan_v.networks.{made.__name__}", "init_args": arguments | parts}


_PARTS: Mapping[type, set[str]] = {
    Generator: {*_GENERATOR, "motion"},
    MotionEncoder: {*_MOTION},
    Discriminator: {*_DISCRIMINATOR, "conditioning"},
    ProjectionConditioning: {*_CONDITIONING},
}


def _arguments(node: Any, made: type) -> dict[str, Any]:
    """The arguments of a node, with the defaults of its class; what the original has none of must be left at these."""
    class_path = node.get("class_path") if isinstance(node, dict) else None
    name = str(class_path).rpartition(".")[2]
    if name != made.__name__:
        raise InputError(f"{name if class_path else 'no ' + made.__name__}: the original has only {made.__name__}")
    defaults = {parameter.name: parameter.default for parameter in inspect.signature(made).parameters.values()}
    given = node.get("init_args") or {}
    for argument in given.keys() - _PARTS[made]:
        if given[argument] != defaults.get(argument):
            raise InputError(f"{argument}: {made.__name__} has it, the original's counterpart has nothing like it")
    return defaults | given


def _load(network: nn.Module, state: Mapping[str, Tensor]) -> Any:
    _check_fits(network, state)
    network.load_state_dict(state)
    return network.eval()


def _check_fits(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    expected = network.state_dict()
    for name in sorted(expected.keys() ^ state.keys()):
        what = "missing from the file" if name in expected else "not in the network of these settings"
        raise InputError(f"{name}: {what}: the file is damaged, or of another version of the original")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            shapes = f"shape {list(tensor.shape)} in the file, {list(expected[name].shape)} in the network"
            raise InputError(f"{name}: {shapes}: the file is damaged, or of another version of the original")
