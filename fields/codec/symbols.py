"""Parameters that a field trains in steps, as the numbers of these steps, coded by how often each occurs.

A tensor is a prefix (smallest symbol, largest symbol, width of frequencies, scale), a table of frequencies, and the
words of a range coder that takes symbols as drawn independently from these frequencies. Of small tensors the table
would cost more than it spares: there all symbols are equally likely.

Shape legend
    N       numbers of a tensor
    S       symbols from the smallest to the largest
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor, nn

from errors import InputError
from fields.codec.range_coder import RangeReader, RangeWriter, distribution
from fields.quantisers import MinMax, TanhFloor, num_steps

FORM = "symbols"
MAX_BITS = 16  # steps that float32 surely tells apart; more are stored as numbers
_PREFIX = struct.Struct("<hhBf")
_WIDTHS: dict[int, np.dtype] = {1: np.dtype("<u1"), 2: np.dtype("<u2")}  # bytes of a frequency; 0 is no table
_SATURATED = 20.0  # whose tanh is 1

Quantiser = TanhFloor | MinMax


def quantisers(field: nn.Module) -> dict[str, Quantiser]:
    """By the names of a field's parameters what these go through whenever they are used.

    A module with a ``quantiser`` names such parameters in ``quantised_parameters``, or else they are its grids.

    Args:
        field: On any device, "meta" too.
    """
    found: dict[str, Quantiser] = {}
    for path, module in field.named_modules():
        quantiser = getattr(module, "quantiser", None)
        if isinstance(quantiser, Quantiser) and quantiser.bits <= MAX_BITS:
            names = getattr(module, "quantised_parameters", getattr(module, "grid_parameters", ()))
            found |= {f"{path}.{name}" if path else name: quantiser for name in names}
    return found


def to_steps(values: Float[Tensor, "*N"], quantiser: Quantiser) -> tuple[Int32[Tensor, "*N"], float]:
    """Numbers of steps, and what the largest of min-max steps stands for (1 with others).

    Args:
        values: Parameters as they are trained.
        quantiser: What they go through.

    Raises:
        InputError: If they are not all finite, or the steps do not give back what the quantiser gives.
    """
    if not values.isfinite().all():
        raise InputError("its numbers are not all finite: fit the field again")
    scale = float(values.abs().max()) if isinstance(quantiser, MinMax) and values.numel() else 1.0
    count = num_steps(quantiser.bits)
    used = quantiser(values)
    steps = (used / (scale or 1.0) * count).round().int()
    if not torch.equal(quantiser(from_steps(steps, scale, quantiser).to(values.dtype)), used):
        raise InputError("its steps cannot be told from numbers of this precision: give fewer bits")
    return steps, scale


def from_steps(steps: Int[Tensor, "*N"], scale: float, quantiser: Quantiser) -> Float[Tensor, "*N"]:
    """Parameters that the quantiser brings to these steps, each as far from the next steps as can be.

    Args:
        steps: As `to_steps` gives them.
        scale: Likewise.
        quantiser: What they will go through.
    """
    count = num_steps(quantiser.bits)
    if isinstance(quantiser, MinMax):
        return steps.float() / count * scale
    middle = (steps.abs() + 0.5) / count * (steps != 0)
    sized = torch.where(steps.abs() < count, middle.clamp(max=1 - 1e-7).double().atanh(), _SATURATED)
    return (sized * steps.sign()).float()


def write_symbols(steps: Int[Tensor, "*N"], scale: float) -> bytes:
    """A tensor's bytes, in whichever of the ways they are fewest.

    Args:
        steps: As `to_steps` gives them.
        scale: Likewise.
    """
    numbers = steps.flatten().cpu().numpy().astype(np.int32)
    low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    counts = np.bincount(numbers - low, minlength=high - low + 1)
    tables = [np.zeros(0, _WIDTHS[1]), *(_frequencies(counts, kind) for kind in _WIDTHS.values())]
    coded = []
    for width, table in zip((0, *_WIDTHS), tables, strict=True):
        writer = RangeWriter()
        if high > low:
            writer.write(numbers - low, _model(table, high - low + 1))
        coded.append(_PREFIX.pack(low, high, width, scale) + table.tobytes() + writer.data())
    return min(coded, key=len)


def read_symbols(data: bytes, shape: Sequence[int], quantiser: Quantiser) -> tuple[Int32[Tensor, "..."], float]:
    """What `write_symbols` wrote: steps and scale.

    Args:
        data: Its bytes.
        shape: Of the tensor.
        quantiser: What its numbers go through.

    Raises:
        InputError: They hold anything else.
    """
    low, high, scale, table, words = _parsed(data, num_steps(quantiser.bits))
    total = int(np.prod(shape, dtype=object))
    if high > low:
        reader = RangeReader(words)
        numbers = reader.read(_model(table, high - low + 1), total)
        reader.close()
    elif words:
        raise InputError("it does not hold the symbols that belong there")
    else:
        numbers = np.zeros(total, np.int32)
    return torch.from_numpy(numbers.astype(np.int32) + np.int32(low)).reshape(tuple(shape)), scale


def _parsed(data: bytes, count: int) -> tuple[int, int, float, np.ndarray, bytes]:
    """Prefix, table and words, nothing yet decoded."""
    if len(data) < _PREFIX.size:
        raise InputError("its symbols are cut off")
    low, high, width, scale = _PREFIX.unpack_from(data)
    if not -count <= low <= high <= count or width not in (0, *_WIDTHS) or not 0 <= scale < np.inf:
        raise InputError("its symbols are of another kind than those of its quantiser")
    length = width * (high - low + 1)
    rest = data[_PREFIX.size :]
    if len(rest) < length:
        raise InputError("its symbols are cut off")
    table = np.frombuffer(rest[:length], _WIDTHS[width] if width else np.uint8)
    if width and not table.any():
        raise InputError("its table of frequencies is empty")
    return low, high, scale, table, rest[length:]


def _frequencies(counts: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Counts in few bits: none that is above 0 becomes 0."""
    most = np.iinfo(kind).max
    return -(-counts * most // max(int(counts.max()), 1)).astype(kind)


def _model(table: np.ndarray, num_symbols: int) -> Any:
    """Probabilities of the symbols, found by the same sums on every machine."""
    frequencies = table.astype(np.float32) if len(table) else np.ones(num_symbols, np.float32)
    return distribution(frequencies)
