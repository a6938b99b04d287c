"""Where measurements are kept, and how large a field is said to be."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from fields.coord_grid import CoordGrid
from fields.fitting.keeping import add_line, add_scalars, evenly, size_of
from fields.quantisers import TanhFloor
from fields.radiance.mipnerf import MipNeRF


def test_lines_are_added(tmp_path: Path) -> None:
    for number in range(2):
        add_line(tmp_path / "run", {"updates": number})
    lines = (tmp_path / "run" / "validation.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"updates": 0}, {"updates": 1}]


def test_only_numbers_become_curves() -> None:
    seen = []
    logger = SimpleNamespace(log_metrics=lambda values, step: seen.append((values, step)))
    add_scalars(SimpleNamespace(loggers=[logger]), {"a": 0.5, "b": 3, "c": None}, 4)
    assert seen == [({"a": 0.5}, 4)]


def test_bits_are_those_of_the_numbers_or_of_the_quantisers() -> None:
    field = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1, dtype=torch.float64))
    assert size_of(field) == {"parameters": 13, "bits": 9 * 32 + 4 * 64}
    field.append(CoordGrid((5,), 2, quantiser=TanhFloor(6)))
    assert size_of(field) == {"parameters": 23, "bits": 9 * 32 + 4 * 64 + 10 * 6}


def test_a_quantised_mip_nerf_takes_the_published_space() -> None:
    with torch.device("meta"):
        sizes = [size_of(MipNeRF(bits=bits)) for bits in (32, 8)]
    biases = 9 * 256 + 1 + 128 + 3  # which are not quantised
    assert sizes[0] == {"parameters": 613_220, "bits": 613_220 * 32}
    assert sizes[1] == {"parameters": 613_220, "bits": (613_220 - biases) * 8 + biases * 32}


def test_numbers_are_spread_from_the_first_to_the_last() -> None:
    assert evenly(9, 3) == [0, 4, 8] and evenly(2, 5) == [0, 1] and evenly(7, 1) == [0]
