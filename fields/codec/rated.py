"""A field whose steps were learned with it, as symbols: all that every frame needs in one piece, and groups of slices.

The piece that is shared holds, of every tensor, the numbers of its steps, the largest symbol and the parameters of its
distributions, compressed together, and then the symbols of all tensors but volumes. The slices of a volume are in
pieces of their own, so that a frame decodes one group of them.

Shape legend
    R, C    rows and columns of a tensor seen as a matrix
    K       pictures of a stack
    H, W    height and width of a picture
    G       groups of a tensor
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from errors import InputError
from fields.codec.arithmetic import SymbolReader, SymbolWriter, best_distributions, tables_of
from fields.codec.container import Part
from fields.codec.pictures import inflate
from fields.interface import ranges
from fields.rate.contexts import TURNS, context_of_turn, contexts, turns
from fields.rate.grouping import Grouping, groupings
from fields.rate.model import context_matrix, num_contexts
from fields.rate.steps import HIGHEST, LIMIT, LOWEST, step_of, symbols_of, values_of

FORM = "rated"
SHARED = ""  # name of the piece that belongs to no one tensor
_LENGTH = 4  # bytes of a length


@dataclass(frozen=True)
class Side:
    """What the symbols of a tensor are decoded by.

    Attributes:
        step: Numbers of the steps of its groups.
        limit: Largest absolute value.
        parameters: Of its distributions.
    """

    step: Int64[Tensor, " G"]
    limit: int
    parameters: UInt8[np.ndarray, "D 2"]


def write_parts(
    field: nn.Module, state: Mapping[str, Tensor], steps: Mapping[str, Int64[Tensor, " G"]], together: int
) -> list[Part]:
    """All parameters of a field.

    Args:
        field: On any device, "meta" too.
        state: Its tensors, rounded in these steps.
        steps: Numbers of the steps of every tensor.
        together: Slices of a volume in one piece.

    Raises:
        InputError: The steps are not those of the field, or its numbers were not rounded in them.
    """
    sides, parts, shared = [], [], SymbolWriter()
    for group in groupings(field):
        symbols = _symbols(group, state[group.name], steps.get(group.name))
        context = context_matrix(group, symbols, together).expand_as(symbols)
        parameters = best_distributions(_array(symbols), _array(context), num_contexts(group))
        side = Side(steps[group.name].cpu(), int(symbols.abs().max()), parameters)
        tables = tables_of(parameters, side.limit)
        sides.append(side)
        if not group.is_volume:
            _write(shared, group, symbols, tables, side.limit)
            continue
        slices = group.pictures[0][0]
        for number, part in enumerate(ranges(slices, together)):
            writer = SymbolWriter()
            rows = rearrange(symbols, "(t n) c -> t n c", t=slices)[part].flatten(0, 1)
            _write_stack(writer, _slices(group, rows, part), group.channels, tables, side.limit)
            parts.append(Part(group.name, number, FORM, writer.data()))
    known = zlib.compress(b"".join(map(_packed, sides)), 9)
    return [Part(SHARED, 0, FORM, len(known).to_bytes(_LENGTH, "little") + known + shared.data()), *parts]


class RatedReader:
    """Tensors of the parts that `write_parts` made; of volumes, groups of slices.

    Args:
        field: As it will be, on any device, "meta" too.
        parts: By the tensors that they belong to, then by number.
        together: Slices of a volume in one piece.

    Raises:
        InputError: They hold anything else.
    """

    def __init__(self, field: nn.Module, parts: Mapping[str, Mapping[int, Part]], together: int) -> None:
        self._groups = {group.name: group for group in groupings(field)}
        self._parts, self._together = parts, together
        data = parts[SHARED][0].data
        length = int.from_bytes(data[:_LENGTH], "little")
        self._sides = _unpacked(data[_LENGTH : _LENGTH + length], list(self._groups.values()))
        self.steps = {name: side.step for name, side in self._sides.items()}
        self._shared = self._read_shared(data[_LENGTH + length :])
        for group in self._groups.values():
            wanted = range(self.num_pieces(group.name)) if group.is_volume else ()
            if sorted(parts.get(group.name, {})) != list(wanted):
                raise InputError(f"{group.name}: its pieces are not those of the field")

    @property
    def names(self) -> set[str]:
        """Names of the tensors."""
        return set(self._groups)

    def num_pieces(self, name: str) -> int:
        """Groups of slices of a volume."""
        return -(-self._groups[name].pictures[0][0] // self._together)

    def tensor(self, name: str) -> Float[Tensor, "..."]:
        """A tensor; errors as for the constructor."""
        if name in self._shared:
            return self._shared[name]
        return torch.cat([self.slices(name, number) for number in range(self.num_pieces(name))])

    def slices(self, name: str, number: int) -> Float[Tensor, "T Y X C"]:
        """A group of slices of a volume; errors as for the constructor."""
        group, side = self._groups[name], self._sides[name]
        total, height, width = group.pictures[0]
        count = min(self._together, total - number * self._together)
        reader = SymbolReader(self._parts[name][number].data)
        tables = tables_of(side.parameters, side.limit)
        stack = _read_stack(reader, (count * group.channels, height, width), group.channels, tables, side.limit)
        reader.close()
        cells = rearrange(stack, "(t c) h w -> t h w c", c=group.channels)
        return values_of(cells, step_of(side.step))

    def _read_shared(self, data: bytes) -> dict[str, Tensor]:
        reader, found = SymbolReader(data), {}
        for name, group in self._groups.items():
            if not group.is_volume:
                side = self._sides[name]
                symbols = _read(reader, group, tables_of(side.parameters, side.limit), side.limit)
                found[name] = values_of(symbols, group.spread(step_of(side.step))).reshape(group.shape)
        reader.close()
        return found


def _symbols(group: Grouping, tensor: Tensor, step: Tensor | None) -> Int64[Tensor, "R C"]:
    if step is None or step.shape != (group.count,):
        raise InputError(f"{group.name}: its steps are not those of its config: fit the field again")
    width = group.spread(step_of(step.cpu()))
    values = group.matrix(tensor.detach().cpu().float())
    symbols = symbols_of(values, width) if values.isfinite().all() else torch.zeros_like(values)
    if not torch.equal(values_of(symbols, width), values):
        raise InputError(f"{group.name}: its numbers are not rounded in its steps: fit the field again")
    return symbols


def _slices(group: Grouping, rows: Int64[Tensor, "R C"], part: slice) -> Int64[Tensor, "K H W"]:
    height, width = group.pictures[0][1:]
    return rearrange(rows, "(t h w) c -> (t c) h w", h=height, w=width)


def _write(writer: SymbolWriter, group: Grouping, symbols: Tensor, tables: Sequence[Any], limit: int) -> None:
    if group.pictures is not None:
        for stack in group.stacks(symbols):
            _write_stack(writer, stack, group.channels, tables, limit)
        return
    context = context_matrix(group, symbols, 1).expand_as(symbols)
    writer.write(_array(symbols), _array(context), tables, limit)


def _read(reader: SymbolReader, group: Grouping, tables: Sequence[Any], limit: int) -> Int64[Tensor, "R C"]:
    if group.pictures is not None:
        shapes = [(t * group.channels, height, width) for t, height, width in group.pictures]
        return group.unstack([_read_stack(reader, shape, group.channels, tables, limit) for shape in shapes])
    rows = torch.Size(group.shape).numel() // group.channels
    symbols = torch.zeros(rows, group.channels, dtype=torch.int64)
    context = context_matrix(group, symbols, 1).expand_as(symbols)
    return torch.from_numpy(reader.read(_array(context), tables, limit)).reshape(symbols.shape)


def _write_stack(
    writer: SymbolWriter, stack: Int64[Tensor, "K H W"], channels: int, tables: Sequence[Any], limit: int
) -> None:
    """Pictures one after the other, turn after turn; slices of a stack are one group."""
    context, turn = contexts(stack.abs(), channels, len(stack)), turns(*stack.shape[1:])
    for picture, known in zip(stack, context, strict=True):
        for mask in (turn == number for number in range(TURNS)):
            writer.write(_array(picture[mask]), _array(known[mask]), tables, limit)


def _read_stack(
    reader: SymbolReader, shape: tuple[int, int, int], channels: int, tables: Sequence[Any], limit: int
) -> Int64[Tensor, "K H W"]:
    stack, turn = torch.zeros(shape, dtype=torch.int64), turns(*shape[1:])
    sizes = torch.zeros_like(stack)
    for number in range(len(stack) if limit else 0):
        for mask in (turn == one for one in range(TURNS)):
            context = context_of_turn(sizes, number, channels, mask)
            stack[number][mask] = torch.from_numpy(reader.read(_array(context), tables, limit))
            sizes[number] = stack[number].abs()
    return stack


def _packed(side: Side) -> bytes:
    steps = (side.step - LOWEST).to(torch.uint8).numpy()
    return side.limit.to_bytes(2, "little") + steps.tobytes() + side.parameters.T.tobytes()


def _unpacked(data: bytes, groups: Sequence[Grouping]) -> dict[str, Side]:
    lengths = [2 + group.count + 2 * num_contexts(group) for group in groups]
    found, begin = {}, 0
    known = inflate(data, sum(lengths))
    for group, length in zip(groups, lengths, strict=True):
        row = np.frombuffer(known, np.uint8, length - 2, begin + 2)
        limit = int.from_bytes(known[begin : begin + 2], "little")
        step = torch.from_numpy(row[: group.count].astype(np.int64)) + LOWEST
        if limit > LIMIT or int(step.max()) > HIGHEST:
            raise InputError(f"{group.name}: its steps are damaged")
        parameters = row[group.count :].reshape(2, -1).T
        found[group.name] = Side(step, limit, parameters)
        begin += length
    return found


def _array(tensor: Int64[Tensor, "..."]) -> Int64[np.ndarray, " N"]:
    return tensor.reshape(-1).cpu().numpy()
