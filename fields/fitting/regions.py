"""What a fit that does not see all of its video makes of each part: what it saw, what a mask hid, frames held out.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from datasets.single_signal import SingleSignal
from fields.coords import at_index
from fields.interface import can_blend_time
from fields.reconstruction import frames, report
from fields.reconstruction.psnr import psnr

VISIBLE, HIDDEN, HELD_OUT = "visible", "hidden", "held_out"
_BASELINES = {"mean of the two neighbours": 0.5, "repeat of the one before": 0.0}


def draw(
    field: Any, signal: SingleSignal, numbers: Sequence[int], chunk: int, device: torch.device
) -> Float[Tensor, "F 3 H W"]:
    """Frames of a video by its field, nominally in [-1, 1]; those held out between two slices of a grid, where it can.

    Args:
        field: Built for ``signal.field_size``.
        signal: The video.
        numbers: Of its frames.
        chunk: Pixels that are evaluated at once.
        device: Where the field is.
    """
    moments = at_index(torch.tensor(numbers, device=device) / signal.every, signal.field_size[0])
    size, blends = signal.size[1:], can_blend_time(field)
    held_out = [number in signal.held_out for number in numbers]
    if not (blends and any(held_out)):
        return field.render(moments, size, chunk=chunk)
    drawn = [
        field.render(moments[i : i + 1], size, chunk=chunk, blend_time=between) for i, between in enumerate(held_out)
    ]
    return torch.cat(drawn)


def neighbours(number: int, held_out: Container[int], total: int) -> tuple[int, int] | None:
    """The nearest frames before and after one that are not held out; None where one of them is missing.

    Args:
        number: Of the frame.
        held_out: Numbers of all such.
        total: Frames of the video.
    """
    before = next((k for k in range(number - 1, -1, -1) if k not in held_out), None)
    after = next((k for k in range(number + 1, total) if k not in held_out), None)
    return None if before is None or after is None else (before, after)


class Regions:
    """PSNR of every frame, part by part.

    Frames that are held out count as a part of their own, and only between two that are seen: beyond the last one
    nothing can be interpolated.

    Args:
        signal: The video, of which something is hidden.
    """

    def __init__(self, signal: SingleSignal) -> None:
        self.signal = signal
        self.found: dict[str, dict[int, float]] = {}

    def parts(self, number: int) -> dict[str, Bool[Tensor, "H W"]]:
        """What is measured of a frame: places by part."""
        mask = self.signal.mask
        hidden = torch.zeros(self.signal.size[1:], dtype=torch.bool) if mask is None else mask[number].cpu()
        if number in self.signal.held_out:
            between = neighbours(number, self.signal.held_out, self.signal.size[0]) is not None
            places = torch.ones_like(hidden) if self.signal.truth_known else ~hidden
            found = {HELD_OUT: places} if between else {}
        else:
            found = {VISIBLE: ~hidden, HIDDEN: hidden & self.signal.truth_known}
        return {name: places for name, places in found.items() if places.any()}

    def add(self, numbers: Sequence[int], result: Float[Tensor, "F 3 H W"], target: Float[Tensor, "F 3 H W"]) -> None:
        """Measures frames.

        Args:
            numbers: Of the frames.
            result: In [0, 1].
            target: In [0, 1].
        """
        for number, one, other in zip(numbers, result, target, strict=True):
            for name, places in self.parts(number).items():
                places = places.to(one.device)
                value = psnr(one[None, :, places, None], other[None, :, places, None])
                self.found.setdefault(name, {})[number] = float(value)

    def figures(self, ssim: np.ndarray | None, numbers: Sequence[int]) -> dict[str, dict[str, Any]]:
        """Mean and spread over the frames, by measure and part.

        Args:
            ssim: Of whole frames, which says something of those that are held out; None: not measured.
            numbers: Whose.
        """
        found = {f"psnr_{name}": spread(list(values.values())) for name, values in self.found.items()}
        whole = self.found.get(HELD_OUT, {})
        if ssim is not None and whole and self.signal.truth_known:
            found["ssim_held_out"] = spread([float(ssim[numbers.index(number)]) for number in whole])
        return found

    def record(self) -> dict[str, Any]:
        """All figures as plain values, with those of simple guesses of the frames that were held out."""
        held_out = self.found.get(HELD_OUT, {})
        guesses = {name: {k: self._guessed(k, share) for k in held_out} for name, share in _BASELINES.items()}
        return {
            "psnr": {name: per_frame(values) for name, values in self.found.items()},
            "held_out": list(self.signal.held_out),
            "not_between_two_that_are_seen": sorted(set(self.signal.held_out) - set(held_out)) if held_out else [],
            "baselines": {name: per_frame(values) for name, values in guesses.items() if values},
        }

    def _guessed(self, number: int, share: float) -> float:
        """PSNR of a frame that is guessed from its neighbours, of which the later one has a share."""
        chosen = [*(neighbours(number, self.signal.held_out, self.signal.size[0]) or ()), number]
        before, after, target = frames.from_bytes(self.signal.frames(chosen))
        places = self.parts(number)[HELD_OUT].to(target.device)
        guess = torch.lerp(before, after, share)
        return float(psnr(guess[None, :, places, None], target[None, :, places, None]))


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean and standard deviation over frames; exact ones, whose PSNR is infinite, are left out and counted."""
    finite = [value for value in values if np.isfinite(value)]
    found: dict[str, Any] = {
        "mean": report.plain(float(np.mean(finite)) if finite else float("inf")),
        "std": float(np.std(finite, ddof=1)) if len(finite) > 1 else None,
    }
    return found | ({"exact_frames": len(values) - len(finite)} if len(finite) < len(values) else {})


def per_frame(values: dict[int, float]) -> dict[str, Any]:
    """Mean, spread and figures of frames, by their numbers, as plain values."""
    return {**spread(list(values.values())), "frames": {str(k): report.plain(v) for k, v in sorted(values.items())}}
