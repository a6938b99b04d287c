"""NVP and the systems that it is measured against, from the settings and tensors of their programs.

An `nvp` is a field. The others are given as their networks, which take the coordinates and give the values of the
original: `fields.siren_video`, `fields.ffn` and `fields.nerv` place them behind the coordinates of this project.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from errors import InputError
from fields.nodes import build
from fields.siren_video import octaves

Config = Mapping[str, Any]
State = Mapping[str, Tensor]

_MAX_COUNT = 1_000_000

# Theirs, and ours with the same parts. NVP's program keeps the network of sines under two names.
_NVP_NAMES = (
    (r"keyframes_xy\.params", "planes.yx.table"),
    (r"keyframes_yt\.params", "planes.tx.table"),
    (r"keyframes_xt\.params", "planes.ty.table"),
    (r"sparse_grid\.embeddings", "sparse.embeddings"),
    (r"(?:wrapper\.)?net\.layers\.(\d+)\.(weight|bias)", "synthesiser.layers.{}.{}"),
    (r"(?:wrapper\.)?net\.last_layer\.(weight|bias)", "synthesiser.last.{}"),
    (r"wrapper\.modulator\.layers\.(\d+)\.0\.(weight|bias)", "modulator.layers.{}.{}"),
)
# The order in which the features of the planes are joined.
_NVP_PLANES = ("2d_encoding_xy", "2d_encoding_yt", "2d_encoding_xt")


def nvp_name(name: str) -> str:
    """Our name of a tensor of NVP's program.

    Raises:
        InputError: There is none of this name.
    """
    for pattern, ours in _NVP_NAMES:
        if found := re.fullmatch(pattern, name):
            return ours.format(*found.groups())
    raise InputError(f"weights: {name[:80]!r} is no tensor of NVP")


def nvp_state(field: nn.Module) -> dict[str, Tensor]:
    """The tensors of an NVP under the names and in the shapes of its program, grids as one vector each."""
    state = {}
    for name, value in field.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "planes":
            plane = {"yx": "xy", "tx": "yt", "ty": "xt"}[rest.removesuffix(".table")]
            state[f"keyframes_{plane}.params"] = value.reshape(-1)
        elif part == "sparse":
            state["sparse_grid.embeddings"] = value
        elif part == "synthesiser":
            theirs = rest.replace("last.", "last_layer.")
            state |= {f"net.{theirs}": value, f"wrapper.net.{theirs}": value}
        else:
            _, layer, kind = rest.split(".")
            state[f"wrapper.modulator.layers.{layer}.0.{kind}"] = value
    return state


def nvp(config: Config, state: State) -> nn.Module:
    """An NVP.

    Args:
        config: The program's settings, under ``config`` or at the top, beside ``frames``, ``height`` and ``width``.
        state: Its tensors by name.

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    settings = config.get("config", config)
    size = [_count(config, key) for key in ("frames", "height", "width")]
    planes = [_section(settings, name) for name in _NVP_PLANES]
    sparse, network = _section(settings, "3d_encoding"), _section(settings, "network")
    for encoding, kind in (*((plane, "DenseGrid") for plane in planes), (sparse, "SparseGrid")):
        if encoding.get("otype", kind) != kind:
            raise InputError(f"otype: only a {kind} is known here, not {str(encoding['otype'])[:40]!r}")
    arguments = {
        "size": size,
        "levels": [_count(plane, "n_levels") for plane in planes],
        "base": [_count(plane, "base_resolution") for plane in planes],
        "growth": [_get(plane, "per_level_scale") for plane in planes],
        "features": [_count(plane, "n_features_per_level") for plane in planes],
        "sparse_shape": [_count(sparse, f"{axis}_resolution") for axis in "txy"],
        "sparse_features": _count(sparse, "n_features_per_level"),
        "upsample": bool(sparse.get("upsample", False)),
        "width": _count(network, "n_neurons"),
        "depth": _count(network, "n_hidden_layers"),
    }
    return _filled("fields.nvp.NVP", arguments, state, nvp_name)


