"""A field whose steps were learned with it, as symbols: all that every frame needs in one piece, and groups of slices.

The piece that is shared holds, of every tensor, the largest symbol, the numbers of its steps and the parameters of its
distributions, and then the symbols of all tensors but volumes. What comes first are whole numbers that differ little
from one to the next: they are coded by their differences, as symbols too. The slices of a volume are in pieces of their
own, so that a frame decodes one group of them.

Shape legend
    R, C    rows and columns of a tensor seen as a matrix
    K       pictures of a stack
    H, W    height and width of a picture
    G       groups of a tensor
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from errors import InputError
from fields.codec.arithmetic import NUM_FRACTIONS, SymbolReader, SymbolWriter, best_distributions, tables_of
from fields.codec.container import Part
from fields.interface import ranges
from fields.rate.contexts import TURNS, context_of_turn, contexts, turns
from fields.rate.grouping import Grouping, groupings
from fields.rate.model import context_matrix, num_contexts
from fields.rate.steps import HIGHEST, LIMIT, LOWEST, step_of, symbols_of, values_of

FORM = "rated"
SHARED = ""  # name of the piece that belongs to no one tensor
_SIDE = struct.Struct("<H6B")  # of the differences: the largest, and the parameters of their three distributions


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
    groups, parts, shared = groupings(field), [], SymbolWriter()
    symbols = [_symbols(group, state[group.name], steps.get(group.name)) for group in groups]
    sides = [_side(group, one, steps[group.name], together) for group, one in zip(groups, symbols, strict=True)]
    head = _write_sides(shared, sides)
    for group, one, side in zip(groups, symbols, sides, strict=True):
        tables = tables_of(side.parameters, side.limit)
        if not group.is_volume:
            _write(shared, group, one, tables, side.limit)
            continue
        slices = group.pictures[0][0]
        for number, part in enumerate(ranges(slices, together)):
            writer = SymbolWriter()
            rows = rearrange(one, "(t n) c -> t n c", t=slices)[part].flatten(0, 1)
            _write_stack(writer, _slices(group, rows), group.channels, tables, side.limit)
            parts.append(Part(group.name, number, FORM, writer.data()))
    return [Part(SHARED, 0, FORM, head + shared.data()), *parts]


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
        if sorted(parts[SHARED]) != [0]:
            raise InputError("it is in more than one piece")
        data = parts[SHARED][0].data
        reader = SymbolReader(data[_SIDE.size :])
        self._sides = _read_sides(reader, data[: _SIDE.size], list(self._groups.values()))
        self.steps = {name: side.step for name, side in self._sides.items()}
        self._shared = self._read_shared(reader)
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

    def _read_shared(self, reader: SymbolReader) -> dict[str, Tensor]:
        found = {}
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


def _side(group: Grouping, symbols: Int64[Tensor, "R C"], step: Int64[Tensor, " G"], together: int) -> Side:
    """What costs the fewest bits; of contexts that do not occur, what costs nothing to be told."""
    context = _array(context_matrix(group, symbols, together).expand_as(symbols))
    parameters = best_distributions(_array(symbols), context, num_contexts(group))
    used = np.unique(context)
    nearest = used[np.searchsorted(used, np.arange(len(parameters)), side="right").clip(1) - 1]
    return Side(step.cpu(), int(symbols.abs().max()), parameters[nearest])


def _slices(group: Grouping, rows: Int64[Tensor, "R C"]) -> Int64[Tensor, "K H W"]:
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


def _write_sides(writer: SymbolWriter, sides: Sequence[Side]) -> bytes:
    """Writes what symbols are decoded by; gives what this itself is decoded by."""
    limits = np.array([side.limit for side in sides])
    steps = np.concatenate([side.step.numpy() for side in sides])
    parameters = np.concatenate([side.parameters.T.reshape(-1) for side in sides]).astype(np.int64)
    rows = [limits, np.diff(steps, prepend=0), np.diff(parameters, prepend=0)]
    symbols, context = np.concatenate(rows), np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    largest, chosen = int(np.abs(symbols).max()), best_distributions(symbols, context, len(rows))
    writer.write(symbols, context, tables_of(chosen, largest), largest)
    return _SIDE.pack(largest, *chosen.reshape(-1).tolist())


def _read_sides(reader: SymbolReader, head: bytes, groups: Sequence[Grouping]) -> dict[str, Side]:
    if len(head) != _SIDE.size:
        raise InputError("it is cut off")
    largest, *chosen = _SIDE.unpack(head)
    if largest > LIMIT:
        raise InputError("its steps are damaged")
    counts, contexts_of = [group.count for group in groups], [2 * num_contexts(group) for group in groups]
    context = np.repeat(np.arange(3), [len(groups), sum(counts), sum(contexts_of)])
    symbols = reader.read(context, tables_of(np.array(chosen, np.uint8).reshape(3, 2), largest), largest)
    limits, steps, parameters = (symbols[context == one] for one in range(3))
    steps, parameters = steps.cumsum(), parameters.cumsum()
    if limits.min() < 0 or limits.max() > LIMIT or steps.min() < LOWEST or steps.max() > HIGHEST:
        raise InputError("its steps are damaged")
    if parameters.min() < 0 or parameters.max() >= NUM_FRACTIONS:
        raise InputError("its distributions are damaged")
    each = zip(
        groups,
        torch.from_numpy(steps).split(counts),
        limits.tolist(),
        np.split(parameters.astype(np.uint8), np.cumsum(contexts_of)[:-1]),
        strict=True,
    )
    return {group.name: Side(step, limit, one.reshape(2, -1).T) for group, step, limit, one in each}


def _array(tensor: Int64[Tensor, "..."]) -> Int64[np.ndarray, " N"]:
    return tensor.reshape(-1).cpu().numpy()
