"""Where measurements are kept, and how large a field is said to be."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from fields.fitting.keeping import add_line, add_scalars, size_of


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


def test_bits_are_those_of_the_numbers_or_those_that_the_field_says() -> None:
    field = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1, dtype=torch.float64))
    assert size_of(field) == {"parameters": 13, "bits": 9 * 32 + 4 * 64}
    field.num_bits = lambda: 50
    assert size_of(field)["bits"] == 50
