"""Tensors of a file as rows of a table: one by one, and pooled by the part of the network they belong to."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor

from errors import InputError

_BLOCK = re.compile(r"b\d+")


@dataclass(frozen=True)
class Spread:
    """Where numbers lie; those that are not finite are counted and otherwise left out.

    Attributes:
        count: How many there are, finite or not.
        not_finite: How many are NaN or infinite.
        mean: None where nothing is finite, as the four that follow.
        std: Over all values (no correction for a sample).
        min: Smallest.
        max: Largest.
        rms: Root of the mean square.
    """

    count: int
    not_finite: int
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    rms: float | None


@dataclass(frozen=True)
class TensorRow:
    """One tensor.

    Attributes:
        network: Where it stands.
        name: Inside the network.
        shape: Sides.
        dtype: Of its elements.
        parameter: Whether training moves it; None where the file does not tell.
        spread: Of its values.
    """

    network: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    parameter: bool | None
    spread: Spread

    @property
    def module(self) -> str:
        """The part of the network that it belongs to: down to a block, else the first name or two."""
        parts = self.name.split(".")
        for i, part in enumerate(parts[:-1]):
            if _BLOCK.fullmatch(part):
                return ".".join(parts[: i + 1])
        return ".".join(parts[: 2 if parts[0] == "synthesis" else 1])


@dataclass(frozen=True)
class ModuleRow:
    """All tensors of one part of a network.

    Attributes:
        network: Where it stands.
        module: Its name there.
        num_tensors: How many.
        largest: Shape of the one with most values.
        spread: Of all values together.
    """

    network: str
    module: str
    num_tensors: int
    largest: tuple[int, ...]
    spread: Spread


def check_plain(name: str, tensor: object) -> Tensor:
    """``tensor`` itself, where it is dense numbers that all are in the file.

    Raises:
        InputError: It is something else, or claims more values than are stored: copying it could fill the memory.
    """
    plain = isinstance(tensor, Tensor) and tensor.layout is torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized or tensor.is_complex():
        raise InputError(f"{name}: no plain tensor: give a file that train.py or stylegan_v.official wrote")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise InputError(f"{name}: claims more values than the file holds: give an undamaged file")
    return tensor


def spread(tensor: Shaped[Tensor, "*any"]) -> Spread:
    """The spread of a tensor's values, computed in float64."""
    values = tensor.detach().double().flatten()
    finite = values[values.isfinite()]
    if not len(finite):
        return Spread(len(values), len(values), None, None, None, None, None)
    std, mean = torch.std_mean(finite, correction=0)
    low, high = finite.aminmax()
    rms = finite.square().mean().sqrt()
    numbers = [number.item() for number in (mean, std, low, high, rms)]
    return Spread(len(values), len(values) - len(finite), *numbers)


def pool(spreads: Iterable[Spread]) -> Spread:
    """The spread of the values of several tensors together (Chan, Golub and LeVeque 1983)."""
    spreads = list(spreads)
    count, not_finite = sum(part.count for part in spreads), sum(part.not_finite for part in spreads)
    parts = [part for part in spreads if part.mean is not None]
    total = sum(part.count - part.not_finite for part in parts)
    if not parts:
        return Spread(count, not_finite, None, None, None, None, None)

    def average(values: Iterable[float]) -> float:
        shares = ((part.count - part.not_finite) / total for part in parts)
        return sum(share * value for share, value in zip(shares, values, strict=True))

    mean = average(part.mean for part in parts)
    variance = average(part.std**2 + (part.mean - mean) ** 2 for part in parts)
    low, high = min(part.min for part in parts), max(part.max for part in parts)
    rms = math.sqrt(average(part.rms**2 for part in parts))
    return Spread(count, not_finite, mean, math.sqrt(variance), low, high, rms)


def row(network: str, name: str, tensor: Shaped[Tensor, "*any"], parameter: bool | None) -> TensorRow:
    """One tensor as a row of the table.

    Args:
        network: Where it stands.
        name: Inside the network.
        tensor: Itself, on the CPU.
        parameter: Whether training moves it; None where nothing tells.

    Raises:
        InputError: It is no plain tensor.
    """
    tensor = check_plain(f"{network}.{name}", tensor)
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorRow(network, name, tuple(tensor.shape), dtype, parameter, spread(tensor))


def by_module(rows: Iterable[TensorRow]) -> list[ModuleRow]:
    """Rows pooled by network and module, in the order in which these first appear."""
    groups: dict[tuple[str, str], list[TensorRow]] = {}
    for one in rows:
        groups.setdefault((one.network, one.module), []).append(one)
    return [
        ModuleRow(
            network,
            module,
            len(group),
            max(group, key=lambda one: one.spread.count).shape,
            pool(one.spread for one in group),
        )
        for (network, module), group in groups.items()
    ]
