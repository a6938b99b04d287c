"""Recordings of the original systems: where they are, and how numbers are compared with them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor


def folder(name: str) -> Path:
    """The sub-folder ``name`` of the recordings that the environment variable CONFORMANCE_DATA names."""
    return Path(os.environ.get("CONFORMANCE_DATA", "tests/conformance/data")) / name


def files(name: str, key: str) -> list:
    """Parameters for pytest: every npz of a set that has ``key``; one skipped by name where there is none."""
    paths = [path for path in sorted(folder(name).glob("*.npz")) if key in np.load(path, allow_pickle=False).files]
    if not paths:
        mark = pytest.mark.skip(reason=f"the set {folder(name)} has no npz with {key}")
        return [pytest.param(None, id=f"no file with {key}", marks=mark)]
    return [pytest.param(path, id=path.stem) for path in paths]


class Recording:
    """One npz file as tensors and parsed JSON."""

    def __init__(self, path: Path) -> None:
        self.arrays = np.load(path, allow_pickle=False)
        self.keys = set(self.arrays.files)

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def __getitem__(self, key: str) -> Tensor:
        return torch.from_numpy(np.array(self.arrays[key]))

    def json(self, key: str) -> object:
        return json.loads(str(self.arrays[key]))

    def text(self, key: str) -> str:
        return str(self.arrays[key])

    def group(self, prefix: str) -> dict[str, Tensor]:
        """Entries under ``prefix/`` by the rest of their names, text left out."""
        start = len(prefix) + 1
        names = [key for key in self.keys if key.startswith(f"{prefix}/") and not key.endswith("_json")]
        return {key[start:]: self[key] for key in names}


def relative_error(ours: Tensor, recorded: Tensor) -> float:
    """Largest difference over the largest recorded value; infinite where shapes or missing values differ."""
    ours, recorded = ours.detach().double(), recorded.double()
    if ours.shape != recorded.shape or not torch.equal(ours.isnan(), recorded.isnan()):
        return float("inf")
    ours, recorded = ours.nan_to_num(), recorded.nan_to_num()
    if not recorded.numel():
        return 0.0
    largest = recorded.abs().max().item()
    return (ours - recorded).abs().max().item() / (largest or 1.0)


def assert_matches(ours: Mapping[str, Tensor], recording: Recording, tolerance: Mapping[str, float]) -> None:
    """Every result equals its recording to the tolerance of the first prefix in ``tolerance`` that fits its key.

    Raises:
        AssertionError: With all keys that differ, and by how much.
    """
    assert ours
    wrong = []
    for key, value in sorted(ours.items()):
        allowed = next(limit for prefix, limit in tolerance.items() if key.startswith(prefix))
        error = relative_error(value, recording[key])
        if not error <= allowed:
            wrong.append(f"{key}: {error:.2e} > {allowed:.0e} {tuple(value.shape)} {tuple(recording[key].shape)}")
    assert not wrong, "\n" + "\n".join(wrong)