def siren(config: Config, state: State) -> nn.Module:
    """The network of SIREN, or the rectified one on NeRF's encoding that its program offers beside it.

    Args:
        config: ``type`` ("sine" or "relu"), ``mode`` ("mlp" or "nerf"), ``hidden_features``, ``num_hidden_layers``, and
            ``omega``.
        state: Its tensors by name.

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    kind = (_get(config, "type"), config.get("mode", "mlp"))
    hidden = [_count(config, "hidden_features")] * (_count(config, "num_hidden_layers") + 1)
    first, last = (_shape(state, f"net.net.{number}.0.weight") for number in (0, len(hidden)))
    names: Callable[[str], str]
    if kind == ("sine", "mlp"):
        omega = float(config.get("omega", 30))
        arguments = {"in_dim": first[1], "out_dim": last[0], "hidden": hidden}
        names = _numbered(r"net\.net\.(\d+)\.0\.(weight|bias)", "layers.{}.{}", {len(hidden): "last.{1}"})
        return _filled("fields.siren.Siren", arguments | {"omega_first": omega, "omega": omega}, state, names)
    if kind == ("relu", "nerf"):
        in_dim = _count(config, "in_features", 3)
        num_octaves, rest = divmod(first[1] // in_dim - 1, 2)
        if rest or first[1] % in_dim:
            raise InputError(f"weights: {first[1]} inputs are no encoding of {in_dim} axes")
        arguments = {"in_dim": in_dim, "out_dim": last[0], "num_octaves": num_octaves, "hidden": hidden}
        names = _numbered(r"net\.net\.(\d+)\.0\.(weight|bias)", "mlp.layers.{}.{}", {}, step=2)
        model = _filled("fields.siren_video.EncodedMLP", arguments, state, names)
        model.encoding = octaves(in_dim, num_octaves)  # constants that are part of no file
        return model
    raise InputError(f"type {str(kind[0])[:40]!r} with mode {str(kind[1])[:40]!r}: only sine with mlp, relu with nerf")


def ffn(config: Config, state: State) -> nn.Module:
    """The network on random Fourier features.

    Args:
        config: ``in_dims``, ``mapping_size``, ``layers``, ``hidden`` and ``final`` ("sigmoid" or "linear").
        state: ``B``, ``w0``, ``b0``, ``w1`` and so on.

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    arguments = {
        "in_dim": _count(config, "in_dims"),
        "num_frequencies": _count(config, "mapping_size"),
        "hidden": [_count(config, "hidden")] * (_count(config, "layers") - 1),
        "final": config.get("final", "sigmoid"),
    }

    def name_of(name: str) -> str:
        if name == "B":
            return "encoding.frequencies"
        if found := re.fullmatch(r"([wb])(\d+)", name):
            return f"mlp.layers.{2 * int(found[2])}.{'weight' if found[1] == 'w' else 'bias'}"
        raise InputError(f"weights: {name[:80]!r} is no tensor of FFN")

    return _filled("fields.ffn.FourierMLP", arguments, state, name_of)


