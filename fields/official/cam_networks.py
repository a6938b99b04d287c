"""CAM's networks of signals and of pictures, from the settings and tensors of its programs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from errors import InputError
from fields.nodes import build

Config = Mapping[str, Any]
State = Mapping[str, Tensor]


def _matrix(state: State, name: str, num_axes: int = 2) -> Tensor:
    if name not in state or state[name].ndim != num_axes:
        raise InputError(f"weights: {name!r} is missing, or has not {num_axes} axes")
    return state[name]


def _grids(place: str, affine: Tensor, transposed: bool) -> dict[str, Tensor]:
    """Our two grids of a pair, whose last axes are those of the coordinates, in the other order where transposed."""
    if affine.ndim != 4 or affine.shape[:2] != (1, 2):
        raise InputError(f"weights: grids of {tuple(affine.shape)}: give one pair of them, (1, 2, rows, columns)")
    if not transposed and affine.shape[3] != 1:
        raise InputError(f"weights: grids of {tuple(affine.shape)}: grids of one axis are (1, 2, knots, 1)")
    pair = affine[0].mT if transposed else affine[0, :, :, 0]
    return {f"{place}.gamma.values": pair[:1], f"{place}.beta.values": pair[1:]}


def _filled(class_path: str, arguments: Config, state: State) -> nn.Module:
    """A network with these tensors, under our names.

    Raises:
        InputError: They are not those of such a network.
    """
    network = build({"class_path": class_path, "init_args": dict(arguments)}, len(state) + 10)
    expected = network.state_dict()
    for name in [*expected, *state]:
        wanted, found = (tuple(side[name].shape) if name in side else "missing" for side in (expected, state))
        if wanted != found:
            raise InputError(f"weights: {name!r} (our name) is {found}, the other tensors ask {wanted}")
    network.load_state_dict({name: value.detach().clone() for name, value in state.items()}, assign=True)
    return network.eval()


def _renamed(state: State, rules: tuple[tuple[str, str], ...], transposed: bool) -> dict[str, Tensor]:
    """Tensors under our names; of a rule for grids, our name is that of what holds both."""
    ours: dict[str, Tensor] = {}
    for name, value in state.items():
        found = next(((match, to) for rule, to in rules if (match := re.fullmatch(rule, name))), None)
        if found is None:
            raise InputError(f"weights: {name[:80]!r} is no tensor of such a network")
        place = found[1].format(*found[0].groups())
        ours |= _grids(place, value, transposed) if "affine" in name else {place: value}
    return ours


def cam_signal(config: Config, state: State) -> nn.Module:
    """The network of a 1D signal, on x in [0, 1], with or without modulation and encoding.

    Args:
        config: Nothing in it is needed: the tensors say all.
        state: ``net.i.weight``, ``net.i.bias``, ``net_last.*`` and, where they are there, ``affine.i`` and
            ``time_encoder.scales``.

    Raises:
        InputError: If the tensors are not those of such a network.
    """
    hidden = [len(_matrix(state, f"net.{number}.weight")) for number in range(_count(state, r"net\.(\d+)\.weight"))]
    if not hidden:
        raise InputError("weights: 'net.0.weight' is missing")
    knots = _matrix(state, "affine.0", 4).shape[2] if "affine.0" in state else 0
    num_octaves = 0
    if "time_encoder.scales" in state:
        scales = state["time_encoder.scales"].double()
        num_octaves = scales.numel()
        if scales.ndim != 1 or any(scale != 2.0**number for number, scale in enumerate(scales.tolist())):
            raise InputError("weights: time_encoder.scales are no powers of two from 1 on")
    arguments = {"hidden": hidden, "num_octaves": num_octaves, "knots": knots}
    rules = (
        (r"net\.(\d+)\.(weight|bias)", "mlp.layers.{}.{}"),
        (r"net_last\.(weight|bias)", "mlp.last.{}"),
        (r"affine\.(\d+)", "mlp.modulations.{}"),
    )
    kept = {name: value for name, value in state.items() if name != "time_encoder.scales"}
    return _filled("fields.cam_signal.SignalNetwork", arguments, _renamed(kept, rules, transposed=False))


def cam_image(config: Config, state: State) -> nn.Module:
    """The network of a picture, on points (y, x) in [0, 1], with or without modulation.

    Args:
        config: ``sigma``, by which the stored frequencies are multiplied (10), and ``norm``, whether channels are
            standardised where there are grids (True).
        state: ``pos_enc.proj``, ``FC_i.linear.*``, ``FC_final.linear.*`` and, where they are there, ``FC_i.affine``.

    Raises:
        InputError: If the tensors are not those of such a network.
    """
    sigma, frequencies = config.get("sigma", 10), _matrix(state, "pos_enc.proj")
    if isinstance(sigma, bool) or not isinstance(sigma, (int, float)) or not math.isfinite(sigma):
        raise InputError(f"sigma {str(sigma)[:40]!r}: give a number")
    count = _count(state, r"FC_(\d+)\.linear\.weight")
    hidden = [len(_matrix(state, f"FC_{number}.linear.weight")) for number in range(count)]
    if not hidden:
        raise InputError("weights: 'FC_0.linear.weight' is missing")
    # Recorded grids run over the first coordinate along their last axis.
    knots = list(_matrix(state, "FC_0.affine", 4).shape[:1:-1]) if "FC_0.affine" in state else None
    arguments = {
        "num_frequencies": frequencies.shape[1],
        "hidden": hidden,
        "knots": knots,
        "norm": "layer" if config.get("norm", True) else "none",
    }
    rules = (
        (r"FC_(\d+)\.linear\.(weight|bias)", "mlp.layers.{}.{}"),
        (r"FC_final\.linear\.(weight|bias)", "mlp.last.{}"),
        (r"FC_(\d+)\.affine", "mlp.modulations.{}"),
    )
    kept = {name: value for name, value in state.items() if name != "pos_enc.proj"}
    # Theirs hold the factor 2 pi, ours have it in the formula.
    ours = {"encoding.frequencies": frequencies.mT * float(sigma) / (2 * math.pi)}
    return _filled("fields.cam_image.ImageNetwork", arguments, ours | _renamed(kept, rules, transposed=True))


def _count(state: State, pattern: str) -> int:
    """How many layers the names number."""
    return sum(bool(re.fullmatch(pattern, name)) for name in state)
