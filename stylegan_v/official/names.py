"""Names of the original's tensors and of ours: one table, read in both directions.

What ours does not keep, the constant resampling filters, is dropped on the way in and written again on the way out,
so that a state dict of the original's goes there and back without a change, in names, order and every bit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from errors import InputError

Net = Literal["G", "D"]
Table = tuple[tuple[str, str], ...]

# (official name, our name); the first line that fits counts, in either direction. {n} and {r} are numbers, {word} is
# one part of a name, {rest} the rest of it, {top} the size of a frame.
_GENERATOR: Table = (
    ("mapping.w_avg", "mapping.w_avg"),
    ("mapping.fc{n}.{rest}", "mapping.layers.{n}.{rest}"),
    ("mapping.embed.{rest}", "mapping.embed.{rest}"),
    ("synthesis.motion_encoder.{rest}", "synthesis.motion.{rest}"),
    ("synthesis.b4.input.input.const", "synthesis.const"),
    ("synthesis.b4.input.input", "synthesis.const"),  # where time does not enter it; without the leading axis
    # The first block has one convolution; the original numbers it 1, ours 0.
    ("synthesis.b4.conv1.{rest}", "synthesis.blocks.b4.convs.0.{rest}"),
    ("synthesis.b{r}.conv{n}.{rest}", "synthesis.blocks.b{r}.convs.{n}.{rest}"),
    ("synthesis.b{r}.torgb.{rest}", "synthesis.blocks.b{r}.torgb.{rest}"),
)
_DISCRIMINATOR: Table = (
    ("time_encoder.const_embed.{word}", "conditioning.time_encoder.const_embed.{word}"),
    ("time_encoder.time_encoder.{word}", "conditioning.time_encoder.{word}"),
    ("mapping.fc{n}.{word}", "conditioning.mapping.layers.{n}.{word}"),
    ("mapping.embed.{word}", "conditioning.mapping.embed.{word}"),
    ("b4.conv.{word}", "epilogue.conv.{word}"),
    ("b4.fc.{word}", "epilogue.fc.{word}"),
    ("b4.out.{word}", "head.out.{word}"),
    ("b{top}.fromrgb.{word}", "fromrgb.{word}"),
    ("b{r}.conv{n}.{word}", "blocks.b{r}.conv{n}.{word}"),
    ("b{r}.skip.{word}", "blocks.b{r}.skip.{word}"),
)
# Our name of a network -> the original's.
OFFICIAL: Mapping[str, str] = {"generator": "G", "discriminator": "D", "generator_ema": "G_ema"}
_TABLES: Mapping[Net, Table] = {"G": _GENERATOR, "D": _DISCRIMINATOR}
_BARE_CONST = "synthesis.b4.input.input"

FILTER_NAME = "resample_filter"
# Layers and blocks with which the original stores the filter.
_FILTERED = re.compile(r"synthesis\.b\d+(\.conv[01])?|b(?!4$)\d+|b(?!4\.)\d+\.(fromrgb|conv[01]|skip)|b4\.conv")

# Within a module: parameters, buffers, parts. The discriminator's blocks go down, and its mapping precedes b4.
_ORDER = (
    *("const", "weight", "noise_strength", "bias"),
    *("freqs", "phase_scales", "w_avg", "fourier_coefs", FILTER_NAME, "noise_const"),
    *("synthesis", "motion_encoder", "const_embed", "time_encoder"),
    *("periods_predictor", "phase_predictor", "aligners_predictor"),
    *("input", "fromrgb", "conv0", "conv1", "conv", "skip", "torgb", "affine", "block", "mapping", "embed", "last"),
    *("fc", "out"),
)


def filter_1331() -> Tensor:
    """The original's resampling filter [4, 4]: the outer product of [1, 3, 3, 1] with itself, of sum 1."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.outer(taps, taps)


def is_filter(name: str) -> bool:
    """Whether an official name is that of a resampling filter."""
    return name.rpartition(".")[2] == FILTER_NAME


def generator_names(state: Iterable[str]) -> dict[str, str]:
    """Official name -> our name for every tensor of a generator that is kept; resampling filters are dropped.

    Raises:
        InputError: A name is not one of this network.
    """
    return {name: _translate(name, "G") for name in state if not is_filter(name)}


