"""Pairs for super-resolution against the recorded wrappers of the original: bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from einops import rearrange

from datasets.image_pairs import crop_size, flipped, reduced_crop, whole_pair
from fields.coords import cell_of, samples_of
from tests.conformance.recordings import Recording, files

RECORDINGS = files("liif", "img_u8")


def _names(recording: Recording, kind: str) -> list[str]:
    found = sorted({key.split("/")[0] for key in recording.keys if key.startswith(kind)})
    assert found, f"no {kind} in the recording"
    return found


def _planar(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rearrange(image, "h w c -> c h w").copy())


@pytest.mark.parametrize("path", RECORDINGS)
def test_reduced_crops_are_the_recorded_ones(path: Path) -> None:
    recording = Recording(path)
    image = recording["img_u8"].numpy()
    for name in _names(recording, "crop"):
        about = recording.group(name)
        patch, scale = tuple(about["inp_u8"].shape[1:]), float(about["scale"])
        pair = reduced_crop(image, patch, scale, tuple(about["row0_col0"].tolist()))
        assert crop_size(patch, scale) == pair[1].shape[:2] == (int(about["w_hr"]),) * 2, name
        rows, columns, transpose = about["flip_rows_cols_transpose"].tolist()
        small, large = (_planar(flipped(part, rows, columns, transpose)) for part in pair)
        assert torch.equal(small, about["inp_u8"]), name
        coords, colours = samples_of(large.float())
        assert torch.equal(colours, about["gt_u8"].float()), name
        assert torch.allclose(coords, about["coord"], rtol=0, atol=2e-7), name
        assert torch.equal(cell_of(large.shape[1:]).expand_as(coords), about["cell"]), name


@pytest.mark.parametrize("path", RECORDINGS)
def test_whole_pairs_are_the_recorded_ones(path: Path) -> None:
    recording = Recording(path)
    image = recording["img_u8"].numpy()
    for name in _names(recording, "whole"):
        about = recording.group(name)
        small, large = map(_planar, whole_pair(image, float(about["scale"])))
        assert torch.equal(small, about["inp_u8"]), name
        coords, colours = samples_of(large.float())
        assert len(coords) == int(about["n_query"]), name
        assert torch.equal(colours, about["gt_u8"].float()), name
        assert torch.allclose(cell_of(large.shape[1:]), about["cell0"], rtol=1e-6, atol=0), name
