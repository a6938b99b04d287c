"""LDR-FLIP per frame: the difference that people see when two images alternate, through NVIDIA's own package.

Andersson et al., "FLIP: A Difference Evaluator for Alternating Images" (2020). The figure depends on how large a pixel
appears, so every result states it. The package computes on the CPU.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from errors import InputError

_MISSING = (
    "flip: the package flip-evaluator is not installed: pip install flip-evaluator==1.7 (wheels are there for Linux "
    "and Windows on x86-64, and for macOS)"
)


class MissingFlip(InputError):
    """The package that computes FLIP is not installed; the message says how to get it."""


def pixels_per_degree(distance: float = 0.7, width: float = 0.7, pixels: int = 3840) -> float:
    """How many pixels of a screen one degree of view covers (Andersson et al. 2020, eq. 8), about 67.02 by default.

    Args:
        distance: From eye to screen, in metres.
        width: Of the screen, in metres.
        pixels: Of the screen's width.
    """
    return distance * pixels / width * math.pi / 180


class Flip:
    """Mean FLIP of frames.

    Args:
        ppd: Pixels per degree of view. None: the paper's screen, 0.7 m wide with 3840 pixels, seen from 0.7 m.

    Raises:
        MissingFlip: The package is not installed.
        InputError: ``ppd`` is not a positive number.
    """

    def __init__(self, ppd: float | None = None) -> None:
        screen = " (0.7 m from a screen 0.7 m wide with 3840 pixels)" if ppd is None else ""
        self.ppd = pixels_per_degree() if ppd is None else ppd
        if not (math.isfinite(self.ppd) and self.ppd > 0):
            raise InputError(f"ppd: {self.ppd:g}: give a positive number of pixels per degree")
        try:
            from flip_evaluator import evaluate
        except ImportError as error:
            raise MissingFlip(_MISSING) from error
        self._evaluate = evaluate
        self.convention = f"LDR-FLIP by flip-evaluator, mean over pixels, {self.ppd:.2f} pixels per degree{screen}"

    def __call__(self, result: Float[Tensor, "F 3 H W"], reference: Float[Tensor, "F 3 H W"]) -> Float64[Tensor, " F"]:
        """FLIP of every frame, from 0 (no difference seen) to 1.

        Args:
            result: sRGB in [0, 1].
            reference: sRGB in [0, 1].
        """
        pairs = zip(result, reference, strict=True)
        values = [self.map(one, other).mean(dtype=np.float64) for one, other in pairs]
        return torch.tensor(values, dtype=torch.float64)

    def map(self, result: Float[Tensor, "3 H W"], reference: Float[Tensor, "3 H W"]) -> np.ndarray:
        """FLIP of every pixel of one frame, float32 [H, W]."""
        images = [frame.detach().float().permute(1, 2, 0).contiguous().cpu().numpy() for frame in (reference, result)]
        found, _, _ = self._evaluate(
            *images, "LDR", applyMagma=False, computeMeanError=False, parameters={"ppd": self.ppd}
        )
        return found[..., 0]
