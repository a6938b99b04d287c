"""A fitted field as one file, and the field of such a file.

Grids become bytes (see `fields.quantisation`) and these pictures or videos; what a field trains in steps becomes the
numbers of these (see `fields.codec.symbols`); all other tensors are kept as numbers. The file holds all that the field
is made from: the node of its class, the range of every grid, every tensor. Only classes of this room are built (see
`fields.nodes`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datasets.memory import available_memory, gigabytes
from errors import InputError
from fields.codec.container import Contents, Part, from_bytes, overhead, to_bytes
from fields.codec.pictures import FORMS, are_pictures, read_pictures, write_pictures
from fields.codec.rated import FORM as RATED
from fields.codec.rated import SHARED, RatedReader, write_parts
from fields.codec.symbols import FORM, Quantiser, from_steps, quantisers, read_symbols, to_steps, write_symbols
from fields.codec.tensors import DTYPES, Cut, LevelsCut, VolumeCut, from_numbers, grid_cuts, to_numbers
from fields.nodes import build
from fields.weights import StoredField, build_field

RANGES = "ranges"  # the piece after the last of a grid: what 0 and 255 of each channel stand for
_MAX_GROUP = 1024


@dataclass(frozen=True)
class Settings:
    """How a field is coded; the defaults lose nothing but what bytes cannot tell apart.

    Attributes:
        quality: Of JPEG for levels that are pictures, 1 to 95; None is PNG.
        crf: Constant rate factor of HEVC for volumes, 0 to 51, the smaller the better; None is PNG.
        group: Slices of a volume in one video, of which the first alone is coded by itself; 1 is all of them.
        precision: Of weights that are no grid, "float32" or "float16"; what was not trained is never rounded.
        quantised: Grids are stored as bytes, and what is trained in steps as their numbers; else as numbers like the
            rest, exactly with "float32". A field whose steps were learned is stored in these, all of it, unless quality
            or crf are given.
    """

    quality: int | None = None
    crf: float | None = None
    group: int = 8
    precision: str = "float32"
    quantised: bool = True

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 95:
            raise InputError(f"quality {self.quality}: give 1 to 95, or none for no loss")
        if self.crf is not None and not 0 <= self.crf <= 51:
            raise InputError(f"crf {self.crf}: give 0 to 51, or none for no loss")
        if not 1 <= self.group <= _MAX_GROUP:
            raise InputError(f"group {self.group}: give 1 to {_MAX_GROUP} slices")
        if self.precision not in ("float32", "float16"):
            raise InputError(f"precision {self.precision!r}: give float32 or float16")
        if not self.quantised and (self.quality is not None or self.crf is not None):
            raise InputError("quality, crf: pictures need quantised grids: leave them out, or quantise")


def encode(stored: StoredField, settings: Settings) -> bytes:
    """The file of a field.

    Args:
        stored: As `fields.weights.read_field` gives it.
        settings: How.

    Raises:
        InputError: The field cannot be built, or a number of it is not finite or does not fit.
    """
    field = build_field(stored)
    grids = grid_cuts(field, settings.group) if settings.quantised else {}
    stepped = quantisers(field) if settings.quantised else {}
    trained = dict(field.named_parameters())  # frequencies and the like are not rounded
    parts = _rated_parts(field, stored, settings)
    rated = set(stored.steps) if parts else set()
    for name, tensor in field.state_dict().items():
        if name in rated:
            continue
        if name in grids:
            parts += _grid_parts(name, tensor, grids[name], settings)
        elif name in stepped:
            parts.append(_symbols_part(name, tensor, stepped[name]))
        else:
            form = _form_of(name, tensor, settings.precision if name in trained else "float32")
            parts.append(Part(name, 0, form, to_numbers(tensor, form, name)))
    return to_bytes(Contents(stored.node, stored.facts, settings.group, tuple(parts)))


def decode(data: bytes, path: Path) -> nn.Module:
    """The field of a file, on the CPU, for use and not for training.

    Args:
        data: The file.
        path: Where it lies, for messages.

    Raises:
        InputError: It is no such file, or damaged, or does not hold the field that it names.
    """
    return build_field(decode_stored(data, path))


def decode_stored(data: bytes, path: Path) -> StoredField:
    """Node, tensors and facts of a file; arguments and errors as for `decode`."""
    opened = open_coded(data, path)
    state = {name: opened.tensor(name) for name in opened.like}
    return StoredField(path, opened.contents.node, state, opened.facts, opened.rated.steps if opened.rated else {})


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
    field = _empty(contents, path)
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


def describe(data: bytes, path: Path) -> dict[str, Any]:
    """What a file is and how its bits are spent.

    Args:
        data: The file.
        path: Where it lies, for messages.

    Raises:
        InputError: It is no such file, or damaged.
    """
    contents = from_bytes(data, path)
    field = _empty(contents, path)
    if unknown := {part.form for part in contents.parts} - {*FORMS, *DTYPES, FORM, RATED, RANGES}:
        raise InputError(f"{path}: form {min(unknown)[:20]!a} is none of this format: write the file again")
    spent: Counter[str] = Counter()
    for part in contents.parts:
        spent[part.form] += 8 * len(part.data)
    size = getattr(field, "size", None)
    bits = 8 * len(data)
    return {
        "class": contents.node["class_path"],
        "size": list(size) if size is not None else None,
        "parameters": sum(tensor.numel() for tensor in field.parameters()),
        "facts": contents.facts,
        "bits": bits,
        "payload_bits": sum(spent.values()),
        "container_bits": 8 * overhead(data),
        "bits_by_form": dict(sorted(spent.items())),
        "bits_per_pixel": bits / (size[0] * size[1] * size[2]) if size is not None else None,
    }


def _rated_parts(field: nn.Module, stored: StoredField, settings: Settings) -> list[Part]:
    """The parameters in the steps that were learned with them, unless the settings ask for another form."""
    if not stored.steps or not settings.quantised or settings.quality is not None or settings.crf is not None:
        return []
    return write_parts(field, stored.state, stored.steps, settings.group)


def _form_of(name: str, tensor: Tensor, precision: str) -> str:
    own = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_floating_point() and own != "float64":
        return precision
    if own not in DTYPES:
        raise InputError(f"{name}: {own} is no type of numbers that can be stored: give a field of float32")
    return own


def _symbols_part(name: str, tensor: Tensor, quantiser: Quantiser) -> Part:
    try:
        return Part(name, 0, FORM, write_symbols(*to_steps(tensor.float(), quantiser)))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _grid_parts(name: str, tensor: Tensor, cut: LevelsCut | VolumeCut, settings: Settings) -> Iterator[Part]:
    try:
        stacks, low, high = cut.split(tensor.float())
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    if not (high - low).isfinite().all():
        raise InputError(f"{name}: its numbers are too large to be quantised: fit the field again")
    quality = settings.quality if cut.lossy == "jpeg" else settings.crf
    pieces = cut.pieces()
    for number, (piece, stack) in enumerate(zip(pieces, stacks, strict=True)):
        form = _picture_form(piece, cut.lossy, quality)
        yield Part(name, number, form, write_pictures(stack.cpu().numpy(), form, quality or 0))
    ends = to_numbers(torch.stack([low, high]), "float32", name)
    yield Part(name, len(pieces), RANGES, ends)


def _picture_form(piece: Cut, lossy: str, quality: float | None) -> str:
    if not piece.smooth or not are_pictures(piece.shape):
        return "zlib"
    return "png" if quality is None else lossy


def _empty(contents: Contents, path: Path) -> nn.Module:
    """The field without memory for its tensors, once there is enough for them."""
    if not isinstance(contents.node.get("class_path"), str) or contents.group > _MAX_GROUP:
        raise InputError(f"{path}: its header names no field: write the file again")
    try:
        field = build(contents.node, max_tensors=4 * len(contents.parts) + 100)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    # What is neither in its state nor made anew would have no values.
    if not hasattr(field, "render") or any(name not in field.state_dict() for name, _ in field.named_buffers()):
        raise InputError(f"{path}: {contents.node['class_path']} is no field that can be stored: write the file again")
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


@contextmanager
def _named(path: Path, name: str) -> Iterator[None]:
    """Says of which file and tensor an error tells."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {name}: {error}: write the file again") from error
