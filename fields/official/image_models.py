"""LIIF, MetaSR and their encoders from the settings and tensors of the original's files.

Settings are the original's nested ``{name, args}``. A recording's own wrapping is understood too: ``model`` around the
settings, and ``rdn_DCG`` (blocks, layers, growth) in place of the letter that names an RDN's sizes. Tensors keep their
names; only the constants of mean shifts, which the original holds but never applies, are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from errors import InputError
from fields.nodes import build

Config = Mapping[str, Any]
Node = dict[str, Any]
State = Mapping[str, Tensor]

_MAX_COUNT = 1_000_000
_UNUSED = re.compile(r"(encoder\.)?(sub|add)_mean\.(weight|bias)")
_RDN_SIZES = {"A": (20, 6, 32), "B": (16, 8, 64)}
_SWITCHES = {"feat_unfold": "unfold", "local_ensemble": "ensemble", "cell_decode": "cell"}
_TAIL = {"no_upsampling": False, "scale": 2}
# The original's arguments with their defaults. The range of values only concerns the mean shifts.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "edsr-baseline": {"n_resblocks": 16, "n_feats": 64, "res_scale": 1, "rgb_range": 1, **_TAIL},
    "edsr": {"n_resblocks": 32, "n_feats": 256, "res_scale": 0.1, "rgb_range": 1, **_TAIL},
    "rdn": {"G0": 64, "RDNkSize": 3, "RDNconfig": "B", **_TAIL},
    "rcan": {"n_resgroups": 10, "n_resblocks": 20, "n_feats": 64, "reduction": 16, "rgb_range": 1, **_TAIL},
}


def liif(config: Config, state: State) -> nn.Module:
    """A LIIF, or where no perceptron is set, the nearest read-out of an encoder with a magnifying tail.

    Args:
        config: The original's settings.
        state: Its tensors by name.

    Raises:
        InputError: If settings are unknown, or the tensors are not those of such a model.
    """
    return _filled(liif_node(config), state)


def metasr(config: Config, state: State) -> nn.Module:
    """A MetaSR; arguments as in `liif`."""
    return _filled(metasr_node(config), state)


def encoder(config: Config, state: State) -> nn.Module:
    """An encoder alone, from its own settings and tensors or those of a whole model.

    Args:
        config: The settings of a model, or of an encoder with or without its name.
        state: Its tensors, ``encoder.`` before their names or not.
    """
    whole = any(name.startswith("encoder.") for name in state)
    own = {name.removeprefix("encoder."): value for name, value in state.items() if not whole or name[:8] == "encoder."}
    return _filled(encoder_node(config), own)


def liif_node(config: Config) -> Node:
    """The node that builds a LIIF of these settings."""
    settings = _settings(config)
    inner = {"encoder": encoder_node(config)}
    if settings.get("imnet_spec") is None:
        return {"class_path": "fields.readout.NearestReadout", "init_args": inner}
    switches = {ours: bool(settings.get(theirs, True)) for theirs, ours in _SWITCHES.items()}
    hidden = _hidden(settings["imnet_spec"])
    return {"class_path": "fields.liif.LIIF", "init_args": {**inner, "hidden": hidden, **switches}}


def metasr_node(config: Config) -> Node:
    """The node that builds a MetaSR of these settings."""
    return {"class_path": "fields.metasr.MetaSR", "init_args": {"encoder": encoder_node(config)}}


def encoder_node(config: Config) -> Node:
    """The node that builds the encoder of these settings."""
    settings = _settings(config)
    spec = _mapping("encoder_spec", settings.get("encoder_spec", settings.get("encoder", settings)))
    name, given = (spec["name"], spec.get("args") or {}) if "name" in spec else (_kind_of(spec), spec)
    if name not in _DEFAULTS:
        raise InputError(f"encoder_spec: the encoder {name!r} is none of {', '.join(_DEFAULTS)}")
    args = {key: value for key, value in _mapping(f"args of {name}", given).items() if key != "rdn_DCG"}
    for key, value in args.items():
        _check(name, key, value)
    return _node_of(name, {**_DEFAULTS[name], **args}, config.get("rdn_DCG"))


def _mapping(name: str, value: Any) -> Config:
    if not isinstance(value, Mapping):
        raise InputError(f"{name}: settings by name are needed, not {type(value).__name__}")
    return value


def _check(name: str, key: str, value: Any) -> None:
    """Raises an InputError unless a setting of an encoder is known and of its kind."""
    if key not in _DEFAULTS[name]:
        raise InputError(f"encoder_spec: {name} has no setting {key!r}")
    default = _DEFAULTS[name][key]
    if key in ("res_scale", "rgb_range"):
        fits = type(value) in (int, float)
    else:
        fits = type(value) is type(default) and (type(value) is not int or 0 < value <= _MAX_COUNT)
    if not fits:
        raise InputError(f"encoder_spec: {key} of {name} is {str(value)[:40]!r}, where {default!r} is usual")


def _settings(config: Config) -> Config:
    """The innermost settings of a model: out of a recording's or checkpoint's ``model``, and out of ``args``."""
    settings = _mapping("model", config.get("model", config))
    if settings.get("name") in ("liif", "metasr"):
        settings = _mapping("args", settings.get("args") or {})
    return settings


def _kind_of(args: Config) -> str:
    if "n_resgroups" in args:
        return "rcan"
    return "rdn" if {"G0", "RDNconfig"} & set(args) else "edsr-baseline"


def _hidden(spec: Any) -> list[int]:
    args = _mapping("args of imnet_spec", _mapping("imnet_spec", spec).get("args") or {})
    if spec.get("name") != "mlp" or args.get("out_dim", 3) != 3 or not isinstance(args.get("hidden_list"), list):
        raise InputError("imnet_spec: only an mlp with a hidden_list and three outputs is known")
    return _counts("hidden_list", args["hidden_list"])


def _counts(name: str, values: Any) -> list[int]:
    if not isinstance(values, list | tuple) or not all(type(n) is int and 0 < n <= _MAX_COUNT for n in values):
        raise InputError(f"{name}: whole numbers above 0 are needed, not {str(values)[:40]}")
    return list(values)


def _node_of(name: str, args: Config, rdn_sizes: Any) -> Node:
    shared = {"upscale": None if args["no_upsampling"] else args["scale"]}
    if name == "rcan":
        theirs = ("n_resgroups", "n_resblocks", "n_feats", "reduction")
        ours = ("num_groups", "num_blocks", "num_features", "reduction")
        return _node("RCAN", {our: args[their] for our, their in zip(ours, theirs, strict=True)} | shared)
    if name == "rdn":
        blocks, layers, growth = _rdn_sizes(args, rdn_sizes)
        sizes = {"num_blocks": blocks, "num_layers": layers, "growth": growth, "num_features": args["G0"]}
        return _node("RDN", sizes | shared)
    sizes = {"num_blocks": args["n_resblocks"], "num_features": args["n_feats"]}
    return _node("EDSR", sizes | {"res_scale": float(args["res_scale"])} | shared)


def _node(name: str, arguments: dict[str, Any]) -> Node:
    return {"class_path": f"fields.encoders.{name}", "init_args": arguments}


def _rdn_sizes(args: Config, given: Any) -> tuple[int, int, int]:
    if args["RDNkSize"] != 3:
        raise InputError(f"encoder_spec: an RDN with kernels of {args['RDNkSize']} is not known, only of 3")
    sizes = _RDN_SIZES.get(args["RDNconfig"], ()) if given is None else tuple(_counts("rdn_DCG", given))
    if len(sizes) != 3:
        raise InputError(f"encoder_spec: RDNconfig {args['RDNconfig']!r} is neither A nor B, and rdn_DCG is not given")
    return sizes


def _filled(node: Node, state: State) -> nn.Module:
    kept = {name: value.detach().clone() for name, value in state.items() if not _UNUSED.fullmatch(name)}
    model = build(node, len(kept))
    expected = model.state_dict()
    if wrong := sorted(expected.keys() ^ kept.keys()):
        raise InputError(
            f"weights: {wrong[0]!r} and {len(wrong) - 1} others do not belong to a model of these settings"
        )
    for name, wanted in expected.items():
        if kept[name].shape != wanted.shape:
            raise InputError(f"weights: {name!r} is {tuple(kept[name].shape)}, the settings ask {tuple(wanted.shape)}")
    model.load_state_dict(kept, assign=True)
    return model.eval()
