"""A coded file, opened: what it holds is checked against the field that it names, and decoded tensor by tensor.

Whatever a file says is taken for a claim: sums tell damage, and what is decoded is refused where it is not what belongs
there. Only classes of this room are built (see `fields.nodes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datasets.memory import available_memory, gigabytes
from errors import InputError
from fields.codec.container import Contents, Part, from_bytes
from fields.codec.pictures import FORMS, read_pictures
from fields.codec.rated import SHARED, RatedReader
from fields.codec.symbols import FORM, Quantiser, from_steps, quantisers, read_symbols
from fields.codec.tensors import DTYPES, LevelsCut, VolumeCut, from_numbers, grid_cuts
from fields.nodes import build

RANGES = "ranges"  # the piece after the last of a grid: what 0 and 255 of each channel stand for
MAX_GROUP = 1024


@contextmanager
def _named(path: Path, name: str) -> Iterator[None]:
    """Says of which file and tensor an error tells."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {name}: {error}: write the file again") from error


def check_storable(field: nn.Module, path: Path) -> None:
    """Refuses a module that is no field of videos, pictures, signals or scenes, or that its tensors do not make whole.

    Args:
        field: The module.
        path: Of its file, for the message.

    Raises:
        InputError: It cannot be stored.
    """
    answers = any(hasattr(field, name) for name in ("render", "render_rays", "size"))
    # What is neither in its state nor made anew would have no values.
    if not answers or any(name not in field.state_dict() for name, _ in field.named_buffers()):
        raise InputError(
            f"{path}: {type(field).__name__} is no field that can be stored: give one that train.py fitted"
        )


def empty_field(contents: Contents, path: Path) -> nn.Module:
    """The field that a file names, without memory for its tensors, once there is enough for them.

    Args:
        contents: Of the file.
        path: Where it lies, for messages.

    Raises:
        InputError: It names no field that can be stored, or there is less memory than to decode it takes.
    """
    if not isinstance(contents.node.get("class_path"), str) or contents.group > MAX_GROUP:
        raise InputError(f"{path}: its header names no field: write the file again")
    try:
        field = build(contents.node, max_tensors=4 * len(contents.parts) + 100)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    check_storable(field, path)
    needed = 3 * sum(tensor.numel() * tensor.element_size() for tensor in field.state_dict().values())
    free = available_memory(torch.device("cpu"))
    if free is not None and needed > free:
        raise InputError(
            f"{path}: to be decoded it needs {gigabytes(needed)} of memory, of which {gigabytes(free)} are free: use a "
            "machine with more"
        )
    return field


def _by_name(contents: Contents, path: Path) -> dict[str, dict[int, Part]]:
    """Parts by the tensors that they belong to, then by number."""
    found: dict[str, dict[int, Part]] = {}
    for part in contents.parts:
        pieces = found.setdefault(part.name, {})
        if part.number in pieces:
            raise InputError(f"{path}: {part.name[:80]!a} has a piece twice: write the file again")
        pieces[part.number] = part
    return found


def _check_parts(parts: Mapping[int, Part], cut: LevelsCut | VolumeCut | None, stepped: bool) -> None:
    """Whether a tensor is there at once, or in all the pieces of a grid."""
    if sorted(parts) == [0] and (parts[0].form in DTYPES or (stepped and parts[0].form == FORM)):
        return
    count = len(cut.pieces()) if cut else 0
    if not count or sorted(parts) != list(range(count + 1)) or parts[count].form != RANGES:
        raise InputError("its pieces are not those of the field")
    if wrong := {parts[i].form for i in range(count)} - set(FORMS):
        raise InputError(f"form {min(wrong)[:20]!a} is none of {', '.join(FORMS)}")


@dataclass(frozen=True)
class OpenedField:
    """A file whose parts are known and not yet decoded.

    Attributes:
        path: Where it lies, for messages.
        contents: All of it.
        field: Without memory for its tensors.
        like: Its tensors, without memory.
        parts: By the tensors that they belong to, then by number.
        grids: How grids are cut.
        quantisers: What parameters go through that are trained in steps.
        rated: The tensors whose steps were learned with the field; None where it has none.
    """

    path: Path
    contents: Contents
    field: nn.Module
    like: dict[str, Tensor]
    parts: dict[str, dict[int, Part]]
    grids: dict[str, LevelsCut | VolumeCut]
    quantisers: dict[str, Quantiser]
    rated: RatedReader | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of how the field was made."""
        return self.contents.facts

    def in_pieces(self, name: str) -> bool:
        """Whether a tensor is a grid that was quantised, or a volume whose steps were learned."""
        return name in self.grids and name in self.parts and self.parts[name][0].form not in (*DTYPES, FORM)

    def tensor(self, name: str) -> Tensor:
        """A tensor, decoded.

        Raises:
            InputError: Its parts hold anything else.
        """
        if self.rated is not None and name in self.rated.names:
            with _named(self.path, name):
                return self.rated.tensor(name).to(self.like[name].dtype)
        if not self.in_pieces(name):
            part, shape = self.parts[name][0], self.like[name].shape
            with _named(self.path, name):
                if part.form == FORM:
                    steps, scale = read_symbols(part.data, shape, self.quantisers[name])
                    return from_steps(steps, scale, self.quantisers[name]).to(self.like[name].dtype)
                return from_numbers(part.data, part.form, shape).to(self.like[name].dtype)
        cut = self.grids[name]
        return cut.join(self.stacks(name, range(len(cut.pieces()))), *self.ends(name)).to(self.like[name].dtype)

    def slices(self, name: str, number: int) -> Tensor:
        """A group of slices of a volume that is in pieces; errors as for `tensor`."""
        if self.rated is not None and name in self.rated.names:
            with _named(self.path, name):
                return self.rated.slices(name, number)
        channels = self.like[name].shape[-1]
        stacks = self.stacks(name, range(number * channels, (number + 1) * channels))
        return self.grids[name].join(stacks, *self.ends(name))

    def stacks(self, name: str, numbers: Iterable[int]) -> list[Tensor]:
        """Pieces of a grid, decoded; errors as for `tensor`."""
        pieces, parts = self.grids[name].pieces(), self.parts[name]
        with _named(self.path, name):
            return [torch.tensor(read_pictures(parts[i].data, parts[i].form, pieces[i].shape)) for i in numbers]

    def ends(self, name: str) -> tuple[Tensor, Tensor]:
        """What 0 and 255 of a grid stand for; errors as for `tensor`."""
        with _named(self.path, name):
            data = self.parts[name][len(self.parts[name]) - 1].data
            low, high = from_numbers(data, "float32", (2, self.grids[name].num_ranges))
            if not (high - low).isfinite().all():
                raise InputError("its ranges are not finite")
            return low, high


def open_coded(data: bytes, path: Path) -> OpenedField:
    """A file, its sums and the table of its parts checked; arguments and errors as for `decode`."""
    contents = from_bytes(data, path)
    field = empty_field(contents, path)
    parts, like, grids = _by_name(contents, path), field.state_dict(), grid_cuts(field, contents.group)
    if more := set(parts) - set(like) - {SHARED}:
        raise InputError(f"{path}: {min(more)[:80]!a} is no tensor of its field: write the file again")
    stepped = quantisers(field)
    with _named(path, "what all frames share"):
        rated = RatedReader(field, parts, contents.group) if SHARED in parts else None
    for name in like:
        if rated is None or name not in rated.names:
            with _named(path, name):
                _check_parts(parts.get(name, {}), grids.get(name), name in stepped)
    return OpenedField(path, contents, field, dict(like), parts, grids, stepped, rated)
