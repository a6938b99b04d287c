"""The rival: a fitted NVP by codecs of pictures and video alone (Kim et al. 2022, 4.2), as small as these can make it.

Each plane's levels are one sheet per channel, so that six JPEG files are written and not one per level; the volume is
one HEVC video per channel; the network and the ranges are float16, deflated. All of that in the container of
`fields.codec`, whose own bits are counted apart.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from benchmarks.rates.points import Point, mean_psnr
from errors import InputError
from fields.codec.atlas import Layout, compose, extract, layout
from fields.codec.coding import Settings, decode, describe, encode
from fields.codec.container import Contents, Part, from_bytes, overhead, to_bytes
from fields.codec.pictures import read_pictures, write_pictures
from fields.codec.tensors import LevelsCut, VolumeCut, from_numbers, grid_cuts, to_numbers
from fields.coords import centres
from fields.nodes import build
from fields.nvp import NVP
from fields.reconstruction.frames import from_symmetric
from fields.weights import StoredField, build_field

QUALITIES = (10, 25, 45, 70, 85, 95)
CRFS = (4, 12, 20, 27, 34, 42)
_NUMBERS, _RANGES = "network", "ranges"
_MAX_TENSORS = 1000


@dataclass(frozen=True)
class Grids:
    """A field's grids as bytes; what is left of its tensors; and how they are cut.

    Attributes:
        stacks: Bytes of each grid's pieces.
        ranges: What 0 and 255 stand for, of each grid.
        cuts: By names of tensors.
        rest: All other tensors.
    """

    stacks: dict[str, list[Tensor]]
    ranges: dict[str, Tensor]
    cuts: dict[str, LevelsCut | VolumeCut]
    rest: dict[str, Tensor]


def split(stored: StoredField) -> Grids:
    """The grids of a field as bytes."""
    field = build_field(stored)
    cuts = grid_cuts(field, field.size[0])
    state = field.state_dict()
    found = {name: cut.split(state[name].float()) for name, cut in cuts.items()}
    ranges = {name: torch.stack(ends).half() for name, (_, *ends) in found.items()}
    rest = {name: tensor for name, tensor in state.items() if name not in cuts}
    return Grids({name: stacks for name, (stacks, *_) in found.items()}, ranges, cuts, rest)


def sheet_layout(cut: LevelsCut) -> Layout:
    """Where the levels of a plane lie on its sheets.

    Raises:
        InputError: They are no pictures: hashed.
    """
    pieces = cut.pieces()
    if not all(piece.smooth for piece in pieces):
        raise InputError("the levels of a hashed grid are no pictures: give planes that are dense")
    return layout([(piece.shape[1], piece.shape[2]) for piece in pieces])


def grid_parts(grids: Grids, lossy: str, quality: float) -> list[Part]:
    """All grids of one kind, coded.

    Args:
        grids: Of a field.
        lossy: "jpeg" for the planes, "hevc" for the volume.
        quality: Quality or CRF.
    """
    parts: list[Part] = []
    for name, cut in grids.cuts.items():
        stacks = [stack.cpu().numpy() for stack in grids.stacks[name]]
        if cut.lossy == lossy == "jpeg":
            stacks = [sheet[None] for sheet in compose(stacks, sheet_layout(cut))]
        if cut.lossy == lossy:
            parts += [Part(name, i, lossy, write_pictures(stack, lossy, quality)) for i, stack in enumerate(stacks)]
    return parts


def rest_parts(grids: Grids) -> list[Part]:
    """The network and the ranges."""
    numbers = torch.cat([tensor.flatten() for tensor in grids.rest.values()])
    ranges = torch.cat([ends.flatten() for ends in grids.ranges.values()])
    return [
        Part(_NUMBERS, 0, "float16", to_numbers(numbers, "float16", _NUMBERS)),
        Part(_RANGES, 0, "float16", to_numbers(ranges, "float16", _RANGES)),
    ]


def decode_sheets(data: bytes, path: Path) -> NVP:
    """The field of a file of such parts.

    Args:
        data: The file.
        path: Where it lies, for messages.
    """
    contents = from_bytes(data, path)
    like = build(contents.node, _MAX_TENSORS)
    cuts, parts = grid_cuts(like, like.size[0]), {(part.name, part.number): part for part in contents.parts}
    ranges = _ranges(parts[_RANGES, 0], cuts)
    state = {name: cut.join(_stacks(name, cut, parts), *ranges[name].float()) for name, cut in cuts.items()}
    rest = {name: tensor for name, tensor in like.state_dict().items() if name not in cuts}
    sizes = [tensor.numel() for tensor in rest.values()]
    numbers = from_numbers(parts[_NUMBERS, 0].data, "float16", [sum(sizes)]).float().split(sizes)
    state |= {name: flat.view_as(rest[name]) for (name, flat) in zip(rest, numbers, strict=True)}
    return build_field(StoredField(path, contents.node, state, contents.facts))


def _ranges(part: Part, cuts: dict[str, LevelsCut | VolumeCut]) -> dict[str, Tensor]:
    sizes = [2 * cut.num_ranges for cut in cuts.values()]
    flat = from_numbers(part.data, "float16", [sum(sizes)]).split(sizes)
    return {name: ends.view(2, -1) for name, ends in zip(cuts, flat, strict=True)}


def _stacks(name: str, cut: LevelsCut | VolumeCut, parts: dict[tuple[str, int], Part]) -> list[Tensor]:
    if isinstance(cut, VolumeCut):
        found = [read_pictures(parts[name, i].data, "hevc", piece.shape) for i, piece in enumerate(cut.pieces())]
        return [torch.tensor(stack) for stack in found]
    where = sheet_layout(cut)
    sheets = [read_pictures(parts[name, i].data, "jpeg", (1, *where.size)) for i in range(cut.channels)]
    return [torch.tensor(picture) for picture in extract(np.concatenate(sheets), where)]


def rival_points(
    stored: StoredField,
    frames: UInt8[Tensor, "F 3 H W"],
    qualities: Sequence[int] = QUALITIES,
    crfs: Sequence[int] = CRFS,
) -> Iterator[Point]:
    """A fitted field with every quality and every CRF, each read back from its bytes.

    Args:
        stored: An NVP.
        frames: What it was fitted to.
        qualities: Of JPEG.
        crfs: Of HEVC.
    """
    grids = split(stored)
    rest = rest_parts(grids)
    volumes = {crf: grid_parts(grids, "hevc", crf) for crf in crfs}
    for quality in qualities:
        planes = grid_parts(grids, "jpeg", quality)
        for crf in crfs:
            parts = (*planes, *volumes[crf], *rest)
            data = to_bytes(Contents(stored.node, {}, frames.shape[0], parts))
            found = mean_psnr(drawn(decode_sheets(data, Path("rival")), frames.shape), frames)
            payload = 8 * (len(data) - overhead(data))
            yield Point(found, payload, 8 * overhead(data), {"quality": quality, "crf": crf})


def original_points(
    stored: StoredField, frames: UInt8[Tensor, "F 3 H W"], pairs: Sequence[tuple[int, int]]
) -> Iterator[Point]:
    """The same field with a JPEG file per level, as NVP's authors have it.

    Args:
        stored: An NVP.
        frames: What it was fitted to.
        pairs: Quality and CRF.
    """
    for quality, crf in pairs:
        data = encode(stored, Settings(quality, crf, group=frames.shape[0], precision="float16"))
        said = describe(data, Path("original"))
        found = mean_psnr(drawn(decode(data, Path("original")), frames.shape), frames)
        yield Point(found, said["payload_bits"], said["container_bits"], {"quality": quality, "crf": crf})


def drawn(field: NVP, shape: Sequence[int]) -> UInt8[Tensor, "F 3 H W"]:
    """A field's frames with 8 bits.

    Args:
        field: Of the clip.
        shape: Of the clip, [F, 3, H, W].
    """
    frames = field.render(centres(shape[0], torch.device("cpu")), shape[2:])
    return (from_symmetric(frames) * 255).round().to(torch.uint8)