def nerv(config: Config, state: State) -> nn.Module:
    """The network of NeRV.

    Args:
        config: The program's settings: ``embed`` (1.25_80), ``stem_dim_num`` (512_1), ``fc_hw_dim`` (9_16_26),
            ``expansion``, ``reduction``, ``lower_width``, ``strides``, ``act``, ``single_res`` and ``sigmoid``.
        state: Its tensors by name.

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    if config.get("num_blocks", 1) != 1 or config.get("conv_type", "conv") != "conv":
        raise InputError("num_blocks, conv_type: NeRV is known with one block per stage, and convolutions")
    base, num_octaves = _split(config, "embed", (float, int))
    width, count = _split(config, "stem_dim_num", (int, int))
    if count > _MAX_COUNT:
        raise InputError(f"stem_dim_num: {count} layers are too many")
    height, breadth, channels = _split(config, "fc_hw_dim", (int, int, int))
    arguments = {
        "base": base,
        "num_octaves": num_octaves,
        "stem": [width] * count,
        "fc_size": [height, breadth],
        "fc_dim": channels,
        "strides": _counts(config, "strides"),
        "expansion": float(config.get("expansion", 1)),
        "reduction": _count(config, "reduction", 2),
        "lower_width": _count(config, "lower_width", 32),
        "activation": config.get("act", "swish"),
        "all_heads": not config.get("single_res", True),
        "output": "sigmoid" if config.get("sigmoid", False) else "tanh",
    }
    return _filled("fields.nerv.NeRVNetwork", arguments, state, nerv_name)


def nerv_name(name: str) -> str:
    """Our name of a tensor of NeRV's program.

    Raises:
        InputError: There is none of this name.
    """
    for pattern, ours in (
        (r"stem\.(\d+)\.(weight|bias)", "stem.{}.{}"),
        (r"layers\.(\d+)\.conv\.conv\.(weight|bias)", "blocks.{}.conv.{}"),
        (r"head_layers\.(\d+)\.(weight|bias)", "heads.{}.{}"),
    ):
        if found := re.fullmatch(pattern, name):
            return ours.format(*found.groups())
    raise InputError(f"weights: {name[:80]!r} is no tensor of NeRV")


def _get(settings: Config, key: str) -> Any:
    if not isinstance(settings, Mapping) or key not in settings:
        raise InputError(f"{key}: missing from the settings")
    return settings[key]


def _section(settings: Config, key: str) -> Config:
    value = _get(settings, key)
    if not isinstance(value, Mapping):
        raise InputError(f"{key}: settings by name are needed, not {type(value).__name__}")
    return value


def _count(settings: Config, key: str, default: int | None = None) -> int:
    """A setting that is a whole number, of a size that networks can have."""
    value = _get(settings, key) if default is None else settings.get(key, default)
    if type(value) is not int or not 0 <= value <= _MAX_COUNT:
        raise InputError(f"{key} {str(value)[:40]!r}: give a whole number up to {_MAX_COUNT}")
    return value


def _counts(settings: Config, key: str) -> list[int]:
    values = _get(settings, key)
    if not isinstance(values, (list, tuple)):
        raise InputError(f"{key} {str(values)[:40]!r}: give a list of whole numbers")
    return [_count({key: value}, key) for value in values]


def _shape(state: State, name: str) -> torch.Size:
    if name not in state or state[name].ndim != 2:
        raise InputError(f"weights: {name!r} is missing, or no matrix")
    return state[name].shape


def _split(config: Config, key: str, kinds: tuple[type, ...]) -> list[Any]:
    """The numbers that a setting like ``1.25_80`` holds."""
    parts = str(_get(config, key)).split("_")
    try:
        return [kind(part) for kind, part in zip(kinds, parts, strict=True)]
    except ValueError as error:
        raise InputError(f"{key} {str(config[key])[:40]!r}: give {len(kinds)} numbers joined by _") from error


def _numbered(pattern: str, ours: str, special: Mapping[int, str], step: int = 1) -> Callable[[str], str]:
    """A table of names that count their layers: ours counts in steps, and some layers have a name of their own."""

    def name_of(name: str) -> str:
        found = re.fullmatch(pattern, name)
        if not found:
            raise InputError(f"weights: {name[:80]!r} is no tensor of such a model")
        number = int(found[1])
        return special.get(number, ours).format(step * number, found[2])

    return name_of


def _filled(class_path: str, arguments: Config, state: State, name_of: Callable[[str], str]) -> nn.Module:
    """A module with the tensors of a file; vectors of grids take the shape of ours.

    Raises:
        InputError: If the tensors are not those of such a model, or two names of one differ.
    """
    model = build({"class_path": class_path, "init_args": dict(arguments)}, len(state))
    expected, kept = model.state_dict(), {}
    for theirs, value in state.items():
        ours = name_of(theirs)
        if ours in kept and not torch.equal(kept[ours].reshape(-1), value.reshape(-1)):
            raise InputError(f"weights: {theirs!r} differs from another name of the same tensor")
        fits = ours in expected and (
            value.numel() == expected[ours].numel() if ours.endswith(".table") else value.shape == expected[ours].shape
        )
        if not fits:
            wanted = tuple(expected[ours].shape) if ours in expected else "no such tensor"
            raise InputError(f"weights: {theirs!r} is {tuple(value.shape)}, the settings ask {wanted}")
        kept[ours] = value.detach().clone().reshape(expected[ours].shape)
    if missing := sorted(expected.keys() - kept.keys()):
        raise InputError(f"weights: {missing[0]!r} (our name) and {len(missing) - 1} others are missing")
    model.load_state_dict(kept, assign=True)
    return model.eval()
