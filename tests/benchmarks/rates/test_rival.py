"""The rival: what its files hold is what was fitted, and its bits are those of its files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.rates.rival import (
    decode_sheets,
    drawn,
    grid_parts,
    original_points,
    rest_parts,
    rival_points,
    sheet_layout,
    split,
)
from datasets.acceptance_video import acceptance_video
from errors import InputError
from fields.codec.container import Contents, to_bytes
from fields.codec.tensors import LevelsCut
from fields.grids import MultiResGrid
from fields.nvp import NVP
from fields.weights import StoredField

SETTINGS = {"levels": 3, "base": 4, "growth": 1.7, "sparse_shape": [4, 6, 6], "width": 8, "capped": True}


@pytest.fixture(scope="module")
def stored() -> StoredField:
    torch.manual_seed(0)
    field = NVP((4, 24, 32), **SETTINGS)
    for parameter in field.parameters():  # smooth along the first axis, as fitted grids are
        if parameter.ndim > 1 and len(parameter) > 20:
            parameter.data = torch.linspace(-1, 1, len(parameter))[:, None].expand_as(parameter).clone()
    node = {"class_path": "fields.nvp.NVP", "init_args": {"size": [4, 24, 32], **SETTINGS}}
    return StoredField(Path("field"), node, field.state_dict(), {})


def test_what_is_read_is_what_was_written(stored: StoredField) -> None:
    grids = split(stored)
    parts = [*grid_parts(grids, "jpeg", 95), *grid_parts(grids, "hevc", 0), *rest_parts(grids)]
    assert [part.form for part in parts] == ["jpeg"] * 6 + ["hevc"] * 2 + ["float16"] * 2
    field = decode_sheets(to_bytes(Contents(stored.node, {}, 4, tuple(parts))), Path("file"))
    for name, found in field.state_dict().items():
        given = stored.state[name]
        near = 0.04 * float(given.max() - given.min()) if name in grids.cuts else 1e-3
        assert float((found - given).abs().max()) <= near, name


def test_bits_are_those_of_the_file_and_fall_with_quality(stored: StoredField) -> None:
    video = drawn(decode_sheets(_file(stored), Path("file")), (4, 3, 24, 32))
    points = list(rival_points(stored, video, (20, 95), (0, 45)))
    assert [point.settings for point in points] == [{"quality": q, "crf": c} for q in (20, 95) for c in (0, 45)]
    fine = points[2]
    assert fine.bits == 8 * len(_file(stored))
    assert fine.psnr == float("inf")  # the video was drawn from just this file
    assert points[0].payload_bits < fine.payload_bits and points[3].payload_bits < fine.payload_bits
    assert points[1].psnr < 60


def test_a_file_per_level_costs_more_than_a_sheet(stored: StoredField) -> None:
    video = acceptance_video(4, (24, 32))
    (sheets,) = rival_points(stored, video, (80,), (20,))
    (files,) = original_points(stored, video, [(80, 20)])
    assert files.payload_bits > 1.3 * sheets.payload_bits and files.container_bits > sheets.container_bits
    assert files.psnr == pytest.approx(sheets.psnr, abs=1.0)


def test_hashed_levels_are_refused() -> None:
    with pytest.raises(InputError, match="no pictures"):
        sheet_layout(LevelsCut(MultiResGrid(2, 2, 16, 2.0, 2, "hash", log2_table=4)))


def _file(stored: StoredField) -> bytes:
    grids = split(stored)
    parts = (*grid_parts(grids, "jpeg", 95), *grid_parts(grids, "hevc", 0), *rest_parts(grids))
    return to_bytes(Contents(stored.node, {}, 4, parts))


def test_frames_are_drawn_at_their_own_moments() -> None:
    field = NVP((4, 8, 8), **SETTINGS)
    torch.nn.init.constant_(field.synthesiser.last.weight, 0.0)
    torch.nn.init.constant_(field.synthesiser.last.bias, 0.5)
    assert drawn(field, (4, 3, 8, 8)).eq(191).all()