def discriminator_names(state: Iterable[str]) -> dict[str, str]:
    """Official name -> our name for every tensor of a discriminator that is kept; resampling filters are dropped.

    Raises:
        InputError: A name is not one of this network.
    """
    return {name: _translate(name, "D") for name in state if not is_filter(name)}


def official_names(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Our name -> official name for every tensor of one of our generators or discriminators.

    Args:
        state: Our state dict; shapes tell what the names leave open.

    Raises:
        InputError: The original has no such tensor.
    """
    net = network_of(state)
    sizes = [int(size) for name in state for size in re.findall(r"^(?:synthesis\.)?blocks\.b(\d+)\.", name)]
    names = {name: _translate(name, net, back=True, top=max(sizes, default=4)) for name in state}
    if net == "G" and not _is_joined_by_time(state):
        names["synthesis.const"] = _BARE_CONST
    return names


def network_of(state: Mapping[str, Any]) -> Net:
    """Which network a state dict belongs to, by official names or ours."""
    return "G" if any(name.startswith("synthesis.") for name in state) else "D"


def to_ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of the original's as one of ours; no tensor is copied.

    Raises:
        InputError: A name is not one of these networks, or two mean the same, or a filter is not [1, 3, 3, 1].
    """
    names = generator_names(state) if network_of(state) == "G" else discriminator_names(state)
    if len(set(names.values())) < len(names):
        raise InputError("two tensors of the file are the same one of a network: it is damaged")
    for name, tensor in state.items():
        if is_filter(name) and not (tensor.shape == (4, 4) and torch.allclose(tensor.float(), filter_1331())):
            raise InputError(f"{name}: not the filter [1, 3, 3, 1], the only one that these networks have")
    ours = {our_name: state[name] for name, our_name in names.items()}
    if _BARE_CONST in state:
        ours["synthesis.const"] = state[_BARE_CONST].unsqueeze(0)
    return ours


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of ours as one of the original's, in its order, with its filters; no tensor is copied.

    Raises:
        InputError: The original has no such tensor.
    """
    official = {name: state[our_name] for our_name, name in official_names(state).items()}
    if _BARE_CONST in official:
        official[_BARE_CONST] = official[_BARE_CONST].squeeze(0)
    places = {name.rsplit(".", depth)[0] for name in official for depth in range(1, name.count(".") + 1)}
    official |= {f"{place}.{FILTER_NAME}": filter_1331() for place in places if _FILTERED.fullmatch(place)}
    return {name: official[name] for name in in_order(official)}


def in_order(names: Iterable[str]) -> list[str]:
    """Official names in the order of the original's state dict."""
    names = list(names)
    net = network_of(dict.fromkeys(names))
    return sorted(names, key=lambda name: [_rank(part, net) for part in name.split(".")])


def _rank(part: str, net: Net) -> tuple[int, int]:
    """Place of one part of a name among its neighbours; numbered parts follow each other."""
    word, number = re.match(r"(\D*)(\d*)", part).groups() if part not in _ORDER else (part, "")
    if word == "b":
        return (
            (_ORDER.index("last"), 0) if net == "D" and number == "4" else (_ORDER.index("block"), _size(net, number))
        )
    return (_ORDER.index(word) if word in _ORDER else len(_ORDER), int(number or 0))


def _size(net: Net, number: str) -> int:
    return int(number) if net == "G" else -int(number)


def _is_joined_by_time(state: Mapping[str, Tensor]) -> bool:
    """Whether the time embedding is joined to the constant: shows in the width of the first convolution."""
    first, const = state.get("synthesis.blocks.b4.convs.0.weight"), state.get("synthesis.const")
    return first is None or const is None or first.shape[1] > const.shape[1]


def _translate(name: str, net: Net, *, back: bool = False, top: int = 0) -> str:
    for line in _TABLES[net]:
        source, target = reversed(line) if back else line
        if match := _pattern(source).fullmatch(name):
            return target.format(**{"top": top, **match.groupdict()})
    raise InputError(f"{name}: not a tensor of {'the original' if back else 'this network'}")


@lru_cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = {"n": r"(?P<n>\d+)", "r": r"(?P<r>\d+)", "top": r"\d+", "word": r"(?P<word>\w+)", "rest": r"(?P<rest>.+)"}
    return re.compile(re.sub(r"\\\{(\w+)\\\}", lambda part: parts[part[1]], re.escape(template)))
