"""What a snapshot says of its networks beside their tensors: where each setting stands, how all sources are joined."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from errors import InputError
from stylegan_v.networks.synthesis import TimeConditioning

Source = Literal["tensors", "embedded", "flag", "assumed"]
ABSENT = object()


@dataclass(frozen=True)
class Setting:
    """A value and where it comes from: tensors, settings in the file, the user, or the original's defaults."""

    value: Any
    source: Source


@dataclass(frozen=True)
class _Place:
    """Where a setting stands in a file, and which values it can have; the first place that has one counts."""

    paths: tuple[str, ...]
    allowed: Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _counts(*paths: str) -> _Place:
    return _Place(paths, _is_count)


def _flags(*paths: str) -> _Place:
    return _Place(paths, lambda value: isinstance(value, bool))


def _clamp(*paths: str) -> _Place:
    return _Place(paths, lambda value: value is None or _is_number(value))


_GENERATOR, _DISCRIMINATOR = "config.model.generator", "config.model.discriminator"
# "config" is that of the run, "G" and "D" are the arguments of the networks, "sampling" is what the generator keeps.
_PLACES: Mapping[str, _Place] = {
    "resolution": _counts("G.img_resolution", "D.img_resolution", "config.dataset.resolution"),
    "c_dim": _Place(("G.c_dim", "D.c_dim", "config.dataset.c_dim"), lambda value: value == 0 or _is_count(value)),
    "z_dim": _counts(f"{_GENERATOR}.z_dim"),
    "w_dim": _counts("G.w_dim", f"{_GENERATOR}.w_dim"),
    "g_mapping_layers": _counts("G.mapping_kwargs.num_layers"),
    "motion_z_dim": _counts(f"{_GENERATOR}.motion.z_dim"),
    "motion_v_dim": _counts(f"{_GENERATOR}.motion.v_dim"),
    "kernel_size": _counts(f"{_GENERATOR}.motion.kernel_size"),
    "num_frequencies": _counts(f"{_GENERATOR}.time_enc.dim"),
    "min_period": _Place((f"{_GENERATOR}.time_enc.min_period_len",), _is_number),
    "max_period": _Place((f"{_GENERATOR}.time_enc.max_period_len",), _is_number),
    "motion_z_distance": _counts(f"{_GENERATOR}.motion.motion_z_distance"),
    "max_num_frames": _counts("sampling.max_num_frames", "config.sampling.max_num_frames"),
    "time_conditioning": _Place(
        (f"{_GENERATOR}.time_enc.cond_type",),
        lambda value: isinstance(value, str) and value in get_args(TimeConditioning),
    ),
    "noise_inputs": _flags(f"{_GENERATOR}.use_noise"),
    "g_channel_base": _counts("G.synthesis_kwargs.channel_base"),
    "g_channel_max": _counts("G.synthesis_kwargs.channel_max"),
    "g_conv_clamp": _clamp("G.synthesis_kwargs.conv_clamp"),
    "num_frames": _counts("sampling.num_frames_per_video", "config.sampling.num_frames_per_video"),
    "concat_res": _counts(f"{_DISCRIMINATOR}.concat_res"),
    "num_frames_div_factor": _counts(f"{_DISCRIMINATOR}.num_frames_div_factor"),
    "condition_ignored": _flags(f"{_DISCRIMINATOR}.dummy_c"),
    "d_mapping_layers": _counts("D.mapping_kwargs.num_layers"),
    "d_channel_base": _counts("D.channel_base"),
    "d_channel_max": _counts("D.channel_max"),
    "d_conv_clamp": _clamp("D.conv_clamp"),
    "mbstd_group_size": _counts("D.epilogue_kwargs.mbstd_group_size"),
}
# What no tensor tells, as in the settings that the original ships; codes are as far apart as the shortest period.
_ASSUMED: Mapping[str, Any] = {
    "max_num_frames": 1024,
    "time_conditioning": "concat_const",
    "g_conv_clamp": 256.0,
    "d_conv_clamp": 256.0,
    "condition_ignored": False,
    "mbstd_group_size": 4,
    "uniform_spacing": False,
}


def find(tree: Mapping[str, Any], path: str) -> Any:
    """What stands in nested dictionaries at "a.b.c"; `ABSENT` where there is nothing."""
    node: Any = tree
    for key in path.split("."):
        node = node.get(key, ABSENT) if isinstance(node, Mapping) else ABSENT
    return node


def embedded_settings(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the networks that a file carries beside the tensors; values of a wrong kind count as missing.

    Args:
        tree: ``config`` of the run, ``G`` and ``D`` (arguments of the networks), ``sampling``; each may be empty.
    """
    found = {}
    for name, place in _PLACES.items():
        values = [value for value in (find(tree, path) for path in place.paths) if value is not ABSENT]
        usable = [value for value in values if place.allowed(value)]
        if usable:
            found[name] = usable[0]
    spacing = [find(tree, f"{section}.type") for section in ("sampling", "config.sampling")]
    known = [kind for kind in spacing if kind in ("random", "uniform")]
    return found | ({"uniform_spacing": known[0] == "uniform"} if known else {})


def tree_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The tree in which `embedded_settings` finds these settings, under the original's names."""
    tree: dict[str, Any] = {"sampling": {"type": "uniform" if settings.get("uniform_spacing") else "random"}}
    for name, place in _PLACES.items():
        *sections, key = place.paths[0].split(".")
        node = tree
        for section in sections if name in settings else ():
            node = node.setdefault(section, {})
        if name in settings:
            node[key] = settings[name]
    return tree


def join(tensors: Mapping[str, Any], embedded: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Setting]:
    """Every setting of the networks, with its source: tensors before flags before what is embedded, else assumed.

    Args:
        tensors: What shapes tell.
        embedded: What the file says of itself.
        flags: What the user says.

    Raises:
        InputError: Two of them contradict each other.
    """
    for source, given in (("the file's own settings", embedded), ("the flag", flags)):
        for name in tensors.keys() & given.keys():
            if given[name] != tensors[name]:
                remedy = "leave it out" if given is flags else "the file is damaged, or of another program"
                raise InputError(f"{name}: {tensors[name]} by the tensors, {given[name]} by {source}: {remedy}")
    distance, concat_res = max(round(tensors["min_period"]), 1), min(16, tensors["resolution"] // 2)
    assumed = {**_ASSUMED, "motion_z_distance": distance, "concat_res": concat_res}
    joined = {name: Setting(value, "assumed") for name, value in assumed.items()}
    for source, given in (("embedded", embedded), ("flag", flags), ("tensors", tensors)):
        joined |= {name: Setting(value, source) for name, value in given.items()}
    return joined
