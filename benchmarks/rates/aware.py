"""The rate-aware codec: a field that was fitted for the size of its file, as this file.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from benchmarks.rates.points import Point, mean_psnr
from benchmarks.rates.rival import drawn
from fields.codec.coding import Settings, decode, describe, encode
from fields.weights import StoredField


def aware_point(stored: StoredField, frames: UInt8[Tensor, "F 3 H W"], settings: dict[str, Any]) -> Point:
    """A fitted field, read back from its file; its volume is one group of slices, as the rival's is.

    Args:
        stored: Of `fields.fitting.RateFitting`.
        frames: What it was fitted to.
        settings: How it was fitted, to be said beside it.
    """
    data = encode(stored, Settings(group=len(frames)))
    said = describe(data, stored.path)
    found = mean_psnr(drawn(decode(data, stored.path), frames.shape), frames)
    return Point(found, said["payload_bits"], said["container_bits"], settings)
