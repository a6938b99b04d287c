"""Frames through JPEG."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from stylegan_v.metrics.jpeg import through_jpeg


def clips() -> torch.Tensor:
    return torch.randint(256, (2, 3, 3, 16, 24), generator=torch.Generator().manual_seed(0)).byte()


def test_each_frame_is_what_a_file_of_it_would_hold() -> None:
    stored = through_jpeg(clips(), 50)
    assert stored.shape == (2, 3, 3, 16, 24) and stored.dtype == torch.uint8
    file = io.BytesIO()
    Image.fromarray(clips()[1, 2].permute(1, 2, 0).numpy()).save(file, "JPEG", quality=50)
    assert torch.equal(stored[1, 2].permute(1, 2, 0), torch.from_numpy(np.array(Image.open(file))))


def test_lower_quality_changes_more() -> None:
    errors = [(through_jpeg(clips(), quality).int() - clips().int()).abs().float().mean() for quality in (95, 50, 5)]
    assert errors[0] < errors[1] < errors[2]
