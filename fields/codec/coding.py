"""A fitted field as one file, and the field of such a file.

Grids become bytes (see `fields.quantisation`) and these pictures or videos; what a field trains in steps becomes the
numbers of these (see `fields.codec.symbols`); all other tensors are kept as numbers. The file holds all that the field
is made from: the node of its class, the range of every grid, every tensor. Only classes of this room are built (see
`fields.nodes`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from datasets.memory import available_memory, gigabytes
from errors import InputError
from fields.codec.container import MAGIC, Contents, Part, from_bytes, overhead, to_bytes
from fields.codec.opening import MAX_GROUP, RANGES, check_storable, empty_field, open_coded
from fields.codec.pictures import FORMS, are_pictures, write_pictures
from fields.codec.rated import FORM as RATED
from fields.codec.rated import write_parts
from fields.codec.symbols import FORM, Quantiser, quantisers, to_steps, write_symbols
from fields.codec.tensors import DTYPES, Cut, LevelsCut, VolumeCut, grid_cuts, to_numbers
from fields.weights import StoredField, build_field, read_field


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
        if not 1 <= self.group <= MAX_GROUP:
            raise InputError(f"group {self.group}: give 1 to {MAX_GROUP} slices")
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
    check_storable(field, stored.path)
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


def read_any(path: str | Path) -> StoredField:
    """A field from a coded file, or from whatever `fields.weights.read_field` reads.

    Raises:
        InputError: There is none, or it is damaged or too large for the memory that is free.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        return read_field(path)
    with open(file, "rb") as opened:
        coded = opened.read(len(MAGIC)) == MAGIC
    return decode_stored(read_bytes(file), file) if coded else read_field(path)


def read_bytes(path: Path) -> bytes:
    """A coded file, once there is memory for it.

    Raises:
        InputError: There is not.
    """
    size, free = path.stat().st_size, available_memory(torch.device("cpu"))
    if free is not None and 2 * size > free:
        raise InputError(f"{path}: of {gigabytes(size)}, too large for the memory that is free ({gigabytes(free)})")
    return path.read_bytes()


def describe(data: bytes, path: Path) -> dict[str, Any]:
    """What a file is and how its bits are spent.

    Args:
        data: The file.
        path: Where it lies, for messages.

    Raises:
        InputError: It is no such file, or damaged.
    """
    contents = from_bytes(data, path)
    field = empty_field(contents, path)
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
        "bits_per_pixel": bits / math.prod(size) if size is not None else None,
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
